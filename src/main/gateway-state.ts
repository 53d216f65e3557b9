import type { SendOtpQueue } from '../queues/send-otp.js';
import type { WebhookQueue } from '../queues/webhook.js';
import type { Store } from '../store/store.js';
import type { GatewayState } from '../telemetry/state-metrics.js';

/** Reads what all processes share, for whoever scrapes this one. */
export async function readGatewayState(
  {
    sendingPause,
    appHolds,
    balance,
    load,
    conversion,
  }: Pick<Store, 'sendingPause' | 'appHolds' | 'balance' | 'load' | 'conversion'>,
  {
    queue,
    webhooks,
  }: { queue: Pick<SendOtpQueue, 'backlog' | 'waitingSince'>; webhooks: WebhookQueue | null },
): Promise<GatewayState> {
  const [backlog, since, events, paused, holds, memory, snapshot, { runsOutOn }, lowConversions] =
    await Promise.all([
      queue.backlog(),
      queue.waitingSince(),
      // What lies elsewhere on a cluster, or makes no sense, hides nothing else.
      webhooks?.counts().catch(() => null) ?? null,
      sendingPause.reason(),
      appHolds.read().catch(() => []),
      load.memory(),
      balance.latest().catch(() => null),
      balance.outlook().catch(() => ({ runsOutOn: null })),
      conversion.alarms().catch(() => []),
    ]);
  const moment = (date: string | null) => (date === null ? null : Date.parse(date));
  return {
    waiting: [
      { lane: 'single', jobs: backlog.single + backlog.delayed, since: since.single },
      { lane: 'bulk', jobs: backlog.bulk, since: since.bulk },
    ],
    webhooks: events,
    paused,
    holds: holds.map(({ app, text }) => ({ app, text })),
    memory,
    lowConversions,
    balance: snapshot && {
      credits: snapshot.credits,
      checkedAt: snapshot.at,
      expiresAt: moment(snapshot.expiresOn),
      runsOutAt: moment(runsOutOn),
      alarms: { ...balance.alarms(snapshot) },
    },
  };
}
