import { readFileSync } from 'node:fs';
import { type AppEntry, appsFileSchema, jsonSyntaxError, validMembers } from '../config/apps-file.js';
import { type ApiKey, isWebhookSecret, sha256 } from '../config/formats.js';
import { ConfigError } from '../config/load-config.js';
import type { Config } from '../config/roles.js';
import { webhookUrl } from '../config/urls.js';
import { parseWithErrors } from '../lib/input-errors.js';
import type { Logger } from '../lib/logger.js';
import { type App, type AppWebhook, plainApp } from '../otp/app.js';
import { appEventTypes, isEventType } from '../otp/event.js';
import { brokenContentRules, contentRuleMessages, namesBrand, senderIdShape } from '../otp/message.js';
import { PhoneNumber } from '../otp/phone-number.js';
import {
  minTtlForMinutes,
  type Template,
  textProblems,
  variableProblems,
  withBrand,
} from '../otp/template.js';
import type { Lifecycle } from './lifecycle.js';

/** The settings that apps are read from and checked against. */
type AppsConfig = Pick<
  Config,
  'appsFile' | 'apiKeys' | 'allowedCountries' | 'contentPolicy' | 'defaults' | 'otp'
>;

/** The apps of API_KEYS and APPS_FILE, which can change while the process runs. */
type AppRegistry = ReturnType<typeof createAppRegistry>;

/** Reads APPS_FILE if it is set. Throws a ConfigError with the errors in it. */
export function createAppRegistry(config: AppsConfig) {
  const plain = new Map<string, App>();
  let known = readApps(config);
  const of = (name: string) => {
    const app = known.apps.get(name) ?? plain.get(name) ?? plainApp(name);
    if (!known.apps.has(name)) plain.set(name, app);
    return app;
  };
  return {
    of,
    /** Every app that has a key. */
    all: (): readonly App[] => [...new Set(known.keys.map(({ app }) => app))].map(of),
    /** The keys that may call the API. */
    keys: () => known.keys,
    /** The apps that APPS_FILE names. */
    named: (): readonly App[] => [...known.apps.values()],
    /** Reads APPS_FILE again. Throws a ConfigError with the errors in it and keeps what was read before. */
    reload: () => {
      known = readApps(config);
    },
  };
}

/** Reads APPS_FILE again on SIGHUP if it is set. */
export function reloadOnHangup(
  apps: AppRegistry,
  { appsFile }: AppsConfig,
  { lifecycle, logger }: { lifecycle: Pick<Lifecycle, 'onHangup'>; logger: Logger },
): void {
  if (appsFile === undefined) return;
  lifecycle.onHangup(() => {
    try {
      apps.reload();
      logger.info({ event: 'apps.reloaded', apps: apps.named().length }, 'APPS_FILE reloaded');
    } catch (err) {
      const problem = err instanceof ConfigError ? err.message : 'unreadable';
      logger.error(
        { event: 'apps.not_reloaded', problem },
        'APPS_FILE is invalid; keeping the previous settings',
      );
    }
  });
}

/** Reads API_KEYS and APPS_FILE. Throws a ConfigError with all errors in the file. */
function readApps(config: AppsConfig): { apps: ReadonlyMap<string, App>; keys: readonly ApiKey[] } {
  const { appsFile, apiKeys = [] } = config;
  if (appsFile === undefined) return { apps: new Map(), keys: apiKeys };
  const json = readJson(appsFile);
  const parsed = parseWithErrors(appsFileSchema, json, Number.POSITIVE_INFINITY);
  const errors = 'errors' in parsed ? parsed.errors : [];
  const hasInvalidTemplate = errors.some(({ path }) => path.split('.')[2] === 'templates');
  const entries = Object.entries('data' in parsed ? parsed.data.apps : validMembers(json));
  const problems = [
    ...errors.map(({ path, message }): Problem => [path, message]),
    ...entries.flatMap(([name, entry]) =>
      problemsOfApp(entry, config)
        // A template called default may be among the invalid ones.
        .filter(([path]) => path !== 'freeText' || !hasInvalidTemplate)
        .map(([path, problem]): Problem => [`apps.${name}.${path}`, problem]),
    ),
  ];
  const fromFile = entries.flatMap(([app, { keys }]) =>
    keys.map((key): ApiKey => ({ app, digest: Buffer.from(key.slice('sha256:'.length), 'hex') })),
  );
  const keys = [...apiKeys, ...fromFile];
  problems.push(...keyProblems(keys));
  if (problems.length > 0) throw invalidFile(problems);
  return { apps: new Map(entries.map(([name, entry]) => [name, toApp(name, entry)])), keys };
}

function readJson(path: string): unknown {
  const text = read(path);
  try {
    return JSON.parse(text);
  } catch {
    const { line, column } = jsonSyntaxError(text) ?? { line: 1, column: 1 };
    throw invalidFile([['', `is not JSON: see line ${line}, column ${column}`]]);
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    throw invalidFile([['', `must name a file that can be read (${reason})`]]);
  }
}

/** Where in the file, and what is wrong with it. */
type Problem = readonly [path: string, problem: string];

/** Numbers are names of members there, and errors end in logs. */
const wholeNumber = /\+?\d[\d ().-]{6,}/g;

function invalidFile(problems: readonly Problem[]): ConfigError {
  const toError = ([path, problem]: Problem) => ({
    variable: 'APPS_FILE',
    problem: path === '' ? problem : `${path.replaceAll(wholeNumber, '[number]')}: ${problem}`,
  });
  return new ConfigError(problems.map(toError));
}

/** As many as an app needs to exchange one; the same key may stand in both places. */
const mostKeys = 2;

function keyProblems(keys: readonly ApiKey[]): Problem[] {
  const owners = new Map<string, string>();
  const counts = new Map<string, number>();
  return keys.flatMap(({ app, digest }): Problem[] => {
    const hex = digest.toString('hex');
    if (digest.equals(sha256('')))
      return [[`apps.${app}.keys`, 'holds the digest of an empty key: of a variable that was not set']];
    const owner = owners.get(hex);
    if (owner === app) return [];
    if (owner !== undefined) {
      return [[`apps.${app}.keys`, `${owner} has one of these keys, too: give each app its own`]];
    }
    owners.set(hex, app);
    const count = (counts.get(app) ?? 0) + 1;
    counts.set(app, count);
    if (count !== mostKeys + 1) return [];
    return [[`apps.${app}.keys`, `an app can have ${mostKeys} keys, those of API_KEYS among them`]];
  });
}

/** Checks that the schema cannot express. */
function problemsOfApp(entry: AppEntry, config: AppsConfig): Problem[] {
  const { templates = {}, countries = config.allowedCountries, senderId, webhook, testNumbers = {} } = entry;
  const problems = problemsOfTemplates(entry, config);
  if (entry.freeText === false && !Object.hasOwn(templates, 'default')) {
    problems.push(['freeText', 'is false, so there must be a template called default']);
  }
  if (senderId !== undefined && !senderIdShape.test(senderId)) {
    problems.push(['senderId', 'must be letters and digits, at most 11']);
  }
  for (const number of Object.keys(testNumbers)) {
    const parsed = PhoneNumber.parse(number, 'MY');
    if (parsed?.e164 !== number)
      problems.push(['testNumbers', 'holds what is no mobile number in E.164, such as +60123456789']);
    else if (!countries.includes(parsed.country))
      problems.push(['testNumbers', 'holds a number of a country that the app may not send to']);
  }
  if (webhook) problems.push(...webhookProblems(webhook));
  return problems;
}

function problemsOfTemplates(entry: AppEntry, config: AppsConfig): Problem[] {
  const { defaultLocale = plainApp('').defaultLocale } = entry;
  const templates = Object.entries(entry.templates ?? {});
  const problems = templates.flatMap(([name, template]) => {
    const { texts, variables } = toTemplate(template, entry.brand ?? null);
    const missing: Problem[] = texts.has(defaultLocale.toLowerCase())
      ? []
      : [[`templates.${name}`, `must have a text in the default language, ${defaultLocale}`]];
    const wrong = Object.keys(template.texts).flatMap((locale) =>
      problemsOfText(texts.get(locale.toLowerCase()) ?? '', { entry, config, variables }).map(
        (problem): Problem => [`templates.${name}.${locale}`, problem],
      ),
    );
    const unused = variableProblems({ texts, variables }).map(
      ([variable, problem]): Problem => [`templates.${name}.variables.${variable}`, problem],
    );
    return [...missing, ...wrong, ...unused];
  });
  if (entry.brand === undefined || Object.hasOwn(entry.templates ?? {}, 'default')) return problems;
  const text = withBrand(config.defaults.message, entry.brand);
  const ofDefault = problemsOfText(text, { entry, config, variables: new Map() });
  return [
    ...problems,
    ...ofDefault.map((problem): Problem => ['brand', `with it, DEFAULT_MESSAGE ${problem}`]),
  ];
}

/** Checks a text with the brand in its place. */
function problemsOfText(
  text: string,
  { entry, config, variables }: { entry: AppEntry; config: AppsConfig; variables: Template['variables'] },
): string[] {
  const { countries = config.allowedCountries, brand } = entry;
  const problems = textProblems(text, variables);
  if (problems.length > 0) return problems;
  if (text.includes('{minutes}') && config.otp.ttlSeconds < minTtlForMinutes) {
    return [`holds {minutes}, so OTP_TTL_SECONDS must be at least ${minTtlForMinutes}`];
  }
  if (brand !== undefined && countries.includes('MY') && !namesBrand(text, brand)) {
    return ['must name the brand, such as by {brand}: the app may send to Malaysia'];
  }
  // Otherwise it is checked under every policy.
  if (config.contentPolicy !== 'enforce' || variables.size > 0) return [];
  const broken = new Set(countries.flatMap((country) => brokenContentRules(text, country)));
  return [...broken].map((rule) => contentRuleMessages[rule]);
}

/** Events that an app's webhook can receive; others concern the whole gateway. */
const appEvents: readonly string[] = appEventTypes;

function webhookProblems(webhook: NonNullable<AppEntry['webhook']>): Problem[] {
  const { url, secrets, privateAddresses, events = [] } = webhook;
  const mayBeHttp = privateAddresses === 'allow';
  const urlIsGood = webhookUrl.safeParse(url).success && (mayBeHttp || url.startsWith('https:'));
  const unknown = events.flatMap((name, i) => (appEvents.includes(name) ? [] : [i]));
  return [
    ...(urlIsGood ? [] : [['webhook.url', 'must be https, without login and fragment'] as const]),
    ...secrets.flatMap((secret, i) =>
      isWebhookSecret(secret)
        ? []
        : [[`webhook.secrets.${i}`, 'must be whsec_ and 24 to 64 bytes in base64'] as const],
    ),
    ...unknown.map((i) => [`webhook.events.${i}`, `must be one of ${appEvents.join(', ')}`] as const),
  ];
}

function toApp(name: string, entry: AppEntry): App {
  const plain = plainApp(name);
  const { templates = {}, limits: { recipientCooldownSeconds, perSecond, ...limits } = {} } = entry;
  const brand = entry.brand ?? null;
  return {
    name,
    brand,
    templates: new Map(Object.entries(templates).map(([each, texts]) => [each, toTemplate(texts, brand)])),
    defaultLocale: (entry.defaultLocale ?? plain.defaultLocale).toLowerCase(),
    freeText: entry.freeText ?? plain.freeText,
    senderId: entry.senderId ?? null,
    countries: entry.countries ?? null,
    limits:
      entry.limits || entry.budget
        ? {
            ...limits,
            ...entry.budget,
            recipientCooldownMs: recipientCooldownSeconds && recipientCooldownSeconds * 1_000,
            appPerSecond: perSecond,
          }
        : null,
    limitKeys: new Map(
      Object.entries(entry.limitKeys ?? {}).map(
        ([kind, { per10Minutes = 0, perDay = 0, required = false }]) => [
          kind,
          { per10Minutes, perDay, required },
        ],
      ),
    ),
    sendsPerSecond: entry.sendsPerSecond ?? null,
    webhook: entry.webhook ? toWebhook(entry.webhook) : null,
    testNumbers: new Map(Object.entries(entry.testNumbers ?? {})),
  };
}

type TemplateEntry = NonNullable<AppEntry['templates']>[string];

function toTemplate({ texts, variables }: TemplateEntry, brand: string | null): Template {
  const withName = (text: string) => (brand === null ? text : withBrand(text, brand));
  return {
    texts: new Map(Object.entries(texts).map(([tag, text]) => [tag.toLowerCase(), withName(text)])),
    variables: new Map(Object.entries(variables)),
  };
}

function toWebhook({ url, secrets, privateAddresses, events }: NonNullable<AppEntry['webhook']>): AppWebhook {
  const allowPrivate = privateAddresses === 'allow';
  return { url, secrets, allowPrivate, events: events?.filter(isEventType) ?? null };
}
