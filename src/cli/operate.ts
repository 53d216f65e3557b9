import type { ConfigFor } from '../config/commands.js';
import { ConfigError } from '../config/config-error.js';
import { PhoneNumber } from '../otp/phone-number.js';
import { createWebhookQueue, type WebhookQueue } from '../queues/webhook.js';
import { shownRange } from '../store/number-ranges.js';
import type { Store } from '../store/store.js';
import { storeOf } from './parts.js';
import { connectOnce } from './redis.js';

type OperatorConfig = ConfigFor<'unlock'>;

/** By how many arguments each of the operator's commands is called, and what they are. */
const operatorCommands = {
  unlock: ['<app>', '<phone number>'],
  ranges: [],
  'forget-range': ['<app>', '<range>'],
  'resend-webhooks': [],
} as const;

type OperatorCommand = keyof typeof operatorCommands;

/** Whether a word names one of these commands. */
export function isOperatorCommand(command: string): command is OperatorCommand {
  return Object.hasOwn(operatorCommands, command);
}

/** Runs one command by which an operator undoes what went wrong; resolves with what to print. */
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
    return await runners[command](
      { store: storeOf(redis, config, silent), webhookQueue: createWebhookQueue(redis, () => {}), config },
      args[0] ?? '',
      args[1] ?? '',
    );
  } catch (error) {
    if (redis.status === 'ready' || error instanceof ConfigError) throw error;
    throw new Error('Redis cannot be reached: see REDIS_URL.');
  } finally {
    redis.disconnect();
  }
}

/** What these commands do, they say by themselves. */
const silent = { info: () => {}, warn: () => {} };

interface Tools {
  store: Store;
  webhookQueue: WebhookQueue;
  config: OperatorConfig;
}

const runners: Record<OperatorCommand, (tools: Tools, app: string, what: string) => Promise<string>> = {
  unlock: async ({ store, config }, app, text) => {
    const to = PhoneNumber.parse(text, config.defaults.country);
    if (!to)
      throw new ConfigError([
        { variable: '<phone number>', problem: 'is no mobile number; write it as +60123456789' },
      ]);
    const known = await store.phones.unlock(app, to);
    return known
      ? `${to.masked} of ${app} can be sent to and verified again.`
      : `Nothing stood in the way of ${to.masked} of ${app}.`;
  },
  ranges: async ({ store }) => {
    const judged = await store.ranges.judged();
    if (judged.length === 0) return 'No number range was slowed or blocked lately.';
    const time = (ms: number) => (ms === 0 ? '-'.padEnd(24) : new Date(ms).toISOString());
    const lines = judged.map(
      ({ app, range, slowUntil, blockedUntil, refused }) =>
        `${app.padEnd(32)}  ${shownRange(range).padEnd(14)}  ${time(slowUntil)}  ${time(blockedUntil)}  ${refused}`,
    );
    const head = [
      'app'.padEnd(32),
      'range'.padEnd(14),
      'slowed until'.padEnd(24),
      'blocked until'.padEnd(24),
    ];
    return [[...head, 'refused'].join('  '), ...lines].join('\n');
  },
  'resend-webhooks': async ({ webhookQueue }) => {
    const count = await webhookQueue.retryDead();
    return count === 0
      ? 'Every event was delivered, or is tried again by itself.'
      : `${count} events that were given up are delivered again, with as many attempts as new ones.`;
  },
  'forget-range': async ({ store }, app, text) => {
    const range = text.replace(/\D/g, '');
    const known = await store.ranges.forget(app, range);
    return known
      ? `The guard begins anew with ${shownRange(range)} of ${app}.`
      : `Nothing is known of ${shownRange(range)} of ${app}; see isms-otp ranges.`;
  },
};
