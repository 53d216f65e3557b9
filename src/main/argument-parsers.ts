import { InvalidArgumentError } from 'commander';

/** Parses an option that is a whole number. */
export function wholeNumber(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a whole number.');
}

/** Parses a date (00:00 UTC), or a time with its zone; returns it as RFC 3339 in UTC. */
export function moment(text: string): string {
  const [, date = ''] = /^(\d{4}-\d\d-\d\d)(?:T[\d:.]+(?:Z|[+-]\d\d:\d\d))?$/.exec(text) ?? [];
  const [day, time] = [new Date(date), new Date(text)];
  // `Date` takes February 30 for March 2.
  if (!Number.isNaN(time.valueOf()) && day.toJSON()?.startsWith(date)) return time.toISOString();
  throw new InvalidArgumentError(
    'It must be a date such as 2026-11-25 (00:00 UTC), or a time with Z or an offset, such as 2026-11-25T08:00:00+08:00.',
  );
}
