import { createServer, type Socket } from 'node:net';
import { parentPort } from './support/child.js';
import { nowMs } from './support/clock.js';

/*
 * A stand-in for iSMS in a process of its own, which takes as little of the processor as it can, since everything that
 * is measured shares it: it speaks just enough HTTP for GETs without a body.
 */

/** What the bench asks this process. */
export type ProviderQuestion = { ask: 'reset'; delayMs: number } | { ask: 'tally' } | { ask: 'arrivals' };

/** Calls that were sends, and when the first and the last of them came. */
export interface Tally {
  sends: number;
  /** Numbers that were sent to. */
  numbers: number;
  firstMs: number;
  lastMs: number;
}

let delayMs = 0;
let tally: Tally;
let arrivals: Map<string, number>;

function reset(nextDelayMs: number): void {
  delayMs = nextDelayMs;
  arrivals = new Map();
  tally = { sends: 0, numbers: 0, firstMs: 0, lastMs: 0 };
}

function noteSend(mobile: string): void {
  const at = nowMs();
  if (tally.sends === 0) tally.firstMs = at;
  tally.sends += 1;
  tally.lastMs = at;
  arrivals.set(mobile, at);
}

const parameter = (target: string, name: string) =>
  new RegExp(`[?&]${name}=([^& ]*)`).exec(target)?.[1] ?? '';
const mobileOf = /[?&]mobile=(\d+)/;

function replyTo(target: string): string {
  if (target.includes('method=balance'))
    return '{"method":"balance","balance":"1000000.0","expiration":"29 Apr 2099"}';
  if (target.includes('method=verify')) {
    const ids = `"uuid":"${parameter(target, 'uuid')}","sms_id":"${parameter(target, 'sms_id')}"`;
    return `{"status":"Verified",${ids},"code":"123456","mobile":"+601X-XXXXXXX"}`;
  }
  noteSend(mobileOf.exec(target)?.[1] ?? '');
  const uuid = `bd9a1ff0-0000-11ee-8000-${String(tally.sends).padStart(12, '0')}`;
  const ids = `"uuid":"${uuid}","sms_id":"${1_000_000_000 + tally.sends}"`;
  return `{"status":"Success","code":"123456",${ids},"username":"bench","mobile":"+601X-XXXXXXX"}`;
}

function answer(socket: Socket, head: string): void {
  const json = replyTo(head.slice(0, head.indexOf('\r\n')));
  const lines = ['HTTP/1.1 200 OK', 'Content-Type: application/json', `Content-Length: ${json.length}`];
  const reply = `${lines.join('\r\n')}\r\n\r\n${json}`;
  if (delayMs === 0) socket.write(reply, 'latin1');
  else setTimeout(() => socket.writable && socket.write(reply, 'latin1'), delayMs);
}

function serve(socket: Socket): void {
  let unread = '';
  socket.setNoDelay(true).setEncoding('latin1');
  socket.on('error', () => socket.destroy());
  socket.on('data', (text) => {
    const heads = (unread + text).split('\r\n\r\n');
    unread = heads.pop() ?? '';
    for (const head of heads) answer(socket, head);
  });
}

reset(0);
const port = parentPort<ProviderQuestion>((question) => {
  if (question.ask === 'arrivals') return [...arrivals];
  if (question.ask === 'reset') reset(question.delayMs);
  return { ...tally, numbers: arrivals.size };
});
const server = createServer(serve).listen(0, '127.0.0.1', () => port.ready(server.address()));
