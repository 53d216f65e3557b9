import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** Needs no Redis and takes seconds: `npm run test:unit`. */
const unit = [
  'test/{boundaries,docker-compose,docs,package-lock,waits}.test.ts',
  'test/{config,isms,otp,provider,telemetry}/*.test.ts',
  'test/api/http/{body,html,http-server,request,route}.test.ts',
  'test/api/{docs/errors-markdown,routes/bulk-document}.test.ts',
  'test/bench/pairs.test.ts',
  'test/lib/{batcher,map-ordered,memoize,sliding-sum,time-slices}.test.ts',
  'test/main/webhook-receivers.test.ts',
  'packages/client/test/!(edge).test.ts',
  'packages/simulator/test/!(inbox-browser).test.ts',
  'test/store/encryption.test.ts',
  'test/cli/input.test.ts',
  'test/webhooks/public-address.test.ts',
  'test/workers/job-gate.test.ts',
];

/** Needs what `npm run test:all` installs, or takes minutes. */
const system = [
  'test/{package,setup,site}.test.ts',
  'test/{clients,deploy,examples}/*.test.ts',
  // Every change is tried with workers that are killed.
  'test/faults/!(killed-workers).test.ts',
  'test/api/{compat/isms-compat-php,admin/{otp-search,overview}-page,docs/{reference-page,spectral}}.test.ts',
  'test/bench/bench.test.ts',
  'test/main/cluster.test.ts',
  'packages/{client/test/edge,simulator/test/inbox-browser}.test.ts',
];

const all = ['test/**/*.test.ts', 'packages/*/test/*.test.ts'];
const withRedis = { globalSetup: ['test/support/global-setup.ts'] };

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  // Tests run the packages' sources, as tsconfig.json's `paths` has it, not their last build.
  resolve: {
    alias: {
      'isms-otp-client': source('packages/client/src/index.ts'),
      'isms-2fa-simulator': source('packages/simulator/src/index.ts'),
    },
  },
  test: {
    pool: 'forks',
    // More than CPUs, since most of a test's time is waiting: 193 s with three on two CPUs, 266 s with two.
    maxWorkers: 3,
    // Files of one worker process share the modules that they import: importing them anew took longer than the tests.
    isolate: false,
    setupFiles: ['test/support/clean-up.ts'],
    // For a hang; a busy machine may take ten times as long as a quiet one.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 30_000, interval: 20 } },
    projects: [
      { test: { name: 'unit', include: unit } },
      {
        test: {
          name: 'integration',
          include: all,
          exclude: [...unit, ...system],
          ...withRedis,
        },
      },
      {
        // Most of these start many processes each, whose work must get its share of the CPUs.
        test: {
          ...{ name: 'system', include: system, ...withRedis, isolate: true },
          ...{ maxWorkers: 2, sequence: { groupOrder: 1 } },
        },
      },
    ],
  },
});
