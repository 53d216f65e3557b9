/** Client of isms-otp-gateway. Needs `fetch` and Web Crypto; depends on nothing else. */

export type { CallOptions, KeyedOptions, ResendOptions, SendOptions, VerifyOptions } from './calls.js';
export { OtpClient } from './client.js';
export {
  type InputMistake,
  isOtpError,
  OtpError,
  type OtpErrorCode,
  OtpTimeout,
  OtpUploadBroken,
} from './errors.js';
export type {
  HistoryOptions,
  ListBatchesOptions,
  ListBatchOptions,
  ListOtpsOptions,
  StatsOptions,
} from './pages.js';
export type { OtpClientOptions } from './settings.js';
export type {
  Balance,
  BalanceSnapshot,
  Batch,
  BatchChange,
  BatchOtp,
  BatchStatus,
  BatchWaitReason,
  FailureCode,
  NumberVerification,
  Otp,
  OtpFailure,
  OtpInput,
  OtpStatus,
  ProblemCode,
  RefusalCode,
  Stats,
  StatsRow,
  UploadResult,
  UploadSummary,
  Verified,
} from './types.js';
export type { OtpInputs, UploadInputs, UploadOptions } from './upload-options.js';
export type { WaitOptions } from './wait.js';
export { verifyWebhook, type WebhookDelivery, WebhookError, type WebhookErrorCode } from './webhook.js';
export type {
  BalanceEventData,
  BatchEndData,
  BatchEventData,
  BudgetEventData,
  ConversionEventData,
  OtpEventData,
  RangeEventData,
  SendingEventData,
  WebhookData,
  WebhookEvent,
  WebhookEventType,
} from './webhook-events.js';
