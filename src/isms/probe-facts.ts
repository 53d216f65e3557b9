import type { BalanceOutcome, SendOutcome, VerifyOutcome } from '../otp/outcome.js';
import { parseExpiration } from './provider.js';

/** The calls of a probe, in their order. */
export type ProbeStep =
  | 'balance'
  | 'balance_post'
  | 'send'
  | 'wrong_code'
  | 'right_code'
  | 'repeated_code'
  | 'no_ids'
  | 'expired_code';

/** A reply to a call of a probe, and what the client made of it. */
export interface ProbeReply {
  outcome: BalanceOutcome | SendOutcome | VerifyOutcome;
  /** HTTP status. */
  status: number;
  /** Members of the JSON object; null if the body is none. */
  json: Readonly<Record<string, unknown>> | null;
}

/** Everything a probe has seen. */
export interface ProbeFindings {
  replies: ReadonlyMap<ProbeStep, ProbeReply>;
  wrongCode: string;
  /** The code that the SMS held; null if none was entered. */
  rightCode: string | null;
}

/** An assumption of the client or the simulator about iSMS. */
interface ProbeFact {
  id: string;
  assumption: string;
  expected: string;
  /** What the replies show, without secrets; null: they do not show it. */
  read(findings: ProbeFindings): string | null;
  /** What a difference means, and what to do. */
  advice: string;
}

const report = 'Report it to the maintainers with the transcript.';

/** The table that a probe compares an account with; docs/simulator.md is generated from it. */
export const probeFacts: readonly ProbeFact[] = [
  {
    id: 'http_status',
    assumption: 'Every reply to a GET has HTTP status 200, failures included.',
    expected: '200',
    read: ofReplies(({ status }) => String(status)),
    advice:
      'The gateway reads replies with 2xx and 4xx alike. A send with 5xx or a redirect ends `unknown`: ask iSMS when it answers so.',
  },
  {
    id: 'json_object',
    assumption: 'Every reply to a GET is a JSON object.',
    expected: 'JSON object',
    read: ofReplies(({ json }) => (json ? 'JSON object' : 'other')),
    advice: `The gateway reads bare error codes; it takes other bodies for unknown outcomes. ${report}`,
  },
  {
    id: 'balance',
    assumption: 'A balance call by GET returns the credits.',
    expected: 'known',
    read: outcomeOf('balance'),
    advice: `Without a balance, sending goes on, but no alarm warns of its end. ${report}`,
  },
  {
    id: 'balance_strings',
    assumption: '`balance` and `expiration` are strings.',
    expected: 'string, string',
    read: ofReply('balance', ({ json }) => `${typeof json?.['balance']}, ${typeof json?.['expiration']}`),
    advice: 'Nothing to do if the credits are read: the gateway reads numbers as well.',
  },
  {
    id: 'expiration',
    assumption: '`expiration` is a date such as `29 Apr 2025`, or empty.',
    expected: 'date or empty',
    read: ofReply('balance', ({ json }) =>
      json?.['expiration'] === '' || parseExpiration(json?.['expiration']) ? 'date or empty' : 'other',
    ),
    advice: `The gateway cannot warn before credits expire: note the date yourself. ${report}`,
  },
  {
    id: 'balance_post',
    assumption: 'Calls are made by GET. A POST, with its parameters in the body, is refused.',
    expected: 'refused',
    read: (findings) => {
      // While iSMS is ill, it answers neither.
      if (findings.replies.get('balance')?.outcome.kind !== 'known') return null;
      return ofReply('balance_post', ({ outcome, status }) =>
        outcome.kind === 'known' ? 'answered' : status < 500 ? 'refused' : null,
      )(findings);
    },
    advice: `Nothing to set: the gateway calls by GET. POST would keep credentials out of URLs. ${report}`,
  },
  {
    id: 'send',
    assumption: 'A send has the status `Success`, a `uuid` and an `sms_id`.',
    expected: 'accepted',
    read: outcomeOf('send'),
    advice: `Unless iSMS refused the number or the message, do not send through this gateway: it would not know which SMS went out. ${report}`,
  },
  {
    id: 'sms_id',
    assumption: '`sms_id` is a string of digits.',
    expected: 'string of digits',
    read: ofReply('send', ({ json }) => shapeOf(json?.['sms_id'])),
    advice: 'Nothing to do if the send was accepted: the gateway reads whole numbers as well.',
  },
  {
    id: 'code',
    assumption: 'The code in the SMS has six digits.',
    expected: 'six digits',
    read: ({ rightCode }) =>
      rightCode === null ? null : /^\d{6}$/.test(rightCode) ? 'six digits' : `${rightCode.length} characters`,
    advice: `Unless it was mistyped, the gateway rejects such codes before it asks iSMS. ${report}`,
  },
  {
    id: 'send_code',
    assumption: 'The reply to a send holds the code itself, as `code`.',
    expected: 'code of the SMS',
    read: ({ replies, rightCode }) => {
      if (rightCode === null) return null;
      return replies.get('send')?.json?.['code'] === rightCode ? 'code of the SMS' : 'another or none';
    },
    advice: 'Nothing to do unless the code was mistyped: the gateway never reads it.',
  },
  {
    id: 'wrong_code',
    assumption: 'A wrong code is `Failed`, in words that say so, such as `Incorrect OTP Code`.',
    expected: 'incorrect',
    read: outcomeOf('wrong_code'),
    advice: `Users with a wrong code would get 503 or another error, not \`incorrect_code\`. ${report}`,
  },
  {
    id: 'wrong_code_echo',
    assumption: 'A failed verification echoes the code that was entered, not the right one.',
    expected: 'entered code',
    read: ({ replies, wrongCode, rightCode }) => {
      const reply = replies.get('wrong_code');
      if (reply?.json?.['status'] !== 'Failed') return null;
      const { code } = reply.json;
      return code === wrongCode ? 'entered code' : code === rightCode ? 'right code' : 'another or none';
    },
    advice: 'Nothing to do: the gateway passes no code on. Do not log replies of iSMS in your own apps.',
  },
  {
    id: 'right_code',
    assumption: 'The right code is `Verified`, with the `uuid` and `sms_id` of its send.',
    expected: 'correct',
    read: outcomeOf('right_code'),
    advice: `Unless the code was mistyped, no user could be verified. ${report}`,
  },
  {
    id: 'repeated_code',
    assumption: 'A right code can be verified again.',
    expected: 'correct',
    read: outcomeOf('repeated_code'),
    advice: 'Nothing to do: the gateway verifies each OTP once. The simulator is more lenient.',
  },
  {
    id: 'no_ids',
    assumption: 'A right code without `uuid` and `sms_id` is refused.',
    expected: 'refused',
    read: ofReply('no_ids', ({ json, outcome }) => {
      if (json?.['status'] === 'Verified') return 'Verified';
      return json?.['status'] === 'Failed' || outcome.kind === 'incorrect' ? 'refused' : null;
    }),
    advice: 'Nothing to do: the gateway always names both, and checks that the reply does.',
  },
  {
    id: 'expired_code',
    assumption:
      'With `interval`, an older code is `Failed`, in words that say so, such as `OTP Code Expired`.',
    expected: 'incorrect',
    read: outcomeOf('expired_code'),
    advice: `The gateway rejects codes after OTP_TTL_SECONDS by itself, so no expired code is accepted. ${report}`,
  },
];

type Read = ProbeFact['read'];

/** The values of all replies to a GET. */
function ofReplies(read: (reply: ProbeReply) => string): Read {
  return ({ replies }) => {
    const byGet = [...replies].flatMap(([step, reply]) => (step === 'balance_post' ? [] : [read(reply)]));
    return [...new Set(byGet)].join(', ');
  };
}

function ofReply(step: ProbeStep, read: (reply: ProbeReply) => string | null): Read {
  return ({ replies }) => {
    const reply = replies.get(step);
    return reply ? read(reply) : null;
  };
}

function outcomeOf(step: ProbeStep): Read {
  return ofReply(step, ({ outcome }) => outcomeText(outcome));
}

/** An outcome in words, without secrets. */
export function outcomeText(outcome: ProbeReply['outcome']): string {
  const details = ['reason', 'failure', 'trouble', 'text'].flatMap((name) => {
    const value: unknown = Reflect.get(outcome, name);
    return typeof value === 'string' && value !== '' ? [value] : [];
  });
  return details.length === 0 ? outcome.kind : `${outcome.kind} (${details.join(': ')})`;
}

function shapeOf(value: unknown): string {
  return typeof value === 'string' && /^\d+$/.test(value) ? 'string of digits' : typeof value;
}
