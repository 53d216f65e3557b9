import { requiredBy, settings } from './commands.js';
import type { Setting } from './variables.js';

const introduction = `# Configuration

<!-- Generated from src/config/schema.ts by \`npm run docs:write\`; do not edit. -->

Everything is an environment variable, read once at the start. A wrong value stops the start, with all mistakes
listed; \`node dist/cli.js check-config\` shows what an environment means. An empty variable counts as unset.
Whole numbers are plain digits: \`50\`, not \`5e1\`, \`+50\` or \`50s\`.

A variable marked *secret* is never shown, and can also come from a file: \`ISMS_PASSWORD_FILE=/run/secrets/isms\`
in place of \`ISMS_PASSWORD\` (a newline at the file's end is ignored; setting both is a mistake).

\`ISMS_USERNAME\` and \`ISMS_PASSWORD\` go together, and so do \`ADMIN_USERNAME\` and \`ADMIN_PASSWORD\`.

| variable | default | required by | meaning | must be |
|---|---|---|---|---|
`;

const recipes = `
## Making keys

\`\`\`sh
openssl rand -hex 32                                        # a key for API_KEYS: shop:<that>
printf %s "$KEY" | sha256sum                                # its digest: shop:sha256:<that>
openssl rand -base64 32                                     # ENCRYPTION_KEYS
\`\`\`

To change an API key without a gap, list the app twice, move its callers to the new key, then take the old one out.
To change \`ENCRYPTION_KEYS\`, first add the new one behind the old one in every process, then put it in front, and take the
old one out after \`OTP_RETENTION_SECONDS\` and two days.
`;

/** The text of docs/configuration.md. */
export function configurationMarkdown(): string {
  return `${introduction}${settings.map(row).join('\n')}\n${recipes}`;
}

function row(setting: Setting): string {
  const notes = [setting.meaning, setting.secret ? '*Secret.*' : ''];
  const cells = [
    `\`${setting.name}\``,
    setting.fallback === undefined ? '' : `\`${setting.fallback}\``,
    requiredBy(setting)
      .map((command) => `\`${command}\``)
      .join(', '),
    notes.filter(Boolean).join(' '),
    setting.expected,
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('<', '&lt;')).join(' | ')} |`;
}
