import type { Otp, OtpRequest } from '../../otp/otp.js';
import { isPending } from '../../otp/states.js';
import type { Enqueuer } from '../../producer/enqueue.js';
import type { SendOtpQueue } from '../../queues/send-otp.js';
import type { Idempotency } from '../../store/admission.js';
import type { Store } from '../../store/store.js';
import type { RequestEnd } from '../http/context.js';
import type { Answer } from '../http/route.js';
import { accepted } from './acceptance-answer.js';
import type { ApiMetrics } from './metrics.js';
import { otpView } from './otp-view.js';
import { waitForEnd } from './wait-for-end.js';

/** What accepting an OTP needs. */
export interface SendingDependencies {
  store: Pick<Store, 'otps'>;
  enqueuer: Pick<Enqueuer, 'enqueue'>;
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
  setOtpId(otpId: string): void;
  /** Done as soon as it is accepted, before any wait; a failure of it is not the request's, so it must not reject. */
  onAccepted?: (otp: Otp) => Promise<void>;
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
export function createSend({ store, enqueuer, metrics }: SendingDependencies): Send {
  return async ({ request, idempotency, waitSeconds, signal, setOtpId, onAccepted }) => {
    const { kind, otp, limits } = accepted(await enqueuer.enqueue(request, idempotency));
    setOtpId(otp.id);
    if (kind === 'accepted') metrics.accepted(request.app, 'single');
    await onAccepted?.(otp);
    const find = () => store.otps.find(request.app, otp.id);
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

/** Cancels an OTP, and takes its job out of the queue; what came of it. */
export function createCancel({
  store,
  sendOtpQueue,
}: {
  store: Pick<Store, 'otps'>;
  sendOtpQueue: Pick<SendOtpQueue, 'remove'>;
}) {
  return async (app: string, id: string) => {
    const result = await store.otps.cancel(app, id);
    // The record decides: a job that cannot be taken out finds its OTP cancelled and ends.
    if (result === 'cancelled') await sendOtpQueue.remove(id).catch(() => {});
    return result;
  };
}

/** Counts, once a request to send is over, that it was refused. */
export function countRefusals(metrics: Pick<ApiMetrics, 'refused'>) {
  return ({ app, problem }: RequestEnd): void => {
    if (problem !== null) metrics.refused(app, 'single', problem);
  };
}
