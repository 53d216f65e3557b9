import { z } from 'zod';
import { errorKinds } from './behaviours.js';
import { failureStyles } from './failure.js';

const longestLatencyMs = 120_000;
const mostCredits = 1_000_000_000;

const milliseconds = z.int().min(0).max(longestLatencyMs);
const latency = z.union(
  [
    milliseconds,
    z
      .strictObject({ min: milliseconds, max: milliseconds })
      .refine(({ min, max }) => min <= max, 'min must not be above max'),
  ],
  { error: `must be milliseconds from 0 to ${longestLatencyMs}, or {"min": …, "max": …} of them` },
);

/** Account trouble that can be switched on; `insufficient_credits` shows as a balance of zero, too. */
export const troubles = [
  'authentication_failed',
  'account_suspended',
  'ip_not_allowed',
  'insufficient_credits',
] as const;

/** What can be changed while the simulator runs; unknown names are refused. */
export const settingsSchema = z.strictObject({
  /** Credits on the account; each SMS takes its price off. */
  credits: z.number().min(0).max(mostCredits),
  /** Last day the credits are good for, in Malaysia; null names none. */
  expiresOn: z.iso.date().nullable(),
  /** Wait before every reply: fixed, or evenly spread between two bounds. */
  latencyMs: latency,
  /** Share of the sends to ordinary numbers that go wrong, and how: the name of a behaviour. */
  errorRate: z.number().min(0).max(1),
  errorKind: z.enum(errorKinds),
  /** Account trouble for every call. */
  trouble: z.enum(troubles).nullable(),
  /** Words in which every send and verify call is refused, whatever they mean; null: none is. */
  refusal: z.string().min(1).max(200).nullable(),
  /** How a failure is worded. */
  failureStyle: z.enum(failureStyles),
});

export type Settings = z.infer<typeof settingsSchema>;

const updateSchema = settingsSchema.partial();

/** Settings to change; those left out stay as they are. */
export type SettingsUpdate = z.input<typeof updateSchema>;

/** Reads an update from outside, or lists everything that is wrong with it, one sentence each. */
export function parseUpdate(input: unknown): { update: SettingsUpdate } | { problems: string[] } {
  const parsed = updateSchema.safeParse(input);
  if (parsed.success) return { update: parsed.data };
  return { problems: parsed.error.issues.map(({ path, message }) => [...path, message].join(': ')) };
}

/** Plenty of credits, good for a year, nothing going wrong. */
export function defaultSettings(nowMs: number): Settings {
  const inAYear = new Date(nowMs + 365 * 86_400_000).toISOString().slice(0, 10);
  return {
    credits: 10_000,
    expiresOn: inAYear,
    latencyMs: 0,
    errorRate: 0,
    errorKind: 'reset_before_sms',
    trouble: null,
    refusal: null,
    failureStyle: 'text',
  };
}
