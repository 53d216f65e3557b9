import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { failureNumbers } from 'isms-2fa-simulator';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appsFileWithVariables, type FullGateway, startFullGateway } from '../support/full-gateway.js';
import { runCommand } from '../support/processes.js';
import { connect } from '../support/redis.js';
import { type Ended, failure, type Run, run, settingsFor } from './run-terminal.js';
import { newFolder } from './upload-files.js';

let gateway: FullGateway;
beforeAll(async () => {
  await connect();
  gateway = await startFullGateway({ OTP_MAX_ATTEMPTS: '2', APPS_FILE: appsFileWithVariables() });
});
afterAll(() => gateway.close());

const ask = (args: string[], more: Run = {}) => run(args, { env: settingsFor(gateway), ...more });
let last = 1_000_000;
/** A number that no other test uses. */
const newNumber = () => {
  last += 1;
  return `+6012${last}`;
};
/** An OTP that was sent, its number and its code. */
async function sent(...flags: string[]): Promise<{ id: string; to: string; code: string }> {
  const to = newNumber();
  const { id } = (await ask(['send', to, '--json', ...flags])).json() as { id: string };
  return { id, to, code: gateway.codeOf(to) };
}
const wrong = (code: string) => (code === '123456' ? '654321' : '123456');
const errorIn = ({ err }: Ended) => (JSON.parse(err) as { error: object }).error;

describe('send', () => {
  it('prints the id, the status and the command that verifies the OTP', async () => {
    const to = newNumber();
    const { code, out, err } = await ask(['send', to, '--reference', 'order-1']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const [, id] = /^id +(otp_\S+)$/m.exec(out) ?? [];
    expect(out).toMatch(/^status +sent$/m);
    expect(out).toContain(`isms-otp verify ${id} <code>`);
    expect(out).toContain('order-1');
  });

  it('passes its options to the API and prints the OTP as JSON', async () => {
    const flags = ['--message', 'Kod: %OTP%', '--purpose', 'login', '--ttl', '60', '--sender-id', 'Shop'];
    flags.push('--send-deadline', '30', '--max-attempts', '1', '--client-ip', '203.0.113.9');
    const { json } = await ask(['send', newNumber(), '--json', ...flags]);
    const otp = json() as Record<'createdAt' | 'sendDeadline' | 'sentAt' | 'expiresAt', string>;
    expect(otp).toMatchObject({ status: 'sent', purpose: 'login', attemptsRemaining: 1, failure: null });
    expect(Date.parse(otp.expiresAt) - Date.parse(otp.sentAt)).toBeLessThanOrEqual(60_000);
    expect(Date.parse(otp.sendDeadline) - Date.parse(otp.createdAt)).toBe(30_000);
    expect(gateway.simulator.state.inbox({ limit: 1 })[0]?.text).toMatch(/Kod: \d{6}$/);
  });

  it('fills in the variables of a template, whose values may hold any sign', async () => {
    const flags = ['--template', 'pay', '--variable', 'payee=Kedai Ali', '--variable', 'sum=1,234.50'];
    const { code } = await ask(['send', newNumber(), ...flags]);
    expect(code).toBe(0);
    expect(gateway.simulator.state.inbox({ limit: 1 })[0]?.text).toMatch(/RM1,234\.50 to Kedai Ali: \d{6}$/);
    const wrongType = await ask(['send', newNumber(), '--template', 'pay', '--variable', 'payee=a=b']);
    expect(wrongType.err).toMatch(/\(invalid_request\): .*variables\.payee.*variables\.sum/);
    expect(wrongType.err).not.toContain('a=b');
  });

  it('sends nothing twice under one idempotency key', async () => {
    const to = newNumber();
    const send = () => ask(['send', to, '--json', '--idempotency-key', 'k1']);
    const [first, again] = [(await send()).json(), (await send()).json()];
    expect(again).toEqual(first);
    expect(gateway.simulator.state.number(to).calls).toBe(1);
  });

  it('exits 1 with the reason of a failed OTP and prints the OTP', async () => {
    const ended = await ask(['send', failureNumbers.invalid_number]);
    expect(ended.code).toBe(1);
    expect(ended.out).toMatch(/^status +failed$/m);
    expect(ended.err).toMatch(failure('', 'invalid_number'));
    const [, id = ''] = /^id +(otp_\S+)$/m.exec(ended.out) ?? [];
    const reason = ended.err.replace('isms-otp: ', '').trim();
    expect(ended.out).toContain(`  ${reason}\n`);
    expect((await ask(['status', id])).out).toContain(`  ${reason}\n`);
    expect((await ask(['status', id, '--watch'])).out).toContain(`failed: ${reason}`);
  });

  it('exits 1 with advice when the gateway refuses, in one line or as JSON', async () => {
    const { to } = await sent();
    const ended = await ask(['send', to]);
    expect(ended).toMatchObject({ code: 1, out: '' });
    expect(ended.err).toMatch(/^isms-otp: .*this number.*try again in \d+ s \(recipient_rate_limited\)\n$/);
    expect(errorIn(await ask(['send', to, '--json']))).toMatchObject({
      code: 'recipient_rate_limited',
      retryAfterSeconds: expect.any(Number),
    });
  });

  it('passes limit keys to the API, and explains what is none', async () => {
    const unknown = await ask(['send', newNumber(), '--limit-key', 'user=u=1', '--limit-key', 'device=d-1']);
    expect(unknown.code).toBe(1);
    expect(unknown.err).toMatch(/\(invalid_request\): .*limitKeys\.user.*APPS_FILE.*limitKeys\.device/);
    const usage = await ask(['send', newNumber(), '--limit-key', 'u-4711']);
    expect(usage).toMatchObject({ code: 2, out: '' });
    expect(usage.err).toMatch(/--limit-key must be a kind and an id, such as user=u-4711/);
  });

  it('prints all errors that the gateway finds', async () => {
    const { code, err } = await ask([
      'send',
      newNumber(),
      '--message',
      'no code',
      '--sender-id',
      'much too long!',
      '--client-ip',
      'here',
    ]);
    expect(code).toBe(1);
    expect(err).toMatch(/\(invalid_request\): .*message.*senderId.*clientIp/);
    expect(err.trim().split('\n')).toHaveLength(1);
  });
});

describe('verify', () => {
  it('accepts the right code once', async () => {
    const { id, code } = await sent();
    expect(await ask(['verify', id, code])).toMatchObject({ code: 0, out: 'verified\n', err: '' });
    const again = await ask(['verify', id, code]);
    expect(again).toMatchObject({ code: 3, out: '' });
    expect(again.err).toMatch(failure('', 'already_verified'));
  });

  it('names what the code approves, and exits 3 for something else', async () => {
    const { id, code } = await sent('--binding', 'MYR 5 to Acme');
    const other = await ask(['verify', id, code, '--binding', 'MYR 6 to Acme']);
    expect(other.code).toBe(3);
    expect(other.err).toBe(
      'isms-otp: The code approves something else (binding_mismatch): attempts left: 1\n',
    );
    const ended = await ask(['verify', id, code, '--binding', 'MYR 5 to Acme']);
    expect(ended).toMatchObject({ code: 0, out: 'verified\n' });
    const next = await sent('--binding', 'MYR 7', '--purpose', 'pay');
    const byNumber = ['verify', '--to', next.to, '--purpose', 'pay', next.code, '--binding', 'MYR 7'];
    expect(await ask(byNumber)).toMatchObject({ code: 0 });
  });

  it('exits 3 for a wrong code with the remaining attempts, and after the last one', async () => {
    const { id, code } = await sent();
    const ended = await ask(['verify', id, wrong(code)]);
    expect(ended.code).toBe(3);
    expect(ended.err).toBe('isms-otp: The code is wrong (incorrect_code): attempts left: 1\n');
    expect(errorIn(await ask(['verify', id, wrong(code), '--json']))).toMatchObject({
      code: 'incorrect_code',
      attemptsRemaining: 0,
    });
    expect(await ask(['verify', id, code])).toMatchObject({
      code: 3,
      err: expect.stringContaining('(attempts_exhausted)'),
    });
  });

  it('finds the newest OTP of a number and purpose', async () => {
    const { id, to, code } = await sent('--purpose', 'login');
    const { json } = await ask(['verify', '--to', to, '--purpose', 'login', code, '--json']);
    expect(json()).toMatchObject({ id, status: 'verified' });
  });

  it('reads the code from stdin for -, and prompts for it on a terminal', async () => {
    const [piped, typed] = [await sent(), await sent()];
    expect(await ask(['verify', piped.id, '-'], { stdin: `${piped.code}\n` })).toMatchObject({ code: 0 });
    const asked = await ask(['verify', typed.id], { stdin: `${typed.code}\n`, tty: true });
    expect(asked).toMatchObject({ code: 0, out: 'verified\n', err: 'Code: ' });
  });

  it('does not prompt without a terminal', async () => {
    const { code, err } = await ask(['verify', 'otp_1']);
    expect(code).toBe(2);
    expect(err).toMatch(/- to read it from stdin \(usage\)/);
  });

  it('exits 1 for an OTP that does not exist', async () => {
    expect(await ask(['verify', 'otp_1', '123456'])).toMatchObject({ code: 1 });
  });
});

describe('status', () => {
  it('shows an OTP, by its id or by a reference', async () => {
    const { id } = await sent('--reference', 'order-7');
    expect((await ask(['status', id])).out).toMatch(new RegExp(`^id +${id}\nstatus +sent\n`));
    const byReference = (await ask(['status', '--reference', 'order-7', '--json'])).json();
    expect(byReference).toMatchObject({ otps: [{ id, reference: 'order-7' }] });
    const none = await ask(['status', '--reference', 'no-such']);
    expect(none).toMatchObject({ code: 1, out: '' });
    expect(none.err).toMatch(failure('No OTP has this reference', 'otp_not_found'));
  });

  it('watches an OTP until its final status, a line for each change', async () => {
    const { id, code } = await sent();
    let onOutput = () => {};
    const shown = new Promise<void>((resolve) => {
      onOutput = resolve;
    });
    const watched = ask(['status', id, '--watch'], { onOutput });
    await shown;
    await ask(['verify', id, code]);
    const { code: exitCode, out } = await watched;
    expect(exitCode).toBe(0);
    expect(
      out
        .trim()
        .split('\n')
        .map((line) => line.split('  ')[1]),
    ).toEqual(['sent', 'verified']);
  });

  it('stops watching with exit code 130 after a signal', async () => {
    const { id } = await sent();
    const stopping = new AbortController();
    const ended = await ask(['status', id, '--watch', '--json'], {
      signal: stopping.signal,
      onOutput: () => stopping.abort(),
    });
    expect(ended.code).toBe(130);
    expect(errorIn(ended)).toMatchObject({ code: 'stopped' });
  });

  it('exits 1 for an unknown id', async () => {
    expect((await ask(['status', 'otp_1'])).err).toMatch(failure('No such OTP', 'otp_not_found'));
    expect((await ask(['status', 'batch_1'])).err).toMatch(failure('No such batch', 'batch_not_found'));
  });
});

describe('settings', () => {
  const withoutKey = () => ({ ISMS_OTP_URL: gateway.url });

  it('the key comes from the environment or a file, and a missing key is named', async () => {
    const file = join(newFolder(), 'key');
    writeFileSync(file, `${gateway.key}\n`);
    const { id } = await sent();
    const fromFile = { ...withoutKey(), ISMS_OTP_KEY_FILE: file };
    expect(await ask(['status', id], { env: fromFile })).toMatchObject({ code: 0 });
    const none = await ask(['status', id], { env: withoutKey() });
    expect(none).toMatchObject({ code: 2, out: '' });
    expect(none.err).toMatch(/^isms-otp: No key is set \(settings\): set ISMS_OTP_KEY.*npm start prints one/);
    for (const env of [
      { ...fromFile, ISMS_OTP_KEY: gateway.key },
      { ...withoutKey(), ISMS_OTP_KEY_FILE: '/none' },
      { ISMS_OTP_KEY: gateway.key, ISMS_OTP_URL: 'otp.example' },
      { ...withoutKey(), ISMS_OTP_KEY: 'with a space' },
    ]) {
      const wrongly = await ask(['status', id, '--json'], { env });
      expect(wrongly.code).toBe(2);
      expect(errorIn(wrongly)).toMatchObject({ code: 'settings' });
      expect(wrongly.err).not.toContain('with a space');
    }
  });

  it('an unknown key exits 1 and is not printed', async () => {
    const key = 'a-key-of-no-app-of-this-gateway';
    const { code, err } = await ask(['status', 'otp_1'], { env: { ...withoutKey(), ISMS_OTP_KEY: key } });
    expect(code).toBe(1);
    expect(err).toMatch(/\(unauthorized\): set ISMS_OTP_KEY/);
    expect(err).not.toContain(key);
  });

  it('an unreachable gateway exits 4 and names the idempotency key for a retry', async () => {
    const { code, err } = await ask(['send', newNumber(), '--url', 'http://127.0.0.1:9']);
    expect(code).toBe(4);
    expect(err).toMatch(/\(network_error\): .*ISMS_OTP_URL.*--idempotency-key [0-9a-f-]{36}/);
  });
});

describe('a wrong command line of a command that uses a gateway', () => {
  it.each([
    [['send']],
    [['send', '1', '2']],
    [['send', '1', '--wait', '31']],
    [['send', '1', '--variable', 'payee']],
    [['send', '1', '--variable', 'a=1', '--variable', 'a=2']],
    [['send', '1', '--ttl', 'x']],
    [['send', '1', '--key', 'k']],
    [['send', '1', '--no-such']],
    [['send', '1', '--ttl']],
    [['verify']],
    [['verify', 'otp_1', '1', '2']],
    [['verify', 'otp_1', '1', '--purpose', 'login']],
    [['status']],
    [['status', 'otp_1', '--reference', 'r']],
    [['status', '--reference', 'r', '--watch']],
    [['bulk']],
    [['bulk', 'a.csv', '--again', '--retry-rejected']],
    [['bulk', 'a.csv', '--defaults', '[]']],
    [['bulk', 'a.csv', '--defaults', '{"to":"1"}']],
    [['bulk', 'a.csv', '--idempotency-key', 'two words']],
    [['bulk', 'a.csv', '--per-second', 'x']],
    [['batches', 'show']],
    [['batches', 'list', '--status', 'lost']],
    [['balance', 'x']],
    [['completion', 'csh']],
  ])('exits 2 and names the help: %j', async (args) => {
    const { code, out, err } = await ask(args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(/^isms-otp: .* \((usage|input)\)(: see isms-otp [\w ]+ --help)?/);
    expect(err.trim().split('\n')).toHaveLength(1);
  });
});

describe('isms-otp as a process', () => {
  const asProcess = async (args: string[], env: Record<string, string>) => {
    const running = runCommand(args, env);
    await new Promise((resolve) => running.child.once('close', resolve));
    return { code: await running.end(), said: running.output };
  };

  it('exits with the code of the command', async () => {
    const { id, code } = await sent();
    const env = settingsFor(gateway);
    expect(await asProcess(['verify', id, wrong(code)], env)).toMatchObject({ code: 3 });
    expect(await asProcess(['verify', id, code], env)).toEqual({ code: 0, said: 'verified\n' });
    expect((await asProcess(['status', id], {})).code).toBe(2);
  });
});
