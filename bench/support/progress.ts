import type { Store } from '../../src/store/store.js';
import type { Stand } from './stand.js';

const everyMs = 500;
const donePerTurn = 5_000;

/**
 * Tells admission that workers are getting on, where none run: otherwise backpressure would soon refuse what, by its
 * deadline, no OTP could be sent. The count goes on growing when Redis is emptied. Until the stand ends, or until what it
 * returns is called.
 */
export function keepUp(stand: Stand, { load }: Pick<Store, 'load'>): () => Promise<void> {
  let done = 0;
  let latest = Promise.resolve();
  const turn = async () => {
    done += donePerTurn;
    await load.addDone(done - (await load.done()));
  };
  const timer = setInterval(() => {
    latest = turn();
  }, everyMs);
  const stop = async () => {
    clearInterval(timer);
    await latest;
  };
  return stand.add(stop, (end) => end());
}
