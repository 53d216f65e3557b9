import { type Request, type Response, Router } from 'express';
import { type App, defaultTemplate } from '../../otp/app.js';
import { isPending, type Otp } from '../../otp/otp.js';
import { hexOf, idOfHex, partitions } from '../../otp/otp-id.js';
import { PhoneNumber } from '../../otp/phone-number.js';
import { hasLocale } from '../../otp/template.js';
import { createRequestReader } from '../../producer/otp-request.js';
import type { ApiDependencies } from '../dependencies.js';
import { appOfKey, readBasic } from '../http/authentication.js';
import { readForm } from '../http/body.js';
import { contextOf, nameRoute, type RequestContext } from '../http/context.js';
import {
  ApiProblem,
  compatDetail,
  invalid,
  noteProblem,
  problemDocument,
  problemHeaders,
  unreadable,
} from '../http/problem.js';
import type { ProblemCode } from '../http/problems.js';
import { abortSignal } from '../http/route.js';
import { createCancel, otpsOfNumber } from '../routes/otps.js';
import { countRefusals, createSend, readable } from '../routes/sending.js';
import { countVerifications, createVerify } from '../routes/verify.js';

const serviceShape = /^VA[0-9a-f]{32}$/i;
const verificationShape = /^VE(?<hex>[0-9a-f]{32})$/i;

/** Twilio's status and code by problem (https://www.twilio.com/docs/api/errors); the default is 20000 + status. */
const twilioErrors: Partial<Record<ProblemCode, readonly [status: number, code: number]>> = {
  unauthorized: [401, 20_003],
  otp_not_found: [404, 20_404],
  otp_expired: [404, 20_404],
  otp_cancelled: [404, 20_404],
  already_verified: [404, 20_404],
  not_verifiable: [404, 20_404],
  not_sent: [404, 20_404],
  invalid_request: [400, 60_200],
  invalid_phone_number: [400, 60_200],
  message_not_allowed: [400, 60_200],
  country_not_allowed: [403, 60_605],
  attempts_exhausted: [429, 60_202],
  recipient_locked: [429, 60_202],
  verification_in_progress: [429, 60_202],
  recipient_rate_limited: [429, 60_203],
  range_blocked: [403, 60_410],
  recipient_denied: [403, 60_410],
};

/** Twilio's status and code by the problem's reason, which takes precedence. */
const twilioErrorsByReason: Record<string, readonly [status: number, code: number]> = {
  feature_not_offered: [403, 60_204],
  template_not_found: [400, 60_228],
};

/** A request of a known app. */
interface Call {
  app: string;
  form: URLSearchParams;
  account: string;
  service: string;
  /** The verification's sid in the path, or empty. */
  sid: string;
  res: Response;
  context: RequestContext;
}

type Handler = (call: Call) => Promise<{ status: number; body: object }>;

/**
 * Compatibility API for Twilio's official libraries: the part of Twilio Verify v2 that SMS needs. A verification is an OTP,
 * a service a purpose; the password is the app's key, the user name is ignored. https://www.twilio.com/docs/verify/api
 */
export function twilioVerifyCompat(dependencies: ApiDependencies): Router {
  const router = Router({ caseSensitive: true, strict: true });
  const verifications = '/v2/Services/:service/Verifications';
  const one = `${verifications}/:sid`;
  const checks = '/v2/Services/:service/VerificationCheck';
  const serve = (method: 'get' | 'post', path: string, operation: string, handle: Handler) =>
    router[method](path, async (req, res) => {
      nameRoute(res, path.replace(':service', '{sid}').replace(':sid', '{verificationSid}'));
      contextOf(res).operation = `twilio ${operation}`;
      try {
        const { status, body } = await handle(await callOf(req, res, dependencies));
        res.status(status).set('Cache-Control', 'no-store').json(body);
      } catch (error) {
        answerError(res, error);
      }
    });
  serve('post', verifications, 'Verifications', startVerification(dependencies));
  serve('post', checks, 'VerificationCheck', checkVerification(dependencies));
  serve('get', one, 'fetch Verification', fetchVerification(dependencies));
  serve('post', one, 'update Verification', updateVerification(dependencies));
  return router;
}

async function callOf(req: Request, res: Response, { apiKeys }: ApiDependencies): Promise<Call> {
  const { username: account, password: key } = readBasic(req.get('Authorization') ?? '');
  const app = appOfKey(apiKeys(), key);
  if (app === null) throw new ApiProblem('unauthorized');
  const context = contextOf(res);
  context.app = app;
  const service = String(req.params['service']);
  if (!serviceShape.test(service)) throw new ApiProblem('otp_not_found');
  const form = req.method === 'POST' ? await formOf(req) : new URLSearchParams();
  return { app, form, account, service, sid: String(req.params['sid'] ?? ''), res, context };
}

/** A form with unique names and no query string: an ignored parameter could change the SMS. */
async function formOf(req: Request): Promise<URLSearchParams> {
  if (/\?./.test(req.originalUrl)) {
    throw unreadable('Send the parameters in the body, not in the query string.');
  }
  const form = await readForm(req);
  const names = new Set<string>();
  for (const name of form.keys()) {
    if (names.has(name)) throw invalid(name, 'appears twice');
    names.add(name);
  }
  return form;
}

/** Twilio's parameter names by member name. */
const twilioNames = new Map([
  ['to', 'To'],
  ['locale', 'Locale'],
  ['template', 'TemplateSid'],
  ['message', 'CustomMessage'],
  ['clientIp', 'DeviceIp'],
]);

function answerError(res: Response, error: unknown): void {
  const problem = noteProblem(res, error);
  const { errors, status: ownStatus } = problemDocument(problem);
  const [status, code] = twilioErrorsByReason[problem.facts.reason ?? ''] ??
    twilioErrors[problem.code] ?? [ownStatus, 20_000 + ownStatus];
  const detail = compatDetail(problem, twilioNames);
  const message = errors ? `Invalid parameter: ${detail}` : detail;
  const more_info = `https://www.twilio.com/docs/errors/${code}`;
  res.status(status).set(problemHeaders(problem)).json({ code, message, more_info, status });
}

/** The purpose of a service's OTPs. */
const purposeOf = (service: string) => service.slice('VA'.length).toLowerCase();

/** Parameters of unsupported features that would change the SMS, its recipients or what the code is bound to. */
const notOffered = new Set([
  ...['CustomCode', 'CustomFriendlyName', 'AppHash', 'TemplateCustomSubstitutions', 'Templates'],
  ...['Amount', 'Payee', 'RateLimits', 'RiskCheck', 'SnaClientToken'],
]);

/** Parameters that are read, and those that do not affect an SMS. */
const startParameters = new Set([
  ...['To', 'Channel', 'Locale', 'TemplateSid', 'CustomMessage', 'DeviceIp'],
  ...['Tags', 'SendDigits', 'ChannelConfiguration', 'EnableSnaClientToken'],
]);

function refuseNotOffered(form: URLSearchParams): void {
  for (const [name, value] of form) {
    const isDefault = name === 'RiskCheck' && value === 'enable';
    if (notOffered.has(name) && !isDefault) throw featureNotOffered(name);
  }
}

function featureNotOffered(what: string): ApiProblem {
  const detail = `Service does not support this feature: ${what}`;
  return new ApiProblem('invalid_request', { reason: 'feature_not_offered', detail });
}

function refuseUnknown(form: URLSearchParams): void {
  const unknown = [...form.keys()].find((name) => !startParameters.has(name) && !notOffered.has(name));
  if (unknown !== undefined) throw invalid(unknown, 'is not a parameter');
}

/** Requires that the template exists in the requested language. */
function requireTemplate({ templates }: App, form: URLSearchParams): void {
  const [sid, locale] = [form.get('TemplateSid'), form.get('Locale')];
  const template = templates.get(sid ?? defaultTemplate);
  if (sid !== null && !template) {
    const errors = [{ path: 'template', message: 'is not the name of a template' }];
    throw new ApiProblem('invalid_request', { reason: 'template_not_found', errors });
  }
  if (locale === null || form.has('CustomMessage') || (template && hasLocale(template, locale))) return;
  throw invalid(
    'Locale',
    template ? `must be one of ${[...template.texts.keys()].join(', ')}` : 'has no template',
  );
}

function startVerification(dependencies: ApiDependencies): Handler {
  const { settings } = dependencies;
  const reader = createRequestReader(settings);
  const send = createSend(dependencies);
  return async (call) => {
    const { app, form, service, res, context } = call;
    context.ended = countRefusals(dependencies);
    refuseNotOffered(form);
    refuseUnknown(form);
    requireTemplate(settings.apps.of(app), form);
    const channel = form.get('Channel') ?? '';
    if (channel !== 'sms') throw invalid('Channel', 'must be sms, the only supported channel');
    const read = reader.read(app, {
      to: form.get('To') ?? '',
      purpose: purposeOf(service),
      locale: form.get('Locale') ?? undefined,
      template: form.get('TemplateSid') ?? undefined,
      message: form.get('CustomMessage') ?? undefined,
      clientIp: form.get('DeviceIp') ?? undefined,
    });
    const { otp } = await send({
      request: readable(read).request,
      idempotency: null,
      waitSeconds: null,
      abortSignal: () => abortSignal(res),
      context,
    });
    return { status: 201, body: verificationView(otp, call, 'pending') };
  };
}

/** The OTP of a verification that is still open; Twilio deletes a verification when it ends. */
async function openOtp(dependencies: ApiDependencies, call: Call): Promise<Otp> {
  const otp = await otpBySid(dependencies, { ...call, to: null });
  if (!otp || !(isPending(otp.status) || otp.status === 'sent')) throw new ApiProblem('otp_not_found');
  call.context.otpId = otp.id;
  return otp;
}

function fetchVerification(dependencies: ApiDependencies): Handler {
  return async (call) => {
    const otp = await openOtp(dependencies, call);
    return { status: 200, body: verificationView(otp, call, 'pending') };
  };
}

function updateVerification(dependencies: ApiDependencies): Handler {
  const cancel = createCancel(dependencies);
  return async (call) => {
    const wanted = call.form.get('Status') ?? '';
    // Only meaningful for an app's own codes, which Twilio supports.
    if (wanted === 'approved') throw featureNotOffered('Status approved');
    if (wanted !== 'canceled') throw invalid('Status', 'must be canceled');
    const otp = await openOtp(dependencies, call);
    const result = await cancel(call.app, otp.id);
    if (result !== 'cancelled') throw new ApiProblem(result);
    return { status: 200, body: verificationView(otp, call, 'canceled') };
  };
}

function checkVerification(dependencies: ApiDependencies): Handler {
  const verify = createVerify(dependencies);
  return async (call) => {
    const { app, form, res, context } = call;
    context.ended = countVerifications(dependencies);
    refuseNotOffered(form);
    const code = form.get('Code') ?? '';
    if (!/^\d{4,10}$/.test(code)) throw invalid('Code', 'must be 4 to 10 digits');
    const otp = await otpOf(dependencies, call);
    if (!otp) throw new ApiProblem('otp_not_found');
    try {
      // Codes have six digits; others are wrong without a call to iSMS.
      if (code.length !== 6) throw new ApiProblem('incorrect_code');
      await verify({ app, id: otp.id, code, key: undefined, context });
    } catch (error) {
      if (!(error instanceof ApiProblem) || error.code !== 'incorrect_code') throw error;
      noteProblem(res, error);
      return { status: 200, body: view(otp, call, 'pending') };
    }
    return { status: 200, body: view({ ...otp, status: 'verified' }, call, 'approved') };
  };
}

/** The OTP with this sid, or the newest of the number; it must belong to the service and the number. */
async function otpOf(dependencies: ApiDependencies, { app, form, service }: Call): Promise<Otp | null> {
  const { store, settings } = dependencies;
  const [sid, number] = [form.get('VerificationSid'), form.get('To')];
  const to = number === null ? null : PhoneNumber.parse(number, settings.defaultCountry);
  if (!to && (sid === null || number !== null)) throw invalid('To', 'must be a phone number in E.164');
  if (sid !== null) return await otpBySid(dependencies, { app, service, sid, to });
  return to && ((await otpsOfNumber(store, { app, to, purpose: purposeOf(service) }))[0] ?? null);
}

/** The OTP with this sid, if it belongs to the service and, unless null, to the number. */
async function otpBySid(
  { store }: ApiDependencies,
  { app, service, sid, to }: Pick<Call, 'app' | 'service' | 'sid'> & { to: PhoneNumber | null },
): Promise<Otp | null> {
  const hex = verificationShape.exec(sid)?.groups?.['hex'];
  if (hex === undefined) return null;
  // A sid does not tell the partition of its number.
  const ids = to ? store.phones.idsOf(to, hex) : partitions.map((partition) => idOfHex(partition, hex));
  const found = await Promise.all(ids.map((id) => store.otps.find(app, id)));
  const isMeant = (otp: Otp) =>
    otp.purpose === purposeOf(service) && (to === null || otp.to.e164 === to.e164);
  return found.find((otp) => otp !== null && isMeant(otp)) ?? null;
}

const isoTime = (ms: number) => new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');

function view(otp: Otp, { account, service }: Call, status: 'pending' | 'approved' | 'canceled') {
  return {
    sid: `VE${hexOf(otp.id)}`,
    service_sid: service,
    account_sid: account,
    to: otp.to.e164,
    channel: 'sms',
    status,
    valid: status === 'approved',
    amount: null,
    payee: null,
    date_created: isoTime(otp.createdAt),
    date_updated: isoTime(Date.now()),
  };
}

/** A verification has more members than a check. */
function verificationView(otp: Otp, call: Call, status: 'pending' | 'canceled') {
  const attempt = { time: isoTime(otp.createdAt), channel: 'SMS', attempt_sid: `VL${hexOf(otp.id)}` };
  return {
    ...view(otp, call, status),
    lookup: {},
    send_code_attempts: [attempt],
    sna: null,
    url: `/v2/Services/${call.service}/Verifications/VE${hexOf(otp.id)}`,
  };
}
