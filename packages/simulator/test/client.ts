import { Agent, request } from 'undici';
import { onTestFinished } from 'vitest';
import { type Simulator, type StartOptions, startSimulator } from '../src/simulator.js';

type Params = Record<string, string | undefined>;

interface Reply {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

/** A simulator and the calls an app makes to it; both are closed after the test. */
export interface Client {
  simulator: Simulator;
  /** Any request; rejects when the connection breaks or nothing comes for `patienceMs`. */
  fetch(path: string, init?: { method?: 'GET' | 'POST' | 'DELETE' | 'HEAD'; json?: unknown }): Promise<Reply>;
  /** A provider call with credentials and a good send's parameters; `undefined` leaves one out. */
  call(params?: Params): Promise<Reply>;
  /** The JSON of such a call. */
  ask(params?: Params): Promise<Record<string, string>>;
  /** The JSON of a verify call for what a send answered. */
  verify(sent: Record<string, string>, params?: Params): Promise<Record<string, string>>;
}

export const ordinary = '123456789';
export const goodSend = {
  un: 'shop',
  pass: 'secret-pass',
  country_code: '60',
  mobile: ordinary,
  type: '1',
  message: 'Your code is %OTP%',
};

export async function startClient({
  patienceMs = 20_000,
  ...options
}: StartOptions & { patienceMs?: number } = {}): Promise<Client> {
  const simulator = await startSimulator(options);
  const agent = new Agent({ headersTimeout: patienceMs, bodyTimeout: patienceMs });
  onTestFinished(async () => {
    await Promise.all([agent.destroy(), simulator.close()]);
  });
  const fetch: Client['fetch'] = async (path, { method = 'GET', json } = {}) => {
    const body = json === undefined ? null : JSON.stringify(json);
    const headers = body === null ? {} : { 'content-type': 'application/json' };
    const res = await request(simulator.url + path, { method, headers, body, dispatcher: agent });
    return { status: res.statusCode, headers: res.headers, text: await res.body.text() };
  };
  const call: Client['call'] = (params) =>
    fetch(`${new URL(simulator.endpoint).pathname}?${queryOf({ ...goodSend, ...params })}`);
  const ask: Client['ask'] = async (params) => JSON.parse((await call(params)).text);
  const verify: Client['verify'] = ({ uuid, sms_id, code }, params) =>
    ask({ method: 'verify', uuid, sms_id, code, ...params });
  return { simulator, fetch, call, ask, verify };
}

function queryOf(params: Params): URLSearchParams {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) if (value !== undefined) query.set(name, value);
  return query;
}
