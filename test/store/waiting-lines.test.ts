import { expect, it } from 'vitest';
import { afterFile } from '../support/clean-up.js';
import { testStore } from '../support/otps.js';
import { connect, connectTo, databaseUrl } from '../support/redis.js';
import { onCluster } from '../support/redis-topology.js';

/** May use no sorted set: each command of an app's queue fails. */
const user = 'without-sorted-sets';

it.skipIf(onCluster)(
  'the queue of an app rejects what Redis refuses, and leaves no rejection behind that would end the process',
  async () => {
    const admin = await connect();
    await admin.call('ACL', 'SETUSER', user, 'on', 'nopass', '~*', '&*', '+@all', '-@sortedset');
    afterFile(() => admin.call('ACL', 'DELUSER', user));
    const url = new URL(databaseUrl());
    url.username = user;
    const refused = await connectTo(url.href);
    afterFile(() => refused.disconnect());
    const unhandled: unknown[] = [];
    const note = (error: unknown) => unhandled.push(error);
    process.on('unhandledRejection', note);
    const { waitingLines } = testStore(refused);
    await expect(waitingLines.joinAppQueue('shop', 'batch_1', 1)).rejects.toThrow(/NOPERM/);
    await expect(waitingLines.leaveAppQueue('shop', 'batch_1')).rejects.toThrow(/NOPERM/);
    // Replies come in the order of the commands: by now, those above have come.
    await refused.ping();
    await new Promise(setImmediate);
    process.off('unhandledRejection', note);
    expect(unhandled).toEqual([]);
  },
);
