/** Every queue, by its name in Redis and in Bull Board. */
export const queueNames = { sendOtp: 'otp-send', balance: 'balance', webhook: 'webhook' } as const;

/** In front of every key of every queue; the braces keep them in one slot of a Redis Cluster. */
export const queuePrefix = '{isms}';

/** Events of a queue are kept for watching, not for work: BullMQ's default of 10,000 only takes memory. */
export const queueStreams = { events: { maxLen: 1_000 } } as const;
