import { failureMessages } from '../../otp/failure.js';
import { type ProblemCode, problemCodes, problems } from '../http/problems.js';

const introduction = `# Errors

<!-- Generated from src/api/problems.ts by \`npm run docs:write\`; do not edit. -->

Every error is \`application/problem+json\` (RFC 9457) with a stable \`code\`: decide by that, never by the text. A running
gateway has the same table at \`/docs#problems\`. \`isms-otp-client\` throws an \`OtpError\` with the same codes.

**Try again by yourself** only where \`Retry-After\` says so, and a request that sends with the \`Idempotency-Key\` it had:
then nothing is sent twice.

| status | code | what it means | what to do |
| ------ | ---- | ------------- | ---------- |
`;

const failures = `
## Why an OTP failed

An OTP that was accepted can still go wrong: then \`failure.code\` says why (by \`GET /v1/otps/{id}\`, \`Prefer: wait\` or a
webhook).

| code | what it means, and what to do |
| ---- | ----------------------------- |
`;

/** The text of docs/errors.md. */
export function errorsMarkdown(): string {
  const byStatus = [...problemCodes].sort((a, b) => problems[a].status - problems[b].status);
  const rows = Object.entries(failureMessages).map(([code, message]) => `| \`${code}\` | ${message} |`);
  return `${introduction}${byStatus.map(row).join('\n')}\n${failures}${rows.join('\n')}\n`;
}

function row(code: ProblemCode): string {
  const { status, detail, advice } = problems[code];
  return `| ${status} | \`${code}\` | ${detail.replaceAll('|', '\\|')} | ${advice.replaceAll('|', '\\|')} |`;
}
