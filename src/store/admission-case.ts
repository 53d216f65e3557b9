import type { Candidate } from './admission-candidate.js';
import type { Quota } from './admission-request.js';

/** What is being decided, and what it has taken that must be given back when it is refused. */
export interface Case {
  candidate: Candidate;
  answer?: unknown;
  exempt: boolean;
  decided: string;
  quotas: Quota[];
  giveBack: (() => Promise<unknown>)[];
  /** Goes on with what another request of the same key began: whichever comes second is a replay. */
  joined?: boolean;
  /** Lets go of the idempotency key, unless an OTP was admitted under it after all. */
  releaseKey?: () => Promise<unknown>;
}

/** One step of an admission, for all cases that are still open. */
export type Step = (cases: Case[]) => Promise<void>;

/** Ends a case with a refusal, and gives back what it took; losing that only makes limits a little stricter. */
export async function refuse(one: Case, answer: unknown): Promise<void> {
  const isKnown = Array.isArray(answer) && answer[0] === 'known';
  one.answer = isKnown && one.joined ? ['replayed', answer[1]] : answer;
  const back = one.releaseKey && !isKnown ? [...one.giveBack, one.releaseKey] : one.giveBack;
  await Promise.all(back.map((give) => give().catch(() => {})));
}

/** Each on its own: where Redis fails one, the others go on. */
export async function each(cases: readonly Case[], work: (one: Case) => Promise<void>): Promise<void> {
  await Promise.all(
    cases.map((one) =>
      work(one).catch((error: unknown) => {
        one.answer = error;
      }),
    ),
  );
}
