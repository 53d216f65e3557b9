import type { Balance } from 'isms-otp-client';
import { answer, type Call, connect } from './call.js';
import { type ExitCode, exitCodes } from './failure.js';
import { counted, rows } from './view.js';

const dayMs = 86_400_000;
const chartDays = 30;
const blocks = [...'▁▂▃▄▅▆▇█'];

/** Shows the credits of the iSMS account and a chart of the last 30 days. */
export async function balance(call: Call, { refresh = false }: { refresh?: boolean }): Promise<ExitCode> {
  const { client } = await connect(call);
  const { signal } = call;
  const now = await client.balance({ refresh, signal });
  const today = Date.now();
  const dates = Array.from({ length: chartDays }, (_, i) => dateOf(today - (chartDays - 1 - i) * dayMs));
  /** The credits in each day's last snapshot; days are UTC. */
  const byDate = new Map<string, number>();
  for await (const snapshot of client.balanceHistory({ since: `${dates[0]}T00:00:00Z`, signal })) {
    // The newest snapshot comes first.
    const date = dateOf(Date.parse(snapshot.at));
    if (!byDate.has(date)) byDate.set(date, snapshot.credits);
  }
  const days = dates.filter((date) => byDate.has(date)).map((date) => ({ date, credits: byDate.get(date) }));
  answer(call, { balance: now, days }, `${balanceText(now)}${chartText(dates, byDate)}`);
  return exitCodes.done;
}

function balanceText(balance: Balance): string {
  const { credits, low, expiresOn, expiring, creditsPerDay, runsOutOn, checkedAt } = balance;
  return rows([
    ['credits', `${credits}${low ? ' (low)' : ''}`],
    ['expires on', expiresOn && `${expiresOn}${expiring ? ' (soon)' : ''}`],
    ['per day', creditsPerDay === null ? null : creditsPerDay.toFixed(1)],
    ['runs out on', runsOutOn],
    ['checked', checkedAt],
  ]);
}

function chartText(dates: readonly string[], byDate: ReadonlyMap<string, number>): string {
  const values = dates.map((date) => byDate.get(date) ?? null);
  const credits = values.filter((value) => value !== null);
  if (credits.length === 0) return '';
  const bars = barsOf(values);
  const ends = `${dates[0]}${`${dates.at(-1)}`.padStart(chartDays - 10)}`;
  return `\n\n${bars}\n${ends}\nmin ${counted(Math.min(...credits))}  max ${counted(Math.max(...credits))}`;
}

/** Draws one block character per value, from the least (▁) to the most (█), and a gap for null. */
export function barsOf(values: readonly (number | null)[]): string {
  const known = values.filter((value) => value !== null);
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const scale = most === least ? 0 : (blocks.length - 1) / (most - least);
  return values
    .map((value) => (value === null ? ' ' : (blocks[Math.round((value - least) * scale)] ?? '')))
    .join('');
}

function dateOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
