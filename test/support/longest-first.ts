import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * Files that take a minute or more, longest first. A long one that starts last would keep one of two workers waiting; on a fresh machine Vitest
 * knows no durations, and goes by the size of the file.
 */
const LONG = [
  'webgpu/deno',
  'e2e/demo',
  'webgpu/browser',
  'webgpu/node',
  'package/bundlers',
  'package/snippets',
  'wasm/kernels',
  'cli/commands',
  'networks/detectors',
  'engines/engines',
];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const index = LONG.findIndex((name) => moduleId.endsWith(`test/${name}.test.ts`));
      return index < 0 ? LONG.length : index;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}
