import type { ListOtpsOptions } from 'isms-otp-client';
import { answer, type Call, connect, take } from './call.js';
import { type ExitCode, exitCodes } from './failure.js';
import { given } from './send.js';
import { table } from './view.js';

/** Lists OTPs, newest first; `limit`: of all pages together. */
export async function listOtps(call: Call, { limit = 20, ...options }: ListOtpsOptions): Promise<ExitCode> {
  const { client } = await connect(call);
  const asked = { ...given(options), limit: Math.min(Math.max(limit, 1), 500), signal: call.signal };
  const otps = await take(client.listOtps(asked), limit);
  const lines = otps.map(({ id, createdAt, status, to, purpose, reference }) => [
    ...[id, createdAt, status, to, purpose ?? '', reference ?? ''],
  ]);
  const header = ['otp', 'created', 'status', 'to', 'purpose', 'reference'];
  answer(call, { otps }, otps.length === 0 ? 'no OTPs' : table([header, ...lines]));
  return exitCodes.done;
}
