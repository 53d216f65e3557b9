// Signing in by phone number with Express: two forms, one session cookie, and the gateway behind them.
//
//   OTP_URL=http://127.0.0.1:3000 OTP_KEY=… node docs/examples/express-login/server.js
//
// In an app of your own: npm install express, and isms-otp-client as docs/guides/sign-in.md says
import { randomBytes } from 'node:crypto';
import express from 'express';
import { isOtpError, OtpClient } from 'isms-otp-client';
import { codePage, homePage, phonePage } from './pages.js';

const otps = new OtpClient({
  baseUrl: process.env.OTP_URL ?? 'http://127.0.0.1:3000',
  apiKey: process.env.OTP_KEY ?? '',
});

/** Sessions by the value of their cookie. An app with more than one process keeps them in a store. */
const sessions = new Map();
const sessionMs = 30 * 60_000;

/** The oldest come first, since each is new when it is renewed. */
function dropOldSessions() {
  for (const [name, { until }] of sessions) {
    if (until > Date.now()) return;
    sessions.delete(name);
  }
}

/** What a person reads when something is refused or failed. Everything else is the same to them: try again later. */
const texts = {
  invalid_phone_number: 'That is not a mobile number.',
  invalid_number: 'That number cannot receive SMS.',
  country_not_allowed: 'We cannot send codes to that country.',
  recipient_rate_limited: 'You asked for a code a moment ago. Wait a little, then ask again.',
  recipient_locked: 'Too many wrong codes. Call us.',
  incorrect_code: 'That code is wrong.',
  invalid_request: 'A code has six digits.',
  already_verified: 'That code was used already.',
  not_verifiable: 'That SMS went wrong. Ask for a new code.',
  otp_expired: 'That code is too old. Ask for a new one.',
  attempts_exhausted: 'Too many wrong codes. Ask for a new one.',
  not_sent: 'The SMS is still on its way.',
};
const textFor = (code) => texts[code] ?? 'Something went wrong. Try again in a minute.';
const explain = (error) => {
  if (!isOtpError(error)) throw error;
  return textFor(error.code);
};

const app = express();
// Behind a proxy its address goes here, so that req.ip is the person's: app.set('trust proxy', '10.0.0.1')
app.use(express.urlencoded({ extended: false, limit: '4kb' }));
app.use((req, res, next) => {
  const known = /(?:^|; )session=([\w-]{32})/.exec(req.headers.cookie ?? '')?.[1];
  dropOldSessions();
  req.session = sessions.get(known) ?? {};
  // A session that signs in gets a new name, so that nobody can have planted it.
  req.renewSession = (content) => {
    sessions.delete(known);
    const name = randomBytes(24).toString('base64url');
    sessions.set(name, { ...content, until: Date.now() + sessionMs });
    res.cookie('session', name, { httpOnly: true, sameSite: 'lax', secure: req.secure });
  };
  next();
});

// Forms of other sites must not send SMS or sign anybody out. Browsers send Sec-Fetch-Site over https only.
app.use((req, res, next) => {
  const origin = req.get('Origin') ?? '';
  const isOwn = URL.canParse(origin) && new URL(origin).host === req.get('Host');
  const from = req.get('Sec-Fetch-Site') ?? (isOwn ? 'same-origin' : 'cross-site');
  if (req.method !== 'GET' && from !== 'same-origin' && from !== 'none') return res.sendStatus(403);
  next();
});

app.get('/', (req, res) => {
  res.send(req.session.phone ? homePage(req.session.phone) : phonePage());
});

app.post('/code', async (req, res) => {
  try {
    const otp = await otps.send(
      { to: String(req.body?.phone), purpose: 'login', clientIp: req.ip },
      { waitSeconds: 10 },
    );
    if (otp.failure) return res.status(422).send(phonePage(textFor(otp.failure.code)));
    req.renewSession({ otpId: otp.id, to: otp.to });
    res.redirect(303, '/code');
  } catch (error) {
    res.status(422).send(phonePage(explain(error)));
  }
});

app.get('/code', (req, res) => {
  if (!req.session.otpId) return res.redirect(303, '/');
  res.send(codePage());
});

app.post('/sign-in', async (req, res) => {
  const { otpId, to } = req.session;
  if (!otpId) return res.redirect(303, '/');
  try {
    // Resolves only when this very call verified the code: whatever else happens, nobody gets in.
    await otps.verify(otpId, String(req.body?.code).replace(/[\s-]/g, ''));
    req.renewSession({ phone: to });
    res.redirect(303, '/');
  } catch (error) {
    res.status(422).send(codePage(explain(error)));
  }
});

app.post('/sign-out', (req, res) => {
  req.renewSession({});
  res.redirect(303, '/');
});

const server = app.listen(Number(process.env.PORT ?? 8080), '127.0.0.1', (error) => {
  if (error) throw error;
  console.log(`Sign in at http://127.0.0.1:${server.address().port}`);
});
process.on('SIGTERM', () => server.close());
