import type { StatsOptions, StatsRow } from 'isms-otp-client';
import { answer, type Call, connect } from './call.js';
import { type ExitCode, exitCodes } from './failure.js';
import { given } from './send.js';
import { counted, table } from './view.js';

/** Shows the statistics of the app. */
export async function stats(call: Call, options: StatsOptions): Promise<ExitCode> {
  const { client } = await connect(call);
  const { by, since, until, step } = options;
  const found = await client.stats({ ...given({ by, since, until, step }), signal: call.signal });
  const groupOf = (group: string) => (by === undefined ? [] : [group]);
  const header = ['start', ...groupOf(found.by), ...columns.map(([name]) => name)];
  const lines = found.rows.map((row) => [
    ...[row.start, ...groupOf(row.group ?? '')],
    ...columns.map(([, cellOf]) => cellOf(row)),
  ]);
  answer(call, found, lines.length === 0 ? 'no OTPs' : table([header, ...lines]));
  return exitCodes.done;
}

const columns: readonly (readonly [string, (row: StatsRow) => string])[] = [
  ['accepted', ({ accepted }) => counted(accepted)],
  ['rejected', ({ rejected }) => counted(sumOf(rejected))],
  ['sent', ({ sent }) => counted(sent)],
  ['verified', ({ verified }) => counted(verified)],
  ['conversion', ({ conversion }) => (conversion === null ? '' : `${(conversion * 100).toFixed(1)} %`)],
  ['median', ({ medianVerifySeconds: s }) => (s === null ? '' : `${s.toFixed(1)} s`)],
  ['failed', ({ failed }) => counted(sumOf(failed))],
  ['unknown', ({ unknown }) => counted(unknown)],
  ['credits', ({ credits }) => counted(credits)],
];

function sumOf(counts: Readonly<Record<string, number | undefined>>): number {
  return Object.values(counts).reduce<number>((sum, count) => sum + (count ?? 0), 0);
}
