import { setTimeout as sleep } from 'node:timers/promises';
import type { ConfigFor } from '../config/commands.js';
import { ConfigError } from '../config/config-error.js';
import type { Otp } from '../otp/otp.js';
import { PhoneNumber } from '../otp/phone-number.js';
import { createSendOtpQueue, type SendOtpQueue } from '../queues/send-otp.js';
import { createWebhookQueue, type WebhookQueue } from '../queues/webhook.js';
import { shownRange } from '../store/number-ranges.js';
import type { Store } from '../store/store.js';
import { storeOf } from './composition.js';
import { type OperatorCommand, operatorCommands } from './operator-commands.js';
import { type CommandOutput, output } from './output.js';
import { connectOnce } from './redis.js';

type OperatorConfig = ConfigFor<'unlock'>;

/** Runs one command by which an operator looks into what is kept, or undoes what went wrong; yields what to say. */
export async function* operate(
  command: OperatorCommand,
  args: readonly string[],
  config: OperatorConfig,
): AsyncGenerator<CommandOutput> {
  const expected = operatorCommands[command];
  if (args.length !== expected.length) {
    throw new Error(`usage: isms-otp ${[command, ...expected].join(' ')}`);
  }
  const redis = connectOnce(config.redisUrl.reveal());
  redis.on('error', () => {});
  const store = storeOf(redis, config, silent);
  const onError = () => {};
  const tools: Tools = {
    store,
    sendOtpQueue: createSendOtpQueue({ connection: redis, onError, shards: config.queues.shards }),
    webhookQueue: createWebhookQueue(redis, onError),
    config,
  };
  try {
    // Before it is done: whoever breaks off has seen or changed something all the same.
    const subject = subjectOf(args, config);
    await store.audit.add({
      at: Date.now(),
      actor: 'operator',
      action: command,
      result: 'begun',
      ...subject,
    });
    yield* runners[command](tools, args[0] ?? '', args[1] ?? '');
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
  sendOtpQueue: SendOtpQueue;
  webhookQueue: WebhookQueue;
  config: OperatorConfig;
}

type Runner = (tools: Tools, first: string, second: string) => AsyncGenerator<CommandOutput>;

const runners: Record<OperatorCommand, Runner> = {
  unlock: async function* ({ store, config }, app, text) {
    const to = numberOf(text, config);
    const known = await store.phones.unlock(app, to);
    yield output(
      known
        ? `${to.masked} of ${app} can be sent to and verified again.`
        : `Nothing stood in the way of ${to.masked} of ${app}.`,
    );
  },
  ranges: async function* ({ store }) {
    const judged = await store.ranges.judged();
    if (judged.length === 0) {
      return yield { text: 'No number range was slowed, blocked or capped lately.', data: judged };
    }
    const time = (ms: number) => (ms === 0 ? '-'.padEnd(24) : new Date(ms).toISOString());
    const lines = judged.map(({ app, range, slowUntil, blockedUntil, cappedUntil, refused, wouldRefuse }) =>
      [
        app.padEnd(32),
        shownRange(range).padEnd(14),
        ...[slowUntil, blockedUntil, cappedUntil].map(time),
        String(refused).padEnd(7),
        wouldRefuse,
      ].join('  '),
    );
    const head = [
      'app'.padEnd(32),
      'range'.padEnd(14),
      'slowed until'.padEnd(24),
      'blocked until'.padEnd(24),
      'capped until'.padEnd(24),
    ];
    const data = judged.map(({ range, ...one }) => ({ ...one, range: shownRange(range) }));
    yield { text: [[...head, 'refused', 'would refuse'].join('  '), ...lines].join('\n'), data };
  },
  'resend-webhooks': async function* ({ webhookQueue }) {
    const count = await webhookQueue.retryDead();
    const text =
      count === 0
        ? 'Every event was delivered, or is tried again by itself.'
        : `${count} events that were given up are delivered again, with as many attempts as new ones.`;
    yield { text, data: { count } };
  },
  'forget-range': async function* ({ store }, app, text) {
    const range = text.replace(/\D/g, '');
    const known = await store.ranges.forget(app, range);
    yield output(
      known
        ? `The guard begins anew with ${shownRange(range)} of ${app}.`
        : `Nothing is known of ${shownRange(range)} of ${app}; see isms-otp ranges.`,
    );
  },
  restored: async function* ({ store }) {
    await store.noteRestore();
    yield output(
      'What waits in this Redis may have been sent since its backup: it is sent at most MAX_RESENDS_AFTER_UNKNOWN times more.',
    );
  },
  audit: async function* ({ store }, since, until) {
    const [from, to] = [momentOf('<since>', since), momentOf('<until>', until)];
    for await (const entry of store.audit.read(from, to)) {
      yield line({ ...entry, at: isoTime(entry.at) });
    }
  },
  person: async function* ({ store, config }, text) {
    const to = numberOf(text, config);
    for (const otp of await store.dataSubjects.find(to)) yield line(personView(otp));
    for (const { admittedAt, verifiedAt, otpIds: _ids, ...known } of await store.phones.known(to)) {
      const times = { admittedAt: admittedAt.map(isoTime), verifiedAt: verifiedAt && isoTime(verifiedAt) };
      yield line({ to: to.masked, ...known, ...times });
    }
  },
  erase: async function* ({ store, sendOtpQueue, config }, text) {
    const to = numberOf(text, config);
    const otps = await store.dataSubjects.find(to);
    // Nothing of it is sent any more.
    for (const { app, id } of otps) await store.otps.cancel(app, id);
    await store.dataSubjects.erase(to, otps);
    const held = await eraseJobs(sendOtpQueue, otps, config.isms.sendTimeoutMs + jobMarginMs);
    yield {
      text: `${otps.length} OTPs to ${to.masked} were erased, with its limits.`,
      data: { erased: otps.length, jobsHeld: held },
    };
    if (held > 0) {
      yield output(
        `${held} of their jobs, which show ${to.masked}, are held by workers, and go OTP_RETENTION_SECONDS after they end.`,
      );
    }
  },
};

/** NDJSON, to people and programs alike. */
const line = (data: object): CommandOutput => ({ text: JSON.stringify(data), data });

/** For a worker to let go of a job after its longest call. */
const jobMarginMs = 5_000;

/** A worker that holds a job does so until its call is over; answers how many are held for longer than that. */
async function eraseJobs(queue: SendOtpQueue, otps: readonly Otp[], waitMs: number): Promise<number> {
  const until = performance.now() + waitMs;
  for (let left = otps; ; await sleep(500)) {
    const erased = await Promise.all(left.map(({ id }) => queue.erase(id)));
    left = left.filter((_, i) => !erased[i]);
    if (left.length === 0 || performance.now() > until) return left.length;
  }
}

function numberOf(text: string, { defaults }: OperatorConfig): PhoneNumber {
  const to = PhoneNumber.parse(text, defaults.country);
  if (to) return to;
  const problem = 'is no mobile number; write it as +60123456789';
  throw new ConfigError([{ variable: '<phone number>', problem }]);
}

/** What may be a number after all, such as one of a landline, is left out. */
const withoutDigits = (text: string) => text.replaceAll(/\d(?:[ ().-]*\d){8,}/g, '[masked]');

/** What a command is about, as the audit trail may show it: no whole number. */
function subjectOf(args: readonly string[], { defaults }: OperatorConfig): { subject?: string } {
  if (args.length === 0) return {};
  const shown = args.map((text) => PhoneNumber.parse(text, defaults.country)?.masked ?? withoutDigits(text));
  return { subject: shown.join(' ') };
}

function momentOf(variable: string, text: string): number {
  const moment = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(moment)) return moment;
  throw new ConfigError([
    { variable, problem: 'must be a date such as 2026-11-25, or 2026-11-25T08:00:00Z' },
  ]);
}

const isoTime = (ms: number) => new Date(ms).toISOString();

/** All that is kept about a person: what they may ask for. Their number is known to who asked. */
function personView({ to, ...otp }: Otp) {
  const times = ['createdAt', 'sendDeadline', 'sentAt', 'expiresAt', 'verifiedAt'] as const;
  const iso = times.map((name) => [name, otp[name] === null ? null : isoTime(otp[name])]);
  return { ...otp, to: to.masked, ...Object.fromEntries(iso) };
}
