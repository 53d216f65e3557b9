import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { expect, it } from 'vitest';
import { beginContext } from '../../../src/api/http/context.js';
import { createDispatcher, defineRoute } from '../../../src/api/http/route.js';
import { sleep } from '../../support/otps.js';

const megabyte = 1_024 * 1_024;
const part = `${'x'.repeat(16 * 1_024 - 1)}\n`;
const parts = 64 * 64;

it('an answer in parts pauses while a megabyte of it is unread', async () => {
  let [made, mostUnread] = [0, 0];
  let response: ServerResponse | undefined;
  const route = defineRoute({
    ...{ method: 'get', path: '/parts', operationId: 'parts', tag: '', summary: '', description: '' },
    answers: {},
    problems: [],
    handle: async () => {
      const body = async function* () {
        for (; made < parts; made++) {
          mostUnread = Math.max(mostUnread, response?.writableLength ?? 0);
          yield part;
        }
      };
      return { status: 200, body: body() };
    },
  });
  const unused = { authenticate: () => {}, answerError: () => {}, isTrusted: () => false };
  const dispatch = createDispatcher([route], unused);
  const server = createServer((req, res) => {
    response = res;
    beginContext(res, 'request');
    dispatch(req, res);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1').pause();
  client.write('GET /parts HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  // Reading begins once nothing more is made; to begin earlier would only make less wait.
  for (let before = -1; made !== before || made === 0; ) {
    before = made;
    await sleep(200);
  }
  let read = 0;
  client.on('data', (data) => {
    read += data.length;
  });
  client.resume();
  await once(client, 'close');
  server.close();
  expect(read).toBeGreaterThan(64 * megabyte);
  expect(mostUnread).toBeLessThan(megabyte + 2 * part.length);
});
