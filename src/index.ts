/** What apps import: a producer that enqueues OTPs straight into the gateway's Redis. */
export { createOtpProducer, type OtpProducerOptions } from './main/otp-producer.js';
export type { Refusal, RefusalCode } from './otp/refusal.js';
export type { AcceptedOtp, OtpProducer, SendManyOptions, SendResult } from './producer/otp-producer.js';
export { UploadRefused } from './producer/otp-producer.js';
export type { OtpInput } from './producer/otp-request.js';
export type { LineResult as SendManyResult, UploadSummary as SendManyProgress } from './producer/upload.js';
