import { z } from 'zod';
import { widerNetwork, widerNetworkShare } from '../otp/client-address.js';
import { keys } from './keys.js';
import { loadScript, type StoreContext } from './script.js';

const mostFailures = 10;
const windowMs = 600_000;

/** Failures are counted in the window, not limited by it. */
const unlimited = Number.MAX_SAFE_INTEGER;
const replySchema = z.tuple([z.tuple([z.number(), z.number(), z.number()])]);

/**
 * Failed logins by client address, which Redis knows by its keyed hash only; shared by all processes. Counted in fixed
 * windows of ten minutes, from the first failure on.
 */
export function createFailedLogins({ redis, encrypter }: StoreContext) {
  const countFailures = loadScript(redis, 'limits/windows#take');
  const noteOne = async (client: string, most: number, added: 0 | 1) => {
    const [hash] = encrypter.hashes('client address', client);
    const reply = await countFailures([keys.failedLogins(hash)], [unlimited, windowMs, added]);
    const [[, failures, retryInMs]] = replySchema.parse(reply);
    return { blocked: failures - added >= most, blockStarted: added === 1 && failures === most, retryInMs };
  };
  return {
    /**
     * Counts a failed login. Blocks a client after 10 failures in a 10-minute window, its IPv6 /56 network after 20,
     * until the window ends. The failure that starts the block still gets 401.
     */
    note: async (client: string, login: 'right' | 'wrong') => {
      const added = login === 'wrong' ? 1 : 0;
      const network = widerNetwork(client);
      const notes = await Promise.all([
        noteOne(client, mostFailures, added),
        ...(network === null ? [] : [noteOne(network, mostFailures * widerNetworkShare, added)]),
      ]);
      const blocking = notes.filter(({ blocked, blockStarted }) => blocked || blockStarted);
      return {
        blocked: notes.some(({ blocked }) => blocked),
        /** By this failure, which is not refused as blocked itself. */
        blockStarted: notes.some(({ blockStarted }) => blockStarted),
        retryInMs: Math.max(0, ...blocking.map(({ retryInMs }) => retryInMs)),
      };
    },
  };
}
