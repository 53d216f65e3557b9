/** What apps import as `isms-otp-gateway/client`: it needs fetch and Web Crypto, and nothing else. */
export type {
  Balance,
  BalanceSnapshot,
  Batch,
  BatchOtp,
  FailureCode,
  NumberVerification,
  Otp,
  OtpInput,
  OtpStatus,
  ProblemCode,
  UploadResult,
  UploadSummary,
  Verified,
} from './answers.js';
export type { CallOptions, KeyedOptions, ResendOptions, SendOptions } from './calls.js';
export { OtpClient } from './client.js';
export {
  type InputMistake,
  isOtpError,
  OtpError,
  type OtpErrorCode,
  OtpTimeout,
  OtpUploadBroken,
} from './errors.js';
export type { HistoryOptions, ListOptions } from './pages.js';
export type { OtpClientOptions } from './settings.js';
export type { OtpInputs, UploadInputs, UploadOptions } from './upload-options.js';
export type { WaitOptions } from './wait.js';
export { verifyWebhook, type WebhookDelivery, WebhookError, type WebhookErrorCode } from './webhook.js';
export type { OtpEventData, WebhookData, WebhookEvent, WebhookEventType } from './webhook-events.js';
