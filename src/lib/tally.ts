/** Counts of statistics are kept apart by this time, which divides all of their steps. */
export const slotMs = 300_000;

/** An OTP as statistics count it; without a number where that is unknown. */
export interface CountedOtp {
  app: string;
  to?: { country: string } | undefined;
  purpose: string | null;
  template: string | null;
}

/** The name in a tally of a count of an OTP at a time; `name` is as the metrics have it, such as `rejected:recipient_locked`. */
export function countName({ app, to, purpose, template }: CountedOtp, name: string, at: number): string {
  return `${at - (at % slotMs)}\n${app}\n${to?.country ?? ''}\n${purpose ?? ''}\n${template ?? ''}\n${name}`;
}

/** Reads a `countName`: `at` is the start of its slot in ms since 1970; a group is empty where it is unknown. */
export function countLabels(text: string) {
  const [at, app = '', country = '', purpose = '', template = '', name = ''] = text.split('\n');
  return { at: Number(at), app, country, purpose, template, name };
}

/** Bounds in seconds between which times to verify are counted; no code is valid for longer. */
export const verifyBounds = [0, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600];

/** The bucket of a time to verify, such as `15-20`. */
export function verifyBucket(seconds: number): string {
  const found = verifyBounds.findIndex((bound, i) => i > 0 && seconds <= bound);
  const i = found === -1 ? verifyBounds.length - 1 : found;
  return `${verifyBounds[i - 1]}-${verifyBounds[i]}`;
}

/** Names that a tally holds, about 2 MB: more arise only while Redis is unavailable for hours, and are dropped. */
const mostNames = 20_000;

/** Counts for the overview page or the statistics, since they were last taken. */
export function createTally() {
  let counts = new Map<string, number>();
  const add = (name: string, count = 1) => {
    const known = counts.get(name);
    if (known !== undefined || counts.size < mostNames) counts.set(name, (known ?? 0) + count);
  };
  return {
    add,
    /** Takes the counts; `giveBack` returns them when they could not be written. */
    take: () => {
      const taken = Object.fromEntries(counts);
      counts = new Map();
      return taken;
    },
    giveBack: (taken: Record<string, number>) => {
      for (const [name, count] of Object.entries(taken)) add(name, count);
    },
  };
}

/** Purposes and templates of an app that are told apart, in a day and between two writes; others are counted as `other`. */
export const mostAppGroups = 50;

/** A tally of `countName`s, in which no app can take the room of others by inventing groups. */
export function createAppTally() {
  const { add, take, giveBack } = createTally();
  let groups = new Map<string, Set<string>>();
  const bounded = (app: string, kind: string, group: string | null) => {
    if (group === null) return null;
    const key = `${app} ${kind}`;
    const ofKey = groups.get(key) ?? new Set();
    groups.set(key, ofKey);
    if (ofKey.size < mostAppGroups) ofKey.add(group);
    return ofKey.has(group) ? group : 'other';
  };
  return {
    giveBack,
    add: ({ app, to, purpose, template }: CountedOtp, name: string, { at = Date.now(), by = 1 } = {}) => {
      const groups = {
        purpose: bounded(app, 'purpose', purpose),
        template: bounded(app, 'template', template),
      };
      add(countName({ app, to, ...groups }, name, at), by);
    },
    take: () => {
      groups = new Map();
      return take();
    },
  };
}
