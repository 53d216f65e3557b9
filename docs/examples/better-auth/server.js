// Better Auth behind plain HTTP, with everything in memory: a real app gives it a database.
//
//   OTP_URL=http://127.0.0.1:3000 OTP_KEY=… node docs/examples/better-auth/server.js
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { memoryAdapter } from 'better-auth/adapters/memory';
import { toNodeHandler } from 'better-auth/node';
import { createAuth } from './auth.js';

const port = Number(process.env.PORT ?? 8081);
const auth = createAuth({
  baseURL: `http://127.0.0.1:${port}`,
  secret: randomBytes(32).toString('base64'),
  database: memoryAdapter({ user: [], session: [], account: [], verification: [] }),
  otpUrl: process.env.OTP_URL ?? 'http://127.0.0.1:3000',
  otpKey: process.env.OTP_KEY ?? '',
});

const handle = toNodeHandler(auth);

const server = createServer((req, res) => {
  // The address that codes are counted by is never what a caller says. Behind a proxy: what the proxy says.
  req.headers['x-client-ip'] = req.socket.remoteAddress;
  return handle(req, res);
}).listen(port, '127.0.0.1', () => {
  console.log(`Better Auth at http://127.0.0.1:${port}/api/auth`);
});
process.on('SIGTERM', () => server.close());
