import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.ts';

// Tests import the sources; `octet:source` makes `#platform` do so too (package.json "imports").
const conditions = ['octet:source', 'node', 'module', 'import', 'default'];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: './test/build-wasm.ts',
    reporters: ['default', './test/support/count-reporter.ts'],
    // Two cores are the smallest machine we test on, and several files start a browser or worker threads.
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    testTimeout: 120_000,
    hookTimeout: 300_000,
    allowOnly: false,
    passWithNoTests: false,
  },
});
