import type { Logger } from '../lib/logger.js';
import type { Store } from '../store/store.js';

const judgeEveryMs = 5_000;

/** Judges how many codes are verified, by app and country; one worker of all does so every five seconds. */
export function createConversionWatch({
  store,
  logger,
}: {
  store: Pick<Store, 'conversion' | 'holdLease'>;
  logger: Logger;
}) {
  return {
    everyMs: judgeEveryMs,
    run: async () => {
      // A little less than the period, so that the same worker's next turn finds the lease free.
      if (!(await store.holdLease('conversion', judgeEveryMs - 100))) return;
      const { raised, ended } = await store.conversion.judge();
      for (const { app, country, sent, verified } of raised) {
        const fields = { event: 'conversion.low', app, country, sent, verified };
        logger.warn(fields, 'hardly any codes of an app to a country are verified: are SMS pumped?');
      }
      for (const { app, country } of ended) {
        const fields = { event: 'conversion.recovered', app, country };
        logger.info(
          fields,
          'for an hour, codes of an app to a country were verified as usual, or few were sent',
        );
      }
    },
  };
}
