import { randomBytes, randomInt } from 'node:crypto';
import { createRing } from './ring.js';

/** 100 ns intervals between 15 October 1582, where RFC 9562 starts counting, and 1970. */
const gregorianOffset = 122_192_928_000_000_000n;
const ticksPerMs = 10_000n;

/** What iSMS gives every send call, refused ones included. */
export interface Ids {
  /** Id of the SMS. */
  smsId: number;
  /** Second id of the SMS. */
  uuid: string;
  /** The six-digit code. */
  code: string;
}

/** An SMS that was sent. */
export interface Sms extends Ids {
  /** The number, E.164. */
  mobile: string;
  /** The sender, if one was given. */
  senderId: string | null;
  /** The text as a handset shows it, with the code. */
  text: string;
  /** Whether it is Unicode instead of ASCII. */
  unicode: boolean;
  /** Its price. */
  credits: number;
  /** When it was sent, in milliseconds since 1970. */
  sentAt: number;
  /** Id of the previous SMS to the same number. */
  previousSmsId: number | null;
}

/** The SMS sent so far: a short list for the inbox, and a long one to verify codes. */
export interface Outbox {
  issue(): Ids;
  add(sms: Sms): void;
  /** Undefined if it is no longer kept. */
  find(smsId: number): Sms | undefined;
  newest(limit: number): Sms[];
  /** Lists an SMS and those before it to the same number, newest first. */
  chain(smsId: number | null, limit: number): Sms[];
  /** Empties the inbox; codes stay verifiable. */
  clear(): void;
}

/** Creates an empty outbox. SMS ids count up from the clock's second, so that a restart does not repeat them. */
export function createOutbox(capacity: { inbox: number; sends: number }, now: () => number): Outbox {
  const shown = createRing<Sms>(capacity.inbox);
  const kept: (Sms | undefined)[] = [];
  const nextUuid = createUuidMaker(now);
  const firstId = Math.trunc(now() / 1000);
  let issued = 0;
  let shownFrom = firstId;

  const slot = (smsId: number) => (smsId - firstId) % capacity.sends;
  const find = (smsId: number) => {
    const sms = kept[slot(smsId)];
    return sms?.smsId === smsId ? sms : undefined;
  };
  return {
    issue: () => ({ smsId: firstId + issued++, uuid: nextUuid(), code: randomCode() }),
    add(sms) {
      kept[slot(sms.smsId)] = sms;
      shown.push(sms);
    },
    find,
    newest: (limit) => [...shown.newestFirst()].slice(0, limit),
    chain(smsId, limit) {
      const found: Sms[] = [];
      for (let id = smsId; id !== null && id >= shownFrom && found.length < limit; ) {
        const sms = find(id);
        if (sms) found.push(sms);
        id = sms?.previousSmsId ?? null;
      }
      return found;
    },
    clear() {
      shown.clear();
      shownFrom = firstId + issued;
    },
  };
}

function randomCode(): string {
  return String(randomInt(1_000_000)).padStart(6, '0');
}

/** Creates version 1 (time-based) UUIDs, as in the samples of iSMS: unique and ordered, but not secret. */
export function createUuidMaker(now: () => number): () => string {
  const tail = `${variantAndClock()}-${randomBytes(6).toString('hex')}`;
  let last = 0n;
  return () => {
    const ticks = BigInt(Math.trunc(now())) * ticksPerMs + gregorianOffset;
    last = ticks > last ? ticks : last + 1n;
    const hex = last.toString(16).padStart(15, '0');
    return `${hex.slice(-8)}-${hex.slice(-12, -8)}-1${hex.slice(-15, -12)}-${tail}`;
  };
}

function variantAndClock(): string {
  return (0x8000 | (randomBytes(2).readUInt16BE() & 0x3fff)).toString(16);
}
