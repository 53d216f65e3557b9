const names = ['SIGTERM', 'SIGINT'] as const;
const endAtOnce = () => process.exit(0);

/** What is told to stop before it has begun has nothing to finish. */
export function endAtOnceOnSignal(): void {
  for (const name of names) process.on(name, endAtOnce);
}

/** From now on there is: `stop` does so. */
export function finishOnSignal(stop: () => void): void {
  for (const name of names) process.off(name, endAtOnce).on(name, stop);
}
