import { type Answer, reply } from './answer.js';
import { behaviourOf } from './behaviours.js';
import { bareBody, type Failure, failureLine, type Refusal } from './failure.js';
import { joinMobile, replyMobile } from './mobile.js';
import type { Query } from './send-call.js';
import type { Simulation } from './simulation.js';

interface VerifyRequest {
  mobile: string;
  code: string;
  smsId: number;
  uuid: string;
  intervalMs: number;
}

const wholeNumber = /^\d{1,12}$/;

/** Answers a verify call with valid credentials. Correct codes can be reused and wrong ones are not limited, as in iSMS. */
export function answerVerify(simulation: Simulation, query: Query): Answer {
  const request = readVerify(query);
  if (typeof request === 'string') return refuseVerify(simulation, query, request);
  const failure = simulation.account.refusal() ?? check(simulation, request);
  const usual = failure
    ? refuseVerify(simulation, query, failure)
    : reply(body({ status: 'Verified' }, query, request.mobile));
  const behave = behaviourOf(request.mobile)?.verify;
  return behave && usual.kind === 'reply' ? behave(usual.body) : usual;
}

/** The `Failed` reply to a verify call; it echoes the code that was sent. */
export function refuseVerify({ account }: Simulation, query: Query, failure: Refusal): Answer {
  const style = account.settings.failureStyle;
  const mobile = joinMobile(query['country_code'] ?? '', query['mobile'] ?? '');
  const failed = { status: 'Failed', message: failureLine(failure, style) };
  return reply(bareBody(failure, style) ?? body(failed, query, mobile));
}

function readVerify(query: Query): VerifyRequest | Failure {
  const { country_code: country, mobile: national, code, sms_id: smsId, uuid, interval } = query;
  if (!country || !national || !code || !smsId || !uuid) return 'missing_parameter';
  const mobile = joinMobile(country, national);
  if (mobile === null) return 'invalid_number';
  if (interval && (!wholeNumber.test(interval) || Number(interval) === 0)) return 'invalid_interval';
  if (!wholeNumber.test(smsId)) return 'unknown_ids';
  const intervalMs = interval ? Number(interval) * 60_000 : Infinity;
  return { mobile, code, smsId: Number(smsId), uuid, intervalMs };
}

function check({ outbox, now }: Simulation, request: VerifyRequest): Failure | null {
  const sms = outbox.find(request.smsId);
  if (!sms || sms.uuid !== request.uuid || sms.mobile !== request.mobile) return 'unknown_ids';
  if (now() - sms.sentAt >= request.intervalMs) return 'expired_code';
  return sms.code === request.code ? null : 'incorrect_code';
}

function body(result: { status: string; message?: string }, query: Query, mobile: string | null): string {
  const { uuid = '', sms_id = '', code = '' } = query;
  return JSON.stringify({
    ...result,
    uuid,
    sms_id,
    code,
    mobile: mobile === null ? '' : replyMobile(mobile),
  });
}
