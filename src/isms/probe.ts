import { randomInt } from 'node:crypto';
import { Agent, request } from 'undici';
import type { SendCall } from '../otp/provider.js';
import { type ConnectionPool, type Exchange, judgeStatus, maxReplyBytes } from './exchange.js';
import {
  outcomeText,
  type ProbeFindings,
  type ProbeReply,
  type ProbeStep,
  probeFacts,
} from './probe-facts.js';
import { type IsmsOptions, providerOver, windowOf } from './provider.js';
import { parseJson } from './replies.js';
import { createMask } from './transcript-mask.js';

interface ProbeOptions
  extends Omit<IsmsOptions, 'urls' | 'sendConnections' | 'verifyConnections' | 'onHostChange'>,
    Pick<SendCall, 'to' | 'message' | 'unicode' | 'senderId'> {
  url: string;
  /** Whether to wait until a validity of one minute is over, and verify once more. */
  expired: boolean;
  signal: AbortSignal;
  /** Takes the next lines of the masked transcript. */
  write: (text: string) => Promise<void>;
  /** Gets the code of the SMS; null if none arrived. */
  askCode: () => Promise<string | null>;
  wait: (ms: number) => Promise<void>;
}

/** iSMS names no limit of calls; one a second is below any that a gateway is likely to need. */
const betweenCallsMs = 1_000;
const expiredAfterMs = 65_000;

/** A call to which iSMS gave no whole reply. */
export class ProbeFailed extends Error {
  override readonly name = 'ProbeFailed';

  constructor(
    readonly step: ProbeStep,
    readonly reason: string,
  ) {
    super(`No reply of iSMS to ${step} (${reason})`);
  }
}

/**
 * Makes each kind of call to an account once, through the client's own code, and returns what it saw. Sends one SMS,
 * unless the account is in trouble. Rejects with `ProbeFailed` when a call gets no reply.
 */
export async function runProbe(options: ProbeOptions): Promise<ProbeFindings> {
  const { expired, wait, askCode } = options;
  const replies = new Map<ProbeStep, ProbeReply>();
  const findings = { replies, wrongCode: '', rightCode: null as string | null };
  const recorder = createRecordingPool(options, () => [findings.wrongCode, findings.rightCode ?? '']);
  const provider = providerOver({ sends: recorder.pool, others: recorder.pool }, options);
  const make = async (step: ProbeStep, call: () => Promise<ProbeReply['outcome']>, edit: Edit = {}) => {
    options.signal.throwIfAborted();
    if (replies.size > 0) await wait(betweenCallsMs);
    replies.set(step, await recorder.record(step, call, edit));
    return replies.get(step)?.outcome;
  };
  try {
    const balance = await make('balance', () => provider.balance());
    if (balance?.kind === 'account_trouble') return findings;
    await make('balance_post', () => provider.balance(), { method: 'POST' });
    const sent = await make('send', () => provider.send(sendCall(options), windowOf(options.sendTimeoutMs)));
    if (sent?.kind !== 'accepted') return findings;
    const sentAt = performance.now();
    const { uuid, smsId } = sent;
    const about = { ...sendCall(options), uuid, smsId };
    const verify = (step: ProbeStep, code: string, edit: Edit = {}, validMinutes = 10) =>
      make(step, () => provider.verify({ ...about, code, validMinutes }), edit);
    findings.wrongCode = codeOtherThan(replies.get('send')?.json?.['code']);
    await verify('wrong_code', findings.wrongCode);
    const code = await askCode();
    findings.rightCode = code;
    if (code === null) return findings;
    if ((await verify('right_code', code))?.kind !== 'correct') return findings;
    if ((await verify('repeated_code', code))?.kind !== 'correct') return findings;
    await verify('no_ids', code, { without: ['uuid', 'sms_id'] });
    if (expired) {
      await wait(Math.max(0, expiredAfterMs - (performance.now() - sentAt)));
      await verify('expired_code', code, {}, 1);
    }
    return findings;
  } finally {
    await recorder.pool.close();
  }
}

/** The facts of the table with what was found. */
export function compareFacts(findings: ProbeFindings) {
  return probeFacts.map(({ read, ...fact }) => {
    const found = read(findings);
    const result = found === null ? 'unchecked' : found === fact.expected ? 'ok' : 'different';
    return { ...fact, found, result } as const;
  });
}

function sendCall({ to, message, unicode, senderId }: ProbeOptions): SendCall {
  return { app: 'probe', isTest: false, to, message, unicode, senderId, callNumber: 1 };
}

function codeOtherThan(code: unknown): string {
  const wrong = String(randomInt(1_000_000)).padStart(6, '0');
  return wrong === code ? codeOtherThan(code) : wrong;
}

/** How a call of a probe differs from the client's. */
interface Edit {
  method?: 'POST';
  without?: readonly string[];
}

/** A pool that keeps the reply to the last call, and writes the transcript. */
function createRecordingPool(options: ProbeOptions, codes: () => string[]) {
  const { url, username, password, to, write } = options;
  const mask = createMask({ username, password, to });
  const dispatcher = new Agent({
    maxResponseSize: maxReplyBytes,
    connect: { timeout: options.connectTimeoutMs, rejectUnauthorized: true },
  });
  let edit: Edit = {};
  let last: { status: number; text: string } | null = null;
  let failure = '';

  const fetchReply = async (parameters: Record<string, string>, timeoutMs: number) => {
    const kept = Object.entries(parameters).filter(([name]) => !edit.without?.includes(name));
    const query = String(new URLSearchParams([['un', username], ['pass', password], ...kept]));
    const [target, form] =
      edit.method === 'POST'
        ? [url, { body: query, headers: { 'content-type': 'application/x-www-form-urlencoded' } }]
        : [`${url}?${query}`, {}];
    const signal = AbortSignal.any([options.signal, AbortSignal.timeout(Math.ceil(timeoutMs))]);
    const method = edit.method ?? 'GET';
    const { statusCode, body } = await request(target, { dispatcher, signal, method, ...form });
    return { status: statusCode, text: await body.text() };
  };

  const pool: ConnectionPool = {
    call: async (parameters, window): Promise<Exchange> => {
      try {
        last = await fetchReply(parameters, Math.max(1, window.endBy - performance.now()));
      } catch (error) {
        failure = reasonOf(error);
        return { kind: 'lost', reason: 'connection_lost' };
      }
      const judged = judgeStatus(last.status);
      return judged ?? { kind: 'reply', ok: last.status < 300, text: last.text };
    },
    close: () => dispatcher.destroy(),
  };

  const record = async (step: ProbeStep, call: () => Promise<ProbeReply['outcome']>, next: Edit) => {
    edit = next;
    last = null;
    const outcome = await call();
    const { status, text } = last ?? { status: 0, text: '' };
    const head = `> ${step}: ${edit.method ?? 'GET'} ${url}`;
    if (last === null) {
      await write(`${head}\n< no reply (${failure})\n\n`);
      options.signal.throwIfAborted();
      // A server that takes no POST may also drop it.
      if (edit.method === 'POST') return { outcome, status: 0, json: null };
      throw new ProbeFailed(step, failure);
    }
    await write(`${head}\n< ${status}\n${mask(text, codes())}\n= ${outcomeText(outcome)}\n\n`);
    if (status === 429) throw new ProbeFailed(step, 'too_many_requests');
    return { outcome, status, json: objectOf(text) };
  };
  return { pool, record };
}

/** Why there is no reply; the error itself may hold the URL. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'no reply';
  if (error.name === 'TimeoutError') return 'timeout';
  // Codes of a signal's errors are numbers.
  return 'code' in error && typeof error.code === 'string' ? error.code : 'no reply';
}

function objectOf(text: string): ProbeReply['json'] {
  const value = parseJson(text.replace(/^\ufeff/, ''));
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null;
}
