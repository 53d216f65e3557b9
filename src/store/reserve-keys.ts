import { z } from 'zod';
import { type Candidate, candidateOf } from './admission-candidate.js';
import { type Case, each, refuse, type Step } from './admission-case.js';
import type { AdmissionOptions } from './admission-request.js';
import { keys } from './keys.js';
import { loadRecordScript, loadScript, longestLifeMs } from './script.js';

/** An admission takes no longer: what reserved a key before that and has no OTP is over. */
const inFlightMs = 10_000;

const heldReply = z.tuple([z.string(), z.number(), z.number()]).nullable();

/** Reserves idempotency keys; a request that is known under its key is answered with the OTP it has. */
export function reserveKeys(options: AdmissionOptions): Step {
  const { redis, policy } = options;
  const reserve = loadScript(redis, 'otp/reserve-key');
  const release = loadScript(redis, 'otp/release-key');
  const read = loadRecordScript(options, 'otp/read');
  const heldBy = async (one: Case, key: string, takenFrom = '') => {
    const { id, facts } = one.candidate;
    const args = [
      id,
      JSON.stringify(facts.fingerprints),
      longestLifeMs(one.candidate.facts, policy),
      takenFrom,
    ];
    return heldReply.parse(await reserve([key], args));
  };
  const reserveOne = async (one: Case) => {
    const { idempotency } = one.candidate.keys;
    // Older encryption keys first: what is held under one of them is still the same request.
    for (const key of idempotency.toReversed()) {
      const isCurrent = key === idempotency[0];
      if (!isCurrent && (await redis.exists(key)) === 0) continue;
      const held = await heldBy(one, key);
      if (!held) {
        const { id } = one.candidate;
        one.releaseKey = () => release([key], [id]);
        return;
      }
      const [id, fits, ageMs] = held;
      const [raw] = z.tuple([z.string().optional()]).parse(await read(keys.recordOfId(id), []));
      if (raw !== undefined) return await refuse(one, fits === 1 ? ['replayed', raw] : ['key_reused']);
      if (fits === 0 && ageMs < inFlightMs) return await refuse(one, ['key_in_flight']);
      // The same request broke off, or is just being admitted: under the same id it is admitted once.
      if (fits === 1) {
        one.candidate = underId(options, one.candidate, id);
        one.joined = true;
        return;
      }
      const heldNow = await heldBy(one, key, id);
      // A client that reconnects asks twice, and finds itself.
      if (heldNow && heldNow[0] !== one.candidate.id) await refuse(one, ['key_in_flight']);
      return;
    }
  };
  return (cases) =>
    each(
      cases.filter(({ candidate }) => candidate.keys.idempotency.length > 0),
      reserveOne,
    );
}

function underId(options: AdmissionOptions, { asked, facts }: Candidate, id: string): Candidate {
  return candidateOf(options, { ...asked, reserved: { id, phone: facts.phone } });
}
