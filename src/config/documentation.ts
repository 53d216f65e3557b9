import type { ApiKey } from './formats.js';
import { type Config, settings } from './roles.js';

/** The printable value of each setting by name, without secrets. */
export function shownSettings(config: Config): Record<string, string> {
  return Object.fromEntries(
    settings.map(({ name, path }) => [name, shownValue(path.reduce<unknown>(memberOf, config))]),
  );
}

function memberOf(part: unknown, key: string): unknown {
  return typeof part === 'object' && part !== null ? Reflect.get(part, key) : undefined;
}

function shownValue(value: unknown): string {
  if (value === undefined) return '-';
  if (Array.isArray(value)) return value.map(shownValue).join(', ') || '-';
  return isApiKey(value)
    ? `${value.app} (sha256 ${value.digest.toString('hex').slice(0, 8)}…)`
    : String(value);
}

function isApiKey(value: unknown): value is ApiKey {
  return typeof value === 'object' && value !== null && 'app' in value && 'digest' in value;
}

const introduction = `# Configuration

<!-- Generated from src/config/schema.ts by \`npm run docs:write\`; do not edit. -->

Settings are environment variables, read once at the start. A wrong value, a former name or a misspelt name stops the
start, with all errors listed. \`isms-otp config validate <role>\` (in a checkout: \`node dist/isms-otp.js\`) prints the
settings or all errors; roles are \`api\` (the default), \`worker\`, \`start\`, \`simulate\`, \`operator\`
(commands on the stored data, such as \`numbers unlock\`) and \`producer\` (\`createOtpProducer\` in an app). An empty
variable counts as unset. Whole numbers are plain digits: \`50\`, not \`5e1\`, \`+50\` or \`50s\`.

A variable marked *secret* is never shown, and can also come from a file: \`ISMS_PASSWORD_FILE=/run/secrets/isms\`
in place of \`ISMS_PASSWORD\` (a newline at the file's end is ignored; setting both is an error).

\`ISMS_USERNAME\` and \`ISMS_PASSWORD\` go together, and so do \`ADMIN_USERNAME\` and \`ADMIN_PASSWORD\`.

| variable | default | required by | meaning | must be |
|---|---|---|---|---|
`;

const recipes = `
## Keys

\`\`\`sh
isms-otp keys create shop                                   # a key for the app shop, and its digest for API_KEYS
openssl rand -base64 32                                     # ENCRYPTION_KEYS
\`\`\`

Rotation: [operations](operations.md#key-rotation).
`;

/** The text of docs/configuration.md. */
export function configurationMarkdown(): string {
  return `${introduction}${settings.map(row).join('\n')}\n${recipes}`;
}

function row(setting: (typeof settings)[number]): string {
  const cells = [
    `\`${setting.name}\``,
    setting.fallback === undefined ? '' : `\`${setting.fallback}\``,
    setting.requiredBy.map((role) => `\`${role}\``).join(', '),
    `${setting.meaning}${setting.secret ? ' *Secret.*' : ''}`,
    setting.expected,
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('<', '&lt;')).join(' | ')} |`;
}
