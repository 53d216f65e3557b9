import type { ProviderQuestion, Tally } from '../provider.js';
import { startChild } from './child.js';
import { until } from './clock.js';

/** The provider's process. */
export interface ProviderProcess {
  endpoint: string;
  /** Forgets every call; from now on each is answered after `delayMs`, 0 for at once. */
  reset(delayMs: number): Promise<void>;
  /** Waits for so many sends; throws when there are fewer after two minutes, or when a number got two. */
  sent(count: number): Promise<Tally>;
  /** When each mobile's send came, by the clock of `nowMs`. */
  arrivals(): Promise<Map<string, number>>;
  end(): Promise<void>;
}

export async function startProvider(): Promise<ProviderProcess> {
  const child = await startChild('provider');
  const ask = (question: ProviderQuestion) => child.ask(question);
  const tally = async () => (await ask({ ask: 'tally' })) as Tally;
  return {
    endpoint: `${child.url}/2FA/request.php`,
    reset: async (delayMs) => void (await ask({ ask: 'reset', delayMs })),
    sent: async (count) => {
      await until(`${count} sends`, 120_000, async () => (await tally()).sends >= count);
      const found = await tally();
      if (found.sends !== count || found.numbers !== count)
        throw new Error(`${found.sends} sends to ${found.numbers} numbers instead of ${count}`);
      return found;
    },
    arrivals: async () => new Map((await ask({ ask: 'arrivals' })) as [string, number][]),
    end: () => child.end(),
  };
}

/** Sends a second, from the first to the last. */
export function sendRate({ sends, firstMs, lastMs }: Tally): number {
  return ((sends - 1) / (lastMs - firstMs)) * 1_000;
}
