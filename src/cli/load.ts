import type { Command, ConfigFor } from '../config/commands.js';
import { ConfigError } from '../config/config-error.js';
import { type DomainChecks, loadConfig } from '../config/load-config.js';
import type { Environment } from '../config/read-environment.js';
import { brokenContentRules, contentRuleMessages } from '../otp/content-rules.js';
import { parseMessage, senderIdShape } from '../otp/message.js';

/** What only the domain can judge about the environment. */
const domainChecks: DomainChecks = {
  DEFAULT_MESSAGE: (text) => {
    const message = parseMessage(text);
    return 'problem' in message ? message.problem : null;
  },
  DEFAULT_SENDER_ID: (text) => (senderIdShape.test(text) ? null : 'must be letters and digits, at most 11'),
};

/** Reads the environment for a command; throws one `ConfigError` with all mistakes. */
export function load<C extends Command>(env: Environment, command: C): ConfigFor<C> {
  const config = loadConfig(env, command, domainChecks);
  const { messageRules, allowedCountries, defaults } = config;
  const broken = allowedCountries.flatMap((country) => brokenContentRules(defaults.message, country));
  if (messageRules === 'enforce' && broken.length > 0) {
    throw new ConfigError(
      broken.map((rule) => ({ variable: 'DEFAULT_MESSAGE', problem: contentRuleMessages[rule] })),
    );
  }
  return config;
}
