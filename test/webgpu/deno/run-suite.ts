/** Runs one GPU suite and prints its report: `deno run … run-suite.ts <name>`. */
import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { platform } from '#platform';
import { suites, type SuiteName } from '../suites/index.ts';
import type { SuiteReport } from '../suites/suite.ts';

export interface DenoReport extends SuiteReport {
  readonly userAgent: string;
  /** Whether WebGPU was Deno's, and not the Dawn of npm's `webgpu`. */
  readonly ownGpu: boolean;
}

const suite = suites[process.argv[2] as SuiteName];
const report = await suite({
  thorough: process.env.OCTET_THOROUGH === '1',
  read: async (path) => new Uint8Array(await readFile(new URL(`../../../${path}`, import.meta.url))),
});
const { userAgent, gpu } = navigator;
const ownGpu = gpu !== undefined && (await platform.gpu()) === gpu;
const line: DenoReport = { ...report, userAgent, ownGpu };
process.stdout.write(`${JSON.stringify(line)}\n`, () => process.exit(0));
