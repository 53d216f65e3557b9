import { type Request, type Response, Router } from 'express';
import { type App, defaultTemplate, hasLocale } from '../../otp/app.js';
import type { Otp } from '../../otp/otp.js';
import { hexOf, idOfHex, partitions } from '../../otp/otp-id.js';
import { PhoneNumber } from '../../otp/phone-number.js';
import { isPending } from '../../otp/states.js';
import { createRequestReader } from '../../producer/otp-request.js';
import type { RequestSettings } from '../../producer/settings.js';
import type { SendOtpQueue } from '../../queues/send-otp.js';
import type { Store } from '../../store/store.js';
import { knownProblem } from '../http/answer-errors.js';
import { type ApiKey, appOfKey, readBasic } from '../http/authentication.js';
import { readForm } from '../http/body.js';
import { contextOf } from '../http/context.js';
import { ApiProblem, problemDocument, problemHeaders } from '../http/problem.js';
import type { ProblemCode } from '../http/problems.js';
import { abortSignal } from '../http/route.js';
import { readable } from '../routes/acceptance-answer.js';
import { otpsOfNumber } from '../routes/otps-of-number.js';
import { countRefusals, createCancel, createSend, type SendingDependencies } from '../routes/sending.js';
import { createVerify, type VerificationDependencies } from '../routes/verification.js';

export interface TwilioVerifyDependencies extends VerificationDependencies {
  store: SendingDependencies['store'] & VerificationDependencies['store'] & Pick<Store, 'phones'>;
  enqueuer: SendingDependencies['enqueuer'];
  sendOtpQueue: Pick<SendOtpQueue, 'remove'>;
  metrics: SendingDependencies['metrics'] & VerificationDependencies['metrics'];
  settings: RequestSettings;
  apiKeys: () => readonly ApiKey[];
}

const serviceShape = /^VA[0-9a-f]{32}$/i;
const verificationShape = /^VE(?<hex>[0-9a-f]{32})$/i;

/** Twilio's status and code for a problem: https://www.twilio.com/docs/api/errors. Others are what their status says. */
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
  phone_locked: [429, 60_202],
  verification_in_progress: [429, 60_202],
  phone_rate_limited: [429, 60_203],
  range_blocked: [403, 60_410],
};

/** The same for what only Twilio knows as an error of its own, by the problem's reason. */
const twilioErrorsByReason: Record<string, readonly [status: number, code: number]> = {
  feature_not_offered: [403, 60_204],
  template_not_found: [400, 60_228],
};

interface Asked {
  app: string;
  form: URLSearchParams;
  account: string;
  service: string;
  /** Of the path; empty where it has none. */
  sid: string;
  res: Response;
}

type Work = (asked: Asked) => Promise<{ status: number; body: object }>;

/**
 * The part of Twilio Verify v2 that SMS needs, so that its official libraries work with this gateway: a verification is
 * an OTP, a service a purpose; the password is the app's key, and the user name is not looked at.
 * https://www.twilio.com/docs/verify/api
 */
export function twilioVerifyCompat(dependencies: TwilioVerifyDependencies): Router {
  const router = Router({ caseSensitive: true, strict: true });
  const verifications = '/v2/Services/:service/Verifications';
  const checks = '/v2/Services/:service/VerificationCheck';
  const answerBy = (path: string, operation: string, work: Work) => async (req: Request, res: Response) => {
    const route = path.replace(':service', '{sid}').replace(':sid', '{verificationSid}');
    Object.assign(contextOf(res), { route, operation: `twilio ${operation}` });
    try {
      const { status, body } = await work(await askedBy(req, res, dependencies));
      res.status(status).set('Cache-Control', 'no-store').json(body);
    } catch (error) {
      answerError(res, error);
    }
  };
  const one = `${verifications}/:sid`;
  router.post(verifications, answerBy(verifications, 'Verifications', startVerification(dependencies)));
  router.post(checks, answerBy(checks, 'VerificationCheck', checkVerification(dependencies)));
  router.get(one, answerBy(one, 'fetch Verification', fetchVerification(dependencies)));
  router.post(one, answerBy(one, 'update Verification', updateVerification(dependencies)));
  return router;
}

async function askedBy(req: Request, res: Response, { apiKeys }: TwilioVerifyDependencies): Promise<Asked> {
  const { username: account, password: key } = readBasic(req.get('Authorization') ?? '');
  const app = appOfKey(apiKeys(), key);
  if (app === null) throw new ApiProblem('unauthorized');
  contextOf(res).app = app;
  const service = String(req.params['service']);
  if (!serviceShape.test(service)) throw new ApiProblem('otp_not_found');
  const form = req.method === 'POST' ? await formOf(req) : new URLSearchParams();
  return { app, form, account, service, sid: String(req.params['sid'] ?? ''), res };
}

/** A form in which each name stands once, without a query beside it: what is not read could make another SMS. */
async function formOf(req: Request): Promise<URLSearchParams> {
  if (/\?./.test(req.originalUrl)) {
    const detail = 'Send the parameters in the body: a query is not read.';
    throw new ApiProblem('invalid_request', { detail });
  }
  const form = await readForm(req);
  const names = new Set<string>();
  for (const name of form.keys()) {
    if (names.has(name)) throw invalid(name.slice(0, longestName), 'is given twice');
    names.add(name);
  }
  return form;
}

/** What the protocol calls what we call otherwise. */
const theirNames = new Map([
  ['to', 'To'],
  ['locale', 'Locale'],
  ['template', 'TemplateSid'],
  ['message', 'CustomMessage'],
  ['clientIp', 'DeviceIp'],
]);

function answerError(res: Response, error: unknown): void {
  const problem = knownProblem(error);
  if (!problem) throw error;
  Object.assign(contextOf(res), { problem: problem.code, reason: problem.facts.reason ?? null });
  const { detail, errors = [], status: ownStatus } = problemDocument(problem);
  const [status, code] = twilioErrorsByReason[problem.facts.reason ?? ''] ??
    twilioErrors[problem.code] ?? [ownStatus, 20_000 + ownStatus];
  const [first] = errors;
  const message = first
    ? `Invalid parameter: ${theirNames.get(first.path) ?? first.path} ${first.message}`
    : detail;
  const more_info = `https://www.twilio.com/docs/errors/${code}`;
  res
    .status(status)
    .set({ ...problemHeaders(problem), 'Cache-Control': 'no-store' })
    .json({ code, message, more_info, status });
}

/** A service's OTPs are apart from those of another. */
const purposeOf = (service: string) => service.slice('VA'.length).toLowerCase();

/** Parameters of what is not offered: without it the SMS, who may get it or what the code is bound to would differ. */
const notOffered = new Set([
  ...['CustomCode', 'CustomFriendlyName', 'AppHash', 'TemplateCustomSubstitutions', 'Templates'],
  ...['Amount', 'Payee', 'RateLimits', 'RiskCheck', 'SnaClientToken'],
]);

/** What a verification by SMS reads, and what changes nothing about an SMS. */
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

/** Answers quote no more than this of a name. */
const longestName = 40;

function refuseUnknown(form: URLSearchParams): void {
  const unknown = [...form.keys()].find((name) => !startParameters.has(name) && !notOffered.has(name));
  if (unknown !== undefined) throw invalid(unknown.slice(0, longestName), 'is not a parameter');
}

/** A template is there, in the language asked for; a language without a text to choose from would be ignored. */
function refuseOtherText({ templates }: App, form: URLSearchParams): void {
  const [sid, locale] = [form.get('TemplateSid'), form.get('Locale')];
  const template = templates.get(sid ?? defaultTemplate);
  if (sid !== null && !template) {
    const errors = [{ path: 'template', message: 'is the name of no template' }];
    throw new ApiProblem('invalid_request', { reason: 'template_not_found', errors });
  }
  if (locale === null || form.has('CustomMessage') || (template && hasLocale(template, locale))) return;
  throw invalid('Locale', template ? `must be one of ${[...template.keys()].join(', ')}` : 'has no template');
}

function startVerification(dependencies: TwilioVerifyDependencies): Work {
  const { settings, metrics } = dependencies;
  const reader = createRequestReader(settings);
  const send = createSend(dependencies);
  return async (asked) => {
    const { app, form, service, res } = asked;
    const context = contextOf(res);
    context.ended = countRefusals(metrics);
    refuseNotOffered(form);
    refuseUnknown(form);
    refuseOtherText(settings.apps.of(app), form);
    const channel = form.get('Channel') ?? '';
    if (channel !== 'sms') throw invalid('Channel', 'must be sms: no other channel is offered');
    const locale = form.get('Locale');
    const template = form.get('TemplateSid');
    const message = form.get('CustomMessage');
    const clientIp = form.get('DeviceIp');
    const read = reader.read(app, {
      to: form.get('To') ?? '',
      purpose: purposeOf(service),
      ...(locale !== null && { locale }),
      ...(template !== null && { template }),
      ...(message !== null && { message }),
      ...(clientIp !== null && { clientIp }),
    });
    const { otp } = await send({
      request: readable(read).request,
      idempotency: null,
      waitSeconds: null,
      signal: abortSignal(res),
      setOtpId: (id) => {
        context.otpId = id;
      },
    });
    return { status: 201, body: verificationView(otp, asked, 'pending') };
  };
}

/** A verification is there for as long as its code may count; then Twilio deletes it. */
async function openOtp(dependencies: TwilioVerifyDependencies, asked: Asked): Promise<Otp> {
  const otp = await otpBySid(dependencies, { ...asked, to: null });
  if (!otp || !(isPending(otp.status) || otp.status === 'sent')) throw new ApiProblem('otp_not_found');
  contextOf(asked.res).otpId = otp.id;
  return otp;
}

function fetchVerification(dependencies: TwilioVerifyDependencies): Work {
  return async (asked) => {
    const otp = await openOtp(dependencies, asked);
    return { status: 200, body: verificationView(otp, asked, 'pending') };
  };
}

function updateVerification(dependencies: TwilioVerifyDependencies): Work {
  const cancel = createCancel(dependencies);
  return async (asked) => {
    const wanted = asked.form.get('Status') ?? '';
    // Twilio takes an app's word for codes of the app's own.
    if (wanted === 'approved') throw featureNotOffered('Status approved');
    if (wanted !== 'canceled') throw invalid('Status', 'must be canceled');
    const otp = await openOtp(dependencies, asked);
    const result = await cancel(asked.app, otp.id);
    if (result !== 'cancelled') throw new ApiProblem(result);
    return { status: 200, body: verificationView(otp, asked, 'canceled') };
  };
}

function invalid(path: string, message: string): ApiProblem {
  return new ApiProblem('invalid_request', { errors: [{ path, message }] });
}

function checkVerification(dependencies: TwilioVerifyDependencies): Work {
  const { metrics } = dependencies;
  const verify = createVerify(dependencies);
  return async (asked) => {
    const { app, form, res } = asked;
    const context = contextOf(res);
    context.ended = ({ problem, aborted }) =>
      metrics.verification(app, problem ?? (aborted ? 'aborted' : 'verified'));
    refuseNotOffered(form);
    const code = form.get('Code') ?? '';
    if (!/^\d{4,10}$/.test(code)) throw invalid('Code', 'must be 4 to 10 digits');
    const otp = await otpOf(dependencies, asked);
    if (!otp) throw new ApiProblem('otp_not_found');
    const setOtpId = (otpId: string) => {
      context.otpId = otpId;
    };
    try {
      // Ours have six digits: another one is wrong without asking.
      if (code.length !== 6) throw new ApiProblem('incorrect_code');
      await verify({ app, id: otp.id, code, key: undefined, setOtpId });
    } catch (error) {
      if (!(error instanceof ApiProblem) || error.code !== 'incorrect_code') throw error;
      context.problem = error.code;
      return { status: 200, body: view(otp, asked, 'pending') };
    }
    return { status: 200, body: view({ ...otp, status: 'verified' }, asked, 'approved') };
  };
}

/** The newest OTP of the number in this service, or the one that a sid was given for, if it is of both. */
async function otpOf(
  dependencies: TwilioVerifyDependencies,
  { app, form, service }: Asked,
): Promise<Otp | null> {
  const { store, settings } = dependencies;
  const [sid, number] = [form.get('VerificationSid'), form.get('To')];
  const to = number === null ? null : PhoneNumber.parse(number, settings.defaultCountry);
  if (sid === null || number !== null) {
    if (!to) throw invalid('To', 'must be a phone number in E.164');
  }
  if (sid !== null) return await otpBySid(dependencies, { app, service, sid, to });
  return to && ((await otpsOfNumber(store, { app, to, purpose: purposeOf(service) }))[0] ?? null);
}

/** The OTP that a sid was given for, if it is of this service and, unless that is null, of this number. */
async function otpBySid(
  { store }: TwilioVerifyDependencies,
  { app, service, sid, to }: Pick<Asked, 'app' | 'service' | 'sid'> & { to: PhoneNumber | null },
): Promise<Otp | null> {
  const hex = verificationShape.exec(sid)?.groups?.['hex'];
  if (hex === undefined) return null;
  // A sid does not tell where its number is at home.
  const ids = to ? store.phones.idsOf(to, hex) : partitions.map((partition) => idOfHex(partition, hex));
  const found = await Promise.all(ids.map((id) => store.otps.find(app, id)));
  const isMeant = (otp: Otp) =>
    otp.purpose === purposeOf(service) && (to === null || otp.to.e164 === to.e164);
  return found.find((otp) => otp !== null && isMeant(otp)) ?? null;
}

const isoTime = (ms: number) => new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');

function view(otp: Otp, { account, service }: Asked, status: 'pending' | 'approved' | 'canceled') {
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

/** A check has less to show. */
function verificationView(otp: Otp, asked: Asked, status: 'pending' | 'canceled') {
  const attempt = { time: isoTime(otp.createdAt), channel: 'SMS', attempt_sid: `VL${hexOf(otp.id)}` };
  return {
    ...view(otp, asked, status),
    lookup: {},
    send_code_attempts: [attempt],
    sna: null,
    url: urlOf(otp, asked),
  };
}

function urlOf(otp: Otp, { service }: Asked): string {
  return `/v2/Services/${service}/Verifications/VE${hexOf(otp.id)}`;
}
