import { takePairs } from './pairs.js';
import type { Row } from './row.js';
import { apiSides } from './support/api-sides.js';
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
    const gateway = createGateway(stand);
    keepUp(stand, gateway.store);
    const side = (url: string) => async (count: number) => {
      await stand.empty();
      return await drive(url, calls(count), { connections: 64, status: 202 });
    };
    const sides = await apiSides(stand, gateway, { ours: side, counterpart: side });
    const pairs = await takePairs(stand.extent(6_000, 200), sides);
    const goals = { goal: { atLeast: 1 }, usualGoal: { atLeast: 1.3 } };
    return [{ name: 'single', unit: 'OTPs/s', judged: 'ratio', ...goals, pairs }];
  },
};
