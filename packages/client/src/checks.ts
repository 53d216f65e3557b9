/** The object that was answered; null: nothing. */
export type Json = Record<string, unknown> | null;

/**
 * Whether an answer is what was asked for, as far as a member or two can tell: enough to find the page of a captive
 * portal or of a proxy. What the gateway itself writes is checked where it is made.
 */
export type Check = (answer: Json) => boolean;

export const isNothing: Check = (answer) => answer === null;

/** An OTP. */
export const isOtp: Check = (answer) => isText(answer?.['id']) && isText(answer?.['status']);

/** A verification that succeeded. Whoever counts on a promise that resolved must not be let in by less. */
export const isVerified: Check = (answer) =>
  isText(answer?.['id']) && answer?.['status'] === 'verified' && isText(answer['verifiedAt']);

/** A batch. */
export const isBatch: Check = (answer) => isText(answer?.['id']) && typeof answer?.['counts'] === 'object';

/** A balance. */
export const isBalance: Check = (answer) => typeof answer?.['credits'] === 'number';

/** Whether it holds a list of this name. */
export const holdsList =
  (name: string): Check =>
  (answer) =>
    Array.isArray(answer?.[name]);

function isText(value: unknown): boolean {
  return typeof value === 'string';
}
