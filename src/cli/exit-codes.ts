/** What a command of this room says to whoever started it; the same in docs/command-line.md. */
export const exitCodes = {
  done: 0,
  /** The gateway refused it, or it failed. */
  refused: 1,
  /** It was asked for in a way that cannot be understood, or settings are missing. */
  usage: 2,
  /** The code was wrong, or counts no more. */
  wrongCode: 3,
  /** The gateway cannot be reached, or cannot serve now. */
  unavailable: 4,
  stopped: 130,
} as const;

/** One of them. */
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];
