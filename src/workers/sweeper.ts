import type { Logger } from '../lib/logger.js';
import type { Otp } from '../otp/otp.js';
import type { BatchQueue } from '../queues/batch.js';
import type { SendOtpQueue } from '../queues/send-otp.js';
import type { Store } from '../store/store.js';
import { countEnd, type WorkerMetrics } from './job-control.js';

const sweepEveryMs = 1_000;
const cleanEveryMs = 60_000;
/** Interval of checks of released lines: jobs that were deleted would delay the lines behind them. */
const linesAgainMs = 60_000;

/**
 * Ends OTPs whose time is over, and adds lost jobs again. One worker of all does so each second: work that is due less
 * often holds a lease a little shorter than its period, so that the same worker finds it free.
 */
export function createSweeper(options: {
  store: Pick<Store, 'sendAttempts' | 'waitingLines' | 'acquireLease'>;
  sendOtpQueue: SendOtpQueue;
  batchQueue: Pick<BatchQueue, 'clean'>;
  /** How long jobs that ended are kept. */
  retentionSeconds: number;
  logger: Logger;
  metrics: Pick<WorkerMetrics, 'failed' | 'unknown'>;
}) {
  const { store, sendOtpQueue, batchQueue, retentionSeconds, logger, metrics } = options;
  /** Returns the OTPs whose jobs could not be added. */
  const addAgain = async (otps: readonly Otp[], add: () => Promise<unknown>): Promise<readonly Otp[]> => {
    try {
      await add();
    } catch (err) {
      const otpIds = otps.map(({ id }) => id);
      logger.error({ event: 'sweep.failed', otpIds, err }, 'could not add missing jobs');
      return otps;
    }
    for (const { id: otpId } of otps) {
      logger.warn({ event: 'otp.job_added_again', otpId }, 'a queued OTP had no job; added it again');
    }
    return [];
  };
  /** Adds the jobs of single OTPs again; lines of batches wait for their release again, before the others. */
  const restore = async (missing: readonly Otp[]): Promise<readonly Otp[]> => {
    const failed: Otp[] = [];
    for (const otp of missing.filter(({ inBatch }) => !inBatch)) {
      failed.push(...(await addAgain([otp], () => sendOtpQueue.add(otp))));
    }
    const lines = missing.filter(({ inBatch }) => inBatch);
    return [...failed, ...(await addAgain(lines, () => store.waitingLines.putBack(lines, 'first')))];
  };
  const sweep = async () => {
    const { queued, ended, unreadable, failures } = await store.sendAttempts.sweep();
    for (const otp of ended) countEnd(metrics, otp);
    for (const err of failures) logger.error({ event: 'sweep.failed', err }, 'could not sweep a partition');
    for (const otpId of unreadable) {
      logger.error(
        { event: 'otp.unreadable', otpId },
        'cannot decrypt an OTP record: a key is missing in ENCRYPTION_KEYS, or the record is corrupt',
      );
    }
    const { missing, unsure } = await sendOtpQueue.withoutJob(queued);
    const failed = new Set([...(await restore(missing)), ...(unsure?.otps ?? [])]);
    if (unsure)
      logger.error({ event: 'sweep.failed', err: unsure.error }, 'could not check a shard for missing jobs');
    const soon = Date.now() + linesAgainMs;
    await store.sendAttempts.markEnqueued(
      queued
        .filter((otp) => !failed.has(otp))
        .map(({ id, sendDeadline, inBatch }) => ({
          id,
          checkAt: inBatch ? Math.min(sendDeadline, soon) : sendDeadline,
        })),
    );
  };
  return {
    everyMs: sweepEveryMs,
    run: async () => {
      if (await store.acquireLease('sweep', sweepEveryMs - 100)) await sweep();
      if (!(await store.acquireLease('clean', cleanEveryMs))) return;
      await Promise.all([sendOtpQueue, batchQueue].map((queue) => queue.clean(retentionSeconds * 1_000)));
    },
  };
}

const judgeEveryMs = 5_000;

/** Raises and ends alarms about low conversion, by app and country (ADR 39); one worker of all does so every 5 s. */
export function createConversionWatch(options: {
  store: Pick<Store, 'conversion' | 'acquireLease'>;
  logger: Logger;
}) {
  const { store, logger } = options;
  return {
    everyMs: judgeEveryMs,
    run: async () => {
      if (!(await store.acquireLease('conversion', judgeEveryMs - 100))) return;
      const { raised, ended } = await store.conversion.judge();
      for (const { app, country, sent, verified } of raised) {
        const fields = { event: 'conversion.low', app, country, sent, verified };
        logger.warn(fields, 'few codes of an app to a country are verified: SMS pumping is likely');
      }
      for (const { app, country } of ended) {
        const fields = { event: 'conversion.recovered', app, country };
        logger.info(
          fields,
          'codes of an app to a country were verified as usual for an hour, or few were sent',
        );
      }
    },
  };
}
