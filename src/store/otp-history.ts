import { z } from 'zod';
import { statuses } from '../otp/otp.js';

/** When an attempt began and ended, its outcome, and how many equal ones in a row it stands for. */
const attempt = z.tuple([z.number(), z.number(), z.string()]).rest(z.number());

const historySchema = z.object({
  status: z.enum(statuses),
  createdAt: z.number(),
  at: z.number().optional(),
  claims: z.number().default(0),
  claimedAt: z.number().optional(),
  sentAt: z.number().optional(),
  sentBy: z.number().optional(),
  verifiedAt: z.number().optional(),
  failure: z.string().optional(),
  sendLog: z.array(attempt).default([]),
  verifyLog: z.array(attempt).default([]),
  leases: z.record(z.string(), z.number()).default({}),
});

/** One step in an OTP's life. */
export interface HistoryStep {
  /** When it ended, in ms since 1970. */
  at: number;
  /** When it began, if that is another time. */
  from: number | null;
  what: 'accepted' | 'send' | 'verification' | (typeof statuses)[number];
  /** Outcome of an attempt, or reason for a status. */
  outcome: string | null;
  /** How many equal attempts in a row this stands for. */
  times: number;
}

/** What a record tells about its OTP's life, first steps first: from its logs of attempts and its other fields. */
export function historyOf(parsed: unknown, verifyLeaseMs: number): HistoryStep[] {
  const record = historySchema.parse(parsed);
  const { status, claims, claimedAt = null, sentAt, sentBy, verifiedAt, at, failure = null } = record;
  const step = (what: HistoryStep['what'], at: number, more: Partial<HistoryStep> = {}): HistoryStep => {
    return { at, from: null, what, outcome: null, times: 1, ...more };
  };
  const attempts = (what: 'send' | 'verification', log: z.output<typeof attempt>[]) =>
    log.map(([from, at, outcome, times = 1]) => step(what, at, { from, outcome, times }));
  const isEnd = !['queued', 'sending', 'sent', 'verified'].includes(status);
  // Steps of one millisecond stay in this order.
  const steps = [
    step('accepted', record.createdAt),
    ...attempts('send', record.sendLog),
    ...(status === 'sending' && claimedAt !== null ? [step('sending', claimedAt)] : []),
    ...(sentAt === undefined ? [] : [step('sent', sentAt, { from: sentBy === claims ? claimedAt : null })]),
    ...attempts('verification', record.verifyLog),
    // iSMS is being asked, or the process ended before it noted the answer.
    ...Object.values(record.leases).map((ends) =>
      step('verification', ends - verifyLeaseMs, { outcome: 'unanswered' }),
    ),
    ...(verifiedAt === undefined ? [] : [step('verified', verifiedAt)]),
    ...(isEnd && at !== undefined ? [step(status, at, { outcome: failure })] : []),
  ];
  return steps.sort((a, b) => a.at - b.at);
}
