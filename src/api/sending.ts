import type { Otp, OtpRequest } from '../otp/otp.js';
import { isPending } from '../otp/states.js';
import type { Acceptor } from '../producer/acceptance.js';
import { timely } from '../producer/redis-trouble.js';
import type { Idempotency } from '../store/admission-request.js';
import type { Store } from '../store/store.js';
import { accepted } from './acceptance-answer.js';
import type { ApiMetrics } from './metrics.js';
import { otpView } from './otp-view.js';
import type { Answer } from './route.js';
import { waitForEnd } from './wait-for-end.js';

/** What accepting an OTP needs. */
export interface SendingDependencies {
  store: Pick<Store, 'otps'>;
  acceptor: Pick<Acceptor, 'one'>;
  metrics: Pick<ApiMetrics, 'accepted' | 'refused'>;
}

/** An OTP to accept, and how long somebody waits for what becomes of it. */
export interface Sending {
  request: OtpRequest;
  idempotency: Idempotency | null;
  /** Null: the answer does not wait. */
  waitSeconds: number | null;
  /** Ends the wait early. */
  signal: AbortSignal;
  /** Told the OTP's id once it is accepted. */
  concerns(otpId: string): void;
  /** What is done as soon as it is accepted; that it fails is not the request's failure. */
  onAccepted?: () => Promise<void>;
}

/** An OTP that was accepted, as it was last seen. */
export interface Sent {
  otp: Otp;
  replayed: boolean;
  /** Headers that tell what is left of its limits. */
  limits: Record<string, string>;
}

/** Accepts an OTP and waits as long as somebody wants to; throws the problem of one that was refused. */
export type Send = (sending: Sending) => Promise<Sent>;

/** What every way to send a single OTP comes to. */
export function createSend({ store, acceptor, metrics }: SendingDependencies): Send {
  return async ({ request, idempotency, waitSeconds, signal, concerns, onAccepted }) => {
    const { kind, otp, limits } = accepted(await acceptor.one(request, idempotency));
    concerns(otp.id);
    if (kind === 'accepted') metrics.accepted(request.app, 'single');
    await onAccepted?.().catch(() => {});
    const find = () => timely(store.otps.find(request.app, otp.id));
    const forMs = (waitSeconds ?? 0) * 1_000;
    const seen = waitSeconds === null ? otp : await waitForEnd(otp, { forMs, signal, find });
    return { otp: seen, replayed: kind === 'replayed', limits };
  };
}

/** The answer to a request that sends: 200 when it waited long enough to see what became of it. */
export function sentAnswer({ otp, replayed, limits }: Sent, waitSeconds: number | null): Answer {
  return {
    status: waitSeconds !== null && !isPending(otp.status) ? 200 : 202,
    headers: {
      Location: `/v1/otps/${otp.id}`,
      ...(replayed && { 'Idempotent-Replayed': 'true' }),
      ...(waitSeconds !== null && { 'Preference-Applied': `wait=${waitSeconds}` }),
      ...limits,
    },
    body: otpView(otp),
  };
}
