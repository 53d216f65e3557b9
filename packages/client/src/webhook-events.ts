import type * as api from './api.js';

export type {
  BalanceEventData,
  BatchEndData,
  BatchEventData,
  BudgetEventData,
  ConversionEventData,
  RangeEventData,
  SendingEventData,
} from './api.js';

type OtpEventStatus = api.OtpEventData['status'];

/** `data` of an OTP's event. It has no phone number; `client.get(id)` does. */
export interface OtpEventData<S extends OtpEventStatus = OtpEventStatus> extends api.OtpEventData {
  /** The OTP's status since this event. */
  status: S;
}

/** `data` of each event, by the event's type. */
type DataByType = { [S in OtpEventStatus as `otp.${S}`]: OtpEventData<S> } & {
  'batch.started': api.BatchEventData;
  'batch.finished': api.BatchEndData;
  'balance.low': api.BalanceEventData;
  'balance.expiring': api.BalanceEventData;
  'sending.paused': api.SendingEventData;
  'sending.resumed': api.SendingEventData;
  'range.blocked': api.RangeEventData;
  'conversion.low': api.ConversionEventData;
  'budget.low': api.BudgetEventData;
  'budget.spent': api.BudgetEventData;
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
