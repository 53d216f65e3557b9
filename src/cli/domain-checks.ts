import type { DomainChecks } from '../config/load-config.js';
import { parseMessage, senderIdShape } from '../otp/message.js';

/** What only the domain can judge about the environment. */
export const domainChecks: DomainChecks = {
  DEFAULT_MESSAGE: (text) => {
    const message = parseMessage(text);
    return 'problem' in message ? message.problem : null;
  },
  DEFAULT_SENDER_ID: (text) => (senderIdShape.test(text) ? null : 'must be letters and digits, at most 11'),
};
