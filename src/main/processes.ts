/** All that runs until it is told to end; heavy to import, so only these commands do. */
export { createLogger } from '../telemetry/logger.js';
export { runApi } from './run-api.js';
export { runSimulator } from './run-simulator.js';
export { runWorker } from './run-worker.js';
export { start } from './start.js';
export { startTelemetry } from './telemetry.js';
