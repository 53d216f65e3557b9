import type { SendOtpQueue } from '../queues/send-otp.js';
import type { Store } from '../store/store.js';
import type { Logger } from './logger.js';

const sweepEveryMs = 1_000;
const cleanEveryMs = 60_000;

export interface SweeperDependencies {
  store: Pick<Store, 'sendAttempts' | 'holdLease'>;
  sendOtpQueue: SendOtpQueue;
  keepMs: number;
  logger: Logger;
}

/** Ends what nobody else can end, and adds jobs again that got lost; one worker of all does so each second. */
export function createSweeper({ store, sendOtpQueue, keepMs, logger }: SweeperDependencies) {
  const sweep = async () => {
    const { queued, unreadable } = await store.sendAttempts.sweep();
    for (const otpId of unreadable) {
      logger.error(
        { event: 'otp.unreadable', otpId },
        'no key in DATA_KEY opens this record, or it is broken',
      );
    }
    for (const otp of await sendOtpQueue.withoutJob(queued)) {
      await sendOtpQueue.add(otp);
      logger.warn({ event: 'otp.job_added_again', otpId: otp.id }, 'a queued OTP had no job; added it again');
    }
  };
  return {
    everyMs: sweepEveryMs,
    run: async () => {
      // A little less than the period, so that the same worker's next turn finds the lease free.
      if (await store.holdLease('sweep', sweepEveryMs - 100)) await sweep();
      if (await store.holdLease('clean', cleanEveryMs)) await sendOtpQueue.clean(keepMs);
    },
  };
}
