import { type HostileApp, type Hostility, startHostileApp } from '../test/support/hostile-app.js';
import { parentPort } from './support/child.js';

/* The hostile app of the row `hostile-app`, in a process of its own: what it writes must not delay those who measure. */

/** What the bench asks this process. */
export type HostileQuestion = { ask: 'start'; url: string; key: string; kind: Hostility } | { ask: 'stop' };

let running: HostileApp | null = null;

/** Whether the API has taken anything, once it is stopped. */
function answer(question: HostileQuestion): boolean {
  if (question.ask === 'start') running = startHostileApp(question.url, question);
  else running?.stop();
  return (running?.sentBytes ?? 0) > 0;
}

parentPort(answer).ready(null);
