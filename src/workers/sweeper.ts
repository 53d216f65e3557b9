import type { Otp } from '../otp/otp.js';
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
  const addAgain = async (otp: Otp): Promise<boolean> => {
    try {
      await sendOtpQueue.add(otp);
    } catch (err) {
      logger.error({ event: 'sweep.failed', otpId: otp.id, err }, 'a missing job could not be added');
      return false;
    }
    logger.warn({ event: 'otp.job_added_again', otpId: otp.id }, 'a queued OTP had no job; added it again');
    return true;
  };
  const sweep = async () => {
    const { queued, unreadable, failures } = await store.sendAttempts.sweep();
    for (const err of failures) logger.error({ event: 'sweep.failed', err }, 'a partition was not swept');
    for (const otpId of unreadable) {
      logger.error(
        { event: 'otp.unreadable', otpId },
        'no key in DATA_KEY opens this record, or it is broken',
      );
    }
    const missing = await sendOtpQueue.withoutJob(queued);
    const failed = new Set<Otp>();
    for (const otp of missing) if (!(await addAgain(otp))) failed.add(otp);
    await store.sendAttempts.lookedAfter(queued.filter((otp) => !failed.has(otp)));
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
