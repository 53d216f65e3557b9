import { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import { PhoneNumber } from '../../src/otp/phone-number.js';
import { createLogger } from '../../src/telemetry/logger.js';

const phone = '+60123456789';
const digits = phone.slice(1);
const password = 'hunter2-canary';
const code = '408902';
const canaries = [digits, digits.slice(2), password, code];

function logged(write: (logger: Logger) => void): string {
  const lines: string[] = [];
  write(createLogger({ level: 'trace', role: 'api', destination: { write: (line) => lines.push(line) } }));
  return lines.join('');
}

const parsed = (write: (logger: Logger) => void) => JSON.parse(logged(write));

describe('a log line', () => {
  it('is JSON with a UTC time in milliseconds, a level in words, role and process', () => {
    const line = logged((logger) =>
      logger.warn({ id: 'otp_1', credits: 81.5, at: 1745900000000 }, 'sent late'),
    );
    expect(line).toMatch(/^\{.*\}\n$/);
    expect(JSON.parse(line)).toEqual({
      level: 'warn',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      role: 'api',
      pid: process.pid,
      hostname: expect.any(String),
      id: 'otp_1',
      credits: 81.5,
      at: 1745900000000,
      msg: 'sent late',
    });
  });

  it('is not written below the level', () => {
    const lines: string[] = [];
    const destination = { write: (line: string) => lines.push(line) };
    createLogger({ level: 'warn', role: 'api', destination }).info('x');
    createLogger({ level: 'silent', role: 'api', destination }).fatal('x');
    expect(lines).toEqual([]);
  });

  it('keeps what helps to find an OTP', () => {
    const fields = {
      uuid: 'bd9a1ff0-1234-11ee-8123-123456789012',
      smsId: '1171081025',
      to: PhoneNumber.parse(phone, 'MY'),
      status: 'failed',
      failure: { code: 'invalid_number' },
    };
    expect(parsed((logger) => logger.info(fields, 'x'))).toMatchObject({ ...fields, to: '+60******789' });
  });
});

describe('the id of a trace', () => {
  it.each(['traceId', 'trace_id', 'parentSpanId', 'span_id'])('stays in the field %s', (field) => {
    for (const id of ['e1d60123456789ae58bf6651916cd43d', 'b7ad123456789331']) {
      expect(parsed((logger) => logger.info({ [field]: id }, 'x'))).toMatchObject({ [field]: id });
    }
  });

  it.each([
    phone,
    digits,
    digits.padStart(16, '0'),
    digits.padStart(32, '0'),
    `call ${digits} now`,
    `a${digits}`,
  ])('stays only if it is one, which "%s" is not', (text) => {
    expect(logged((logger) => logger.info({ traceId: text, spanId: text }, 'x'))).not.toContain(digits);
  });

  it('stays in no other field', () => {
    const id = `e1d${digits}ae58bf6651916cd4`.padEnd(32, 'd');
    expect(logged((logger) => logger.info({ note: id }, id))).not.toContain(digits);
  });
});

const secretFields = {
  password,
  pass: password,
  pwd: password,
  Authorization: `Bearer ${password}`,
  apiKey: password,
  'api-key': password,
  api_key: password,
  key: password,
  ENCRYPTION_KEYS: password,
  code,
  otp: code,
  to: phone,
  mobile: Number(digits),
  phoneNumber: phone,
  message: `Your code is ${code}`,
  template: `Log in with ${code}`,
  body: { code },
  headers: { 'x-anything': password },
  query: { un: 'acme', pass: password },
  args: [password],
  cause: { anything: password },
  note: `called ${phone}`,
  [phone]: 1,
  buffer: Buffer.from(password),
};

const texts = [
  `GET https://isms.test/request.php?un=acme&pass=${password}&mobile=${digits}&code=${code}`,
  `reply was {"status":"Success","code":"${code}","mobile":"+601X","message":"a \\"${code}\\" b"}`,
  `reply was ${JSON.stringify(JSON.stringify({ status: 'Failed', code, pass: `a"${password}` }))}`,
  `{ code: ${code.length}, pass: '${password}', to: '${phone}' }`,
  `code=${code}`,
  `redis://default:${password}@redis:6379`,
  `Authorization: Bearer ${password}`,
  `sent to ${phone}`,
  `sent to ${digits}`,
  `sent to 0${digits.slice(2)}`,
  'sent to +60 12-345 6789',
  `otp:${digits}:attempts`,
  'Your code is %OTP%',
  'message=Your%20code%20is%20%25OTP%25&x=1',
];

function expectNoCanaries(line: string) {
  for (const canary of [...canaries, '%OTP%', '345 6789', JSON.stringify([...Buffer.from(password)])]) {
    expect(line).not.toContain(canary);
  }
}

describe('secrets, codes and phone numbers stay out of the log', () => {
  it.each(Object.entries(secretFields))('in the field %s, at any depth', (key, value) => {
    const field = { [key]: value };
    const deep = { a: [{ b: { c: { d: field } } }] };
    expectNoCanaries(logged((logger) => logger.info(field, 'x')));
    expectNoCanaries(logged((logger) => logger.info(deep, 'x')));
    expectNoCanaries(logged((logger) => logger.child(field).child(deep).info('x')));
  });

  it.each(texts)('in the text "%s"', (text) => {
    expectNoCanaries(logged((logger) => logger.info(text)));
    expectNoCanaries(logged((logger) => logger.info('%s and %o', text, { text, why: [text] })));
    expectNoCanaries(logged((logger) => logger.error({ why: text })));
    expectNoCanaries(logged((logger) => logger.error(new Error(text))));
    expectNoCanaries(logged((logger) => logger.error({ err: new Error(text, { cause: text }) }, 'x')));
    expectNoCanaries(logged((logger) => logger.error({ reason: Object.assign(new Error(text), { text }) })));
    expectNoCanaries(logged((logger) => logger.child({ err: new Error(text) }).error('x')));
    expectNoCanaries(logged((logger) => logger.child({ reason: new Error(text), text }).error('x')));
  });

  it('in errors of ioredis, in any field', async () => {
    const redis = new Redis({
      port: 1,
      lazyConnect: true,
      maxRetriesPerRequest: 0,
      retryStrategy: () => null,
    });
    redis.on('error', () => {});
    const error = await redis.set(password, phone).catch((reason: unknown) => reason);
    redis.disconnect();
    const refused = Object.assign(new Error('ERR'), {
      command: { name: 'set', args: [password, 'x-canary'] },
    });
    for (const reason of [error, refused]) {
      const line = logged((logger) =>
        logger.child({ reason }).error({ err: reason, reason, list: [reason] }, 'x'),
      );
      expectNoCanaries(line);
      expect(line).not.toContain('x-canary');
    }
  });

  it('in errors of the HTTP client', async () => {
    const url = `http://127.0.0.1:1/request.php?pass=${password}&mobile=${digits}`;
    const error = await request(url).catch((reason: unknown) => reason);
    expectNoCanaries(logged((logger) => logger.error({ err: error, reason: error }, `failed: ${url}`)));
  });
});

describe('an error in the log', () => {
  it('has type, message, code and stack, and nothing else', () => {
    const error = Object.assign(new TypeError('boom', { cause: new Error('inner') }), {
      code: 'ECONNREFUSED',
      address: '127.0.0.1',
      previousErrors: [1],
    });
    const expected = { type: 'TypeError', message: 'boom', code: 'ECONNREFUSED', stack: error.stack };
    expect(parsed((logger) => logger.error({ err: error }, 'x')).err).toEqual(expected);
    expect(parsed((logger) => logger.error({ reason: error }, 'x')).reason).toEqual(expected);
    expect(parsed((logger) => logger.error(error))).toMatchObject({ err: expected, msg: 'boom' });
  });
});

describe('hostile content', () => {
  it('without end is cut, and masked all the same', () => {
    const endless: Record<string, unknown> = { note: `called ${phone}` };
    endless['self'] = endless;
    let deep: unknown = secretFields;
    for (let depth = 0; depth < 10_000; depth++) deep = [deep];
    expectNoCanaries(logged((logger) => logger.error({ endless, deep, pass: password }, 'x')));
  });

  it('that breaks off inside a secret is masked to its end', () => {
    expectNoCanaries(logged((logger) => logger.info(`reply was {"code":"${code}`)));
  });

  it.each(['"code":"\\', '"code":', 'code=', '//a', '+1.', 'Bearer ', '12345678-'])(
    'takes linear time: %j a hundred thousand times',
    (piece) => {
      // Of this process alone, so that other load does not count; in a time that grew with the square it would be minutes.
      const before = process.cpuUsage();
      logged((logger) => logger.info(piece.repeat(100_000)));
      expect(process.cpuUsage(before).user / 1_000).toBeLessThan(5_000);
    },
  );
});
