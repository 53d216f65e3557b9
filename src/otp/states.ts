/** Every status an OTP can be in, in the order of its life (docs/states.md draws them). */
export const statuses = [
  'queued',
  'sending',
  'sent',
  'verified',
  'expired',
  'locked',
  'failed',
  'unknown',
  'cancelled',
] as const;

export type Status = (typeof statuses)[number];

/**
 * The state machine: which status may follow which. The store compiles this table into its Lua functions,
 * so Redis itself refuses any other move.
 *
 * - `queued → sent` is a late answer of an attempt that was given up or forgotten by a rolled-back Redis.
 * - `queued → failed` is a refusal in unknown words that nothing had made final by the OTP's deadline.
 * - `unknown → sent` is the late answer of the attempt whose outcome nobody knew.
 * - `expired → verified` is a verification that was admitted before the expiry and answered after it.
 */
export const moves: Readonly<Record<Status, readonly Status[]>> = {
  queued: ['sending', 'sent', 'failed', 'expired', 'unknown', 'cancelled'],
  sending: ['queued', 'sent', 'failed', 'unknown', 'cancelled'],
  sent: ['verified', 'expired', 'locked', 'cancelled'],
  verified: [],
  expired: ['verified'],
  locked: [],
  failed: [],
  unknown: ['sent', 'cancelled'],
  cancelled: [],
};

/** True while nobody knows yet how the send ends: what `Prefer: wait` waits for to become false. */
export function isPending(status: Status): boolean {
  return status === 'queued' || status === 'sending';
}
