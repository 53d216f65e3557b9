import { isOtpError, type OtpInput } from 'isms-otp-client';
import { answer, type Call, complain, connect } from './call.js';
import { CommandError, type ExitCode, exitCodes, failureOf, usageError } from './failure.js';
import { hasEnded, otpText } from './view.js';

const defaultWaitSeconds = 10;
const longestWaitSeconds = 30;

/** Options of `send`, as they are set: members of the OTP, and how to send it. */
export interface SendOptions
  extends Omit<OtpInput, 'to' | 'ttlSeconds' | 'sendDeadlineSeconds' | 'limitKeys' | 'variables'> {
  limitKey?: string[];
  variable?: string[];
  ttl?: number;
  sendDeadline?: number;
  wait?: number;
  idempotencyKey?: string;
}

/** Sends one OTP and waits for the outcome of the send. */
export async function send(call: Call, to: string, options: SendOptions): Promise<ExitCode> {
  const { message, template, locale, purpose, senderId, reference, maxAttempts, clientIp, binding } = options;
  const { ttl: ttlSeconds, sendDeadline: sendDeadlineSeconds, idempotencyKey } = options;
  const { wait: waitSeconds = defaultWaitSeconds } = options;
  if (waitSeconds > longestWaitSeconds) {
    throw usageError(`--wait must be 0 to ${longestWaitSeconds}`, call.name);
  }
  const limitKeys = pairsOf(call, '--limit-key', options.limitKey);
  const variables = pairsOf(call, '--variable', options.variable);
  const { client } = await connect(call);
  const texts = { message, template, locale, purpose, senderId, reference, clientIp, binding };
  const otp = await client
    .send(
      { to, ...given({ ...texts, variables, limitKeys, ttlSeconds, sendDeadlineSeconds, maxAttempts }) },
      { signal: call.signal, ...given({ idempotencyKey }), ...(waitSeconds > 0 && { waitSeconds }) },
    )
    .catch(withKey);
  answer(call, otp, otpText(otp));
  const { status, failure } = otp;
  if (!hasEnded(otp) || status === 'verified') return exitCodes.done;
  const reason = failure ?? { code: status, message: `The OTP is ${status}` };
  return complain(call, { ...reason, advice: '', exitCode: exitCodes.rejected });
}

const examples = {
  '--limit-key': 'a kind and an id, such as user=u-4711',
  '--variable': 'a name and a value, such as amount=5.00',
};

/** Reads the pairs of an option, such as `user=u-4711`. */
function pairsOf(
  call: Call,
  option: keyof typeof examples,
  texts: readonly string[] | undefined,
): Record<string, string> | undefined {
  const pairs = new Map<string, string>();
  for (const text of texts ?? []) {
    const at = text.indexOf('=');
    if (at < 1) throw usageError(`${option} must be ${examples[option]}`, call.name);
    const name = text.slice(0, at);
    if (pairs.has(name)) throw usageError(`${option} names ${name} twice`, call.name);
    pairs.set(name, text.slice(at + 1));
  }
  return texts && Object.fromEntries(pairs);
}

/** The members that have a value. */
export function given<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const set = Object.entries(members).filter(([, value]) => value !== undefined);
  return Object.fromEntries(set) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

/** Names the idempotency key of a send that may have been accepted, so that a retry sends nothing twice. */
function withKey(error: unknown): never {
  if (!isOtpError(error, 'network_error', 'timeout', 'invalid_answer', 'queue_unavailable')) throw error;
  const { code, message, exitCode, advice } = failureOf(error);
  const retry = `retry with --idempotency-key ${error.idempotencyKey} to send it only once`;
  throw new CommandError(code, message, `${advice}; ${retry}`, exitCode);
}
