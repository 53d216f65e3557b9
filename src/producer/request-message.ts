import { memoize } from '../lib/memoize.js';
import { type App, defaultTemplate } from '../otp/app.js';
import { brokenContentRules, contentRuleMessages, namesBrand, parseMessage } from '../otp/message.js';
import type { OtpRequest } from '../otp/otp.js';
import type { PhoneNumber } from '../otp/phone-number.js';
import { type Refusal, refuse } from '../otp/refusal.js';
import {
  hasVariables,
  matchesTemplate,
  renderTemplate,
  selectText,
  type Template,
  withBrand,
} from '../otp/template.js';

/** Settings that messages are completed with and checked by. */
export interface MessageSettings {
  /** May hold `{brand}` and `{minutes}`. */
  defaultMessage: string;
  ttlSeconds: number;
  /** For messages that break a country's content rules. */
  contentPolicy: 'off' | 'warn' | 'enforce';
}

/** The members of a request that its message comes from. */
interface MessageInput {
  message?: string | undefined;
  template?: string | undefined;
  locale?: string | undefined;
  variables?: Record<string, string> | undefined;
  ttlSeconds?: number | undefined;
}

/** A text; one with variables of a template's own keeps every content rule already, and is not cached. */
interface Written {
  text: string;
  hasValues: boolean;
}

type Message = Pick<OtpRequest, 'message' | 'unicode' | 'credits'>;

const notAllowed = (problems: readonly string[]) =>
  refuse('message_not_allowed', { errors: problems.map((message) => ({ path: 'message', message })) });
const invalid = (path: string, message: string) => refuse('invalid_request', { errors: [{ path, message }] });

/** Reads the message of a request, or tells why it is refused. Remembers what it found out about a text. */
export function createMessageReader(settings: MessageSettings) {
  const checked = memoize((text) => ({
    message: parseMessage(text),
    broken: memoize((country) => brokenContentRules(text, country)),
  }));
  const defaultTextOf = memoize((brand) => withBrand(settings.defaultMessage, brand || null));
  return (owner: App, to: PhoneNumber, input: MessageInput): Message | Refusal => {
    const written = writtenText(owner, input, { settings, defaultTextOf });
    if ('code' in written) return written;
    const { message, broken } = written.hasValues
      ? { message: parseMessage(written.text), broken: () => [] }
      : checked(written.text);
    if ('problem' in message) return invalid('message', message.problem);
    const rules = settings.contentPolicy === 'enforce' ? broken(to.country) : [];
    const { template, unicode, credits } = message;
    const problems = contentProblems(owner, { to, message: template, rules });
    return problems.length === 0 ? { message: template, unicode, credits } : notAllowed(problems);
  };
}

/** The request's own text or that of its template; or why it is refused. */
function writtenText(
  owner: App,
  input: MessageInput,
  { settings, defaultTextOf }: { settings: MessageSettings; defaultTextOf: (brand: string) => string },
): Written | Refusal {
  if (input.message !== undefined) {
    if (input.template !== undefined) return invalid('message', 'cannot be combined with `template`');
    if (input.variables)
      return invalid('variables', 'cannot be combined with `message`, only with a template');
    if (mayWrite(owner, input.message)) return { text: input.message, hasValues: false };
    return notAllowed(['cannot be chosen by this app; use `template`']);
  }
  const template = owner.templates.get(input.template ?? defaultTemplate);
  const { ttlSeconds = settings.ttlSeconds, variables } = input;
  const given = { variables, ttlSeconds };
  if (template) return filledIn(selectText(template, input.locale, owner.defaultLocale), template, given);
  if (input.template === undefined)
    return filledIn(defaultTextOf(owner.brand ?? ''), withoutVariables, given);
  const names = [...owner.templates.keys()].join(', ');
  return invalid(
    'template',
    names === '' ? 'is unknown; this app has no templates' : `must be one of ${names}`,
  );
}

const withoutVariables = { variables: new Map() };

function filledIn(
  text: string,
  template: Pick<Template, 'variables'>,
  { variables, ttlSeconds }: { variables: MessageInput['variables']; ttlSeconds: number },
): Written | Refusal {
  const hasValues = template.variables.size > 0;
  if (!hasValues && variables === undefined && !hasVariables(text)) return { text, hasValues };
  const rendered = renderTemplate(text, template, { given: variables ?? {}, ttlSeconds });
  return 'errors' in rendered ? refuse('invalid_request', rendered) : { ...rendered, hasValues };
}

/** Checks the message of an earlier OTP against the current rules; null if it may be sent again. */
export function checkEarlierMessage(
  owner: App,
  { to, message }: { to: PhoneNumber; message: string },
  { contentPolicy }: Pick<MessageSettings, 'contentPolicy'>,
): Refusal | null {
  const refusal = (problem: string) =>
    refuse('message_not_allowed', { message: `The message of the earlier OTP ${problem}. Send a new OTP.` });
  const template = templateOf(owner, message);
  if (!mayWrite(owner, message) && !template) return refusal("fits none of the app's templates");
  // A template's own variables keep the rules, amounts aside.
  const isChecked = contentPolicy === 'enforce' && !template?.variables.size;
  const rules = isChecked ? brokenContentRules(message, to.country) : [];
  const problems = contentProblems(owner, { to, message, rules });
  return problems.length === 0 ? null : refusal(problems.join('; '));
}

/** An app without free text may still send the text of one of its templates, if nothing is to be filled in. */
function mayWrite({ freeText, templates }: App, message: string): boolean {
  if (freeText) return true;
  if (hasVariables(message)) return false;
  return [...templates.values()].some(({ texts }) => [...texts.values()].includes(message));
}

/** The template that the message can be a text of, filled in. */
function templateOf({ templates }: App, message: string): Template | undefined {
  return [...templates.values()].find((template) =>
    [...template.texts.values()].some((text) => matchesTemplate(text, template, message)),
  );
}

/** Broken rules, and the brand that the operator sets for this rule alone, under every policy. */
function contentProblems(
  { brand }: App,
  { to, message, rules }: { to: PhoneNumber; message: string; rules: ReturnType<typeof brokenContentRules> },
): string[] {
  const problems: string[] = rules.map((rule) => contentRuleMessages[rule]);
  if (brand !== null && to.country === 'MY' && !namesBrand(message, brand)) {
    problems.push(`must name the brand of the app, ${brand}: the operator demands it in SMS to Malaysia`);
  }
  return problems;
}
