#!/usr/bin/env node
// undici reads NODE_DEBUG while it is imported and would print whole URLs: password, number and code.
if (/\b(undici|fetch)\b/i.test(process.env['NODE_DEBUG'] ?? '')) {
  process.stderr.write(
    'NODE_DEBUG must not name undici or fetch: they print the iSMS password and OTP codes.\n',
  );
  process.exit(1);
}
const { main } = await import('./cli/main.js');
await main(process.argv.slice(2), process.env);
