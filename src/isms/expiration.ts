const months = [
  'january',
  'february',
  'march',
  'april',
  'may',
  'june',
  'july',
  'august',
  'september',
  'october',
  'november',
  'december',
];

/** Reads a date like `29 Apr 2025` as `2025-04-29`; null for anything else, a day that is none included. */
export function parseExpiration(value: unknown): string | null {
  if (typeof value !== 'string') return null;
  const [, day, name, year] = /^(\d{1,2}) ([a-z]{3,9}) (\d{4})$/.exec(value.trim().toLowerCase()) ?? [];
  if (!day || !name || !year) return null;
  const month = months.findIndex((full) => name === full || name === full.slice(0, 3));
  const date = new Date(Date.UTC(Number(year), month, Number(day)));
  const real = month >= 0 && date.getUTCDate() === Number(day) && date.getUTCFullYear() === Number(year);
  return real ? date.toISOString().slice(0, 10) : null;
}
