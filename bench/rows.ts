import { backlogRow } from './backlog.js';
import { bulkRows } from './bulk.js';
import { hostileAppRow } from './hostile-app.js';
import { latencyRow } from './latency.js';
import { memoryRow } from './memory.js';
import { overtakingRow } from './overtaking.js';
import type { Row } from './row.js';
import { sendsRows } from './sends.js';
import { singleRow } from './single.js';
import { startRow } from './start.js';
import { verifyRows } from './verify.js';
import { scaleOutRow } from './workers.js';

/** Every benchmark, in the order of the table. */
export const rows: readonly Row[] = [
  ...bulkRows,
  singleRow,
  ...sendsRows,
  ...verifyRows,
  latencyRow,
  backlogRow,
  overtakingRow,
  hostileAppRow,
  memoryRow,
  startRow,
  scaleOutRow,
];
