import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Answer, give, page, reply } from './answer.js';
import { redirectTarget } from './behaviours.js';
import { bareBody, type Failure, failureLine } from './failure.js';
import { answerSend, type Query, refuseSend } from './send-call.js';
import type { Simulation } from './simulation.js';
import { answerVerify, refuseVerify } from './verify-call.js';

/** Path of the three calls of iSMS. */
export const endpointPath = '/2FA/request.php';

interface Call {
  counter: 'send' | 'verify' | 'balance';
  answer(simulation: Simulation, query: Query): Answer;
  refuse(simulation: Simulation, query: Query, failure: Failure): Answer;
}

const send: Call = {
  counter: 'send',
  answer: answerSend,
  refuse: (simulation, query, failure) =>
    refuseSend(simulation, query, { ids: simulation.outbox.issue(), failure }),
};
const verify: Call = { counter: 'verify', answer: answerVerify, refuse: refuseVerify };
const balance: Call = {
  counter: 'balance',
  answer: answerBalance,
  refuse: (simulation, _query, failure) => refuseBalance(simulation, failure),
};

/** Answers a request to the provider's endpoint; returns false for any other path. */
export function serveProvider(simulation: Simulation, req: IncomingMessage, res: ServerResponse): boolean {
  const { path, search } = splitUrl(req.url ?? '');
  if (path === redirectTarget) {
    simulation.tally.calls.redirected++;
    give(res, page(404, 'Not Found'), 0, simulation.pace);
    return true;
  }
  if (path !== endpointPath) return false;
  const answer = req.method === 'GET' ? answerCall(simulation, readQuery(search)) : methodNotAllowed();
  give(res, answer, latencyOf(simulation), simulation.pace);
  return true;
}

function answerCall(simulation: Simulation, query: Query): Answer {
  const call = callOf(query['method']);
  if (!call)
    return refuseSend(simulation, query, { ids: simulation.outbox.issue(), failure: 'unknown_error' });
  simulation.tally.calls[call.counter]++;
  const failure = checkCredentials(simulation, query);
  return failure ? call.refuse(simulation, query, failure) : call.answer(simulation, query);
}

function callOf(method: string | undefined): Call | undefined {
  if (method === undefined || method === '') return send;
  if (method === 'verify') return verify;
  return method === 'balance' ? balance : undefined;
}

function checkCredentials({ credentials }: Simulation, { un, pass }: Query): Failure | null {
  if (!un || !pass) return 'missing_parameter';
  const { username = un, password = pass } = credentials;
  return un === username && pass === password ? null : 'authentication_failed';
}

function splitUrl(url: string): { path: string; search: string } {
  const mark = url.indexOf('?');
  return mark < 0 ? { path: url, search: '' } : { path: url.slice(0, mark), search: url.slice(mark + 1) };
}

function readQuery(search: string): Query {
  return Object.fromEntries(new URLSearchParams(search));
}

function latencyOf({ account }: Simulation): number {
  const { latencyMs } = account.settings;
  if (typeof latencyMs === 'number') return latencyMs;
  return latencyMs.min + Math.random() * (latencyMs.max - latencyMs.min);
}

function methodNotAllowed(): Answer {
  return page(405, 'Method Not Allowed', { allow: 'GET' });
}

/** Answers a balance call with valid credentials; both figures are strings, as in iSMS. */
function answerBalance(simulation: Simulation): Answer {
  const failure = simulation.account.trouble();
  if (failure) return refuseBalance(simulation, failure);
  return reply(JSON.stringify({ method: 'balance', ...simulation.account.balance() }));
}

/**
 * The reply to a failed balance call, which iSMS does not document: `Failed` as for the other calls or, in the style
 * `code`, the reason in place of the balance.
 */
function refuseBalance({ account }: Simulation, failure: Failure): Answer {
  const style = account.settings.failureStyle;
  const line = failureLine(failure, style);
  const body =
    style === 'code'
      ? { method: 'balance', balance: line, expiration: '' }
      : { status: 'Failed', message: line, method: 'balance' };
  return reply(bareBody(failure, style) ?? JSON.stringify(body));
}
