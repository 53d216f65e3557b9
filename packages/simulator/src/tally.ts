import { createRing } from './ring.js';

/** Counts of one number: its send calls, refused ones included, and its SMS. */
interface NumberTally {
  calls: number;
  sms: number;
  newestSmsId: number | null;
}

/** Counts of calls and SMS, for tests. */
export interface Tally {
  readonly calls: { send: number; verify: number; balance: number; redirected: number };
  /** SMS sent, and the credits they cost. */
  readonly sent: { sms: number; credits: number };
  /** Counts a send call to a number and returns that number's tally. */
  countCall(mobile: string): NumberTally;
  countSms(mobile: string, sms: { smsId: number; credits: number }): void;
  of(mobile: string): NumberTally | undefined;
  /** How many numbers are counted, and how many of them have more than one SMS. */
  readonly numbers: { seen: number; doubled: number };
  /** Numbers with more than one SMS, in the order of their second one. */
  doubled(limit: number): { mobile: string; sms: number }[];
  /** Sets every count to zero. */
  clear(): void;
}

/** Creates a tally of the newest `capacity` different numbers; counting takes constant time. */
export function createTally(capacity: number): Tally {
  const calls = { send: 0, verify: 0, balance: 0, redirected: 0 };
  const sent = { sms: 0, credits: 0 };
  const byNumber = new Map<string, NumberTally>();
  const order = createRing<string>(capacity);
  const doubled = new Set<string>();

  const forget = (mobile: string) => {
    byNumber.delete(mobile);
    doubled.delete(mobile);
  };
  const open = (mobile: string): NumberTally => {
    const known = byNumber.get(mobile);
    if (known) return known;
    const evicted = order.push(mobile);
    if (evicted !== undefined) forget(evicted);
    const fresh = { calls: 0, sms: 0, newestSmsId: null };
    byNumber.set(mobile, fresh);
    return fresh;
  };
  return {
    calls,
    sent,
    countCall(mobile) {
      const number = open(mobile);
      number.calls++;
      return number;
    },
    countSms(mobile, { smsId, credits }) {
      const number = open(mobile);
      number.newestSmsId = smsId;
      if (++number.sms === 2) doubled.add(mobile);
      sent.sms++;
      sent.credits += credits;
    },
    of: (mobile) => byNumber.get(mobile),
    get numbers() {
      return { seen: byNumber.size, doubled: doubled.size };
    },
    doubled(limit) {
      const found: { mobile: string; sms: number }[] = [];
      for (const mobile of doubled) {
        if (found.length === limit) break;
        found.push({ mobile, sms: byNumber.get(mobile)?.sms ?? 0 });
      }
      return found;
    },
    clear() {
      Object.assign(calls, { send: 0, verify: 0, balance: 0, redirected: 0 });
      Object.assign(sent, { sms: 0, credits: 0 });
      doubled.clear();
      for (const number of byNumber.values()) Object.assign(number, { calls: 0, sms: 0 });
    },
  };
}
