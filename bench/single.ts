import { takePairs } from './pairs.js';
import type { Row } from './row.js';
import { createBare } from './support/bare.js';
import { type Call, drive } from './support/drive.js';
import { createGateway, message } from './support/gateway.js';
import { nthNational } from './support/numbers.js';
import { keepUp } from './support/progress.js';

/** Each asks for an OTP to a number of its own. */
function calls(count: number): Call[] {
  return Array.from({ length: count }, (_, n) => ({
    path: '/v1/otps',
    body: JSON.stringify({ to: `+60${nthNational(n)}`, message }),
  }));
}

export const singleRow: Row = {
  name: 'single',
  what: 'POST /v1/otps a second, 64 connections',
  bare: 'Express, zod and queue.add',
  run: async (stand) => {
    const bareApi = await createBare(stand).startApi();
    const gateway = createGateway(stand);
    const ourApi = await gateway.startApi();
    keepUp(stand, gateway.store);
    const side = (url: string) => async (count: number) => {
      await stand.empty();
      return await drive(url, calls(count), { connections: 64, status: 202 });
    };
    const sides = { bare: side(bareApi.url), ours: side(ourApi.url) };
    const pairs = await takePairs(stand.extent(6_000, 200), sides);
    return [{ name: 'single', unit: 'OTPs/s', judged: 'ratio', goal: { atLeast: 0.8 }, pairs }];
  },
};
