import { describeConfig, shownSettings } from '../config/describe-config.js';
import { appShape } from '../config/keys.js';
import { createAppRegistry } from './apps.js';
import { describeApps } from './apps-check.js';
import type { Finding } from './doctor.js';
import { newKey } from './keys-new.js';
import { load } from './load.js';
import type { CommandOutput } from './output.js';

type Environment = Record<string, string | undefined>;
type Look = (
  args: readonly string[],
  env: Environment,
) => AsyncGenerator<CommandOutput> | Generator<CommandOutput>;

/** Commands that look at settings, or make some; they need no Redis. */
const looks = {
  'check-config': function* (args, env) {
    expect(args, 0, 'check-config');
    const config = load(env, 'check-config');
    createAppRegistry(config);
    yield { text: describeConfig(config), data: shownSettings(config) };
  },
  doctor: async function* (args, env) {
    expect(args, 0, 'doctor');
    const { diagnose } = await import('./doctor.js');
    for await (const finding of diagnose(env)) {
      if (finding.level === 'problem') process.exitCode = 1;
      yield { text: findingText(finding), data: finding };
    }
  },
  apps: function* (args, env) {
    if (args[0] !== 'check') throw new Error('usage: isms-otp apps check [file]');
    expect(args.slice(1), args.length > 1 ? 1 : 0, 'apps check [file]');
    const file = args[1] === undefined ? {} : { APPS_FILE: args[1] };
    const config = load({ ...env, ...file }, 'check-config');
    if (config.appsFile === undefined)
      throw new Error('Name the file: isms-otp apps check <file>, or set APPS_FILE.');
    yield describeApps(createAppRegistry(config));
  },
  keys: function* (args) {
    if (args[0] !== 'new') throw new Error('usage: isms-otp keys new <app>');
    expect(args.slice(1), 1, 'keys new <app>');
    const app = args[1] ?? '';
    if (!new RegExp(`^${appShape}$`).test(app)) {
      throw new Error('The name of an app is 1 to 32 of a-z 0-9 _ - (no _ or - first).');
    }
    yield newKey(app);
  },
} as const satisfies Record<string, Look>;

type LookCommand = keyof typeof looks;

/** Whether a word names one of these commands. */
export function isConfigCommand(command: string): command is LookCommand {
  return Object.hasOwn(looks, command);
}

/** Runs one, and says what it has to say as it comes. Exit code 1 when doctor found a problem. */
export async function runConfigCommand(
  command: LookCommand,
  args: readonly string[],
  { env, say }: { env: Environment; say: (said: CommandOutput) => void },
): Promise<void> {
  const look: Look = looks[command];
  for await (const one of look(args, env)) say(one);
}

function expect(args: readonly string[], count: number, usage: string): void {
  if (args.length !== count) throw new Error(`usage: isms-otp ${usage}`);
}

const marks: Record<Finding['level'], string> = { ok: 'ok     ', warning: 'warning', problem: 'PROBLEM' };

function findingText({ check, level, text, advice }: Finding): string {
  const line = `${marks[level]}  ${check.padEnd(8)}  ${text}`;
  return advice === undefined ? line : `${line}\n${' '.repeat(19)}→ ${advice}`;
}
