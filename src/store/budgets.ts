import { z } from 'zod';
import type { App } from '../otp/app.js';
import { type BudgetPeriod, budgetPeriods, currentPeriodIn } from '../otp/budget.js';
import { partitions } from '../otp/otp-id.js';
import { keys } from './keys.js';
import { loadListScript, type Policy, type RedisClient } from './script.js';

/** Credits that an app may use in the current day or month. */
export interface Budget {
  app: string;
  period: BudgetPeriod;
  /** `2026-11-28`, or `2026-11`. */
  name: string;
  /** Where the used credits are counted. */
  key: string;
  /** 0: no budget. */
  limit: number;
  /** Milliseconds since 1970. */
  endsAt: number;
}

/** The budgets of an app, of the day before that of the month; null without any. */
export function budgetsOf(
  app: string,
  { creditsPerDay, creditsPerMonth }: Pick<Policy, 'creditsPerDay' | 'creditsPerMonth'>,
  timeZone: string,
): Budget[] | null {
  if (creditsPerDay === 0 && creditsPerMonth === 0) return null;
  const limits = { day: creditsPerDay, month: creditsPerMonth };
  const at = Date.now();
  return budgetPeriods.map((period) => {
    const { name, endsAt } = currentPeriodIn(timeZone)(period, at);
    return { app, period, name, key: keys.budget(app, name), limit: limits[period], endsAt };
  });
}

const collectReply = z.array(z.string());

export function createBudgets({ redis, policy }: { redis: RedisClient; policy: Policy }) {
  const collect = loadListScript(redis, 'limits/budget#collect', policy);
  const giveBack = loadListScript(redis, 'limits/budget#give-back', policy);
  return {
    /** The current budgets of these apps; `used`: credits reserved by OTPs that did not end unsent. */
    read: async (apps: readonly Pick<App, 'name' | 'limits'>[]) => {
      const all = apps.flatMap(({ name, limits }) => {
        const ofApp = {
          creditsPerDay: limits?.creditsPerDay ?? policy.creditsPerDay,
          creditsPerMonth: limits?.creditsPerMonth ?? policy.creditsPerMonth,
        };
        return (budgetsOf(name, ofApp, policy.budgetTimeZone) ?? []).filter(({ limit }) => limit > 0);
      });
      return await Promise.all(
        all.map(async ({ app, period, key, limit, endsAt }) => {
          return { app, period, limit, endsAt, used: Number(await redis.hget(key, 'used')) };
        }),
      );
    },
    /** On a cluster: returns the credits of OTPs that ended without an SMS. */
    collect: async () => {
      const found = await collect(
        partitions.map((partition) => ({ key: keys.unspent(partition), args: [] })),
      );
      const calls = found.flatMap((answer) => {
        const fields = answer instanceof Error ? [] : collectReply.parse(answer);
        return fields.flatMap((field, i) => {
          const [app = '', day = ''] = field.split(' ');
          if (i % 2 === 1) return [];
          const windows = [keys.budget(app, day), keys.budget(app, day.slice(0, '2026-11'.length))];
          return windows.map((key) => ({ key, args: [fields[i + 1] ?? '0'] }));
        });
      });
      // Credits that an unavailable master does not take stay used: the budget only gets stricter.
      if (calls.length > 0) await giveBack(calls);
    },
  };
}
