import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import {
  apiKey,
  beforeBody,
  broken,
  json,
  otp,
  problem,
  type Script,
  silent,
  startScriptedServer,
  verified,
} from '../../packages/client/test/scripted-server.js';
import { problemCodes, problems } from '../../src/api/http/problems.js';
import { type PhpError, runPhp } from './php/run-php.js';

const server = await startScriptedServer();
const run = async <T>(code: string) => await runPhp<T>(code, { url: server.url, key: apiKey });
const failing = async (code: string): Promise<PhpError> => {
  const { value, error } = await run(code);
  expect(value).toBeUndefined();
  return error as PhpError;
};
const keys = () => server.requests.map(({ headers }) => headers['idempotency-key']);
const soon = { headers: { 'Retry-After': '1' } };
const late = { headers: { 'Retry-After': '6' } };
const proxy: Script = (res) => res.writeHead(503).end('no upstream');

/** What a call came to, and how often it was tried. */
const outcome = async (scripts: [Script, ...Script[]], call: string) => {
  server.plays(...scripts);
  const { error } = await run(`$otps->${call};`);
  return [error?.code ?? 'done', server.requests.length];
};

describe.each<[string, string, Script]>([
  ['a read', "get('otp_1')", json(200, otp)],
  ['a send', "send(['to' => '1'])", json(202, otp)],
  ['a resend', "resend('otp_1')", json(202, otp)],
  ['a cancellation', "cancel('otp_1')", (res) => res.writeHead(204).end()],
])('%s of the PHP client', (_name, call, good) => {
  it.each([
    ['a lost connection', broken],
    ['queue_unavailable', problem('queue_unavailable')],
    ['app_rate_limited with a short Retry-After', problem('app_rate_limited', soon)],
    ['a 503 of a proxy', proxy],
  ])('is retried after %s', async (_what, bad) => {
    expect(await outcome([bad, good], call)).toEqual(['done', 2]);
    expect(keys()[1]).toBe(keys()[0]);
  });

  it('throws after two retries', async () => {
    expect(await outcome([broken], call)).toEqual(['network_error', 3]);
  });

  it.each([
    ['recipient_rate_limited', problem('recipient_rate_limited', soon), 'recipient_rate_limited'],
    ['internal_error', problem('internal_error'), 'internal_error'],
    ['overloaded with a long Retry-After', problem('overloaded', late), 'overloaded'],
    ['unauthorized', problem('unauthorized'), 'unauthorized'],
  ])('is not retried after %s', async (_what, bad, code) => {
    expect(await outcome([bad], call)).toEqual([code, 1]);
  });
});

describe('a send of the PHP client', () => {
  it('has one idempotency key for all its attempts, and another one for the next call', async () => {
    expect(
      await outcome([broken, problem('idempotency_in_flight'), json(202, otp)], "send(['to' => '1'])"),
    ).toEqual(['done', 3]);
    const [first, ...others] = keys();
    expect(first).toMatch(/^[0-9a-f]{32}$/);
    expect(others).toEqual([first, first]);
    await outcome([json(202, otp)], "send(['to' => '1'])");
    expect(keys()).not.toContain(first);
  });

  it('has the given key, and retries within its time-out when an attempt is not answered', async () => {
    const call = "send(['to' => '1'], idempotencyKey: 'order-1', timeoutMs: 3_000)";
    expect(await outcome([silent, json(202, otp)], call)).toEqual(['done', 2]);
    expect(keys()).toEqual(['order-1', 'order-1']);
  });

  it('adds waitSeconds to its time-out', async () => {
    const slow: Script = (res) => setTimeout(() => json(200, otp)(res, res.req), 1_200);
    expect(await outcome([slow], "send(['to' => '1'], waitSeconds: 10, timeoutMs: 1_000)")).toEqual([
      'done',
      1,
    ]);
    expect(server.requests.map(({ headers }) => headers['prefer'])).toEqual(['wait=10']);
  });

  it('leaves out members that are null, and sends texts as they are', async () => {
    await outcome(
      [json(202, otp)],
      "send(['to' => '1', 'message' => '您的 é/码 %OTP%', 'clientIp' => null])",
    );
    expect(JSON.parse(server.requests[0]?.body ?? '')).toEqual({ to: '1', message: '您的 é/码 %OTP%' });
    expect(server.requests[0]?.headers).toMatchObject({
      'content-type': 'application/json',
      authorization: `Bearer ${apiKey}`,
    });
    expect(server.requests[0]?.headers).not.toHaveProperty('prefer');
  });
});

describe.each([
  ['a verification', "verify('otp_1', '123456')"],
  ['a verification by number', "verifyByNumber(['to' => '0123456789', 'code' => '123456'])"],
])('%s of the PHP client', (_name, call) => {
  const good = json(200, verified);

  it.each([
    ['a lost connection', broken],
    ['queue_unavailable', problem('queue_unavailable')],
  ])('is retried under its idempotency key after %s', async (_what, bad) => {
    expect(await outcome([bad, good], call)).toEqual(['done', 2]);
    expect(keys()[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(keys()[1]).toBe(keys()[0]);
  });

  it('uses at most two of the OTP’s attempts', async () => {
    expect(await outcome([broken], call)).toEqual(['network_error', 2]);
  });

  it.each([
    ['incorrect_code', problem('incorrect_code'), 'incorrect_code'],
    ['provider_unavailable', problem('provider_unavailable'), 'provider_unavailable'],
    ['verification_in_progress', problem('verification_in_progress'), 'verification_in_progress'],
    ['already_verified', problem('already_verified'), 'already_verified'],
    ['a 503 of a proxy', proxy, 'invalid_answer'],
  ])('is not retried after %s', async (_what, bad, code) => {
    expect(await outcome([bad], call)).toEqual([code, 1]);
  });

  it('is not retried while its first attempt may be in progress', async () => {
    server.plays(silent);
    expect(await failing(`client(timeoutMs: 1_000)->${call};`)).toMatchObject({
      code: 'timeout',
      status: null,
      idempotencyKey: keys()[0],
    });
    expect(server.requests).toHaveLength(1);
    const pause = "IsmsOtp\\Internal\\Retry::pauseMs(new OtpError('timeout', 'Late.'), true, 1, 2)";
    expect((await run(`return ${pause};`)).value).toBeNull();
  });

  it('succeeds when the attempt whose answer was lost verified the OTP', async () => {
    const already = problem('already_verified');
    expect(await outcome([broken, already, good], call)).toEqual(['done', 3]);
    expect(await outcome([broken, already], call)).toEqual(['already_verified', 3]);
  });

  it('is not repeated on a kept connection that breaks', async () => {
    server.plays(json(200, otp), broken);
    const { error } = await run(`$otps = client(retries: 0); $otps->get('otp_1'); $otps->${call};`);
    expect([error?.code, server.requests.length]).toEqual(['network_error', 2]);
  });
});

it('no call of the PHP client is retried with retries: 0', async () => {
  for (const call of ["get('otp_1')", "send(['to' => '1'])", "verify('otp_1', '1')", "cancel('otp_1')"]) {
    server.plays(broken);
    expect((await failing(`client(retries: 0)->${call};`)).code).toBe('network_error');
    expect(server.requests).toHaveLength(1);
  }
});

describe('waitUntilSent of the PHP client', () => {
  it('continues after temporary errors', async () => {
    server.plays(broken, problem('internal_error'), proxy, json(200, { ...otp, status: 'sent' }));
    expect((await run("return client(retries: 0)->waitUntilSent('otp_1');")).value).toMatchObject({
      status: 'sent',
    });
    expect(server.requests).toHaveLength(4);
  });

  it('throws at its time-out with the OTP as last read, which no dump shows', async () => {
    server.plays(json(200, otp), silent);
    const error = await failing("$otps->waitUntilSent('otp_1', timeoutMs: 1_000);");
    expect(error).toMatchObject({ class: 'IsmsOtp\\OtpTimeout', code: 'timeout', otp });
    expect(error.dump).not.toContain(otp.to.slice(4));
    server.plays(silent);
    expect(await failing("$otps->waitUntilSent('otp_1', timeoutMs: 100);")).toMatchObject({ otp: null });
  });
});

describe('the constructor of the PHP client', () => {
  it.each([
    ['a text that is not a URL', "baseUrl: 'otp.example'"],
    ['another scheme', "baseUrl: 'ftp://otp.example'"],
    ['a null byte in the URL', String.raw`baseUrl: "https://otp.example\0"`],
    ['a login in the URL', "baseUrl: 'https://user:password-canary@otp.example'"],
    ['a query in the URL', "baseUrl: 'https://otp.example?x=password-canary'"],
    ['a missing key', "apiKey: ''"],
    ['a key with characters that a header cannot hold', String.raw`apiKey: "password-canary\r\nX: y"`],
    ['a time-out of 0', 'timeoutMs: 0'],
    ['a time-out beyond the range of timers', 'timeoutMs: 2 ** 31'],
    ['a negative number of retries', 'retries: -1'],
  ])('rejects %s, without quoting it', async (_what, options) => {
    const error = await failing(`client(${options});`);
    expect(error.class).toBe('InvalidArgumentException');
    // The test's own function is not part of the client.
    expect(error.message).not.toContain('canary');
  });

  it.each([
    ['an option that cURL refuses', 'CURLOPT_SSLVERSION => 999', 'CURLOPT_SSLVERSION'],
    ['an option that there is not', '987_654 => 1', '987_654'],
    ['a value with a null byte', String.raw`CURLOPT_CAINFO => "a\0b"`, 'CURLOPT_CAINFO'],
  ])('rejects %s at once, instead of losing the options after it', async (_what, bad, option) => {
    server.plays(json(200, otp));
    const proxy = "CURLOPT_PROXY => 'http://user:password-canary@127.0.0.1:1'";
    const { value } = await run(`
      try { $otps = new OtpClient((string) getenv('OTP_URL'), (string) getenv('OTP_KEY'), curlOptions: [${bad}, ${proxy}]); }
      catch (InvalidArgumentException $error) { return [$error->getMessage(), $error->getPrevious(), ${option}, print_r($error, true)]; }
      $otps->get('otp_1');`);
    const [message, previous, number, dump] = value as [string, unknown, number, string];
    expect(message).toBe(`cURL rejects option ${number} of curlOptions`);
    expect(previous).toBeNull();
    expect(dump).not.toContain('canary');
  });

  it('accepts options of cURL, whose mistakes the client’s own options make good', async () => {
    server.plays(json(200, otp));
    const options = 'CURLOPT_RETURNTRANSFER => true, CURLOPT_FOLLOWLOCATION => true, CURLOPT_TIMEOUT => 0';
    expect((await run(`return client(curlOptions: [${options}])->get('otp_1')->id;`)).value).toBe('otp_1');
  });

  it('accepts a URL with a path and a trailing slash', async () => {
    server.plays(json(200, otp));
    await run(`client(baseUrl: '${server.url}/gateway//')->get('otp_1');`);
    expect(server.requests[0]?.path).toBe('/gateway/v1/otps/otp_1');
  });
});

describe('an error of the PHP client', () => {
  it('has the code, the text and the seconds of every problem of the gateway', async () => {
    const all = problemCodes.map((code) => problem(code)) as [Script, ...Script[]];
    server.plays(...all);
    const { value } = await run<unknown[]>(`
      return array_map(function () {
        try { client(retries: 0)->get('otp_1'); } catch (OtpError $error) {
          return [$error->code, $error->getCode(), $error->status, $error->detail, $error->retryAfterSeconds, $error->requestId];
        }
      }, range(1, ${all.length}));`);
    expect(value).toEqual(
      problemCodes.map((code) => {
        const {
          status,
          detail,
          retryAfterSeconds = null,
        } = { retryAfterSeconds: undefined, ...problems[code] };
        return [code, code, status, detail, retryAfterSeconds, 'req_1'];
      }),
    );
  });

  it.each<[string, Script, number]>([
    ['a page', (res) => res.writeHead(200).end('<html>Log in</html>'), 200],
    ['JSON of another server', json(200, { ok: true }), 200],
    ['a list', json(200, []), 200],
    ['nothing', (res) => res.writeHead(204).end(), 204],
    ["a proxy's page", (res) => res.writeHead(502).end('<html>Bad gateway</html>'), 502],
    ["a proxy's problem", json(500, { title: 'Oops' }), 500],
    ['a redirect', (res) => res.writeHead(302, { Location: `${server.url}/elsewhere` }).end(), 302],
  ])('is invalid_answer when %s comes back', async (_what, script, status) => {
    server.plays(script);
    expect(await failing("client(retries: 0)->get('otp_1');")).toMatchObject({
      code: 'invalid_answer',
      status,
    });
    expect(server.requests.map(({ path }) => path)).toEqual(['/v1/otps/otp_1']);
  });

  it('is invalid_answer when a verification is answered with anything but a verified OTP', async () => {
    for (const body of [{}, otp, { id: 'otp_1', status: 'verified' }, { ...verified, status: 'sent' }]) {
      server.plays(json(200, body));
      expect((await failing("$otps->verify('otp_1', '123456');")).code).toBe('invalid_answer');
    }
  });

  it('is network_error when the answer is incomplete, and timeout when it does not end', async () => {
    const half: Script = (res) => {
      res.writeHead(200, { 'Content-Length': 100 }).write('{');
      setTimeout(() => res.destroy(), 20);
    };
    server.plays(half);
    expect((await failing("client(retries: 0)->get('otp_1');")).code).toBe('network_error');
    server.plays((res) => res.writeHead(200).write('{'));
    expect((await failing("client(retries: 0, timeoutMs: 500)->get('otp_1');")).code).toBe('timeout');
    expect(await failing("client(retries: 0, baseUrl: 'http://127.0.0.1:1')->get('otp_1');")).toMatchObject({
      code: 'network_error',
      detail: "The gateway did not answer (Couldn't connect to server).",
    });
  });

  it('never prints a code, a key or a number, in whatever way it is printed', async () => {
    const calls = [
      "verify('otp_1', '271828')",
      "verifyByNumber(['to' => '+60129876543', 'code' => '271828'])",
      "findByReference('+60129876543')",
      "send(['to' => '+60129876543', 'message' => '271828 %OTP%'])",
      "sendMany([['to' => '+60129876543', 'message' => '271828 %OTP%']])",
      String.raw`sendMany([['to' => "+60129876543\xff"]])`,
      "send(['to' => '+60129876543'], waitSeconds: 31)",
      "send(['to' => '+60129876543'], idempotencyKey: 'two words')",
    ];
    for (const script of [
      broken,
      json(200, { id: 'otp_1', to: '+60129876543' }),
      problem('invalid_phone_number'),
    ]) {
      for (const call of calls) {
        server.plays(script);
        const { dump } = await failing(`client(retries: 0)->${call};`);
        expect(dump).toContain('run.php');
        expect(dump).not.toMatch(/271828|9876543|canary/);
      }
    }
  });

  it.each([
    ['a warning that is thrown', 'CURLOPT_SSL_VERIFYHOST => true'],
    ['an unknown option', '987_654 => 1'],
  ])('never prints the key or the code after %s of curlOptions', async (_what, option) => {
    server.plays(broken);
    const { value } = await run<string>(`
      set_error_handler(function (int $level, string $message) { throw new ErrorException($message, 0, $level); });
      try {
        $otps = new OtpClient((string) getenv('OTP_URL'), (string) getenv('OTP_KEY'), retries: 0, curlOptions: [${option}]);
        $otps->verify('otp_1', '271828');
      } catch (Throwable $error) { return get_class($error) . print_r($error->getTrace(), true); }`);
    expect(value).toContain('InvalidArgumentException');
    expect(value).not.toMatch(/271828|canary/);
  });

  it('never prints what the gateway answered, when onResult throws', async () => {
    const canary = `{"index":0,"code":"x","message":"","to":"+60129876543"}\n`;
    server.plays((res) => begin(res).end(canary));
    const call = "$otps->sendMany([['to' => '1']], onResult: fn () => throw new DomainException('enough'));";
    const { dump } = await failing(call);
    expect(dump).toContain('enough');
    expect(dump).not.toContain('9876543');
  });

  it('has codes that PHPStan knows, all of the gateway and no others', async () => {
    const { value } = await run<string>('return (new ReflectionClass(OtpError::class))->getDocComment();');
    const types = String(value).split('@phpstan-type').slice(1).join('\n');
    const named = [...types.matchAll(/'(\w+)'/g)].map(([, code]) => code);
    expect(named.sort()).toEqual([...problemCodes, 'network_error', 'timeout', 'invalid_answer'].sort());
  });
});

describe('the PHP client', () => {
  it('hides its key and masks numbers in dumps, and cannot be serialized', async () => {
    server.plays(json(200, otp));
    const { value } = await run<string>(`
      $dumps = printed($otps) . var_export($otps, true) . print_r((array) $otps, true) . json_encode($otps);
      $otp = $otps->get('otp_1');
      return $dumps . printed($otp) . json_encode([$otp]);`);
    expect(value?.match(/\+60\*{6}789/g)).toHaveLength(3);
    expect(value).toContain('"to":"+60******789"');
    expect(value).not.toMatch(/canary|23456789/);
    expect((await failing('serialize($otps);')).class).toBe('LogicException');
  });

  it.each(['', '.', '..'])('rejects the id %j, which would change the path', async (id) => {
    server.plays(json(200, otp));
    for (const call of ['get', 'cancel', 'resend']) {
      expect((await failing(`$otps->${call}('${id}');`)).class).toBe('InvalidArgumentException');
    }
    expect(server.requests).toHaveLength(0);
  });

  it('encodes an id for its part of the path', async () => {
    server.plays(json(200, otp));
    await run("$otps->get('../batches/x?y#z');");
    expect(server.requests[0]?.path).toBe('/v1/otps/..%2Fbatches%2Fx%3Fy%23z');
  });

  it('reads every page of a list', async () => {
    const page = (id: string, next: string | null) => json(200, { otps: [{ ...otp, id, index: 0 }], next });
    server.plays(page('otp_1', 'c&1'), page('otp_2', null));
    const list = "iterator_to_array($otps->listBatch('batch_1', limit: 1))";
    expect((await run(`return array_column(${list}, 'id');`)).value).toEqual(['otp_1', 'otp_2']);
    expect(server.requests.map(({ path }) => path)).toEqual([
      '/v1/batches/batch_1/otps?limit=1',
      '/v1/batches/batch_1/otps?limit=1&cursor=c%261',
    ]);
  });
});

const begin = (res: ServerResponse) =>
  res.writeHead(202, { 'Content-Type': 'application/x-ndjson', Location: '/v1/batches/batch_1' });
const results = (from: number, to: number) =>
  Array.from(
    { length: to - from },
    (_, i) => `${JSON.stringify({ index: from + i, id: `otp_${from + i}` })}\n`,
  ).join('');
const summary = (accepted: number) =>
  `${JSON.stringify({ summary: { batchId: 'batch_1', accepted, rejected: 0 } })}\n`;
/** Takes the whole upload. */
const takes =
  (count: number): Script =>
  (res) =>
    begin(res).end(results(0, count) + summary(count));
/** Breaks off after some answers, the last of them incomplete. */
const breaksAfter =
  (count: number): Script =>
  (res) => {
    begin(res).write(`${results(0, count)}{"index":${count},"id":"ot`);
    setTimeout(() => res.destroy(), 30);
  };
const upload = (inputs: string, options = '') => `
  $seen = [];
  $onResult = function ($result) use (&$seen) { $seen[] = [$result->index, $result->code ?? $result->id]; };
  $inputs = fn (int $count) => array_map(fn ($i) => ['to' => (string) $i], range(1, $count));
  $made = function (int $count) use ($inputs) { yield from $inputs($count); };
  $summary = $otps->sendMany(${inputs}, onResult: $onResult, ${options});
  return [$summary->accepted, $seen];`;

describe('an upload of the PHP client', () => {
  it('sends each OTP on a line of its own, completed with the defaults', async () => {
    server.plays(takes(2));
    await run(
      upload(
        String.raw`[['to' => '1'], ['to' => '2', 'reference' => "own\nline"]]`,
        "defaults: ['reference' => 'all'], name: 'a b'",
      ),
    );
    expect((server.requests[0]?.body ?? '').split('\n')).toEqual([
      '{"to":"1","reference":"all"}',
      String.raw`{"to":"2","reference":"own\nline"}`,
      '',
    ]);
    expect(server.requests[0]).toMatchObject({
      method: 'POST',
      path: '/v1/otps/bulk?name=a%20b',
      headers: { 'content-type': 'application/x-ndjson', 'transfer-encoding': 'chunked' },
    });
  });

  it.each([
    ['an array', '$inputs(30_000)'],
    ['a generator', '$made(30_000)'],
    ['an iterator', 'new ArrayIterator($inputs(30_000))'],
    ['a function', 'fn () => $made(30_000)'],
  ])('accepts %s of OTPs, of any size', async (_what, inputs) => {
    server.plays(takes(30_000));
    const { value } = await run<[number, [number, string][]]>(upload(inputs));
    expect(value?.[0]).toBe(30_000);
    expect(value?.[1]).toHaveLength(30_000);
    expect(server.requests[0]?.body.match(/\n/g)).toHaveLength(30_000);
  });

  it('reports first results before all OTPs are read', async () => {
    server.plays(
      beforeBody(async (res, req) => {
        begin(res).flushHeaders();
        let answered = 0;
        for await (const chunk of req) {
          for (const _line of String(chunk).match(/\n/g) ?? []) res.write(results(answered, ++answered));
        }
        res.end(summary(answered));
      }),
    );
    const { value } = await run(`
      $told = 0;
      $waiting = function () use (&$told) {
        for ($i = 0; $i < 1_000_000 && $told === 0; $i += 1) yield ['to' => '1'];
      };
      return $otps->sendMany($waiting(), onResult: function () use (&$told) { $told += 1; })->accepted;`);
    expect(value).toBeLessThan(1_000_000);
  });

  it.each([
    ['an array', '$inputs(300)'],
    ['a function', 'fn () => $made(300)'],
  ])(
    'is sent again from the start under its key, with each result reported once, from %s',
    async (_what, inputs) => {
      server.plays(breaksAfter(120), breaksAfter(250), takes(300));
      const { value } = await run<[number, [number, string][]]>(upload(inputs));
      expect(value?.[1].map(([index]) => index)).toEqual(Array.from({ length: 300 }, (_, i) => i));
      expect([new Set(keys()).size, keys().length]).toEqual([1, 3]);
      expect(server.requests.map(({ body }) => body.match(/\n/g)?.length)).toEqual([300, 300, 300]);
    },
  );

  it('reports a temporarily refused OTP again once a retry was accepted', async () => {
    const refusedFirst: Script = (res) => {
      const refusal = { index: 0, code: 'queue_unavailable', message: '' };
      const final = { index: 1, code: 'invalid_phone_number', message: '' };
      begin(res).write(`${JSON.stringify(refusal)}\n${JSON.stringify(final)}\n`);
      setTimeout(() => res.destroy(), 30);
    };
    server.plays(refusedFirst, takes(3));
    const { value } = await run<[number, unknown]>(upload('$inputs(3)'));
    expect(value?.[1]).toEqual([
      [0, 'queue_unavailable'],
      [1, 'invalid_phone_number'],
      [0, 'otp_0'],
      [2, 'otp_2'],
    ]);
  });

  it('throws OtpUploadBroken when its OTPs cannot be read again, or after its last retry', async () => {
    server.plays(breaksAfter(120));
    expect(await failing(upload('$made(300)'))).toMatchObject({
      ...{ class: 'IsmsOtp\\OtpUploadBroken', code: 'network_error', batchId: 'batch_1' },
      ...{ idempotencyKey: keys()[0], linesAnswered: 120 },
    });
    expect(server.requests).toHaveLength(1);
    server.plays(broken);
    expect(await failing(upload('$inputs(3)', "idempotencyKey: 'upload-1'"))).toMatchObject({
      ...{ class: 'IsmsOtp\\OtpUploadBroken', batchId: null, idempotencyKey: 'upload-1', linesAnswered: 0 },
    });
    expect(keys()).toEqual(['upload-1', 'upload-1', 'upload-1']);
  });

  it.each<[string, Script, string]>([
    ['has no summary', (res) => begin(res).end(results(0, 2)), 'network_error'],
    [
      'ends within its summary',
      (res) => begin(res).end(results(0, 2) + summary(2).slice(0, -1)),
      'network_error',
    ],
    ['is not the gateway’s', (res) => begin(res).end('<html>\n'), 'invalid_answer'],
    ['stalls', (res) => begin(res).write(results(0, 2)), 'timeout'],
  ])('is broken by an answer that %s', async (_what, script, code) => {
    server.plays(script);
    expect(await failing(upload('$made(2)', 'silenceMs: 1_000'))).toMatchObject({
      class: 'IsmsOtp\\OtpUploadBroken',
      code,
    });
  });

  it('throws the problem of the gateway, also while OTPs are still being sent', async () => {
    server.plays(problem('batch_cancelled'));
    expect(await failing(upload('$inputs(2)'))).toMatchObject({
      class: 'IsmsOtp\\OtpError',
      code: 'batch_cancelled',
    });
    expect(server.requests).toHaveLength(1);
    server.plays(beforeBody(problem('unauthorized')));
    const endless = "(function () { for (;;) yield ['to' => str_repeat('1', 1_000)]; })()";
    expect(await failing(upload(endless))).toMatchObject({
      class: 'IsmsOtp\\OtpError',
      code: 'unauthorized',
    });
  });

  it('ends at once with an error of its inputs or of onResult, never as a complete upload', async () => {
    server.plays(takes(1));
    const inputs =
      "(function () use ($made) { yield from $made(250); throw new DomainException('enough'); })()";
    expect(await failing(upload(inputs))).toMatchObject({ class: 'DomainException', message: 'enough' });
    // Its body was cut, so the server never saw its end.
    expect(server.requests.map(({ body }) => body)).toEqual(['']);
    server.plays(takes(2));
    const call = "$otps->sendMany([['to' => '1']], onResult: fn () => throw new DomainException('enough'));";
    expect(await failing(call)).toMatchObject({ class: 'DomainException' });
    expect(server.requests).toHaveLength(1);
  });
});
