import type { Balance, OtpClient } from 'isms-otp-client';
import { barsOf } from './chart.js';
import { defineCommand } from './command.js';
import { exitCodes } from './exit-codes.js';
import { gatewayOf } from './gateway.js';
import { counted, rows } from './rows.js';

const dayMs = 86_400_000;
const chartDays = 30;

/** The credits of a day's last snapshot. Days are those of UTC. */
interface Day {
  date: string;
  credits: number;
}

/** Credits of the iSMS account, and how they went in the last 30 days. */
export const balance = defineCommand({
  form: 'balance',
  says: 'credits of the iSMS account, how long they last, and the last 30 days',
  flags: { refresh: { says: 'ask iSMS now' } },
  run: async (call) => {
    if (call.words.length > 0) throw call.misused('It takes no words');
    const { client } = await gatewayOf(call);
    const { signal } = call.io;
    const now = await client.balance({ refresh: call.is('refresh'), signal });
    const dates = lastDates(Date.now());
    const days = await daysOf(client, dates, signal);
    call.answer({ balance: now, days }, `${balanceText(now)}${chartText(dates, days)}`);
    return exitCodes.done;
  },
});

/** The last days, the oldest first, as `YYYY-MM-DD`. */
function lastDates(nowMs: number): string[] {
  return Array.from({ length: chartDays }, (_, i) => dateOf(nowMs - (chartDays - 1 - i) * dayMs));
}

async function daysOf(client: OtpClient, dates: readonly string[], signal: AbortSignal): Promise<Day[]> {
  const credits = new Map<string, number>();
  for await (const snapshot of client.balanceHistory({ since: `${dates[0]}T00:00:00Z`, signal })) {
    // The newest comes first.
    const date = dateOf(Date.parse(snapshot.at));
    if (!credits.has(date)) credits.set(date, snapshot.credits);
  }
  return dates.flatMap((date) => {
    const ofDay = credits.get(date);
    return ofDay === undefined ? [] : [{ date, credits: ofDay }];
  });
}

function balanceText({
  credits,
  low,
  expiresOn,
  expiring,
  creditsPerDay,
  runsOutOn,
  checkedAt,
}: Balance): string {
  return rows([
    ['credits', `${credits}${low ? ' (low)' : ''}`],
    ['expires on', expiresOn && `${expiresOn}${expiring ? ' (soon)' : ''}`],
    ['per day', creditsPerDay === null ? null : creditsPerDay.toFixed(1)],
    ['runs out on', runsOutOn],
    ['checked', checkedAt],
  ]);
}

function chartText(dates: readonly string[], days: readonly Day[]): string {
  const credits = days.map((day) => day.credits);
  if (credits.length === 0) return '';
  const bars = barsOf(dates.map((date) => days.find((day) => day.date === date)?.credits ?? null));
  const ends = `${dates[0]}${`${dates.at(-1)}`.padStart(chartDays - 10)}`;
  return `\n\n${bars}\n${ends}\nmin ${counted(Math.min(...credits))}  max ${counted(Math.max(...credits))}`;
}

function dateOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
