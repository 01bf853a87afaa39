/** A dry run of `npm run bench`: few engines, few repetitions. What is asserted is the result's form, never a time. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { contenders, nodeContenders } from '../../bench/contenders/catalog.ts';
import type { Contender } from '../../bench/contenders/contender.ts';
import { markdownTable, summaryTable } from '../../bench/report.ts';
import type { BenchResult, ContenderResult } from '../../bench/result.ts';
import { compareEngines } from '../../bench/run.ts';

const BATCHES = [1, 32];
const SECONDS = 2;
const CHECKED = 4;
const cores = os.availableParallelism();

const chosen = contenders(cores).filter(
  ({ library, device, model, threads }) =>
    (library === 'octet' && (device !== 'wasm' || threads === cores)) ||
    (library === 'onnxruntime-web' && device === 'wasm' && threads === cores && model === 'float') ||
    (library === 'tensorflow.js' && device === 'wasm'),
);
const [tensorflow] = chosen.filter(({ library }) => library === 'tensorflow.js');
/** It knows no quantized layers. */
const failing: Contender = { ...tensorflow, id: 'failing', label: 'fails', model: 'int8' };

let folder: string;
let result: BenchResult;
let log: string[];

const rowOf = (id: string): ContenderResult => result.results.find(({ contender }) => contender.id === id)!;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'octet-bench-'));
  log = [];
  result = await compareEngines(
    [...chosen, failing],
    {
      network: 'vgg16',
      batches: BATCHES,
      repetitions: 2,
      seconds: SECONDS,
      budget: 1,
      checked: CHECKED,
      seed: 1,
      output: path.join(folder, 'engines'),
      node: false,
    },
    (line) => log.push(line),
  );
});

afterAll(() => rm(folder, { recursive: true, force: true }));

test('the context names adapter, browser, versions and machine', () => {
  const { context } = result;
  expect(context.engine).toMatch(/^Chromium \d+/);
  expect(Object.values(context.adapter).join('')).not.toBe('');
  expect(Object.keys(context.libraries)).toContain('onnxruntime-web');
  expect(context.cores).toBe(cores);
});

describe.each(chosen.map(({ id, label, library, device }) => ({ id, label, library, device })))(
  '$label',
  ({ id, library, device }) => {
    test('loads, and its parts are measured', () => {
      const { load, codeBytes, failed } = rowOf(id);
      expect(failed).toBeUndefined();
      for (const ms of [load!.importMs, load!.fetchMs, load!.readyMs, load!.firstRunMs])
        expect(ms).toBeGreaterThan(0);
      expect(load!.modelBytes).toBeGreaterThan(30e6);
      expect(codeBytes).toBeGreaterThan(10_000);
      if (library === 'octet') expect(load!.parseMs).toBeLessThan(load!.readyMs);
    });

    test('its answers are checked', () => {
      expect(rowOf(id).agreement).toEqual({ same: CHECKED, of: CHECKED });
    });

    test('each batch size is timed, or says why not', () => {
      const { batches = [], leftOut = [] } = rowOf(id);
      expect([...batches, ...leftOut].map(({ batch }) => batch).sort((a, b) => a - b)).toEqual(BATCHES);
      for (const { latencyMs } of batches) {
        expect(latencyMs.repetitions).toBeGreaterThanOrEqual(2);
        expect(latencyMs.p10).toBeLessThanOrEqual(latencyMs.median);
        expect(latencyMs.median).toBeLessThanOrEqual(latencyMs.p90);
      }
      for (const { reason } of leftOut)
        expect(reason).toContain(
          device === 'reference' ? 'slow by design' : `one call may take ${SECONDS} s`,
        );
    });

    test('GPU memory and time, and the share of the peak, where there are such', () => {
      const { batches = [], peakGpuBytes, limit } = rowOf(id);
      const onGpu = device === 'webgpu';
      expect(peakGpuBytes === null).toBe(!onGpu);
      for (const { batch, gpuMs } of batches) if (batch === 1) expect(gpuMs === null).toBe(!onGpu);
      const tells = library === 'octet' && device !== 'reference';
      expect(limit !== undefined).toBe(tells);
      for (const { shareOfPeak } of batches) {
        if (tells) expect(shareOfPeak).toBeGreaterThan(0);
        else expect(shareOfPeak).toBeUndefined();
      }
      if (!tells) return;
      for (const gmacs of Object.values(limit!.peaks)) expect(gmacs).toBeGreaterThan(0);
      for (const { instruction } of limit!.layers) expect(limit!.peaks[instruction]).toBeGreaterThan(0);
    });
  },
);

test('a row that would take long is left out, with the reason in the table', () => {
  expect(rowOf('octet-reference').leftOut).toMatchObject([{ batch: 32 }]);
  expect(markdownTable(result)).toContain('Octet reference, int8: batch 32 left out: slow by design');
});

test('an engine that fails is a row that says why', () => {
  expect(rowOf('failing').failed).toContain('has no layer for QuantizeLinear');
  expect(markdownTable(result)).toMatch(/\| fails \| failed: .*QuantizeLinear/);
  expect(log.some((line) => line.includes('fails: failed'))).toBe(true);
});

test('JSON, table and chart are written, and hold every engine', async () => {
  const read = (extension: string) => readFile(path.join(folder, `engines.${extension}`), 'utf8');
  expect(JSON.parse(await read('json'))).toEqual(JSON.parse(JSON.stringify(result)));
  const [table, chart] = [await read('md'), await read('svg')];
  expect(chart).toMatch(/^<svg/);
  for (const { label } of chosen) {
    expect(table).toContain(`| ${label} |`);
    expect(summaryTable(result)).toContain(`| ${label} |`);
    expect(chart).toContain(label);
  }
  expect(summaryTable(result)).toMatch(
    /WebAssembly, the best row of each: .*onnxruntime-web [\d.]+ times at batch 1/,
  );
});

test('in Node, a process each, with its memory', async () => {
  const selected = nodeContenders(cores).filter(
    ({ library, threads }) => library !== 'onnxruntime-node' && threads === cores,
  );
  const { context, results } = await compareEngines(
    selected,
    {
      network: 'vgg16',
      batches: [2],
      repetitions: 1,
      seconds: SECONDS,
      budget: 1,
      checked: CHECKED,
      seed: 1,
      output: path.join(folder, 'node'),
      node: true,
    },
    () => undefined,
  );
  expect(context.engine).toBe(`Node ${process.version}`);
  expect(results.map(({ contender }) => contender.id)).toEqual([
    `octet-wasm-${cores}t`,
    `ort-wasm-float-${cores}t`,
    `ort-wasm-int8-${cores}t`,
  ]);
  for (const { failed, agreement, batches, peakBytes } of results) {
    expect(failed).toBeUndefined();
    expect(agreement).toEqual({ same: CHECKED, of: CHECKED });
    expect(batches).toHaveLength(1);
    expect(peakBytes).toBeGreaterThan(30e6);
  }
  expect(await readFile(path.join(folder, 'node.md'), 'utf8')).toMatch(/\| memory +\| top-1 checked \|/);
});
