/** How long a host that could not be reached is tried last. */
const avoidForMs = 30_000;

/** Called after each failure to connect to a host (its origin), `isFirst` for the first one, and when it connects again. */
export type OnHostChange = (host: string, facts: { connected: boolean; isFirst: boolean }) => void;

export type HostOrder = ReturnType<typeof createHostOrder>;

/**
 * The order in which calls try the hosts of the provider: as configured, but for 30 s after a failure to connect a host
 * comes last. Then one call tries it in its place, and the others follow once it connects.
 */
export function createHostOrder(
  origins: readonly string[],
  onHostChange: OnHostChange,
  now: () => number = () => performance.now(),
) {
  /** Until when each host that failed comes last. */
  const avoidUntil = new Map<string, number>();
  const isAvoided = (origin: string) => (avoidUntil.get(origin) ?? 0) > now();
  const avoid = (origin: string) => void avoidUntil.set(origin, now() + avoidForMs);

  return {
    /** The order for one call. */
    next: (): readonly string[] => {
      if (avoidUntil.size === 0) return origins;
      const [preferred, avoided] = [origins.filter((one) => !isAvoided(one)), origins.filter(isAvoided)];
      for (const origin of preferred) if (avoidUntil.has(origin)) avoid(origin);
      return [...preferred, ...avoided];
    },
    failed: (origin: string) => {
      const isFirst = !avoidUntil.has(origin);
      avoid(origin);
      onHostChange(origin, { connected: false, isFirst });
    },
    connected: (origin: string) => {
      if (avoidUntil.delete(origin)) onHostChange(origin, { connected: true, isFirst: true });
    },
  };
}
