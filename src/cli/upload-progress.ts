import type { Call } from './command.js';
import { counted } from './rows.js';

const redrawnEveryMs = 100;
const toldEveryMs = 5_000;
const barWidth = 24;
const eraseLine = '\r\x1b[K';

/** How far an upload has come. */
export interface UploadCounts {
  accepted: number;
  rejected: number;
}

/** Shows how something goes on: on a terminal in one line that changes, elsewhere in a line now and then. */
export interface ProgressLine {
  /** Shows the text, if it is time to: cheap to call often. */
  show(text: (live: boolean) => string): void;
  /** Takes the line away from the terminal. */
  end(): void;
}

/** Silent where programs read: what is on stderr then is an error. */
export function createProgressLine({ io: { stderr, env }, json }: Pick<Call, 'io' | 'json'>): ProgressLine {
  const live = stderr.isTTY === true && env['TERM'] !== 'dumb';
  if (json && !live) return { show: () => {}, end: () => {} };
  const everyMs = live ? redrawnEveryMs : toldEveryMs;
  let shownAt = live ? 0 : performance.now();
  return {
    show: (text) => {
      const now = performance.now();
      if (now - shownAt < everyMs) return;
      shownAt = now;
      const width = (stderr.columns ?? 80) - 1;
      stderr.write(live ? `${eraseLine}${text(live).slice(0, width)}` : `${text(live)}\n`);
    },
    end: () => {
      if (live) stderr.write(eraseLine);
    },
  };
}

/** An upload in one line: lines done of all, lines a second, how long it will still take; with a bar where that is `live`. */
export function uploadLine(
  { accepted, rejected }: UploadCounts,
  { lines, seconds, live }: { lines: number; seconds: number; live: boolean },
): string {
  const done = accepted + rejected;
  const filled = Math.floor((done / lines) * barWidth);
  const rate = done / seconds;
  return [
    ...(live ? ['█'.repeat(filled) + '░'.repeat(barWidth - filled)] : []),
    `${counted(done)}/${counted(lines)}`,
    `${counted(Math.round(rate))}/s`,
    `ETA ${rate > 0 ? clock((lines - done) / rate) : '-'}`,
    `accepted ${counted(accepted)}`,
    `rejected ${counted(rejected)}`,
  ].join('  ');
}

function clock(seconds: number): string {
  const whole = Math.ceil(seconds);
  const two = (n: number) => String(n).padStart(2, '0');
  const [h, m, s] = [Math.floor(whole / 3_600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
