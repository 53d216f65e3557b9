/** Names and values in two columns, one pair a line; what has no value is left out. */
export function rows(pairs: readonly (readonly [string, string | number | null])[]): string {
  const shown = pairs.filter(([, value]) => value !== null && value !== '');
  const width = Math.max(...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n');
}

/** A count as people read it. */
export function counted(n: number): string {
  return n.toLocaleString('en-US');
}
