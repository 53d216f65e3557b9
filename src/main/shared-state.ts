import { resolved } from '../lib/map-ordered.js';
import { every } from '../lib/periodic.js';
import { withTimeout } from '../lib/with-timeout.js';
import { accountTroubles } from '../otp/outcome.js';
import type { SendOtpQueue } from '../queues/send-otp.js';
import type { WebhookQueue } from '../queues/webhook.js';
import type { Store } from '../store/store.js';
import type { ActiveBatch } from '../store/waiting-lines.js';
import type { GatewayState, Metrics } from '../telemetry/metrics.js';
import type { Gateway } from './gateway.js';
import type { Closable } from './lifecycle.js';

/** Reads the state that all processes share, for a scrape of this one's metrics. */
export async function readGatewayState(options: {
  store: Store;
  sendOtpQueue: Pick<SendOtpQueue, 'backlog' | 'waitingSince'>;
  webhookQueue: WebhookQueue | null;
  apps: Pick<Gateway['apps'], 'all'>;
}): Promise<GatewayState> {
  const { store, sendOtpQueue, webhookQueue, apps } = options;
  const { sendingPause, appHolds, appPauses, budgets, balance, load, conversion, waitingLines } = store;
  const { backlog, since, active, paused, holds, pauses, used, snapshot, outlook, ...shown } = await resolved(
    {
      backlog: sendOtpQueue.backlog(),
      since: sendOtpQueue.waitingSince(),
      active: waitingLines.active(),
      // On a cluster these may be on another master; one that fails must not hide the rest.
      webhooks: webhookQueue?.counts().catch(() => null) ?? null,
      paused: sendingPause.reason(),
      holds: appHolds.read().catch(() => []),
      pauses: appPauses.read().catch(() => new Map<string, number>()),
      used: budgets.read(apps.all()).catch(() => []),
      memory: load.memory(),
      snapshot: balance.latest().catch(() => null),
      outlook: balance.outlook().catch(() => ({ runsOutOn: null })),
      lowConversions: conversion.alarms().catch(() => []),
    },
  );
  const moment = (date: string | null) => (date === null ? null : Date.parse(date));
  return {
    ...shown,
    waiting: [
      { lane: 'single', jobs: backlog.single + backlog.delayed, since },
      { lane: 'bulk', jobs: backlog.bulk + waitingIn(active), since: waitingBatchesSince(active) },
    ],
    inBatches: waitingByApp(active),
    paused: Object.fromEntries(['operator', ...accountTroubles].map((reason) => [reason, reason === paused])),
    holds: holds.map(({ app, text }) => ({ app, text })),
    pausedApps: [...pauses.keys()],
    budgets: used.map(({ app, period, used, limit }) => ({ app, period, share: used / limit })),
    balance: snapshot && {
      credits: snapshot.credits,
      checkedAt: snapshot.at,
      expiresAt: moment(snapshot.expiresOn),
      runsOutAt: moment(outlook.runsOutOn),
      alarms: { ...balance.alarms(snapshot) },
    },
  };
}

function waitingByApp(active: readonly ActiveBatch[]): GatewayState['inBatches'] {
  const found = new Map<string, GatewayState['inBatches'][number]>();
  for (const { app, waitsFor, waiting } of active) {
    const reason = waitsFor ?? 'turn';
    const name = JSON.stringify([app, reason]);
    const otps = (found.get(name)?.otps ?? 0) + waiting;
    found.set(name, { app, reason, otps });
  }
  return [...found.values()];
}

/** Lines of batches that wait for their release. */
function waitingIn(active: readonly ActiveBatch[]): number {
  return active.reduce((sum, { waiting }) => sum + waiting, 0);
}

/** When the first batch whose lines wait for their turn began, in ms since 1970; null if none waits. */
function waitingBatchesSince(active: readonly ActiveBatch[]): number | null {
  const began = active.flatMap(({ waitsFor, order }) => (waitsFor === null ? [order] : []));
  return began.length === 0 ? null : Math.min(...began);
}

const writeEveryMs = 5_000;
/** One process records the length of the queue this often. */
const backlogEveryMs = 30_000;
/** How long closing waits for Redis. */
const lastWriteMs = 2_000;

/** Adds this process's counts to those in Redis every few seconds; counts that fail to be written are kept. */
export function recordStats(options: {
  store: Pick<Store, 'stats' | 'appStats' | 'acquireLease' | 'waitingLines'>;
  sendOtpQueue: Pick<SendOtpQueue, 'backlog'>;
  metrics: Pick<Metrics, 'tally' | 'appTally'>;
}): Closable {
  const { store, sendOtpQueue } = options;
  const { tally, appTally } = options.metrics;
  const allWaiting = async () => {
    const { single, bulk, delayed } = await sendOtpQueue.backlog();
    return single + bulk + delayed + waitingIn(await store.waitingLines.active());
  };
  const writeOverview = async () => {
    const counts = tally.take();
    try {
      const readsBacklog = await store.acquireLease('stats', backlogEveryMs);
      const waiting = readsBacklog ? { waiting: await allWaiting() } : {};
      if (readsBacklog || Object.keys(counts).length > 0) await store.stats.add(counts, waiting);
    } catch {
      tally.giveBack(counts);
    }
  };
  const write = async () => {
    const [failed] = await Promise.all([store.appStats.add(appTally.take()), writeOverview()]);
    appTally.giveBack(failed);
  };
  const writes = every(writeEveryMs, write, () => {});
  return { close: () => withTimeout(writes.stop().then(write), lastWriteMs).catch(() => {}) };
}
