import { table } from '../cli/view.js';
import { ConfigError } from '../config/load-config.js';
import type { ConfigFor } from '../config/roles.js';
import { isoTime } from '../lib/time.js';
import { parseNumberPrefix } from '../otp/number-prefix.js';
import { entryCount, type NumberListEntry, unreadableEntries } from '../store/number-lists.js';
import type { Store } from '../store/store.js';
import { type CommandOutput, knownApp, output } from './operator-input.js';

/** Options of the commands on the allow and deny lists. */
export interface OperatorOptions {
  app?: string;
  /** RFC 3339. */
  until?: string;
  unreadable?: true;
}

export interface NumberListTools {
  store: Pick<Store, 'numberLists'>;
  config: ConfigFor<'operator'>;
  options: OperatorOptions;
}

/** The commands on the allow and deny lists (ADR 56). */
export const numberListCommands = {
  'numbers allow': (tools, text) => addToList('allow', text, tools),
  'numbers deny': (tools, text) => addToList('deny', text, tools),
  'numbers list': async function* ({ store }) {
    const { entries, unreadable } = await store.numberLists.read();
    const data = entries.map(({ list, shown, app, until }) => {
      return { list, number: shown, app, until: until === null ? null : isoTime(until) };
    });
    const rows = data.map(({ list, number, app, until }) => [number, list, app ?? 'all', until ?? '-']);
    const head = ['number', 'list', 'app', 'until'];
    const text = data.length === 0 ? 'No number is allowed or denied.' : table([head, ...rows]);
    yield { text, data };
    if (unreadable > 0) throw new Error(unreadableEntries(unreadable));
  },
  'numbers remove': async function* ({ store, config, options }, text) {
    if ((text === '') !== (options.unreadable ?? false)) {
      const problem = 'must be given, or --unreadable in its place';
      throw new ConfigError([{ variable: '<prefix>', problem }]);
    }
    if (options.unreadable) {
      const count = await store.numberLists.removeUnreadable();
      return yield output(`Removed ${entryCount(count)} that cannot be decrypted.`);
    }
    const { digits, shown } = listedNumber(text, config);
    const app = options.app ?? null;
    const known = await store.numberLists.remove({ digits, app });
    const of = app === null ? '' : ` of ${app}`;
    yield output(
      known
        ? `${shown}${of} was removed from its list.`
        : `${shown}${of} is on no list; isms-otp numbers list shows each entry with its app.`,
    );
  },
} as const satisfies Record<string, (tools: NumberListTools, text: string) => AsyncGenerator<CommandOutput>>;

async function* addToList(
  list: NumberListEntry['list'],
  text: string,
  { store, config, options }: NumberListTools,
): AsyncGenerator<CommandOutput> {
  const { digits, shown } = listedNumber(text, config);
  const app = options.app === undefined ? null : knownApp(options.app, config);
  const until = options.until === undefined ? null : Date.parse(options.until);
  if (until !== null && until <= Date.now()) {
    throw new ConfigError([{ variable: '--until', problem: 'is past' }]);
  }
  const replaced = await store.numberLists.set({ list, digits, shown, app, until });
  if (replaced === 'full')
    throw new Error('The lists are full: remove entries with isms-otp numbers remove.');
  const { entries } = await store.numberLists.read();
  const stronger = entries.filter((one) => {
    const sameApp = app === null || one.app === null || one.app === app;
    // Of two entries alike, for one app and for all, deny decides.
    const decides = one.digits !== digits || one.list === 'deny';
    return one.list !== list && one.digits.startsWith(digits) && decides && sameApp;
  });
  const done =
    list === 'deny' ? 'denied: nothing is sent to it' : 'allowed: exempt from the toll-fraud guard';
  const scope = `${app === null ? '' : ` for ${app}`}${until === null ? '' : ` until ${isoTime(until)}`}`;
  const other = list === 'deny' ? 'allowed' : 'denied';
  const except =
    stronger.length === 0
      ? ''
      : ` Entries that decide before it stay ${other} (${stronger.length}): see isms-otp numbers list.`;
  const before =
    replaced && replaced.list !== list ? ` The entry by which it was ${other} until now is replaced.` : '';
  yield output(`${shown} is ${done}${scope}.${before}${except}`);
}

function listedNumber(text: string, { defaults }: NumberListTools['config']) {
  const listed = parseNumberPrefix(text, defaults.country);
  if (listed) return listed;
  const problem =
    'is neither a mobile number, such as +60123456789, nor a prefix: +, the calling code and at least two digits without the 0 that is dialled within the country, such as +6011';
  throw new ConfigError([{ variable: '<prefix>', problem }]);
}
