import { afterAll } from 'vitest';

// Test files of one worker process share the modules that they import, so what ends with a file is kept here.
const works: (() => unknown)[] = [];

/** Does this once the tests of the file at hand are over, the latest first. */
export function afterFile(work: () => unknown): void {
  works.push(work);
}

// As a setup file this runs anew for each test file.
afterAll(async () => {
  for (const work of works.splice(0).reverse()) await work();
});
