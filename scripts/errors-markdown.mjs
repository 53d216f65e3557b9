const introduction = `# Errors

<!-- Generated from src/api/http/problems.ts by \`npm run docs:write\`; do not edit. -->

Every error is \`application/problem+json\` (RFC 9457) with a stable \`code\`. Programs should check the code, not
the text. A running gateway has the same table at \`/docs/errors\`, to which \`type\` links. \`isms-otp-client\` throws an \`OtpError\` with the same codes.

Wait for \`Retry-After\`. Retry a send with the same \`Idempotency-Key\`, so that it is not sent twice.

\`Idempotency-Key\` follows draft-ietf-httpapi-idempotency-key-header-07. Answers to sends name the active limits in
\`RateLimit-Policy\` and \`RateLimit\` (draft-ietf-httpapi-ratelimit-headers-10); a cooldown is a policy of its own,
\`"recipient-cooldown";q=1;w=30\`. \`type\` is an absolute URL, except for
requests that never reach the API (\`request_timeout\`, \`headers_too_large\`, unreadable bytes).

| status | code | meaning | what to do |
| ------ | ---- | ------------- | ---------- |
`;

const failures = `
## Failure codes

An accepted OTP can still fail; \`failure.code\` gives the reason (\`GET /v1/otps/{id}\`, \`Prefer: wait\` or a webhook).

| code | meaning, and what to do |
| ---- | ----------------------------- |
`;

/** Text of docs/errors.md. */
export function errorsMarkdown({ problems, failureMessages }) {
  const byStatus = Object.entries(problems).sort(([, a], [, b]) => a.status - b.status);
  const rows = Object.entries(failureMessages).map(([code, message]) => `| \`${code}\` | ${message} |`);
  return `${introduction}${byStatus.map(row).join('\n')}\n${failures}${rows.join('\n')}\n`;
}

function row([code, { status, detail, advice }]) {
  return `| ${status} | \`${code}\` | ${detail.replaceAll('|', '\\|')} | ${advice.replaceAll('|', '\\|')} |`;
}
