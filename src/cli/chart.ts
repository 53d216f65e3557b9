const blocks = [...'▁▂▃▄▅▆▇█'];

/** One block character for each value, from the least (▁) to the most (█); a gap where there is none. */
export function barsOf(values: readonly (number | null)[]): string {
  const known = values.filter((value) => value !== null);
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const scale = most === least ? 0 : (blocks.length - 1) / (most - least);
  return values
    .map((value) => (value === null ? ' ' : (blocks[Math.round((value - least) * scale)] ?? '')))
    .join('');
}
