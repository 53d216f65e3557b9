/** Milliseconds of a clock that all processes of one machine share, with microseconds behind the point. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Asks until the answer is true; throws with `what` after `withinMs`. */
export async function until(what: string, withinMs: number, holds: () => Promise<boolean>): Promise<void> {
  const deadline = nowMs() + withinMs;
  while (!(await holds())) {
    if (nowMs() > deadline) throw new Error(`${what}: not within ${withinMs} ms`);
    await sleep(20);
  }
}
