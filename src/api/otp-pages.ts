import { z } from 'zod';
import type { Otp } from '../otp/otp.js';
import type { OtpFilter, Position } from '../store/otp-list.js';
import type { ApiDependencies } from './dependencies.js';
import { skipUnreadable } from './routes/otps.js';

/** OTPs read at a time, and for one page, also with a filter that few pass. */
const otpsAtATime = 200;
export const mostRead = 2_000;

/** `next` of a page; the position that it stands for. */
export const cursorSchema = z
  .string()
  .transform((cursor, context) => {
    const position = positionOf(cursor);
    if (!position) context.addIssue('must be `next` of the previous page');
    return position ?? z.NEVER;
  })
  .meta({ type: 'string' });

type Dependencies = Pick<ApiDependencies, 'store' | 'slices'>;

/** Which OTPs are listed, and from where on. */
interface OtpQuery extends OtpFilter {
  after?: Position | null | undefined;
}

/** A page of an app's OTPs, newest first. */
export async function otpPage(
  dependencies: Dependencies,
  app: string,
  { limit, ...query }: OtpQuery & { limit: number },
): Promise<{ otps: Otp[]; next: string | null }> {
  const otps: Otp[] = [];
  let read = 0;
  // A page that few OTPs fill reads ahead; the first read is that of a page without a filter.
  for await (const group of groups(dependencies, app, { ...query, first: limit })) {
    for (const { otp, position } of group.otps) {
      otps.push(otp);
      if (otps.length === limit) return { otps, next: cursorOf(position) };
    }
    read += group.read;
    if (group.next && read > mostRead - otpsAtATime) return { otps, next: cursorOf(group.next) };
  }
  return { otps, next: null };
}

/** All of an app's OTPs from a position on, newest first. */
export async function* otpGroups(
  dependencies: Dependencies,
  app: string,
  query: OtpQuery,
): AsyncGenerator<Otp[]> {
  for await (const { otps } of groups(dependencies, app, query)) yield otps.map(({ otp }) => otp);
}

async function* groups(
  { store, slices }: Dependencies,
  app: string,
  { after = null, first = otpsAtATime, ...filter }: OtpQuery & { first?: number },
) {
  let position: Position | null = after;
  let most = Math.min(first, otpsAtATime);
  do {
    const turn = slices.next();
    if (turn) await turn;
    const reading = { after: position, most, onUnreadable: skipUnreadable };
    const group = await store.otps.readNext(app, filter, reading);
    yield group;
    position = group.next;
    most = otpsAtATime;
  } while (position);
}

function cursorOf(position: Position): string {
  const numbers =
    'line' in position ? [position.line] : [position.hour, position.before, position.within ?? 0];
  return Buffer.from(numbers.join('.')).toString('base64url');
}

/** The position that a cursor stands for; null for any other text. */
function positionOf(cursor: string): Position | null {
  const text = cursor.length > 48 ? '' : Buffer.from(cursor, 'base64url').toString('latin1');
  if (!/^\d{1,12}(\.\d{1,12}\.\d{1,6})?$/.test(text)) return null;
  const [first = 0, before, within] = text.split('.').map(Number);
  if (before === undefined) return { line: first };
  return { hour: first, before, ...(within && { within }) };
}
