import { randomBytes } from 'node:crypto';

/** 100 ns intervals between 15 October 1582, where RFC 9562 starts counting, and 1970. */
const gregorianOffset = 122_192_928_000_000_000n;
const ticksPerMs = 10_000n;

/** Makes version 1 (time-based) UUIDs, as the vendor's samples are: unique, ordered, and no secret at all. */
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
