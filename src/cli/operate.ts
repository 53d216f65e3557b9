import type { Redis } from 'ioredis';
import type { ConfigFor } from '../config/commands.js';
import { ConfigError } from '../config/config-error.js';
import { PhoneNumber } from '../otp/phone-number.js';
import { createNumberRanges } from '../store/number-ranges.js';
import { createPhones } from '../store/phones.js';
import { createSealer } from '../store/sealing.js';
import { fraudGuards } from './parts.js';
import { connectOnce } from './redis.js';

type OperatorConfig = ConfigFor<'unlock'>;

/** By how many arguments each of the operator's commands is called, and what they are. */
export const operatorCommands = {
  unlock: ['<app>', '<phone number>'],
  ranges: [],
  'forget-range': ['<app>', '<range>'],
} as const;

export type OperatorCommand = keyof typeof operatorCommands;

/** Whether a word names one of these commands. */
export function isOperatorCommand(command: string): command is OperatorCommand {
  return command in operatorCommands;
}

/** Runs one command by which an operator undoes what limits and the toll-fraud guard did; resolves with what to print. */
export async function operate(
  command: OperatorCommand,
  args: readonly string[],
  config: OperatorConfig,
): Promise<string> {
  const expected = operatorCommands[command];
  if (args.length !== expected.length) {
    throw new Error(`usage: isms-otp ${[command, ...expected].join(' ')}`);
  }
  const redis = connectOnce(config.redisUrl.reveal());
  redis.on('error', () => {});
  try {
    return await runners[command]({ redis, config }, args[0] ?? '', args[1] ?? '');
  } catch (error) {
    if (redis.status === 'ready' || error instanceof ConfigError) throw error;
    throw new Error('Redis cannot be reached: see REDIS_URL.');
  } finally {
    redis.disconnect();
  }
}

interface Tools {
  redis: Redis;
  config: OperatorConfig;
}

const runners: Record<OperatorCommand, (tools: Tools, app: string, what: string) => Promise<string>> = {
  unlock: async ({ redis, config }, app, text) => {
    const to = PhoneNumber.parse(text, config.defaults.country);
    if (!to) throw new ConfigError([{ variable: '<phone number>', problem: 'is no mobile number' }]);
    const sealer = createSealer(config.dataKeys.reveal());
    const known = await createPhones({ redis, sealer }).unlock(app, to);
    return known
      ? `${to.masked} of ${app} can be sent to and verified again.`
      : `Nothing stood in the way of ${to.masked} of ${app}.`;
  },
  ranges: async (tools) => {
    const judged = await rangesOf(tools).judged();
    if (judged.length === 0) return 'No number range was slowed or blocked lately.';
    const time = (ms: number) => (ms === 0 ? '-'.padEnd(24) : new Date(ms).toISOString());
    const lines = judged.map(
      ({ app, range, slowUntil, blockedUntil, refused }) =>
        `${app.padEnd(32)}  ${`${range}xxxx`.padEnd(12)}  ${time(slowUntil)}  ${time(blockedUntil)}  ${refused}`,
    );
    const head = [
      'app'.padEnd(32),
      'range'.padEnd(12),
      'slowed until'.padEnd(24),
      'blocked until'.padEnd(24),
    ];
    return [[...head, 'refused'].join('  '), ...lines].join('\n');
  },
  'forget-range': async (tools, app, text) => {
    const range = text.replace(/^\+/, '').replace(/x+$/, '');
    const known = await rangesOf(tools).forget(app, range);
    return known
      ? `The guard begins anew with ${range}xxxx of ${app}.`
      : `Nothing is known of ${range}xxxx of ${app}; see isms-otp ranges.`;
  },
};

function rangesOf({ redis, config }: Tools) {
  const sealer = createSealer(config.dataKeys.reveal());
  return createNumberRanges({ redis, sealer, fraudGuard: fraudGuards[config.fraud.guard] });
}
