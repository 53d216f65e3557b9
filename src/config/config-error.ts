/** What is wrong with one variable: "PORT must be …", without the value that it has. */
export interface Mistake {
  variable: string;
  problem: string;
}

/** The environment is wrong; the message lists every mistake, and no values. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';

  constructor(readonly mistakes: readonly Mistake[]) {
    const lines = mistakes.map(({ variable, problem }) => `  ${variable} ${problem}`);
    const count = mistakes.length === 1 ? 'is a mistake' : `are ${mistakes.length} mistakes`;
    super([`There ${count} in the settings:`, ...lines].join('\n'));
  }
}
