import type { Figure } from './pairs.js';
import type { Stand } from './support/stand.js';

/** A benchmark; `docs/performance.md` says of each what it measures. */
export interface Row {
  name: string;
  /** Further lines that it measures on the way, by whose names it can be asked for, too. */
  also?: readonly string[];
  what: string;
  /** What it is compared with. */
  bare: string;
  /** Throws when something went wrong: a wrong run is not a fast one. */
  run(stand: Stand): Promise<Figure[]>;
}
