import type { Provider } from '../otp/provider.js';
import type { Metrics } from '../telemetry/metrics.js';

/** The provider, with each call that is really made timed by what became of it. */
export function measuredProvider(provider: Provider, metrics: Pick<Metrics, 'call'>): Provider {
  const timed = async <T extends { kind: string }>(call: string, made: Promise<T>): Promise<T> => {
    const began = performance.now();
    const outcome = await made;
    metrics.call(call, outcome.kind, (performance.now() - began) / 1_000);
    return outcome;
  };
  return {
    send: (call, window) => timed('send', provider.send(call, window)),
    verify: (call) => timed('verify', provider.verify(call)),
    balance: () => timed('balance', provider.balance()),
    close: () => provider.close(),
  };
}
