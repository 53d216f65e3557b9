import { z } from 'zod';
import { verifyBounds } from '../../lib/tally.js';
import { consumptionDays } from '../../otp/balance.js';
import { budgetPeriods } from '../../otp/budget.js';
import { type Status, statuses } from '../../otp/otp.js';
import { type RefusalCode, refusalMessages } from '../../otp/refusal.js';
import { bindingSchema, purposeSchema } from '../../producer/otp-request.js';
import { batchStatuses } from '../../store/batch-progress.js';
import { failureCodes } from '../../store/record.js';
import { waitReasons } from '../../store/waiting-lines.js';

/* Shapes on the wire. The types of the client package are generated from them, descriptions included. */

/** An object; like the helpers below, with its description first. */
const object = <M extends z.ZodRawShape>(description: string, members: M) =>
  z.object(members).describe(description);
const text = (description: string) => z.string().describe(description);
const textOrNull = (description: string) => z.string().nullable().describe(description);
const count = (description: string) => z.int().describe(description);
const numberOrNull = (description: string) => z.number().nullable().describe(description);
const flag = (description: string) => z.boolean().describe(description);
/** Times on the wire: UTC with milliseconds. */
const timeSchema = z.iso.datetime({ precision: 3 });
const time = (description: string) => timeSchema.describe(description);
const timeOrNull = (description: string) => timeSchema.nullable().describe(description);
const dateOrNull = (description: string) => z.iso.date().nullable().describe(description);

const otpStatus = z
  .enum(statuses)
  .describe(
    'Status of an OTP: `queued` → `sending` → `sent` → `verified`, `expired` or `locked`. An OTP that could not be sent is ' +
      '`failed`, one that may or may not have been sent is `unknown`, and one that its app cancelled is `cancelled`.',
  );
const batchStatus = z
  .enum(batchStatuses)
  .describe('Status of a batch: `sending` until all OTPs were sent or given up and no upload is under way.');
const waitReason = z.enum(waitReasons).describe('What the waiting OTPs of a batch wait for.');
const failureCode = z.enum(failureCodes).describe('Why an OTP was not sent, or may not have been sent.');
const refusalCode = z
  .enum(Object.keys(refusalMessages) as RefusalCode[])
  .describe('Why the gateway did not accept an OTP: the error of a send, or of one line of an upload.');
const otpFailure = object('Why an OTP was not sent, or may not have been sent.', {
  code: failureCode.describe('Stable, for programs.'),
  message: text('In English, for people.'),
});
const failureOrNull = otpFailure.nullable().describe('Why the OTP failed or is unknown; null otherwise.');
const otpCounts = z
  .object(
    Object.fromEntries(statuses.map((status) => [status, count(`OTPs that are \`${status}\`.`)])) as Record<
      Status,
      z.ZodInt
    >,
  )
  .describe('OTPs by status.');

const sixDigits = /^(?:[\s-]*[0-9]){6}[\s-]*$/;

/** A code. A malformed one does not count as an attempt. */
const codeSchema = z
  .string()
  .regex(sixDigits, 'must be six digits')
  .overwrite((code) => code.replace(/[\s-]/g, ''))
  .describe('The code that the user typed: six digits; spaces and dashes are ignored.');

const verifiedBinding = bindingSchema
  .optional()
  .describe('What the code approves, exactly as given to the send. Leave it out if the OTP has none.');

export const verifyRequestSchema = z
  .strictObject({ code: codeSchema, binding: verifiedBinding })
  .describe('Body of a verification.');

export const otpSchema = object('An OTP as its own app sees it. Times are UTC with milliseconds.', {
  id: text("The gateway's id of the OTP."),
  status: otpStatus.describe('Status of the OTP.'),
  to: text('The whole number, such as `+60123456789` (E.164).'),
  reference: textOrNull('Your own id, as given to the send.'),
  purpose: textOrNull('Purpose of the OTP, as given to the send.'),
  createdAt: time('When the gateway accepted the OTP.'),
  sendDeadline: time('When the OTP expires if it is not sent by then.'),
  sentAt: timeOrNull('When iSMS accepted the SMS; null before.'),
  expiresAt: timeOrNull('Until when the code can be verified; null before the OTP is sent.'),
  attemptsRemaining: count('How many codes can still be tried.'),
  uuid: textOrNull('`uuid` of iSMS for the SMS; null before it is sent.'),
  smsId: textOrNull('`sms_id` of iSMS for the SMS; null before it is sent.'),
  credits: z.number().describe('Credits that one send costs.'),
  failure: failureOrNull,
});

export const verifiedSchema = object('A successful verification.', {
  id: text('Id of the OTP.'),
  status: z.literal('verified').describe('Always `verified`: other results are errors.'),
  verifiedAt: time('When the OTP was verified.'),
});

export const verifyByNumberSchema = z
  .strictObject({
    to: text('The number of the OTP, international or national.'),
    code: codeSchema,
    purpose: purposeSchema.optional(),
    binding: verifiedBinding,
  })
  .describe('A code, with the number that it was sent to in place of the id.');

export const batchSchema = object('The OTPs of one upload, counted by status.', {
  id: text("The gateway's id of the batch."),
  name: textOrNull('Name for people, as given to the upload.'),
  status: batchStatus.describe('Status of the batch.'),
  createdAt: time('When the upload began.'),
  startAt: timeOrNull('When the batch starts; null: at once.'),
  perSecond: z.int().nullable().describe('OTPs sent in a second at most; null: as many as can be sent.'),
  paused: flag('Whether the batch is paused.'),
  startedAt: timeOrNull('When the first OTP had its turn.'),
  finishedAt: timeOrNull('When all OTPs were sent or given up.'),
  waiting: count('OTPs that wait for their turn in the batch.'),
  waitsFor: waitReason.nullable().describe('What these wait for; null: only their turn.'),
  rate: numberOrNull('OTPs a second since the start; null before it.'),
  estimatedEnd: timeOrNull('Estimate by `rate` and `perSecond`; null while there is none.'),
  lines: count('Number of the last line that was accepted or, with an idempotency key, valid.'),
  cancelled: flag('Also false if `DELETE` could not reach the whole batch; repeat it then.'),
  counts: otpCounts.describe('Accepted OTPs by status; expirations are counted within seconds.'),
});

const cursor = textOrNull('`cursor` of the next page; null on the last one.');

export const otpListSchema = object("A page of an app's OTPs.", {
  otps: z.array(otpSchema).describe('The OTPs of this page, newest first.'),
  next: cursor,
});

export const batchListSchema = object('A page of batches.', {
  batches: z.array(batchSchema).describe('The batches of this page.'),
  next: cursor,
});

const index = count('Place of the OTP in the upload, counted from 0.');

export const batchOtpSchema = z.object({ index, ...otpSchema.shape }).describe('An OTP of a batch.');
export type BatchOtp = z.output<typeof batchOtpSchema>;

export const batchOtpsSchema = object("A page of a batch's OTPs.", {
  otps: z.array(batchOtpSchema).describe('The OTPs of this page.'),
  next: cursor,
});

export const lineResultSchema = z
  .union([
    z.object({ index, id: text("The gateway's id of the OTP.") }),
    z.object({
      index,
      code: refusalCode.describe('Stable, for programs.'),
      message: text('In English, for people.'),
    }),
  ])
  .describe('Result of one OTP of an upload: its id, or why it was not accepted.');

const uploadSummary = object('Result of a whole upload.', {
  batchId: text('Id of the batch.'),
  accepted: count('How many OTPs were accepted.'),
  rejected: count('How many OTPs were not accepted.'),
});

export const bulkResultSchema = uploadSummary
  .extend({ results: z.array(lineResultSchema).describe('In the order of the OTPs.') })
  .describe('Result of an upload, with that of each OTP.');

export const bulkLineSchema = z
  .union([
    ...lineResultSchema.options,
    z.object({ summary: uploadSummary.describe('The last line: the result of the whole upload.') }),
  ])
  .describe('A line of the answer to a newline-delimited upload.');

const balanceMembers = {
  credits: z.number().describe('Remaining credits.'),
  expiresOn: dateOrNull('Last day on which the credits are valid; null if they do not expire.'),
};

export const balanceSchema = object('Credits of the iSMS account, and how long they last.', {
  ...balanceMembers,
  checkedAt: time('When the gateway read the balance.'),
  low: flag("Whether the credits are below the operator's threshold."),
  expiring: flag("Whether the credits expire soon, by the operator's threshold."),
  creditsPerDay: numberOrNull(`Average use of the last ${consumptionDays} days; null while it is not known.`),
  runsOutOn: dateOrNull('Day on which the credits run out at that rate; null: not known.'),
});

const balanceSnapshot = object('The balance at one moment.', {
  at: time('When the gateway read the balance.'),
  ...balanceMembers,
});

export const historySchema = object('A page of past balances.', {
  snapshots: z.array(balanceSnapshot).describe('The snapshots, newest first.'),
  next: timeOrNull('`until` of the next page; null on the last one.'),
});

const counts = (description: string) => z.record(z.string(), z.int()).describe(description);
const statsRow = object('Counts of a group in a step.', {
  start: time('Start of the step.'),
  group: textOrNull(
    'The country, purpose or template; null with `by=status`, for OTPs without one, and for requests that were rejected ' +
      'before it was known.',
  ),
  accepted: count('OTPs accepted.'),
  rejected: counts('Requests rejected, by problem code.'),
  sent: count('OTPs that iSMS accepted.'),
  verified: count('How many of these were verified.'),
  failed: counts('OTPs that ended without an SMS, by failure code.'),
  unknown: count('OTPs that ended without knowing whether an SMS was sent.'),
  credits: z.number().describe('Credits of the OTPs sent.'),
  conversion: numberOrNull('Share of the OTPs sent that were verified; null if none was sent.'),
  medianVerifySeconds: numberOrNull(
    `Median time from send to verification, interpolated between ${verifyBounds.join(', ')} s.`,
  ),
});

export const statsSchema = object('Statistics of an app.', {
  by: z.enum(['status', 'country', 'purpose', 'template']).describe('Groups of the rows.'),
  step: z.enum(['5m', '1h', '1d']).describe('Time that a row covers.'),
  since: time('Start of the first step.'),
  until: time('End, exclusive.'),
  rows: z.array(statsRow).describe('By time and group.'),
});

const app = text('The app concerned.');
const batchEvent = object('`data` of `batch.started`.', {
  id: text('Id of the batch.'),
  app,
  name: textOrNull('Name of the batch, as given to the upload.'),
});

/** `data` of webhook events, by name. */
const eventSchemas = {
  OtpEventData: object(
    '`data` of an event of an OTP. It holds no phone number; `GET /v1/otps/{id}` returns it.',
    {
      id: text('Id of the OTP.'),
      app: text('The app that sent the OTP.'),
      reference: textOrNull("The app's own id of the OTP, as given to the send."),
      status: otpStatus
        .extract(['sent', 'failed', 'unknown', 'verified', 'expired', 'locked'])
        .describe('Status of the OTP since this event.'),
      failure: failureOrNull,
    },
  ),
  BatchEventData: batchEvent,
  BatchEndData: batchEvent
    .extend({
      status: z.enum(['finished', 'cancelled']).describe('Whether the batch was cancelled.'),
      lines: count('Lines of the upload.'),
      counts: otpCounts.describe('OTPs by status, when the batch ended.'),
    })
    .describe('`data` of `batch.finished`.'),
  BalanceEventData: z.object(balanceMembers).describe('`data` of `balance.low` and `balance.expiring`.'),
  SendingEventData: object('`data` of `sending.paused` and `sending.resumed`.', {
    trouble: text('Trouble with the iSMS account, such as `insufficient_credits`.'),
    text: textOrNull('The reply of iSMS, if the gateway does not know it.'),
    app: text('The app that is paused, if it is only one.').optional(),
  }),
  RangeEventData: object('`data` of `range.blocked`: too few codes sent to a number range are verified.', {
    app,
    range: text('The number range, masked.'),
    enforced: flag('Whether OTPs to it are rejected; false if the guard only monitors.'),
  }),
  ConversionEventData: object(
    '`data` of `conversion.low`: hardly any OTPs of an app to a country are verified.',
    {
      app,
      country: text('The country, such as `MY` (ISO 3166).'),
      sent: z.number().describe('OTPs sent to it.'),
      verified: z.number().describe('How many of these were verified.'),
    },
  ),
  BudgetEventData: object(
    "`data` of `budget.low` and `budget.spent`: 80 % and 100 % of an app's budget are used.",
    {
      app,
      period: z.enum(budgetPeriods).describe('Period of the budget.'),
      budget: z.number().describe('Credits of the budget.'),
      used: z.number().describe('Credits used.'),
      endsAt: time('When the day or month ends.'),
    },
  ),
};
export type EventData = keyof typeof eventSchemas;

/** Schemas that have a name in the documentation and in the client's types, beside those of whole bodies. */
export const namedSchemas = {
  OtpStatus: otpStatus,
  FailureCode: failureCode,
  OtpFailure: otpFailure,
  RefusalCode: refusalCode,
  BatchStatus: batchStatus,
  BatchWaitReason: waitReason,
  OtpCounts: otpCounts,
  UploadResult: lineResultSchema,
  UploadSummary: uploadSummary,
  BalanceSnapshot: balanceSnapshot,
  StatsRow: statsRow,
  ...eventSchemas,
};
