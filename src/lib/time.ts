export const minuteMs = 60_000;
export const hourMs = 60 * minuteMs;
export const dayMs = 24 * hourMs;

/** Milliseconds since 1970 as text: UTC with milliseconds. */
export const isoTime = (ms: number) => new Date(ms).toISOString();

/** The UTC day of a time, such as `2026-11-25`. */
export const dayOf = (ms: number) => isoTime(ms).slice(0, 10);
