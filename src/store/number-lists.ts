import { z } from 'zod';
import { shared } from '../lib/memoize.js';
import { withTimeout } from '../lib/with-timeout.js';
import { randomText } from '../otp/otp-id.js';
import type { PhoneNumber } from '../otp/phone-number.js';
import { keys } from './keys.js';
import { loadScript, type StoreContext, tryOr } from './script.js';

const entrySchema = z.object({
  /** `deny`: nothing is sent to these numbers. `allow`: they are exempt from the toll-fraud guard. */
  list: z.enum(['allow', 'deny']),
  /** E.164 digits of a number, or the first of many. */
  digits: z.string(),
  /** The same for people, without digits that would tell whose number it is. */
  shown: z.string(),
  /** Null: of every app. */
  app: z.string().nullable(),
  /** Ms since 1970; null: until it is removed. */
  until: z.number().nullable(),
});

/** A number or prefix on the allow or deny list. */
export type NumberListEntry = z.infer<typeof entrySchema>;

/** Why the lists are incomplete: Redis does not answer, or entries cannot be decrypted. */
export type NumberListTrouble = { kind: 'unavailable' } | { kind: 'unreadable'; entries: number };

export const entryCount = (count: number) => (count === 1 ? '1 entry' : `${count} entries`);

/** The problem of entries that cannot be decrypted, for operators. */
export function unreadableEntries(count: number): string {
  return `${entryCount(count)} of the allow and deny lists cannot be decrypted or applied. Restore the key that was removed from ENCRYPTION_KEYS.`;
}

/** The operator's allow and deny lists, which every process keeps in memory (ADR 56). */
export type NumberLists = ReturnType<typeof createNumberLists>;

const mostEntries = 10_000;
/** No decision uses lists that were read longer ago, unless Redis does not answer. */
const staleAfterMs = 2_000;
/** Reads begin this early, so that decisions under load wait for none. */
const readAfterMs = 1_000;
/** Entries are read again after this time even if none changed: their key may have. */
const readAllAfterMs = 60_000;
/** On a cluster a master may be unavailable, which delays decisions by this time, once. */
const readWithinMs = 500;
/** Field with a new text after each change. */
const versionField = 'version';

interface NumberListsOptions extends StoreContext {
  onTrouble: (trouble: NumberListTrouble) => void;
  /** Monotonic, in ms. */
  now?: () => number;
}

export function createNumberLists(options: NumberListsOptions) {
  const { redis, encrypter, onTrouble, now = () => performance.now() } = options;
  const replace = loadScript(redis, 'gateway/number-lists');
  const key = keys.numberLists;
  const state = {
    /** By field of the hash; `entry` is null if it cannot be decrypted. */
    known: new Map<string, { value: string; entry: NumberListEntry | null }>(),
    index: indexOf([]),
    version: null as string | null,
    readAt: Number.NEGATIVE_INFINITY,
    checkedAt: Number.NEGATIVE_INFINITY,
    unreadable: 0,
    isUnavailable: false,
  };
  const fieldsOf = ({ app, digits }: Pick<NumberListEntry, 'app' | 'digits'>) =>
    encrypter.hashes('number list', `${app ?? ''}\n${digits}`);
  const open = (field: string, value: string): NumberListEntry | null =>
    tryOr(() => entrySchema.parse(JSON.parse(encrypter.decrypt(field, value))), null);
  /** Encrypts entries with the current key before an older one is removed, and deletes those whose time is over. */
  const tidy = shared(async () => {
    for (const [field, { value, entry }] of state.known) {
      if (!entry) continue;
      const [current] = encrypter.isCurrent(value) ? [field] : fieldsOf(entry);
      if (isOver(entry, Date.now())) await replace([key], [field, value, '', '']);
      else if (current !== field) {
        await replace([key], [field, value, current, encrypter.encrypt(current, JSON.stringify(entry))]);
      }
    }
  });
  const decrypted = () => [...state.known.values()].flatMap(({ entry }) => entry ?? []);
  const readAll = async () => {
    const { [versionField]: version = null, ...found } = await redis.hgetall(key);
    const before = state.known;
    state.known = new Map(
      Object.entries(found).map(([field, value]) => {
        const old = before.get(field);
        return [field, old?.value === value ? old : { value, entry: open(field, value) }];
      }),
    );
    const entries = decrypted();
    state.index = indexOf(entries);
    Object.assign(state, { version, readAt: now() });
    const unreadable = state.known.size - entries.length;
    if (unreadable > 0 && unreadable !== state.unreadable)
      onTrouble({ kind: 'unreadable', entries: unreadable });
    state.unreadable = unreadable;
  };
  const readChanged = async () => {
    const isDue = now() - state.readAt > readAllAfterMs;
    if (!isDue && (await redis.hget(key, versionField)) === state.version) return;
    await readAll();
    // The next read goes on with what fails.
    void tidy().catch(() => {});
  };
  const check = shared(async () => {
    const begunAt = now();
    try {
      await withTimeout(readChanged(), readWithinMs);
      state.isUnavailable = false;
    } catch {
      if (!state.isUnavailable) onTrouble({ kind: 'unavailable' });
      state.isUnavailable = true;
    }
    state.checkedAt = begunAt;
  });
  /** Awaits a read where the lists are too old to decide by. With lists read lately, it costs nothing. */
  const refresh = async () => {
    const age = now() - state.checkedAt;
    if (age < readAfterMs) return;
    const checked = check();
    if (age >= staleAfterMs) await checked;
  };
  const change = async (fields: readonly string[], entry: NumberListEntry | null) => {
    const [current = ''] = fields;
    const call = redis.multi().hdel(key, ...fields);
    if (entry) call.hset(key, current, encrypter.encrypt(current, JSON.stringify(entry)));
    await call.hset(key, versionField, randomText()).exec();
    state.checkedAt = Number.NEGATIVE_INFINITY;
  };
  return {
    /** Must be awaited before `listOf`. */
    refresh,
    /** The list that decides about a number: that of the longest entry that fits; of two alike, deny. Null: none fits. */
    listOf: (app: string, to: PhoneNumber) => {
      if (state.index.length === 0) return null;
      const digits = to.e164.slice(1);
      const at = Date.now();
      for (const { length, entries } of state.index) {
        const fitting = entries.get(digits.slice(0, length))?.filter((entry) => {
          return (entry.app === null || entry.app === app) && !isOver(entry, at);
        });
        if (fitting?.length) return fitting.some(({ list }) => list === 'deny') ? 'deny' : 'allow';
      }
      return null;
    },
    /** All entries in force, by number, and how many cannot be decrypted. Rejects when Redis does not answer. */
    read: async () => {
      await readAll();
      const entries = decrypted().filter((entry) => !isOver(entry, Date.now()));
      return {
        entries: entries.sort(
          (a, b) => a.digits.localeCompare(b.digits) || (a.app ?? '').localeCompare(b.app ?? ''),
        ),
        unreadable: state.unreadable,
      };
    },
    /** Adds an entry. Resolves with that of the same number and app, on either list, which it replaces; `full`: too many. */
    set: async (entry: NumberListEntry) => {
      await readAll();
      const fields = fieldsOf(entry);
      const [replaced] = fields.flatMap((field) => state.known.get(field) ?? []);
      if (!replaced && state.known.size >= mostEntries) return 'full';
      await change(fields, entry);
      return replaced?.entry ?? null;
    },
    /** Deletes entries that cannot be decrypted; answers how many. */
    removeUnreadable: async () => {
      await readAll();
      const fields = [...state.known].flatMap(([field, { entry }]) => (entry ? [] : [field]));
      if (fields.length > 0) await change(fields, null);
      return fields.length;
    },
    /** False: there is no such entry. */
    remove: async (which: Pick<NumberListEntry, 'app' | 'digits'>) => {
      const fields = fieldsOf(which);
      const isKnown = (await redis.hmget(key, ...fields)).some((value) => value !== null);
      if (isKnown) await change(fields, null);
      return isKnown;
    },
  };
}

function isOver({ until }: NumberListEntry, at: number): boolean {
  return until !== null && until <= at;
}

/** The entries by their digits, the longest first. */
function indexOf(entries: readonly NumberListEntry[]) {
  return [...Map.groupBy(entries, ({ digits }) => digits.length)]
    .map(([length, ofLength]) => ({ length, entries: Map.groupBy(ofLength, ({ digits }) => digits) }))
    .sort((a, b) => b.length - a.length);
}
