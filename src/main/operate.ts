import { setTimeout as sleep } from 'node:timers/promises';
import { table } from '../cli/view.js';
import { ConfigError } from '../config/load-config.js';
import { isoTime } from '../lib/time.js';
import type { Otp } from '../otp/otp.js';
import { setAppPaused } from '../producer/app-pause.js';
import { type BatchQueue, createBatchQueue } from '../queues/batch.js';
import { createSendOtpQueue, type SendOtpQueue } from '../queues/send-otp.js';
import { createWebhookQueue, type WebhookQueue } from '../queues/webhook.js';
import { shownRange } from '../store/number-ranges.js';
import type { Store } from '../store/store.js';
import { createAppRegistry } from './apps.js';
import { storeOf } from './composition.js';
import { load } from './load.js';
import { type NumberListTools, numberListCommands, type OperatorOptions } from './number-list-commands.js';
import { appNames, type CommandOutput, knownApp, numberOf, output, subjectOf } from './operator-input.js';
import { connectOnce } from './redis.js';

/** Runs a command on the stored data; its name is its action in the audit log. */
export async function* runOperatorCommand(
  name: OperatorCommand,
  args: readonly (string | undefined)[],
  env: Readonly<Record<string, string | undefined>>,
  options: OperatorOptions = {},
): AsyncGenerator<CommandOutput> {
  const config = load(env, 'operator');
  const redis = connectOnce(config.redisUrl.reveal());
  const onError = () => {};
  redis.on('error', onError);
  const store = storeOf(redis, config, { info: () => {}, warn: () => {}, error: () => {} });
  const tools: Tools = {
    store,
    sendOtpQueue: createSendOtpQueue({ connection: redis, onError, shards: config.queues.shards }),
    batchQueue: createBatchQueue(redis, onError),
    webhookQueue: createWebhookQueue(redis, onError),
    config,
    options,
  };
  try {
    // Recorded first: a command that is interrupted has shown or changed data as well.
    const { app, until, unreadable } = options;
    const given = [...args, app, until, unreadable && 'unreadable'].filter((text) => text !== undefined);
    const about = subjectOf(given, config);
    await store.audit.add({ at: Date.now(), actor: 'operator', action: name, result: 'begun', ...about });
    yield* runners[name](tools, args[0] ?? '', args[1] ?? '');
  } catch (error) {
    if (redis.status === 'ready' || error instanceof ConfigError) throw error;
    throw new Error('Redis cannot be reached: check REDIS_URL.');
  } finally {
    redis.disconnect();
  }
}

interface Tools extends NumberListTools {
  store: Store;
  sendOtpQueue: SendOtpQueue;
  batchQueue: BatchQueue;
  webhookQueue: WebhookQueue;
}

type Runner = (tools: Tools, first: string, second: string) => AsyncGenerator<CommandOutput>;

const runners = {
  ...numberListCommands,
  'numbers unlock': async function* ({ store, config }, app, text) {
    const to = numberOf(text, config);
    const known = await store.phones.unlock(app, to);
    if (!known) knownApp(app, config);
    yield output(
      known
        ? `${to.masked} of ${app} was unlocked: OTPs can be sent and verified again.`
        : `${to.masked} of ${app} was not limited or locked.`,
    );
  },
  'apps list': async function* ({ store, config }) {
    const pauses = await store.appPauses.read();
    const known = createAppRegistry(config);
    const names = [...new Set([...appNames(config), ...pauses.keys()])].sort();
    const budgets = await store.budgets.read(names.map(known.of));
    const data = names.map((name) => {
      const ofApp = budgets.filter(({ app }) => app === name);
      const used = ofApp.map(({ period, limit, used }) => [period, { used, budget: limit }]);
      const pausedAt = pauses.has(name) ? isoTime(pauses.get(name) ?? 0) : null;
      return { app: name, pausedAt, credits: Object.fromEntries(used) };
    });
    const creditsOf = (of: { used: number; budget: number } | undefined) =>
      of ? `${of.used} of ${of.budget}` : '-';
    const rows = data.map(({ app, pausedAt, credits }) => {
      return [app, creditsOf(credits.day), creditsOf(credits.month), pausedAt ?? '-'];
    });
    yield { text: table([['app', 'credits today', 'this month', 'paused since'], ...rows]), data };
  },
  'apps pause': async function* (tools, app) {
    const changed = await setAppPaused(tools, knownApp(app, tools.config), true);
    yield output(
      changed
        ? `${app} is paused: its OTPs wait until it is resumed or their deadline passes, and new ones are rejected.`
        : `${app} was paused before.`,
    );
  },
  'apps resume': async function* (tools, app) {
    // One that was removed from the settings meanwhile can be resumed as well.
    const changed = await setAppPaused(tools, app, false);
    if (!changed) knownApp(app, tools.config);
    yield output(changed ? `${app} is resumed: its OTPs are sent again.` : `${app} was not paused.`);
  },
  'ranges list': async function* ({ store }) {
    const limited = await store.ranges.limited();
    const data = limited.map(({ range, ...one }) => ({ ...one, range: shownRange(range) }));
    const rows = data.map(({ app, range, slowUntil, blockedUntil, cappedUntil, refused, wouldRefuse }) => {
      const times = [slowUntil, blockedUntil, cappedUntil].map((ms) => (ms === 0 ? '-' : isoTime(ms)));
      return [app, range, ...times, String(refused), String(wouldRefuse)];
    });
    const until = ['slowed until', 'blocked until', 'capped until'];
    const head = ['app', 'range', ...until, 'rejected', 'would reject'];
    const none = 'No number range is slowed, blocked or capped.';
    yield { text: data.length === 0 ? none : table([head, ...rows]), data };
  },
  'webhooks redeliver': async function* ({ webhookQueue }) {
    const count = await webhookQueue.retryDead();
    const text =
      count === 0
        ? 'No delivery was given up: every event was delivered or is being retried.'
        : `${count} events are delivered again, with as many attempts as new ones.`;
    yield { text, data: { count } };
  },
  'ranges unblock': async function* ({ store, config }, app, text) {
    const range = text.replace(/\D/g, '');
    const known = await store.ranges.forget(app, range);
    if (!known) knownApp(app, config);
    yield output(
      known
        ? `${shownRange(range)} of ${app} was unblocked; the guard starts without its history.`
        : `The guard has no data about ${shownRange(range)} of ${app}; see isms-otp ranges list.`,
    );
  },
  'redis mark-restored': async function* ({ store }) {
    await store.noteRestore();
    yield output(
      'OTPs that wait in this Redis are marked as possibly sent: each is sent at most MAX_RESENDS_AFTER_UNKNOWN times more.',
    );
  },
  audit: async function* ({ store }, since, until) {
    for await (const entry of store.audit.read(Date.parse(since), Date.parse(until))) {
      yield line({ ...entry, at: isoTime(entry.at) });
    }
  },
  'subject export': async function* ({ store, config }, text) {
    const to = numberOf(text, config);
    for (const otp of await store.dataSubjects.find(to)) yield line(exportedOtp(otp));
    for (const { admittedAt, verifiedAt, otpIds: _ids, ...known } of await store.phones.known(to)) {
      const times = { admittedAt: admittedAt.map(isoTime), verifiedAt: verifiedAt && isoTime(verifiedAt) };
      yield line({ to: to.masked, ...known, ...times });
    }
    const { entries } = await store.numberLists.read();
    for (const { list, shown, app, until, digits } of entries) {
      if (`+${digits}` === to.e164) yield line({ to: shown, list, app, until: until && isoTime(until) });
    }
  },
  'subject erase': async function* ({ store, sendOtpQueue, config }, text) {
    const to = numberOf(text, config);
    const otps = await store.dataSubjects.find(to);
    // Stops sends of waiting OTPs.
    for (const { app, id } of otps) await store.otps.cancel(app, id);
    await store.dataSubjects.erase(to, otps);
    const held = await eraseJobs(sendOtpQueue, otps, config.isms.sendTimeoutMs + jobMarginMs);
    yield {
      text: `${otps.length} OTPs to ${to.masked} were erased, with the limits of the number.`,
      data: { erased: otps.length, jobsHeld: held },
    };
    if (held > 0) {
      yield output(
        `Workers hold ${held} of their jobs, which show ${to.masked}; these are removed OTP_RETENTION_SECONDS after they end.`,
      );
    }
  },
} as const satisfies Record<string, Runner>;

/** A command on the stored data. */
type OperatorCommand = keyof typeof runners;

/** A line of NDJSON, with and without `--json`. */
const line = (data: object): CommandOutput => ({ text: JSON.stringify(data), data });

/** Time after its longest call in which a worker releases a job. */
const jobMarginMs = 5_000;

/** Erases jobs, waiting for workers that hold them; returns the number of jobs that stay held. */
async function eraseJobs(queue: SendOtpQueue, otps: readonly Otp[], waitMs: number): Promise<number> {
  const until = performance.now() + waitMs;
  for (let left = otps; ; await sleep(500)) {
    const erased = await Promise.all(left.map(({ id }) => queue.erase(id)));
    left = left.filter((_, i) => !erased[i]);
    if (left.length === 0 || performance.now() > until) return left.length;
  }
}

/** An OTP as its recipient may request it: with a masked number, and without the hash of its binding. */
function exportedOtp({ to, binding: _hash, ...otp }: Otp) {
  const times = ['createdAt', 'sendDeadline', 'sentAt', 'expiresAt', 'verifiedAt'] as const;
  const iso = times.map((name) => [name, otp[name] === null ? null : isoTime(otp[name])]);
  return { ...otp, to: to.masked, ...Object.fromEntries(iso) };
}
