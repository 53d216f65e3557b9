import type { Command, ConfigFor } from '../config/commands.js';
import { ConfigError } from '../config/config-error.js';
import { type DomainChecks, loadConfig } from '../config/load-config.js';
import type { Environment } from '../config/read-environment.js';
import { brokenContentRules, contentRuleMessages } from '../otp/content-rules.js';
import { eventTypes, isEventType } from '../otp/event.js';
import { parseMessage, senderIdShape } from '../otp/message.js';

/** What only the domain can judge about the environment. */
const domainChecks: DomainChecks = {
  DEFAULT_MESSAGE: (text) => {
    const message = parseMessage(text);
    return 'problem' in message ? message.problem : null;
  },
  WEBHOOK_EVENTS: (text) => {
    const unknown = text
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== 'all' && !isEventType(name));
    return unknown.length === 0
      ? null
      : `names no event of ours: ${unknown.join(', ')}; there are ${eventTypes.join(', ')}`;
  },
  DEFAULT_SENDER_ID: (text) => (senderIdShape.test(text) ? null : 'must be letters and digits, at most 11'),
};

/** Reads the environment for a command; throws one `ConfigError` with all mistakes. */
export function load<C extends Command>(env: Environment, command: C): ConfigFor<C> {
  const config = loadConfig(env, command, domainChecks);
  const { contentPolicy, allowedCountries, defaults, webhook } = config;
  if (webhook?.privateAddresses === 'refuse' && !webhook.url.reveal().startsWith('https:')) {
    throw new ConfigError([
      { variable: 'WEBHOOK_URL', problem: 'must be https, unless WEBHOOK_PRIVATE_ADDRESSES is allow' },
    ]);
  }
  const broken = allowedCountries.flatMap((country) => brokenContentRules(defaults.message, country));
  if (contentPolicy === 'enforce' && broken.length > 0) {
    throw new ConfigError(
      broken.map((rule) => ({ variable: 'DEFAULT_MESSAGE', problem: contentRuleMessages[rule] })),
    );
  }
  return config;
}
