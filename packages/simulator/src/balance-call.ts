import { type Answer, reply } from './answer.js';
import { bareBody, type Failure, failureLine } from './failure.js';
import type { Simulation } from './simulation.js';

/** Answers a balance call whose credentials are right; both figures are strings, as the vendor's are. */
export function answerBalance(simulation: Simulation): Answer {
  const failure = simulation.account.trouble();
  if (failure) return refuseBalance(simulation, failure);
  return reply(JSON.stringify({ method: 'balance', ...simulation.account.balance() }));
}

/**
 * The reply to a balance call that failed, which the vendor does not document: a `Failed` like those of the
 * other calls, or, in the style `code`, the reason in place of the figure.
 */
export function refuseBalance({ account }: Simulation, failure: Failure): Answer {
  const style = account.settings.failureStyle;
  const line = failureLine(failure, style);
  const body =
    style === 'code'
      ? { method: 'balance', balance: line, expiration: '' }
      : { status: 'Failed', message: line, method: 'balance' };
  return reply(bareBody(failure, style) ?? JSON.stringify(body));
}
