import { type Request, type Response, Router } from 'express';
import { failureMessages } from '../../otp/failure.js';
import type { Otp } from '../../otp/otp.js';
import { hexOf } from '../../otp/otp-id.js';
import { PhoneNumber } from '../../otp/phone-number.js';
import { createRequestReader } from '../../producer/otp-request.js';
import type { RequestSettings } from '../../producer/settings.js';
import type { SendOtpQueue } from '../../queues/send-otp.js';
import type { Store } from '../../store/store.js';
import { knownProblem } from '../http/answer-errors.js';
import { type ApiKey, appOfKey } from '../http/authentication.js';
import { isMediaType, readForm, readJson, readQuery } from '../http/body.js';
import { contextOf, type RequestContext } from '../http/context.js';
import { ApiProblem, problemDocument } from '../http/problem.js';
import { abortSignal } from '../http/route.js';
import { readable } from '../routes/acceptance-answer.js';
import { otpsOfNumber } from '../routes/otps-of-number.js';
import { countRefusals, createCancel, createSend, type SendingDependencies } from '../routes/sending.js';
import { createVerify, type VerificationDependencies } from '../routes/verification.js';

/** Which requests the door answers: none, POST, or GET as well, whose query string holds the key. */
export type IsmsCompatApi = 'off' | 'post' | 'get';

export interface IsmsCompatDependencies extends VerificationDependencies {
  store: SendingDependencies['store'] & VerificationDependencies['store'] & Pick<Store, 'phones' | 'balance'>;
  enqueuer: SendingDependencies['enqueuer'];
  metrics: SendingDependencies['metrics'] & VerificationDependencies['metrics'];
  sendOtpQueue: Pick<SendOtpQueue, 'remove'>;
  settings: RequestSettings;
  apiKeys: () => readonly ApiKey[];
}

/** Where the vendor's own endpoint is. */
const path = '/2FA/request.php';

/** Clients wait 30 s at most (the vendor's sample); what is not under way by then is dropped. */
const answerWithinSeconds = 27;
const sendDeadlineSeconds = 25;

/** Stands where the vendor's answers hold the code. */
const hiddenCode = '******';
const sixDigits = /^[0-9]{6}$/;
const uuidShape = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

/** A parameter's value; empty where it is not given. */
type Parameter = (name: string) => string;
/** One request of a known app. */
interface Asked {
  app: string;
  parameter: Parameter;
  /** Of all parameters that are given. */
  names: readonly string[];
  res: Response;
}

/** What one method of the protocol does, and how the audit trail calls it. */
interface Call {
  operation: string;
  /** By GET as well. */
  changes: boolean;
  work(asked: Asked): Promise<object>;
}

/**
 * The vendor's own protocol, for apps that call iSMS today: they change the URL, `un` to their app and `pass` to its
 * key. Sends wait for what becomes of them. Whatever comes of a request is answered with 200 and `status`, since that is
 * what these apps look at. https://www.isms.com.my/2FA is the page that this follows.
 */
export function ismsCompat(door: IsmsCompatApi, dependencies: IsmsCompatDependencies): Router {
  const router = Router({ caseSensitive: true, strict: true });
  if (door === 'off') return router;
  const calls = new Map<string, Call>([
    ['', { operation: 'isms send', changes: true, work: sendCall(dependencies) }],
    ['verify', { operation: 'isms verify', changes: true, work: verifyCall(dependencies) }],
    ['balance', { operation: 'isms balance', changes: false, work: balanceCall(dependencies) }],
  ]);
  router.all(path, async (req, res) => {
    const context = contextOf(res);
    context.route = path;
    try {
      const parameters = parametersOf(await givenBy(req, door));
      const parameter = (name: string) => parameters.get(name) ?? '';
      const app = parameter('un');
      if (app === '' || appOfKey(dependencies.apiKeys(), parameter('pass')) !== app) {
        context.problem = 'unauthorized';
        return answer(res, failed('Authentication Failed'));
      }
      const call = calls.get(parameter('method'));
      Object.assign(context, { app, operation: call?.operation ?? 'isms', changes: call?.changes ?? false });
      const asked = { app, parameter, names: [...parameters.keys()], res };
      answer(res, call ? await call.work(asked) : failed('Unknown method'));
    } catch (error) {
      answer(res, failed(messageOf(error, context)));
    }
  });
  return router;
}

function answer(res: Response, body: object): void {
  res.set('Cache-Control', 'no-store').json(body);
}

const failed = (message: string) => ({ status: 'Failed', message });

/** What the protocol calls what we call otherwise. */
const theirNames = new Map([
  ['to', 'mobile'],
  ['senderId', 'sendid'],
]);

/** What a problem says to who reads the vendor's answers; throws what is none. */
function messageOf(error: unknown, context: RequestContext): string {
  const problem = knownProblem(error);
  if (!problem) throw error;
  context.problem = problem.code;
  context.reason = problem.facts.reason ?? null;
  if (problem.code === 'incorrect_code') return 'Incorrect OTP Code';
  const { detail, errors = [] } = problemDocument(problem);
  const [first] = errors;
  return first ? `${theirNames.get(first.path) ?? first.path} ${first.message}` : detail;
}

/**
 * What the URL's query and the body hold, a form or a JSON object. A query holds the key and codes, so it is read only
 * where GET is allowed, of a POST as well.
 */
async function givenBy(req: Request, door: IsmsCompatApi): Promise<[string, string][]> {
  const query = [...readQuery(req)];
  const allowed = req.method === 'GET' ? door === 'get' : req.method === 'POST';
  if (!allowed || (query.length > 0 && door !== 'get')) {
    const detail =
      'Send the parameters by POST, in the body (application/x-www-form-urlencoded): URLs end in logs.';
    throw new ApiProblem('method_not_allowed', { detail });
  }
  return req.method === 'GET' ? query : [...query, ...(await givenByBody(req))];
}

async function givenByBody(req: Request): Promise<[string, string][]> {
  if (isMediaType(req, 'application/x-www-form-urlencoded')) return [...(await readForm(req))];
  const json = (await readJson(req)) ?? {};
  // Laravel sends an empty array for no data.
  if (typeof json !== 'object' || (Array.isArray(json) && json.length > 0)) {
    throw new ApiProblem('invalid_request', { detail: 'The JSON body is no object.' });
  }
  return Object.entries(json).map(([name, value]) => {
    if (typeof value !== 'string' && typeof value !== 'number') {
      throw invalid(theirs(name), 'must be text or a number');
    }
    return [name, String(value)];
  });
}

/** The text is `message` in the vendor's 2FA API, `msg` in its others, and many apps call it that here. */
const theirs = (name: string) => (name === 'msg' ? 'message' : name);

/** By name, without those that are empty; an empty text is kept, to be refused. */
function parametersOf(given: readonly [string, string][]): Map<string, string> {
  const parameters = new Map<string, string>();
  for (const [name, value] of given) {
    if (value === '' && theirs(name) !== 'message') continue;
    const known = parameters.get(theirs(name)) ?? value;
    if (known !== value) throw invalid(theirs(name), 'is given twice, with different values');
    parameters.set(theirs(name), value);
  }
  return parameters;
}

/** Answers quote no more than this of a name. */
const longestName = 40;

function invalid(name: string, message: string): ApiProblem {
  const path = name.slice(0, longestName);
  return new ApiProblem('invalid_request', { errors: [{ path, message }] });
}

/** National digits with or without their zero, behind the country's calling code. */
function numberOf(parameter: Parameter, settings: RequestSettings): PhoneNumber {
  const national = parameter('mobile').replace(/\D/g, '').replace(/^0/, '');
  const number = PhoneNumber.parse(
    `+${parameter('country_code').replace(/\D/g, '')}${national}`,
    settings.defaultCountry,
  );
  if (!number) throw new ApiProblem('invalid_phone_number');
  return number;
}

/**
 * Of a send. `type` follows from the message, `interval` counts when the code is verified, `agreedterm` is from the
 * vendor's SMS API.
 */
const sendParameters = new Set(
  'un pass method mobile country_code message sendid type interval agreedterm'.split(' '),
);

function sendCall(dependencies: IsmsCompatDependencies) {
  const { settings, metrics } = dependencies;
  const reader = createRequestReader(settings);
  const send = createSend(dependencies);
  const cancel = createCancel(dependencies);
  return async ({ app, parameter, names, res }: Asked): Promise<object> => {
    const context = contextOf(res);
    context.ended = countRefusals(metrics);
    const unknown = names.find((name) => !sendParameters.has(name));
    // Ignored, it could make another SMS of what was asked for.
    if (unknown !== undefined) throw invalid(unknown, 'is not a parameter of a send');
    const message = parameter('message');
    // It is most likely a variable that the app left empty.
    if (message === '' && names.includes('message')) {
      throw invalid('message', 'is empty: leave it out to send the default text');
    }
    const senderId = parameter('sendid');
    const read = reader.read(app, {
      to: numberOf(parameter, settings).e164,
      sendDeadlineSeconds,
      ...(message !== '' && { message }),
      ...(senderId !== '' && { senderId }),
    });
    const { otp } = await send({
      request: readable(read).request,
      idempotency: null,
      waitSeconds: answerWithinSeconds,
      signal: abortSignal(res),
      setOtpId: (id) => {
        context.otpId = id;
      },
    });
    // Nobody would ever ask for it again.
    if (otp.status === 'queued') await cancel(app, otp.id);
    return sentView(app, otp);
  };
}

/** One that is under way when nobody can wait any longer has most likely been sent. */
function sentView(app: string, otp: Otp): object {
  const ids = idsOf(otp);
  if (otp.status === 'sent' || otp.status === 'sending') {
    return { status: 'Success', code: hiddenCode, ...ids, username: app };
  }
  const problem = otp.status === 'unknown' ? 'not_verifiable' : 'not_sent';
  const detail = problemDocument(new ApiProblem(problem)).detail;
  return {
    ...failed(otp.failure === null ? detail : failureMessages[otp.failure]),
    ...ids,
    code: hiddenCode,
  };
}

/** The OTP's id, written as a UUID, which is what apps keep until the code is typed. */
function idsOf(otp: Otp) {
  const uuid = hexOf(otp.id).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  return { uuid, sms_id: otp.smsId?.replace(/\D/g, '') || '0', mobile: otp.to.e164 };
}

function verifyCall(dependencies: IsmsCompatDependencies) {
  const { store, settings, metrics } = dependencies;
  const verify = createVerify(dependencies);
  return async ({ app, parameter, res }: Asked): Promise<object> => {
    const context = contextOf(res);
    context.ended = ({ problem, aborted }) =>
      metrics.verification(app, problem ?? (aborted ? 'aborted' : 'verified'));
    const to = numberOf(parameter, settings);
    const echoed = {
      uuid: parameter('uuid'),
      sms_id: parameter('sms_id'),
      code: hiddenCode,
      mobile: to.e164,
    };
    try {
      const otp = await otpOf(store, { app, to, uuid: parameter('uuid') });
      const code = parameter('code').trim();
      // No code of ours, so no attempt is spent.
      if (!sixDigits.test(code)) throw new ApiProblem('incorrect_code');
      if (isOver(otp, parameter('interval'))) throw new ApiProblem('otp_expired');
      const setOtpId = (id: string) => {
        context.otpId = id;
      };
      await verify({ app, id: otp.id, code, key: undefined, setOtpId });
      return { status: 'Verified', ...echoed, ...idsOf(otp) };
    } catch (error) {
      return { ...failed(messageOf(error, context)), ...echoed };
    }
  };
}

/** The OTP of a number that was answered under this UUID; without one, its newest without a purpose. */
async function otpOf(
  store: Pick<Store, 'otps' | 'phones'>,
  { app, to, uuid }: { app: string; to: PhoneNumber; uuid: string },
): Promise<Otp> {
  const [otp] = await (uuid === ''
    ? otpsOfNumber(store, { app, to, purpose: null })
    : byUuid(store, { app, to, uuid }));
  if (!otp) throw new ApiProblem('otp_not_found');
  return otp;
}

async function byUuid(
  { otps, phones }: Pick<Store, 'otps' | 'phones'>,
  { app, to, uuid }: { app: string; to: PhoneNumber; uuid: string },
): Promise<Otp[]> {
  const ids = uuidShape.test(uuid) ? phones.idsOf(to, uuid.replaceAll('-', '')) : [];
  const found = await Promise.all(ids.map((id) => otps.find(app, id)));
  return found.filter((otp) => otp !== null).filter((otp) => otp.to.e164 === to.e164);
}

const minuteMs = 60_000;

/** `interval`: for how many minutes the app lets a code count; never longer than the gateway does. */
function isOver({ sentAt }: Otp, interval: string): boolean {
  return (
    /^[1-9]\d{0,3}$/.test(interval) && sentAt !== null && Date.now() > sentAt + Number(interval) * minuteMs
  );
}

const monthNames = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');

/** From the latest snapshot: iSMS is not asked. */
function balanceCall({ store }: IsmsCompatDependencies) {
  return async (): Promise<object> => {
    const snapshot = await store.balance.latest();
    if (!snapshot) throw new ApiProblem('balance_unavailable', { reason: 'no_snapshot' });
    const [year = '', month = '', day = ''] = snapshot.expiresOn?.split('-') ?? [];
    const expiration = year === '' ? '' : `${day} ${monthNames[Number(month) - 1]} ${year}`;
    return { method: 'balance', balance: snapshot.credits.toFixed(1), expiration };
  };
}
