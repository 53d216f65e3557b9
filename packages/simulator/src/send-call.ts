import { type Answer, reply } from './answer.js';
import { type Behaviour, behaviourNamed, behaviourOf } from './behaviours.js';
import { bareBody, type Failure, failureLine, type Refusal } from './failure.js';
import { joinMobile, replyMobile } from './mobile.js';
import type { Ids } from './outbox.js';
import type { Simulation } from './simulation.js';

/** Parameters of a call; of a repeated one the last counts, as in PHP. */
export type Query = Readonly<Record<string, string>>;

interface SendRequest {
  mobile: string;
  template: string;
  unicode: boolean;
  senderId: string | null;
}

/** Characters per credit: 160 or 70, less the seven of "RM0.00 ", with which Malaysian law has an SMS begin. */
const charactersPerCredit = { ascii: 153, unicode: 63 };

/** Characters of GSM 03.38's extension table, which count twice. */
const extended = /[\^{}\\[\]~|]/g;

const placeholder = '%OTP%';
const senderIdShape = /^[A-Za-z0-9]{1,11}$/;
const notAscii = /[^\n\r\x20-\x7e]/;
const mostCredits = 10;

/** Answers a send call with valid credentials, and sends the SMS unless something prevents it. */
export function answerSend(simulation: Simulation, query: Query): Answer {
  const ids = simulation.outbox.issue();
  const request = readSend(query);
  if (typeof request === 'string') return refuseSend(simulation, query, { ids, failure: request });
  const number = simulation.tally.countCall(request.mobile);

  const behaviour = chooseBehaviour(simulation, request.mobile, number.calls);
  const failure = simulation.account.refusal() ?? behaviour?.refusal;
  if (failure) return refuseSend(simulation, query, { ids, failure });
  if (behaviour?.sms !== false) {
    const unpaid = sendSms(simulation, request, { ids, previousSmsId: number.newestSmsId });
    if (unpaid) return refuseSend(simulation, query, { ids, failure: unpaid });
  }
  const body = successBody(request, ids, query['un'] ?? '');
  return behaviour?.send?.(body) ?? reply(body);
}

/** The `Failed` reply to a send call; as in iSMS it has ids and a code, which are invalid. */
export function refuseSend(
  { account }: Simulation,
  query: Query,
  { ids, failure }: { ids: Ids; failure: Refusal },
): Answer {
  const style = account.settings.failureStyle;
  const mobile = joinMobile(query['country_code'] ?? '', query['mobile'] ?? '');
  const { uuid, smsId, code } = ids;
  const message = failureLine(failure, style);
  const printed = mobile === null ? '' : replyMobile(mobile);
  const body = { status: 'Failed', message, uuid, sms_id: String(smsId), code, mobile: printed };
  return reply(bareBody(failure, style) ?? JSON.stringify(body));
}

function readSend(query: Query): SendRequest | Failure {
  const { country_code: country, mobile: national, message: template, type, sendid } = query;
  if (!country || !national || !template || !type) return 'missing_parameter';
  if (type !== '1' && type !== '2') return 'invalid_type';
  const mobile = joinMobile(country, national);
  if (mobile === null) return 'invalid_number';
  if (sendid && !senderIdShape.test(sendid)) return 'invalid_sender_id';
  if (!template.includes(placeholder)) return 'missing_placeholder';
  const unicode = type === '2';
  if (!unicode && notAscii.test(template)) return 'unicode_needs_type_2';
  if (priceOf(fill(template, '000000'), unicode) > mostCredits) return 'invalid_length';
  return { mobile, template, unicode, senderId: sendid || null };
}

function chooseBehaviour(
  { account, logger }: Simulation,
  mobile: string,
  calls: number,
): Behaviour | undefined {
  const { errorRate, errorKind } = account.settings;
  const asked = behaviourOf(mobile);
  const chosen = asked ?? (Math.random() < errorRate ? behaviourNamed(errorKind) : undefined);
  if (chosen?.everyOther && calls % 2 === 0) return undefined;
  if (chosen)
    logger?.info({ event: 'simulator.behaviour', behaviour: chosen.name }, 'misbehaving on purpose');
  return chosen;
}

function sendSms(
  { account, outbox, tally, now }: Simulation,
  { mobile, template, unicode, senderId }: SendRequest,
  { ids, previousSmsId }: { ids: Ids; previousSmsId: number | null },
): Failure | null {
  const filled = fill(template, ids.code);
  const credits = priceOf(filled, unicode);
  const unpaid = account.charge(credits);
  if (unpaid) return unpaid;
  const text = `RM0.00 ${filled}`;
  outbox.add({ ...ids, mobile, senderId, text, unicode, credits, sentAt: now(), previousSmsId });
  tally.countSms(mobile, { smsId: ids.smsId, credits });
  return null;
}

function fill(template: string, code: string): string {
  return template.replaceAll(placeholder, code);
}

function successBody({ mobile }: SendRequest, { code, uuid, smsId }: Ids, username: string): string {
  const ids = { code, uuid, username, sms_id: String(smsId) };
  return JSON.stringify({ status: 'Success', ...ids, mobile: replyMobile(mobile) });
}

/** Price of a text with its code, without the legal prefix: a credit for each part begun. */
export function priceOf(text: string, unicode: boolean): number {
  const doubled = unicode ? 0 : (text.match(extended)?.length ?? 0);
  return Math.ceil((text.length + doubled) / charactersPerCredit[unicode ? 'unicode' : 'ascii']);
}
