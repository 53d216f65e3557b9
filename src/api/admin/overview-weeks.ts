import { cachedFor } from '../../lib/memoize.js';
import { hourMs } from '../../lib/time.js';
import type { AppStats } from '../../store/app-stats.js';
import type { ApiDependencies } from '../dependencies.js';

const weekMs = 7 * 24 * hourMs;
/** Hours change slowly, and reading two weeks of all apps takes many calls. */
const cachedMs = 300_000;

/** The last 7 days, up to the current hour, beside the 7 days before, by app and by country. */
export function createWeeks({ store, apps }: Pick<ApiDependencies, 'store' | 'apps'>) {
  return cachedFor(cachedMs, async () => {
    const until = Math.floor(Date.now() / hourMs) * hourMs;
    const span = { step: '1d', since: until - 2 * weekMs, until } as const;
    const ofApp = async ({ name }: { name: string }) => {
      const found = await store.appStats.read(name, 'country', span);
      return found.map((sum) => ({ ...sum, app: name }));
    };
    const sums = (await Promise.all(apps.all().map(ofApp))).flat();
    const lastFrom = until - weekMs;
    return {
      apps: compared(sums, ({ app }) => app, lastFrom),
      countries: compared(sums, ({ group }) => group, lastFrom),
    };
  });
}

/** What was sent and verified in both weeks, by name; those that sent most come first. */
function compared<S extends AppStats>(sums: readonly S[], nameOf: (sum: S) => string, lastFrom: number) {
  return [...Map.groupBy(sums, nameOf)]
    .map(([name, ofName]) => {
      const weekOf = (isLast: boolean) => {
        const some = ofName.filter(({ at }) => at >= lastFrom === isLast);
        const sum = (count: string) => some.reduce((total, { counts }) => total + (counts[count] ?? 0), 0);
        return { sent: sum('sent'), verified: sum('verified') };
      };
      return { name, last: weekOf(true), before: weekOf(false) };
    })
    .filter(({ last, before }) => last.sent + before.sent > 0)
    .sort((a, b) => b.last.sent - a.last.sent || b.before.sent - a.before.sent);
}
