import type { Store } from '../../src/store/store.js';
import { claimed } from '../../test/support/otps.js';
import { admit } from './gateway.js';

/** The id of an OTP to the n-th number that has been sent, as a worker would have done it. */
export async function sentOtp(store: Store, n: number): Promise<string> {
  const { id } = await admit(store, n);
  const uuid = `bd9a1ff0-0000-11ee-8000-${String(n).padStart(12, '0')}`;
  await store.sendAttempts.settle(await claimed(store, id), { kind: 'accepted', uuid, smsId: `${n}` });
  return id;
}
