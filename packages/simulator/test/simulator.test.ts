import { createServer } from 'node:http';
import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import { createSimulator, startSimulator } from '../src/simulator.js';
import { goodSend, startClient } from './client.js';

describe('startSimulator', () => {
  it('listens on loopback only unless told otherwise', async () => {
    const { simulator } = await startClient();
    expect(simulator.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(simulator.endpoint).toBe(`${simulator.url}/2FA/request.php`);
  });

  it('gives an address that can be reached when it listens on all of them', async () => {
    const { simulator, ask } = await startClient({ host: '0.0.0.0' });
    expect(simulator.url).toContain('127.0.0.1');
    expect(await ask()).toMatchObject({ status: 'Success' });
  });

  it('rejects when the port is taken', async () => {
    const { simulator } = await startClient();
    const port = Number(new URL(simulator.url).port);
    await expect(startSimulator({ port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  it('rejects wrong settings with every problem', async () => {
    await expect(startSimulator({ settings: { credits: -1, errorRate: 2 } })).rejects.toThrow(
      /credits: .*; errorRate: /,
    );
  });

  it('closes at once, calls that hang included, and may be closed twice', async () => {
    const { simulator, call } = await startClient();
    const hanging = call({ mobile: '190000010' }).catch((error: unknown) => error);
    await expect.poll(() => simulator.state.calls.send).toBe(1);
    await simulator.close();
    await simulator.close();
    expect(await hanging).toBeInstanceOf(Error);
  });
});

describe('createSimulator', () => {
  it('makes a handler for any HTTP server', async () => {
    const { app, state } = createSimulator();
    const server = createServer(app);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : null;
    const { body } = await request(
      `http://127.0.0.1:${port}/2FA/request.php?${new URLSearchParams(goodSend)}`,
    );
    expect(await body.json()).toMatchObject({ status: 'Success' });
    expect(state.inbox()).toHaveLength(1);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
});

describe('the logger', () => {
  it('gets no credentials, codes, texts or numbers', async () => {
    const lines: string[] = [];
    const logger = {
      info: (fields: object, message: string) => lines.push(JSON.stringify([fields, message])),
    };
    const { ask, verify, fetch } = await startClient({ logger, password: 'secret-pass' });
    const sent = await ask({ mobile: '190000030' }).catch(() => ({}));
    const ok = await ask();
    await verify({ ...sent, ...ok });
    await ask({ mobile: '190000006' });
    await fetch('/settings', { method: 'POST', json: { credits: 3 } });
    expect(lines).toContainEqual(expect.stringContaining('"behaviour":"failed"'));
    expect(lines).toContainEqual(expect.stringContaining('"settings":["credits"]'));
    const log = lines.join('\n');
    for (const secret of ['shop', 'secret-pass', 'Your code', ok['code'], '123456789', '19000']) {
      expect(log).not.toContain(secret);
    }
  });
});
