/** What apps import: a producer that enqueues OTPs straight into the gateway's Redis. */
export { createOtpProducer, type OtpProducerOptions } from './main/otp-producer.js';
export type {
  AcceptedOtp,
  OtpProducer,
  SendManyOptions,
  SendManyProgress,
  SendManyResult,
  SendResult,
} from './producer/otp-producer.js';
export { BatchCancelled } from './producer/otp-producer.js';
export type { OtpInput } from './producer/otp-request-schema.js';
export type { Refusal, RefusalCode } from './producer/refusal.js';
