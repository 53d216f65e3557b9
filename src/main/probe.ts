import { appendFile, readFile, stat, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { answer, type Call, complain, readLine } from '../cli/call.js';
import { CommandError, type ExitCode, exitCodes, usageError } from '../cli/failure.js';
import { rows } from '../cli/view.js';
import { ConfigError } from '../config/load-config.js';
import type { ConfigFor } from '../config/roles.js';
import { compareFacts, ProbeFailed, runProbe } from '../isms/probe.js';
import type { ProbeFindings } from '../isms/probe-facts.js';
import { maskedName } from '../isms/transcript-mask.js';
import { parseMessage } from '../otp/message.js';
import { troubleTexts } from '../otp/outcome.js';
import { PhoneNumber } from '../otp/phone-number.js';
import { renderTemplate, withBrand } from '../otp/template.js';
import { createAppRegistry } from './apps.js';
import { load } from './load.js';
import { packageVersion } from './package-version.js';

/** Options of `probe`, as they are set. */
export interface ProbeCommandOptions {
  code?: string;
  expired?: true;
  transcript?: string;
  yes?: true;
}

/** How long a file with the code is waited for, and how often it is read. */
const codeWithinMs = 300_000;
const codeEveryMs = 500;

type Wait = (ms: number) => Promise<void>;

/** Probes the account of the settings. `wait` is for tests. */
export async function probe(
  call: Call,
  numberText: string,
  options: ProbeCommandOptions,
  wait: Wait = (ms) => sleep(ms, undefined, { signal: call.signal }),
): Promise<ExitCode> {
  const { code, expired = false, yes = false } = options;
  if (!call.stdin.isTTY && !yes) throw usageError('Without a terminal, --yes is required', call.name);
  if (!call.stdin.isTTY && code === undefined) {
    throw usageError('Without a terminal, --code is required', call.name);
  }
  const plan = planOf(call, numberText);
  const { account } = plan;
  if (code !== undefined && code !== '-') await checkCodeFile(code);
  const { transcript = defaultName() } = options;
  if (!call.json || !yes) call.stderr.write(planText(plan, { expired, transcript }));
  if (!yes && !/^y(es)?$/i.test(await readLine(call, 'Continue? [y/N] '))) {
    throw new CommandError('stopped', 'Nothing was sent', '', exitCodes.stopped);
  }
  await createTranscript(transcript, plan);
  const findings = await runProbe({
    ...plan,
    username: account.username,
    password: account.password.reveal(),
    expired,
    signal: call.signal,
    wait,
    write: (text) => appendFile(transcript, text),
    askCode: async () => (await readCode(call, code, wait)) || null,
  }).catch((error: unknown) => {
    throw error instanceof ProbeFailed ? unreachable(error, transcript) : error;
  });
  return await conclude(call, findings, { expired, transcript });
}

/** What is sent where, by the rules of the product. Throws a CommandError for wrong settings and numbers. */
function planOf({ env }: Call, numberText: string) {
  const config = readConfig(env);
  const { account, isms, defaults, allowedCountries } = config;
  if (!account) {
    throw settingsError('ISMS_USERNAME is not set', 'set ISMS_USERNAME and ISMS_PASSWORD of the account');
  }
  const to = PhoneNumber.parse(numberText, defaults.country);
  if (!to)
    throw settingsError('Not a valid mobile number', 'use the form +60123456789', 'invalid_phone_number');
  if (!allowedCountries.includes(to.country)) {
    throw settingsError('ALLOWED_COUNTRIES lacks its country', `add ${to.country}`, 'country_not_allowed');
  }
  const isTest = createAppRegistry(config)
    .named()
    .some(({ testNumbers }) => testNumbers.has(to.e164));
  if (isTest) throw settingsError('APPS_FILE has it as a test number', 'use another one', 'test_number');
  const [url = ''] = isms.urls;
  const { template, unicode, credits } = messageOf(config);
  return {
    ...isms,
    ...{ url, account, to, message: template, unicode, credits, senderId: defaults.senderId ?? null },
  };
}

/** The default message as an app without a brand sends it. */
function messageOf({ defaults, otp: { ttlSeconds } }: ConfigFor<'start'>) {
  const text = withBrand(defaults.message, null);
  const rendered = renderTemplate(text, { variables: new Map() }, { given: {}, ttlSeconds });
  const message = parseMessage('text' in rendered ? rendered.text : text);
  if ('problem' in message) throw settingsError(`DEFAULT_MESSAGE ${message.problem}`, 'change it');
  return message;
}

type Plan = ReturnType<typeof planOf>;

function readConfig(env: Call['env']): ConfigFor<'start'> {
  try {
    return load(env, 'start');
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const problems = error.errors.map(({ variable, problem }) => `${variable} ${problem}`);
    throw settingsError(problems.join('; '), 'see docs/configuration.md');
  }
}

function settingsError(problem: string, advice: string, code = 'settings'): CommandError {
  return new CommandError(code, problem, advice);
}

/** A code from an earlier run must not be taken for the one of this SMS. */
async function checkCodeFile(path: string): Promise<void> {
  const found = await stat(path).catch(() => null);
  if (found?.isFile() && found.size > 0) {
    const advice = 'delete it, and write the code of the SMS to it when it has arrived';
    throw new CommandError('usage', 'The file of --code is not empty', advice);
  }
}

function defaultName(): string {
  return `isms-probe-${new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '')}.txt`;
}

/** Creates the file, which must be new, before anything is sent. */
async function createTranscript(path: string, { account, to }: Plan): Promise<void> {
  const head = [
    `isms-otp probe, ${new Date().toISOString()}, isms-otp-gateway ${packageVersion()}`,
    `account ${maskedName(account.username)}, number ${to.masked}`,
  ];
  await writeFile(path, `${head.join('\n')}\n\n`, { flag: 'wx', mode: 0o600 }).catch((error: unknown) => {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new CommandError(
      'usage',
      `The transcript cannot be created (${reason})`,
      'choose another --transcript',
    );
  });
}

function planText(
  { account, to, url, credits }: Plan,
  { expired, transcript }: { expired: boolean; transcript: string },
): string {
  return [
    `Sends one SMS (DEFAULT_MESSAGE, about ${credits} credit${credits === 1 ? '' : 's'}) to ${to.masked}`,
    `from the account ${maskedName(account.username)} at ${url}.`,
    `Makes ${expired ? 8 : 7} calls, at most one a second${expired ? ', the last after 65 s' : ''}.`,
    `Writes the replies without login, codes and number to ${transcript}.`,
    '',
  ].join('\n');
}

/** The code from the terminal, stdin or a file; empty if there is none. */
async function readCode(call: Call, source: string | undefined, wait: Wait): Promise<string> {
  if (source === undefined) return await readLine(call, 'Code of the SMS (Enter if none arrived): ');
  if (source === '-') return await readLine(call, '');
  // A pipe is read to its end.
  const isFile = (await stat(source).catch(() => null))?.isFile() ?? true;
  let before = '';
  for (const until = Date.now() + codeWithinMs; Date.now() < until; ) {
    const text = await readFile(source, { encoding: 'utf8', signal: call.signal }).catch(() => '');
    const [line = ''] = text.trim().split('\n');
    // Without a line break, the code may be half written.
    const isWhole = !isFile || text === before || text.trimStart().includes('\n');
    if (line !== '' && isWhole) return line.trim();
    before = text;
    await wait(codeEveryMs);
  }
  return '';
}

function unreachable({ step, reason }: ProbeFailed, transcript: string): CommandError {
  const advice = [
    step === 'send' ? 'the SMS may have been sent; ' : '',
    reason === 'too_many_requests' ? 'try again later' : 'check ISMS_URL, firewalls and whether iSMS is up',
    `; see ${transcript}`,
  ].join('');
  return new CommandError(reason, `iSMS gave no reply to ${step}`, advice, exitCodes.unavailable);
}

/** Prints what was found; the exit code is 0 if every fact was checked and none differs. */
async function conclude(
  call: Call,
  findings: ProbeFindings,
  { expired, transcript }: { expired: boolean; transcript: string },
): Promise<ExitCode> {
  const asked = compareFacts(findings).filter(({ id }) => expired || id !== 'expired_code');
  const differences = asked.filter(({ result }) => result === 'different');
  const unchecked = asked.filter(({ result }) => result === 'unchecked').map(({ id }) => id);
  const facts = asked.map(({ id, result, expected, found, advice }) => ({
    ...{ id, result, expected, found },
    ...(result === 'different' && { advice }),
  }));
  const lines = facts.map(({ id, result, expected, found }) => {
    return [id, result === 'different' ? `DIFFERENT: ${found}, not ${expected}` : result] as const;
  });
  const text = [
    rows(lines),
    ...differences.map(({ id, assumption, advice }) => `\n${id}: assumed was: ${assumption}\n→ ${advice}`),
    `\nDifferences: ${differences.length}. Not checked: ${unchecked.length}. Transcript: ${transcript}`,
  ].join('\n');
  await appendFile(transcript, `${text}\n`);
  answer(call, { facts, transcript }, text);
  for (const { outcome } of findings.replies.values()) {
    if (outcome.kind !== 'account_trouble') continue;
    const { cause: message, advice } = troubleTexts[outcome.trouble];
    return complain(call, { code: outcome.trouble, message, advice, exitCode: exitCodes.rejected });
  }
  return differences.length + unchecked.length === 0 ? exitCodes.done : exitCodes.rejected;
}
