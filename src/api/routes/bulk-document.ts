import type { TimeSlices } from '../../lib/time-slices.js';
import { longestLineBytes, type ReadLine } from '../http/body.js';
import { unreadable } from '../http/problem.js';

/** Limit of the document's members. */
const mostMembers = 32;
const knownMembers = ['defaults', 'name', 'startAt', 'perSecond'];

/** A JSON text of at most 16 Ki characters; null: a longer one, which is dropped as it arrives. */
type Text = string | null;

/**
 * Reads an upload in one JSON document without building it in memory. Resolves with its members; `otps` is a list of JSON
 * texts, to be parsed one by one like lines (`readItem`), so that deep nesting or many members are one long text. Throws as
 * soon as the body is seen not to be JSON, and stops reading a document with too many OTPs.
 */
export async function readDocument(
  parts: AsyncIterable<string>,
  { mostOtps, slices }: { mostOtps: number; slices: TimeSlices },
): Promise<Record<string, unknown>> {
  const walk = walkDocument(mostOtps);
  let step = walk.next();
  for await (const part of parts) {
    const turn = slices.next();
    if (turn) await turn;
    step = walk.next(part);
    if (step.done) return step.value;
  }
  step = walk.next(null);
  return step.done ? step.value : {};
}

/** Parses one of the texts in `otps`. */
export function readItem(text: unknown): ReadLine {
  if (typeof text !== 'string') return { problem: `The OTP is longer than ${longestLineBytes} characters.` };
  return { json: parsed(text) };
}

/** A parser that pauses until it is given the next part of the text; null: the text has ended. */
type Walk<T> = Generator<void, T, string | null>;

/** The members of a document; stops early at too many OTPs, which the schema then rejects. */
function* walkDocument(mostOtps: number): Walk<Record<string, unknown>> {
  const text = createText();
  const members: [string, unknown][] = [];
  yield* text.expect('{');
  for (let more = !(yield* text.skip('}')); more; more = yield* text.commaOr('}')) {
    if (members.length === mostMembers) throw unreadable(`The body has more than ${mostMembers} members.`);
    const name = knownName(yield* text.value());
    if (typeof name !== 'string') throw notJson();
    yield* text.expect(':');
    if (name !== 'otps') {
      members.push([name, knownValue(name, yield* text.value())]);
      continue;
    }
    if (!(yield* text.skip('['))) throw unreadable('`otps` must be an array.');
    const otps = yield* walkItems(text, mostOtps);
    members.push([name, otps]);
    if (otps.length > mostOtps) return Object.fromEntries(members);
  }
  yield* text.end();
  return Object.fromEntries(members);
}

/** Keeps one more than `mostOtps`, so that the schema sees too many. */
function* walkItems(text: ReturnType<typeof createText>, mostOtps: number): Walk<Text[]> {
  const items: Text[] = [];
  for (let more = !(yield* text.skip(']')); more; more = yield* text.commaOr(']')) {
    const item = yield* text.value();
    // The whole document is checked before any OTP is accepted.
    if (item !== null) parsed(item);
    if (items.push(item) > mostOtps) break;
  }
  return items;
}

function knownName(text: Text): unknown {
  if (text === null) throw unreadable(`A member name is longer than ${longestLineBytes} characters.`);
  return parsed(text);
}

/** Values of unknown members are dropped; the schema rejects their names. */
function knownValue(name: string, text: Text): unknown {
  if (!knownMembers.includes(name)) return null;
  if (text === null) throw unreadable(`\`${name}\` is longer than ${longestLineBytes} characters.`);
  return parsed(text);
}

const [quote, backslash] = ['"', '\\'].map((character) => character.charCodeAt(0));
const spaces = ' \t\n\r';
/** The meaning of each ASCII character outside of strings; the others are part of a scalar. */
const kinds: readonly (Kind | undefined)[] = (() => {
  const table: (Kind | undefined)[] = Array.from({ length: 128 }, () => undefined);
  const note = (characters: string, kind: Kind) => {
    for (const character of characters) table[character.charCodeAt(0)] = kind;
  };
  note('{[', 'opening');
  note('}]', 'closing');
  note(`,:${spaces}`, 'between');
  note('"', 'quote');
  return table;
})();
type Kind = 'opening' | 'closing' | 'between' | 'quote';

/** A text in parts. Separates values by brackets and quotes alone; `JSON.parse` checks each value. */
function createText() {
  let part = '';
  let at = 0;
  const nextPart = function* (): Walk<boolean> {
    const next: string | null = yield;
    part = next ?? '';
    at = 0;
    return next !== null;
  };
  const skipSpaces = function* (): Walk<boolean> {
    for (;;) {
      while (at < part.length && spaces.includes(part[at] ?? '')) at += 1;
      if (at < part.length) return true;
      if (!(yield* nextPart())) return false;
    }
  };
  /** Skips this character if it is next. */
  const skip = function* (character: string): Walk<boolean> {
    if (!(yield* skipSpaces())) throw notJson();
    const isNext = part[at] === character;
    if (isNext) at += 1;
    return isNext;
  };
  const expect = function* (character: string): Walk<void> {
    if (!(yield* skip(character))) throw notJson();
  };
  return {
    skip,
    expect,
    /** Whether the list goes on, or ends with this character. */
    commaOr: function* (end: string): Walk<boolean> {
      if (yield* skip(end)) return false;
      yield* expect(',');
      return true;
    },
    value: function* (): Walk<Text> {
      if (!(yield* skipSpaces())) throw notJson();
      const nesting: Nesting = { depth: 0, inString: false, escaped: false };
      let text: Text = '';
      for (;;) {
        const from = at;
        at = endOfValue(part, from, nesting);
        text =
          text === null || text.length + at - from > longestLineBytes ? null : text + part.slice(from, at);
        if (at < part.length) return text;
        if (!(yield* nextPart())) throw notJson();
      }
    },
    end: function* (): Walk<void> {
      if (yield* skipSpaces()) throw notJson();
    },
  };
}

/** The position inside a value. */
interface Nesting {
  depth: number;
  inString: boolean;
  escaped: boolean;
}

/** The end in this part of a value that continues at `from`; the part's length if it ends later. */
function endOfValue(part: string, from: number, nesting: Nesting): number {
  let { depth, inString, escaped } = nesting;
  let at = from;
  for (; at < part.length; at++) {
    const code = part.charCodeAt(at);
    if (inString) {
      inString = escaped || code !== quote;
      escaped = !escaped && code === backslash;
      continue;
    }
    const kind = kinds[code];
    if (kind === undefined) continue;
    if (depth === 0 && (kind === 'between' || kind === 'closing')) break;
    if (kind === 'quote') inString = true;
    else if (kind === 'opening') depth += 1;
    else if (kind === 'closing') depth -= 1;
  }
  Object.assign(nesting, { depth, inString, escaped });
  return at;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw notJson();
  }
}

const notJson = () => unreadable('The body is not JSON.');
