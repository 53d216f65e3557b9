import { ConfigError, type Environment, loadConfig } from '../config/load-config.js';
import type { ConfigFor, Role } from '../config/roles.js';
import { eventTypes, isEventType } from '../otp/event.js';
import { brokenContentRules, contentRuleMessages, senderIdShape } from '../otp/message.js';
import { minTtlForMinutes, textProblems, withBrand } from '../otp/template.js';

/** Checks of settings that only the domain can make. */
const domainChecks: Parameters<typeof loadConfig>[2] = {
  DEFAULT_MESSAGE: (text) => textProblems(withBrand(text, null), new Map())[0] ?? null,
  WEBHOOK_EVENTS: (text) => {
    const unknown = text
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== 'all' && !isEventType(name));
    return unknown.length === 0
      ? null
      : `has unknown events: ${unknown.join(', ')}; known are ${eventTypes.join(', ')}`;
  },
  DEFAULT_SENDER_ID: (text) => (senderIdShape.test(text) ? null : 'must be letters and digits, at most 11'),
};

/** Reads the environment for a role. Throws one `ConfigError` with all errors. */
export function load<R extends Role>(env: Environment, role: R): ConfigFor<R> {
  const config = loadConfig(env, role, domainChecks);
  const { contentPolicy, allowedCountries, defaults, webhook } = config;
  if (webhook?.privateAddresses === 'refuse' && !webhook.url.reveal().startsWith('https:')) {
    throw new ConfigError([
      { variable: 'WEBHOOK_URL', problem: 'must be https, unless WEBHOOK_PRIVATE_ADDRESSES is allow' },
    ]);
  }
  if (defaults.message.includes('{minutes}') && config.otp.ttlSeconds < minTtlForMinutes) {
    const problem = `holds {minutes}, so OTP_TTL_SECONDS must be at least ${minTtlForMinutes}`;
    throw new ConfigError([{ variable: 'DEFAULT_MESSAGE', problem }]);
  }
  const message = withBrand(defaults.message, null);
  const broken = allowedCountries.flatMap((country) => brokenContentRules(message, country));
  if (contentPolicy === 'enforce' && broken.length > 0) {
    throw new ConfigError(
      broken.map((rule) => ({ variable: 'DEFAULT_MESSAGE', problem: contentRuleMessages[rule] })),
    );
  }
  return config;
}
