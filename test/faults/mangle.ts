import type { OpenApiDocument, Operation } from '../../src/api/docs/openapi.js';

/** An HTTP/1.1 request, taken apart so that every part can be spoilt. */
export interface Draft {
  method: string;
  target: string;
  headers: [name: string, value: string][];
  /** Members of a JSON object, each with the text of its value. */
  members: [name: string, json: string][] | null;
  /** In place of the members. */
  body?: Buffer;
  /** How the body is announced; by its length unless something else is said. */
  framing?: [name: string, value: string][];
}

export interface Mangler {
  /** The bytes of one mangled request, and by what it was mangled. */
  next(): { bytes: Buffer; by: string[] };
}

export interface ManglerOptions {
  document: OpenApiDocument;
  apiKey: string;
  /** Ids of OTPs that there are. */
  ids: readonly string[];
  random: () => number;
}

/** Requests of a document's operations, each spoilt in one to three ways; the same for the same random numbers. */
export function createMangler(options: ManglerOptions): Mangler {
  const { document, random } = options;
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method, operation: operation as Operation })),
  );
  const names = Object.keys(manglings);
  const dice = createDice(random);
  return {
    next: () => {
      const { path, method, operation } = dice.pick(operations);
      const draft = draftOf({ path, method, operation }, options, dice);
      const by = Array.from({ length: dice.below(3) + 1 }, () => dice.pick(names));
      for (const name of by) manglings[name]?.(draft, dice);
      const bytes = bytesOf(draft);
      // A mangled wait could be half a minute long.
      const patient = draft.headers.some(([name]) => name === 'Prefer');
      if (patient || dice.below(8) > 0) return { bytes, by };
      return { bytes: spoilBytes(bytes, dice), by: [...by, 'bytes'] };
    },
  };
}

interface Dice {
  below(n: number): number;
  pick<T>(items: readonly T[]): T;
}

function createDice(random: () => number): Dice {
  const below = (n: number) => Math.floor(random() * n);
  return {
    below,
    pick: (items) => {
      const [item] = items.slice(below(items.length));
      if (item === undefined) throw new Error('nothing to pick from');
      return item;
    },
  };
}

function draftOf(
  { path, method, operation }: { path: string; method: string; operation: Operation },
  { apiKey, ids }: ManglerOptions,
  dice: Dice,
): Draft {
  const example = operation.requestBody?.content['application/json']?.examples?.['example']?.value;
  const query = operation.parameters.filter((each) => each.in === 'query' && dice.below(2) === 0);
  const named = operation.parameters.filter((each) => each.in === 'header' && dice.below(3) === 0);
  const value = (each: Operation['parameters'][number]) =>
    each.name === 'Prefer' ? 'wait=1' : dice.pick(parameterValues);
  const search = query.map((each) => `${each.name}=${encodeURIComponent(value(each))}`).join('&');
  return {
    method: method.toUpperCase(),
    target:
      path.replace(/\{\w+\}/, dice.pick([...ids, 'otp_mmAAAAAAAAAAAAAAAAAAAAAA'])) + (search && `?${search}`),
    headers: [
      ['Host', 'gateway.test'],
      ['Connection', 'close'],
      ...(operation.security.length > 0 ? [['Authorization', `Bearer ${apiKey}`] as [string, string]] : []),
      ...(example ? [['Content-Type', 'application/json'] as [string, string]] : []),
      ...named.map((each): [string, string] => [each.name, value(each)]),
    ],
    members: example ? Object.entries(example).map(([name, member]) => [name, JSON.stringify(member)]) : null,
  };
}

const parameterValues = ['x', '1', 'true', '2025-01-01T00:00:00Z', 'login-8731', '100'];
const hex = (text: string) => Buffer.from(text, 'hex');

const values = [
  ...['null', 'true', '0', '-1', '1.5', '-0', '1e308', '1e999', '-1e999', '1E400', '12345678901234567890123'],
  ...['""', '"x"', '[]', '{}', '[null]', '{"a":{}}', '"\\u0000"', '"\\ud800"', '"\\udfff\\ud800"', '"%OTP%"'],
  ...['"%OTP%%OTP%"', '"+60123456789"', '"٠١٢٣٤٥٦٧٨٩"', '"123456"', '"１２３４５６"', '"::1"', '"999.1.1.1"'],
  ...['{"__proto__":{"app":"bank"}}', '{"constructor":{"prototype":{"app":"bank"}}}', '{"then":1}'],
  ...[
    '{"toString":null,"valueOf":null}',
    '{"toJSON":1}',
    '{"length":1e9}',
    '01',
    'NaN',
    '.5',
    "'x'",
    '',
    '"\t"',
  ],
  `"${'x'.repeat(9_000)}"`,
  `"${'%OTP%'.repeat(3_000)}"`,
  `"${'\\ud83d\\ude00'.repeat(900)}"`,
  `"${'a'.repeat(2_000)}!"`,
  ...[10, 1_000, 7_000].map((depth) => '['.repeat(depth) + ']'.repeat(depth)),
  ...[10, 1_000, 2_000].map((depth) => '{"a":'.repeat(depth) + 1 + '}'.repeat(depth)),
  '['.repeat(10_000),
];
const memberNames = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'then',
  '',
  '\u0000',
];
const methods = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'PROPFIND',
  'SEARCH',
  'M-SEARCH',
];
const noMethods = ['FOO', 'get', '', 'CONNECT', 'PRI', 'SETUP', 'G\0T', 'É'];
const paths = [
  '/',
  '//',
  '/..',
  '/../../etc/passwd',
  '/%00',
  '/%zz',
  '/%ff',
  '/%2e%2e/',
  '/%2F',
  '/\\',
  '/;x',
  '/é',
];
const targets = [
  '*',
  '',
  'x',
  'http://',
  'http://[::1/',
  'http://x/v1/otps',
  '//x/v1/otps',
  'ftp:x',
  '/v1/otps#x',
  '?x',
];
const queries = [
  '?',
  '?&',
  '?=',
  '?a[b]=c',
  '?a[]=1&a[]=2',
  '?__proto__=x',
  '?__proto__[x]=y',
  '?constructor=x',
];
const moreQueries = [
  '?reference=%ff',
  '?reference=%00',
  '?limit=1e9',
  '?limit=-1',
  '?since=x&until=%',
  '?refresh=TRUE',
];
const types = [
  'text/plain',
  'application/xml',
  'application/x-ndjson',
  'multipart/form-data; boundary=x',
  'json',
  '',
];
const moreTypes = [
  'application/json; charset=utf-16',
  'application/json; charset=',
  'application/*',
  '*/*',
  '/',
  ';',
  '\xff',
];
const tokens = [
  'Bearer',
  'Bearer ',
  'Bearer \xff',
  'Basic bm9uc2Vuc2U=',
  'Bearer a b',
  `Bearer ${'x'.repeat(5_000)}`,
  '',
];
const headerNames = [
  'Idempotency-Key',
  'Prefer',
  'Accept',
  'X-Forwarded-For',
  'Content-Encoding',
  'Cookie',
  'Range',
];
const moreHeaderNames = [
  'If-None-Match',
  'Expect',
  'Upgrade',
  'TE',
  'Trailer',
  'Origin',
  'Via',
  '__proto__',
  'a b',
  '',
];
const headerValues = [
  '',
  ' ',
  '\0',
  '\xff\xfe',
  '\t',
  'wait=0',
  'wait=x',
  'wait=-1',
  'wait="',
  ',,,',
  'x'.repeat(300),
];
const moreHeaderValues = [
  'gzip',
  'chunked',
  '100-continue',
  'websocket',
  '*',
  'a\x01b',
  '1'.repeat(256),
  '"x',
  'x\r\n y',
];
const framings: [string, string][][] = [
  [],
  [['Content-Length', '0']],
  [['Content-Length', '-1']],
  [['Content-Length', '1e3']],
  [['Content-Length', '99999999999999999999']],
  [['Content-Length', '20000']],
  [['Transfer-Encoding', 'chunked']],
  [['Transfer-Encoding', 'gzip']],
  [['Transfer-Encoding', 'chunked, identity']],
  [
    ['Transfer-Encoding', 'chunked'],
    ['Content-Length', '5'],
  ],
];
const brokenTexts = ['ff', 'c328', 'e28281', 'f0288cbc', 'eda080', 'c080', '00', 'efbbbf'].map(hex);

/** One way each to spoil a request. */
const manglings: Record<string, (draft: Draft, dice: Dice) => void> = {
  'wrong value': ({ members }, dice) => {
    const member = members?.[dice.below(members.length)];
    if (member) member[1] = dice.pick(values);
  },
  'missing member': ({ members }, dice) => void members?.splice(dice.below(members.length), 1),
  'extra member': ({ members }, dice) => void members?.push([dice.pick(memberNames), dice.pick(values)]),
  'member of the schema': ({ members }, dice) => {
    const known = [
      'ttlSeconds',
      'sendDeadlineSeconds',
      'maxAttempts',
      'senderId',
      'reference',
      'clientIp',
      'limitKeys',
      'binding',
      'code',
      'message',
    ];
    members?.push([dice.pick(known), dice.pick(values)]);
  },
  'many members': ({ members }) => {
    for (let n = 0; n < 700; n++) members?.push([`x${n}`, '1']);
  },
  'other body': (draft, dice) => {
    draft.body = Buffer.from(dice.pick(values));
  },
  'broken UTF-8': (draft, dice) => {
    const text = bodyOf(draft);
    const at = dice.below(text.length + 1);
    draft.body = Buffer.concat([text.subarray(0, at), dice.pick(brokenTexts), text.subarray(at)]);
  },
  'large body': (draft, dice) => {
    draft.body = Buffer.alloc(dice.pick([16_384, 16_385, 100_000]), 'x');
  },
  'half a body': (draft, dice) => {
    const body = bodyOf(draft);
    draft.framing = [['Content-Length', String(body.length)]];
    draft.body = body.subarray(0, dice.below(body.length + 1));
  },
  framing: (draft, dice) => {
    draft.framing = dice.pick(framings);
  },
  'media type': ({ headers }, dice) => set(headers, 'Content-Type', dice.pick([...types, ...moreTypes])),
  authorization: ({ headers }, dice) => set(headers, 'Authorization', dice.pick(tokens)),
  'other method': (draft, dice) => {
    draft.method = dice.pick(dice.below(4) === 0 ? noMethods : methods);
  },
  'odd path': (draft, dice) => {
    draft.target = dice.below(2) === 0 ? draft.target + dice.pick(paths) : dice.pick(paths) + draft.target;
  },
  'odd target': (draft, dice) => {
    draft.target = dice.pick(targets);
  },
  'admin path': (draft, dice) => {
    draft.target = `/admin${dice.pick(['', '/queues', '/queues/api/queues', '/%zz', '/queues/static/x'])}`;
  },
  'long path': (draft, dice) => {
    draft.target += dice.pick(['x', '/', '%20', '/..']).repeat(dice.pick([500, 5_000, 20_000]));
  },
  'odd query': (draft, dice) => {
    draft.target += dice.pick([...queries, ...moreQueries]);
  },
  'long query': (draft, dice) => {
    draft.target += `?${dice.pick(['a=b&', 'reference=x&', '[', '%'])}`.repeat(dice.pick([100, 1_000]));
  },
  'odd header': ({ headers }, dice) => {
    const name = dice.pick([...headerNames, ...moreHeaderNames]);
    headers.push([name, dice.pick([...headerValues, ...moreHeaderValues])]);
  },
  'long header': ({ headers }, dice) =>
    void headers.push(['X-Long', 'x'.repeat(dice.pick([8_000, 16_000, 60_000]))]),
  'many headers': ({ headers }, dice) => {
    for (let n = dice.pick([90, 101, 500]); n > 0; n--) headers.push([`X-${n}`, 'x']);
  },
  'header again': ({ headers }, dice) => {
    const header = headers[dice.below(headers.length)];
    if (header) headers.push([header[0], dice.pick([header[1], 'x'])]);
  },
  'missing header': ({ headers }, dice) => void headers.splice(dice.below(headers.length), 1),
};

function set(headers: Draft['headers'], name: string, value: string): void {
  const known = headers.find((header) => header[0] === name);
  if (known) known[1] = value;
  else headers.push([name, value]);
}

function bodyOf({ members, body }: Draft): Buffer {
  if (body) return body;
  const entries = members?.map(([name, json]) => `${JSON.stringify(name)}:${json}`);
  return Buffer.from(entries ? `{${entries.join(',')}}` : '');
}

function bytesOf(draft: Draft): Buffer {
  const body = bodyOf(draft);
  const announced: [string, string][] = body.length > 0 ? [['Content-Length', String(body.length)]] : [];
  const lines = [...draft.headers, ...(draft.framing ?? announced)].map(
    ([name, value]) => `${name}: ${value}`,
  );
  const head = [`${draft.method} ${draft.target} HTTP/1.1`, ...lines, '', ''].join('\r\n');
  return Buffer.concat([Buffer.from(head, 'latin1'), body]);
}

/** Replaces, removes or doubles a few bytes, wherever they are. */
function spoilBytes(bytes: Buffer, dice: Dice): Buffer {
  let spoilt = bytes;
  for (let n = dice.below(4) + 1; n > 0; n--) {
    const at = dice.below(spoilt.length);
    const piece = dice.pick([hex('00'), hex('ff'), hex('0a'), hex('0d0a0d0a'), spoilt.subarray(at, at + 9)]);
    const rest = spoilt.subarray(at + dice.below(3));
    spoilt = Buffer.concat([spoilt.subarray(0, at), piece, rest]);
  }
  return spoilt;
}
