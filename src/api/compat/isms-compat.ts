import { type Request, type Response, Router } from 'express';
import { minuteMs } from '../../lib/time.js';
import { failureMessages, type Otp } from '../../otp/otp.js';
import { hexOf } from '../../otp/otp-id.js';
import { PhoneNumber } from '../../otp/phone-number.js';
import { createRequestReader, type RequestSettings } from '../../producer/otp-request.js';
import type { Store } from '../../store/store.js';
import type { ApiDependencies } from '../dependencies.js';
import { appOfKey } from '../http/authentication.js';
import { isMediaType, readForm, readJson, readQuery } from '../http/body.js';
import { contextOf, nameRoute, type RequestContext } from '../http/context.js';
import { ApiProblem, compatDetail, invalid, noteProblem, problemDocument } from '../http/problem.js';
import { abortSignal } from '../http/route.js';
import { createCancel, otpsOfNumber } from '../routes/otps.js';
import { countRefusals, createSend, readable } from '../routes/sending.js';
import { countVerifications, createVerify } from '../routes/verify.js';

/** The path of iSMS's own endpoint. */
const path = '/2FA/request.php';

/** Clients wait 30 s at most (iSMS's sample code); an OTP that is still queued then is cancelled. */
const answerWithinSeconds = 27;
const sendDeadlineSeconds = 25;

/** Replaces the code, which iSMS's own answers contain. */
const hiddenCode = '******';
const sixDigits = /^[0-9]{6}$/;
const uuidShape = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

/** The value of a parameter, or empty. */
type Parameter = (name: string) => string;

/** A request of a known app. */
interface Call {
  app: string;
  parameter: Parameter;
  /** The names of all parameters that are present. */
  names: readonly string[];
  res: Response;
  context: RequestContext;
}

/** A method of the protocol. */
interface Method {
  /** Its name in the audit log. */
  operation: string;
  /** Whether it changes something, also by GET. */
  changes: boolean;
  handle(call: Call): Promise<object>;
}

/**
 * Compatibility API for apps that call iSMS directly: they change the URL, `un` to their app and `pass` to its key. A send
 * waits until the SMS is sent or fails. Every answer has the HTTP status 200; its member `status` tells the result, as in
 * iSMS's protocol (https://www.isms.com.my/2FA).
 */
export function ismsCompat(dependencies: ApiDependencies): Router {
  const router = Router({ caseSensitive: true, strict: true });
  if (dependencies.ismsCompatApi === 'off') return router;
  const acceptsGet = dependencies.ismsCompatApi === 'get';
  const methods = new Map<string, Method>([
    ['', { operation: 'isms send', changes: true, handle: sendMethod(dependencies) }],
    ['verify', { operation: 'isms verify', changes: true, handle: verifyMethod(dependencies) }],
    ['balance', { operation: 'isms balance', changes: false, handle: balanceMethod(dependencies) }],
  ]);
  router.all(path, async (req, res) => {
    const context = contextOf(res);
    nameRoute(res, path);
    try {
      const parameters = parametersOf(await readParameters(req, acceptsGet));
      const parameter = (name: string) => parameters.get(name) ?? '';
      const app = parameter('un');
      if (app === '' || appOfKey(dependencies.apiKeys(), parameter('pass')) !== app) {
        context.problem = 'unauthorized';
        return answer(res, failed('Authentication Failed'));
      }
      const method = methods.get(parameter('method'));
      const { operation, changes } = method ?? { operation: 'isms', changes: false };
      Object.assign(context, { app, operation, changes });
      const call = { app, parameter, names: [...parameters.keys()], res, context };
      answer(res, method ? await method.handle(call) : failed('Unknown method'));
    } catch (error) {
      answer(res, failed(messageOf(error, res)));
    }
  });
  return router;
}

function answer(res: Response, body: object): void {
  res.set('Cache-Control', 'no-store').json(body);
}

const failed = (message: string) => ({ status: 'Failed', message });

/** Parameter names of iSMS's protocol by member name. */
const ismsNames = new Map([
  ['to', 'mobile'],
  ['senderId', 'sendid'],
]);

/** The message of a problem in iSMS's protocol; rethrows other errors. */
function messageOf(error: unknown, res: Response): string {
  const problem = noteProblem(res, error);
  if (problem.code === 'incorrect_code') return 'Incorrect OTP Code';
  return compatDetail(problem, ismsNames);
}

/**
 * The parameters of the URL's query and of the body, a form or a JSON object. A query string exposes the key and codes to
 * logs, so it is accepted only if GET is.
 */
async function readParameters(req: Request, acceptsGet: boolean): Promise<[string, string][]> {
  const query = [...readQuery(req)];
  const allowed = req.method === 'GET' ? acceptsGet : req.method === 'POST';
  if (!allowed || (query.length > 0 && !acceptsGet)) {
    const detail =
      'Send the parameters by POST, in the body (application/x-www-form-urlencoded): URLs are logged.';
    throw new ApiProblem('method_not_allowed', { detail });
  }
  return req.method === 'GET' ? query : [...query, ...(await readBodyParameters(req))];
}

async function readBodyParameters(req: Request): Promise<[string, string][]> {
  if (isMediaType(req, 'application/x-www-form-urlencoded')) return [...(await readForm(req))];
  if (isMediaType(req, 'multipart/form-data')) {
    const detail =
      'A form must be application/x-www-form-urlencoded; in PHP, send http_build_query($fields).';
    throw new ApiProblem('unsupported_media_type', { detail });
  }
  const json = (await readJson(req)) ?? {};
  // Laravel sends an empty array without data.
  if (typeof json !== 'object' || (Array.isArray(json) && json.length > 0)) {
    throw new ApiProblem('invalid_request', { detail: 'The JSON body is not an object.' });
  }
  return Object.entries(json).map(([name, value]) => {
    if (typeof value !== 'string' && typeof value !== 'number') {
      throw invalid(canonical(name), 'must be text or a number');
    }
    return [name, String(value)];
  });
}

/** The text is `message` in iSMS's 2FA API and `msg` in its other APIs; many apps send `msg`. */
const canonical = (name: string) => (name === 'msg' ? 'message' : name);

/** Parameters by name, without empty ones; an empty message is kept, to be rejected. */
function parametersOf(given: readonly [string, string][]): Map<string, string> {
  const parameters = new Map<string, string>();
  for (const [name, value] of given) {
    if (value === '' && canonical(name) !== 'message') continue;
    const known = parameters.get(canonical(name)) ?? value;
    if (known !== value) throw invalid(canonical(name), 'appears twice, with different values');
    parameters.set(canonical(name), value);
  }
  return parameters;
}

/** `country_code` and national digits, with or without their leading zero. */
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
 * Parameters of a send. `type` follows from the message, `interval` applies to the verification, `agreedterm` belongs to
 * iSMS's SMS API.
 */
const sendParameters = new Set(
  'un pass method mobile country_code message sendid type interval agreedterm'.split(' '),
);

function sendMethod(dependencies: ApiDependencies) {
  const { settings } = dependencies;
  const reader = createRequestReader(settings);
  const send = createSend(dependencies);
  const cancel = createCancel(dependencies);
  return async ({ app, parameter, names, res, context }: Call): Promise<object> => {
    context.ended = countRefusals(dependencies);
    const unknown = names.find((name) => !sendParameters.has(name));
    // Ignoring a parameter could change the SMS.
    if (unknown !== undefined) throw invalid(unknown, 'is not a parameter of a send');
    const message = parameter('message');
    // Most likely an empty variable of the app.
    if (message === '' && names.includes('message')) {
      throw invalid('message', 'is empty; omit it to send the default text');
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
      abortSignal: () => abortSignal(res),
      context,
    });
    // The client gives up now, so a later SMS would be useless.
    if (otp.status === 'queued') await cancel(app, otp.id);
    return sentView(app, otp);
  };
}

/** An OTP that is still `sending` when the wait ends has most likely been sent. */
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

/** The OTP's id as a UUID, which apps keep for the verification. */
function idsOf(otp: Otp) {
  const uuid = hexOf(otp.id).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  return { uuid, sms_id: otp.smsId?.replace(/\D/g, '') || '0', mobile: otp.to.e164 };
}

function verifyMethod(dependencies: ApiDependencies) {
  const { store, settings } = dependencies;
  const verify = createVerify(dependencies);
  return async ({ app, parameter, res, context }: Call): Promise<object> => {
    context.ended = countVerifications(dependencies);
    const to = numberOf(parameter, settings);
    const echoed = {
      uuid: parameter('uuid'),
      sms_id: parameter('sms_id'),
      code: hiddenCode,
      mobile: to.e164,
    };
    try {
      const otp = await otpOf(store, { app, to, uuid: parameter('uuid') });
      const code = parameter('code').replace(/[\s-]/g, '');
      // Not a possible code, so no attempt is counted.
      if (!sixDigits.test(code)) throw new ApiProblem('incorrect_code');
      if (isOver(otp, parameter('interval'))) throw new ApiProblem('otp_expired');
      await verify({ app, id: otp.id, code, key: undefined, context });
      return { status: 'Verified', ...echoed, ...idsOf(otp) };
    } catch (error) {
      return { ...failed(messageOf(error, res)), ...echoed };
    }
  };
}

/** The OTP of a number by its UUID, or without a UUID the number's newest OTP without a purpose. */
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

/** `interval`: minutes for which the app accepts the code; the gateway's own limit applies as well. */
function isOver({ sentAt }: Otp, interval: string): boolean {
  return (
    /^[1-9]\d{0,3}$/.test(interval) && sentAt !== null && Date.now() > sentAt + Number(interval) * minuteMs
  );
}

const monthNames = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');

/** The latest snapshot, without a call to iSMS. */
function balanceMethod({ store }: ApiDependencies) {
  return async (): Promise<object> => {
    const snapshot = await store.balance.latest();
    if (!snapshot) throw new ApiProblem('balance_unavailable', { reason: 'no_snapshot' });
    const [year = '', month = '', day = ''] = snapshot.expiresOn?.split('-') ?? [];
    const expiration = year === '' ? '' : `${day} ${monthNames[Number(month) - 1]} ${year}`;
    return { method: 'balance', balance: snapshot.credits.toFixed(1), expiration };
  };
}
