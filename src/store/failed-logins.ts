import { z } from 'zod';
import { widerNetwork, widerNetworkShare } from '../otp/client-address.js';
import { keys } from './keys.js';
import { loadScript, type StoreContext } from './script.js';

const mostFailures = 10;
const windowMs = 600_000;

/** What a login means for its client: whether that is blocked now, by this very failure, and until when. */
interface LoginBlock {
  blocked: boolean;
  begins: boolean;
  /** Milliseconds until the client's failures are forgotten. */
  endsInMs: number;
}

/** Failed logins by client address, which Redis knows by its keyed hash only; shared by all processes. */
export interface FailedLogins {
  /**
   * Notes a login, and says whether the client is to be refused: it is after 10 failures within 10 minutes of the
   * first, or its IPv6 /56 network after 20, until those are over. The last one begins the block; it is refused as a
   * failure already.
   */
  note(client: string, login: 'right' | 'wrong'): Promise<LoginBlock>;
}

const replySchema = z.tuple([z.number(), z.number()]);

/** Counts in fixed windows of ten minutes, from the first failure on. */
export function createFailedLogins({ redis, encrypter }: StoreContext): FailedLogins {
  const countFailure = loadScript(redis, 'limits/windows#count-failure');
  const noteOne = async (client: string, most: number, added: 0 | 1): Promise<LoginBlock> => {
    const [hash] = encrypter.hashes('client address', client);
    const reply = await countFailure([keys.failedLogins(hash)], [added, windowMs]);
    const [failures, endsInMs] = replySchema.parse(reply);
    return { blocked: failures - added >= most, begins: added === 1 && failures === most, endsInMs };
  };
  return {
    note: async (client, login) => {
      const added = login === 'wrong' ? 1 : 0;
      const network = widerNetwork(client);
      const notes = await Promise.all([
        noteOne(client, mostFailures, added),
        ...(network === null ? [] : [noteOne(network, mostFailures * widerNetworkShare, added)]),
      ]);
      const told = notes.filter(({ blocked, begins }) => blocked || begins);
      return {
        blocked: notes.some(({ blocked }) => blocked),
        begins: notes.some(({ begins }) => begins),
        endsInMs: Math.max(0, ...told.map(({ endsInMs }) => endsInMs)),
      };
    },
  };
}
