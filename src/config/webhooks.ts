import { format, isVaried, listItems } from './formats.js';
import { Secret } from './secret.js';

/** 24 to 64 bytes in base64, behind the prefix of the Standard Webhooks specification. */
const secretShape = /^whsec_(?<key>[A-Za-z0-9+/]{32,88}={0,2})$/;

/** Secrets that sign events; each is kept with its prefix. */
export function webhookSecrets() {
  return format(
    'whsec_ and 24 to 64 bytes in base64 (`openssl rand -base64 32`), several separated by commas',
    (value) => {
      const secrets = listItems(value);
      return secrets.every(isWebhookSecret)
        ? new Secret(secrets, secrets.length > 1 ? `[${secrets.length} secrets]` : '[secret]')
        : null;
    },
  );
}

function isWebhookSecret(text: string): boolean {
  const key = secretShape.exec(text)?.groups?.['key'];
  const bytes = Buffer.from(key ?? '', 'base64');
  return bytes.length >= 24 && bytes.length <= 64 && isVaried(bytes);
}

/** Names of events; which there are, the domain knows. */
export function eventList() {
  return format('all, or names of events separated by commas, such as otp.sent,otp.failed', (value) => {
    const names = listItems(value);
    return names.every((name) => /^[a-z]+(\.[a-z]+)?$/.test(name)) ? [...new Set(names)] : null;
  });
}
