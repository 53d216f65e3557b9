import type { Call } from './call.js';
import { counted } from './view.js';

const redrawEveryMs = 100;
const printEveryMs = 5_000;
const longestBar = 24;
const shortestBar = 5;
const eraseLine = '\r\x1b[K';

/** Shows progress on stderr: one changing line on a terminal, else a new line every 5 s. */
interface ProgressLine {
  /** Shows the text if enough time has passed; cheap to call often. `columns` is null off a terminal. */
  show(text: (columns: number | null) => string): void;
  /** Removes the line from the terminal. */
  end(): void;
}

/** Silent with `--json` off a terminal, where stderr holds nothing but an error. */
export function createProgressLine({ stderr, env, json }: Call): ProgressLine {
  const live = stderr.isTTY === true && env['TERM'] !== 'dumb';
  if (json && !live) return { show: () => {}, end: () => {} };
  const everyMs = live ? redrawEveryMs : printEveryMs;
  let shownAt = live ? 0 : performance.now();
  return {
    show: (text) => {
      const now = performance.now();
      if (now - shownAt < everyMs) return;
      shownAt = now;
      const columns = (stderr.columns ?? 80) - 1;
      stderr.write(live ? `${eraseLine}${text(columns).slice(0, columns)}` : `${text(null)}\n`);
    },
    end: () => {
      if (live) stderr.write(eraseLine);
    },
  };
}

/** Formats an upload in one line: answered lines, rate, remaining time; with a bar where columns are left for one. */
export function uploadLine(
  { accepted, rejected }: { accepted: number; rejected: number },
  { lines, seconds, columns }: { lines: number; seconds: number; columns: number | null },
): string {
  const done = accepted + rejected;
  const rate = done / seconds;
  const text = [
    `${counted(done)}/${counted(lines)}`,
    `${counted(Math.round(rate))}/s`,
    `ETA ${rate > 0 ? clock((lines - done) / rate) : '-'}`,
    `accepted ${counted(accepted)}`,
    `rejected ${counted(rejected)}`,
  ].join('  ');
  const length = Math.min(longestBar, (columns ?? 0) - text.length - 2);
  if (length < shortestBar) return text;
  const filled = Math.floor((done / lines) * length);
  return `${'█'.repeat(filled)}${'░'.repeat(length - filled)}  ${text}`;
}

function clock(seconds: number): string {
  const whole = Math.ceil(seconds);
  const two = (n: number) => String(n).padStart(2, '0');
  const [h, m, s] = [Math.floor(whole / 3_600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
