import { type Simulator, startSimulator } from './simulator.js';

const defaultHost = '127.0.0.1';
const defaultPort = 3001;

const usage = `usage: isms-2fa-simulator [--help]

Simulates the iSMS 2FA API and shows every SMS on a page. Stop it with Ctrl+C.

Environment:
  HOST             address to listen on (${defaultHost})
  PORT             port to listen on (${defaultPort}); 0 takes a free one
  ISMS_USERNAME    username to require (any)
  ISMS_PASSWORD    password to require (any)
`;

type Environment = Record<string, string | undefined>;

/** Runs the command until a signal stops it. Sets the exit code: 1 with one line on stderr if it cannot start. */
export async function run(args: string[], env: Environment): Promise<void> {
  const [argument, ...more] = args;
  if (argument === '--help' || argument === '-h') {
    process.stdout.write(usage);
    return;
  }
  try {
    if (argument !== undefined)
      throw new Error(`Unknown argument: ${[argument, ...more].join(' ')}. See --help.`);
    const simulator = await start(env);
    process.stdout.write(`iSMS simulator: inbox ${simulator.url}, endpoint ${simulator.endpoint}\n`);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void simulator.close());
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    process.exitCode = 1;
  }
}

async function start(env: Environment): Promise<Simulator> {
  const host = env['HOST'] || defaultHost;
  const port = portOf(env['PORT']);
  // An empty variable counts as unset.
  const username = env['ISMS_USERNAME'] || undefined;
  const password = env['ISMS_PASSWORD'] || undefined;
  return await startSimulator({ host, port, username, password }).catch((error: NodeJS.ErrnoException) => {
    throw new Error(explain(error, { host, port }));
  });
}

function portOf(text: string | undefined): number {
  if (!text) return defaultPort;
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new Error(`PORT must be a whole number from 0 to 65535, not "${text}".`);
}

function explain({ code, message }: NodeJS.ErrnoException, at: { host: string; port: number }): string {
  switch (code) {
    case 'EADDRINUSE':
      return `Port ${at.port} is already in use. Set PORT to a free one.`;
    case 'EACCES':
      return `Not allowed to listen on port ${at.port}. Set PORT to one above 1023.`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `HOST is not an address of this machine: ${at.host}`;
    default:
      return message;
  }
}
