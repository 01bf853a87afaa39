import type { Reporter, SerializedError, TestModule } from 'vitest/node';

/** Ends a run with one plain line, `N passed, N failed`, that a script can read; skipped tests count as failed. */
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    let passed = 0;
    let failed = unhandledErrors.length;
    for (const module of modules) {
      const tests = [...module.children.allTests()];
      for (const test of tests) {
        if (test.ok() && test.result().state === 'passed') passed += 1;
        else failed += 1;
      }
      // A file that threw before its first test has none to count.
      if (!module.ok() && tests.every((test) => test.ok())) failed += 1;
    }
    // The default reporter writes its summary in the same hook; the line must be the last.
    process.on('exit', () => {
      if (failed > 0) process.exitCode = 1;
      process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
    });
  }
}
