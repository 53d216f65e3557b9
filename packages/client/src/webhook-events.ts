import type { OtpFailure, OtpStatus } from './types.js';

type OtpEventStatus = Extract<OtpStatus, 'sent' | 'failed' | 'unknown' | 'verified' | 'expired' | 'locked'>;

/** `data` of an OTP's event. It has no phone number; `client.get(id)` does. */
export interface OtpEventData<S extends string = string> {
  /** The OTP's id. */
  id: string;
  /** The app that sent it. */
  app: string;
  /** The app's own id of it, as given to the send. */
  reference: string | null;
  /** The OTP's status since this event. */
  status: S;
  /** Why it was not sent, or may not have been sent; null if nothing went wrong. */
  failure: OtpFailure | null;
}

/** `data` of `batch.started`. */
export interface BatchEventData {
  /** The batch's id. */
  id: string;
  /** The app that uploaded it. */
  app: string;
  /** Its name, as given to the upload. */
  name: string | null;
}

/** `data` of `batch.finished`. */
export interface BatchEndData extends BatchEventData {
  /** Whether it was cancelled. */
  status: 'finished' | 'cancelled';
  /** Lines of the upload. */
  lines: number;
  /** OTPs by status, when it ended. */
  counts: Record<OtpStatus, number>;
}

/** `data` of `balance.low` and `balance.expiring`. */
export interface BalanceEventData {
  /** Credits left. */
  credits: number;
  /** Last day on which the credits can be used; null if they do not expire. */
  expiresOn: string | null;
}

/** `data` of `sending.paused` and `sending.resumed`. */
export interface SendingEventData {
  /** What is wrong with the iSMS account, such as `insufficient_credits`. */
  trouble: string;
  /** The reply of iSMS, where the gateway does not know it. */
  text: string | null;
  /** The app that is paused, if it is only one. */
  app?: string;
}

/** `data` of `range.blocked`: the toll-fraud guard found a number range whose codes are hardly ever verified. */
export interface RangeEventData {
  /** The app that sent to it. */
  app: string;
  /** The number range, masked. */
  range: string;
  /** Whether OTPs to it are rejected; false if the guard only monitors. */
  enforced: boolean;
}

/** `data` of `conversion.low`: hardly any OTPs of an app to a country are verified. */
export interface ConversionEventData {
  /** The app that sent them. */
  app: string;
  /** The country, such as `MY` (ISO 3166). */
  country: string;
  /** OTPs sent to it. */
  sent: number;
  /** How many of these were verified. */
  verified: number;
}

/** `data` of `budget.low` and `budget.spent`: 80 % and 100 % of an app's budget are used. */
export interface BudgetEventData {
  /** The app. */
  app: string;
  /** What the budget is for. */
  period: 'day' | 'month';
  /** Credits of the budget. */
  budget: number;
  /** Credits used. */
  used: number;
  /** When the day or month ends, UTC. */
  endsAt: string;
}

/** `data` of each event, by the event's type. */
type DataByType = { [S in OtpEventStatus as `otp.${S}`]: OtpEventData<S> } & {
  'batch.started': BatchEventData;
  'batch.finished': BatchEndData;
  'balance.low': BalanceEventData;
  'balance.expiring': BalanceEventData;
  'sending.paused': SendingEventData;
  'sending.resumed': SendingEventData;
  'range.blocked': RangeEventData;
  'conversion.low': ConversionEventData;
  'budget.low': BudgetEventData;
  'budget.spent': BudgetEventData;
};

/** Every type of event. */
export type WebhookEventType = keyof DataByType;

/** `data` of the events of this type. */
export type WebhookData<T extends WebhookEventType> = DataByType[T];

/** An event; `type` tells the members of `data`. Ignore types that you do not know: a newer gateway may have more. */
export type WebhookEvent = {
  [T in WebhookEventType]: {
    /** Unique; the same in every delivery of this event. */
    id: string;
    /** What happened. */
    type: T;
    /** When it happened, UTC with milliseconds. */
    timestamp: string;
    /** What it happened to. */
    data: DataByType[T];
  };
}[WebhookEventType];
