import { statuses } from '../../otp/otp.js';

/* Example values of the documentation; each fits its schema. */

export const queuedOtp = {
  id: 'otp_2bVr0Yc1Jm3nVdQ8sXk5TzGw',
  status: 'queued',
  to: '+60123456789',
  reference: 'signup-4711',
  purpose: null,
  createdAt: '2025-04-01T08:00:00.000Z',
  sendDeadline: '2025-04-01T08:02:00.000Z',
  sentAt: null,
  expiresAt: null,
  attemptsRemaining: 5,
  uuid: null,
  smsId: null,
  credits: 1,
  failure: null,
};

export const sentOtp = {
  ...queuedOtp,
  status: 'sent',
  sentAt: '2025-04-01T08:00:01.250Z',
  expiresAt: '2025-04-01T08:05:00.100Z',
  uuid: '6d1f2a0e-58a4-4a35-9b61-2f1f0f5e8c11',
  smsId: '100045',
};

const noOtps = Object.fromEntries(statuses.map((status) => [status, 0]));

export const batchExample = {
  id: 'batch_Q8sXk5TzGw2bVr0Yc1Jm3n',
  name: 'Friday',
  status: 'sending',
  createdAt: '2025-04-01T08:00:00.000Z',
  startAt: null,
  perSecond: 50,
  paused: false,
  startedAt: '2025-04-01T08:00:00.100Z',
  finishedAt: null,
  waiting: 1_000,
  waitsFor: 'pace',
  rate: 49.8,
  estimatedEnd: '2025-04-01T08:00:40.000Z',
  lines: 2_000,
  cancelled: false,
  counts: { ...noOtps, queued: 1_000, sent: 900, verified: 100 },
};
