import type { Side, Sides } from '../pairs.js';
import { createCounterpart } from './counterpart.js';
import type { Gateway } from './gateway.js';
import type { Stand } from './stand.js';

/** Makes a side of an API at this address. */
type SideOf = (url: string) => Side;

/** Starts the gateway's API and both counterparts'. */
export async function apiSides(
  stand: Stand,
  gateway: Gateway,
  { ours, counterpart }: { ours: SideOf; counterpart: SideOf },
): Promise<Sides> {
  const [ourApi, bareApi, usualApi] = [
    await gateway.startApi(),
    await createCounterpart(stand, 'bare').startApi(),
    await createCounterpart(stand, 'usual').startApi(),
  ];
  return {
    ours: ours(ourApi.url),
    bare: counterpart(bareApi.url),
    usual: counterpart(usualApi.url),
    pids: { ours: ourApi.pid, bare: bareApi.pid, usual: usualApi.pid },
  };
}
