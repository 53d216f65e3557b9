import { createServer } from 'node:http';
import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import { failureNumbers } from '../src/behaviours.js';
import { createSimulator, startSimulator } from '../src/simulator.js';
import { goodSend, startClient } from './client.js';

describe('startSimulator', () => {
  it('listens on loopback only unless told otherwise', async () => {
    const { simulator } = await startClient();
    expect(simulator.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(simulator.endpoint).toBe(`${simulator.url}/2FA/request.php`);
  });

  it('gives an address that can be reached when it listens on all of them', async () => {
    const { simulator, ask } = await startClient({ host: '0.0.0.0' });
    expect(simulator.url).toContain('127.0.0.1');
    expect(await ask()).toMatchObject({ status: 'Success' });
  });

  it('rejects when the port is taken', async () => {
    const { simulator } = await startClient();
    const port = Number(new URL(simulator.url).port);
    await expect(startSimulator({ port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  it('rejects wrong settings with every problem', async () => {
    await expect(startSimulator({ settings: { credits: -1, errorRate: 2 } })).rejects.toThrow(
      /credits: .*; errorRate: /,
    );
  });

  it('tells the newest code of a number, in any notation, also of one whose reply was lost', async () => {
    const { ask, simulator } = await startClient();
    expect(simulator.lastCode('+60123456789')).toBeUndefined();
    await ask();
    const { code } = await ask();
    await ask({ mobile: '198765432' });
    expect(simulator.lastCode('+60123456789')).toBe(code);
    expect(simulator.lastCode('012-345 6789')).toBe(code);
    await ask({ mobile: failureNumbers.reset_after_sms.slice('+60'.length) }).catch(() => {});
    expect(simulator.lastCode(failureNumbers.reset_after_sms)).toMatch(/^\d{6}$/);
  });

  it('closes at once, calls that hang included, and may be closed twice', async () => {
    const { simulator, call } = await startClient();
    const hanging = call({ mobile: failureNumbers.hang_before_sms.slice('+60'.length) }).catch(
      (error: unknown) => error,
    );
    await expect.poll(() => simulator.state.calls.send).toBe(1);
    await simulator.close();
    await simulator.close();
    expect(await hanging).toBeInstanceOf(Error);
  });
});

describe('createSimulator', () => {
  it('makes a handler for any HTTP server', async () => {
    const { app, state } = createSimulator();
    const server = createServer(app);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : null;
    const { body } = await request(
      `http://127.0.0.1:${port}/2FA/request.php?${new URLSearchParams(goodSend)}`,
    );
    expect(await body.json()).toMatchObject({ status: 'Success' });
    expect(state.inbox()).toHaveLength(1);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
});

describe('the logger', () => {
  it('gets no credentials, codes, texts or numbers', async () => {
    const lines: string[] = [];
    const logger = {
      info: (fields: object, message: string) => lines.push(JSON.stringify([fields, message])),
    };
    const { ask, verify, fetch } = await startClient({ logger, password: 'secret-pass' });
    const sent = await ask({ mobile: '190000030' }).catch(() => ({}));
    const ok = await ask();
    await verify({ ...sent, ...ok });
    await ask({ mobile: '190000006' });
    await fetch('/settings', { method: 'POST', json: { credits: 3 } });
    expect(lines).toContainEqual(expect.stringContaining('"behaviour":"failed"'));
    expect(lines).toContainEqual(expect.stringContaining('"settings":["credits"]'));
    const log = lines.join('\n');
    for (const secret of ['shop', 'secret-pass', 'Your code', ok['code'], '123456789', '19000']) {
      expect(log).not.toContain(secret);
    }
  });
});
