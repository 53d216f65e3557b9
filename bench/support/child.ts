import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { kill, killAtExit } from './kill.js';

/*
 * Processes of the bench's own: the provider and the bare counterparts. They say where they listen once they are ready,
 * then answer one question at a time, and end with the bench.
 */

/** A process of the bench, seen from the bench. */
export interface Child {
  /** `http://127.0.0.1:<port>`, if it listens. */
  url: string;
  pid: number;
  kill(signal: NodeJS.Signals): boolean;
  ask(question: object): Promise<unknown>;
  end(): Promise<void>;
}

/** Starts `bench/<name>.ts` with nothing of this environment but its PATH; resolves once it is ready. */
export async function startChild(name: string, env: Record<string, string> = {}): Promise<Child> {
  const file = fileURLToPath(new URL(`../${name}.js`, import.meta.url));
  const child = fork(file, [], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    // Log lines are written and read by nobody.
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  killAtExit(child);
  const address = await answerOf(child, name);
  return {
    url: typeof address === 'number' ? `http://127.0.0.1:${address}` : '',
    pid: child.pid ?? 0,
    kill: (signal) => child.kill(signal),
    ask: async (question) => {
      child.send(question);
      return await answerOf(child, name);
    },
    end: () => kill(child),
  };
}

async function answerOf(child: ChildProcess, name: string): Promise<unknown> {
  const waits = new AbortController();
  try {
    const { signal } = waits;
    const ended = once(child, 'exit', { signal }).then(() => {
      throw new Error(`the process ${name} has ended`);
    });
    const [answer] = await Promise.race([once(child, 'message', { signal }), ended]);
    return answer;
  } finally {
    waits.abort();
  }
}

/** The child's end: answers the bench's questions. `ready` says which port it listens on, or null. */
export function parentPort<Question>(answer: (question: Question) => unknown) {
  process.on('message', (question: Question) => void process.send?.(answer(question)));
  process.on('disconnect', () => process.exit());
  return {
    ready: (address: { port: number } | string | null) => {
      process.send?.(typeof address === 'object' && address ? address.port : 'ready');
    },
  };
}
