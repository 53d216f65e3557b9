import { brokenContentRules } from '../otp/content-rules.js';
import type { Otp, OtpRequest } from '../otp/otp.js';
import type { Admission } from '../store/admission.js';
import type { Overload } from './backpressure.js';
import type { Logger } from './logger.js';
import { ApiProblem, retryAfter } from './problem.js';
import { logRangeDecisions, rateLimitHeaders, refusedByLimit } from './rate-limit.js';
import type { ApiSettings } from './settings.js';

const pauseDetails = {
  operator: 'The operator has paused sending.',
  authentication_failed: 'iSMS refuses the login of the gateway, so sending is paused until it is mended.',
  account_suspended: 'iSMS has suspended the account, so sending is paused until it is lifted.',
  ip_not_allowed: "The gateway's address is not on iSMS's list, so sending is paused until it is.",
  insufficient_credits: 'The iSMS account is out of credits, so sending is paused until it is topped up.',
} satisfies Record<Extract<Admission, { kind: 'paused' }>['reason'], string>;

/** The OTP of an admission, with the headers that tell what is left of its limits; throws the problem of one that was refused. */
export function accepted(
  admission: Admission,
  overload: Overload | null,
): { kind: 'admitted' | 'replayed'; otp: Otp; headers: Record<string, string> } {
  switch (admission.kind) {
    case 'admitted':
      return { ...admission, headers: rateLimitHeaders(admission.quotas) };
    case 'replayed':
      return { ...admission, headers: {} };
    case 'key_reused':
      throw new ApiProblem('idempotency_key_reused');
    case 'phone_locked':
      throw new ApiProblem('phone_locked');
    case 'overloaded':
      throw overloaded(overload);
    case 'paused':
      throw new ApiProblem('sending_paused', {
        detail: pauseDetails[admission.reason],
        reason: admission.reason,
      });
    default:
      throw refusedByLimit(admission);
  }
}

const overloadDetails = {
  backlog: 'What waits already could not be sent before the deadline of this OTP, so it is not accepted.',
  memory: 'Redis is nearly full, so nothing new is accepted.',
} satisfies Record<Overload['reason'], string>;

function overloaded(overload: Overload | null): ApiProblem {
  if (!overload) return new ApiProblem('overloaded');
  const { reason, retryAfterMs } = overload;
  return new ApiProblem('overloaded', {
    detail: overloadDetails[reason],
    reason,
    headers: retryAfter(retryAfterMs),
  });
}

/** What the operator should hear of, whatever becomes of the request. */
export function noteAdmission(
  { logger, settings }: { logger: Logger; settings: ApiSettings },
  { app, message, to }: OtpRequest,
  admission: Admission,
): void {
  if ('ranges' in admission) logRangeDecisions(logger, app, admission.ranges, settings.fraudGuardEnforces);
  if (admission.kind !== 'admitted' || settings.messageRules !== 'warn') return;
  const rules = brokenContentRules(message, to.country);
  if (rules.length > 0) {
    logger.warn(
      { event: 'otp.message_not_allowed', otpId: admission.otp.id, app, rules },
      'a message breaks the content rules of its country',
    );
  }
}
