/** What the GPU kernels of all operators share: grids, sizes in words, simple one-dispatch variants. */
import type { Arithmetic } from '../../shaders/arithmetic.wgsl.ts';
import type { Grid } from '../../shaders/grid.wgsl.ts';
import { elementCount, type Operation, paddedChannels, type ProgramTensor } from '../program/program.ts';
import type { GpuCapabilities, GpuDispatch, GpuVariant } from './gpu-kernel.ts';

/** Invocations of a workgroup where nothing asks for another number: two to eight subgroups on every GPU known. */
const WORKGROUP_SIZE = 64;

/**
 * The families that a device has, the likeliest first. Software adapters and Metal have no packed dot of their own but twenty instructions
 * instead of it, so f32, which unpacks each value once, comes first there.
 */
export function arithmeticFamilies({ packedDot, adapterClass }: GpuCapabilities): readonly Arithmetic[] {
  if (!packedDot) return ['f32', 'i32'];
  const emulated = adapterClass === 'software' || adapterClass === 'apple';
  return emulated ? ['f32', 'dot4I8Packed', 'i32'] : ['dot4I8Packed', 'f32', 'i32'];
}

/** Lays `invocations` over the grid, in rows of as many workgroups as a dimension may have. */
export function layGrid(
  invocations: number,
  capabilities: GpuCapabilities,
  workgroupSize = WORKGROUP_SIZE,
): { readonly grid: Grid; readonly workgroups: GpuDispatch['workgroups'] } {
  const count = Math.ceil(invocations / workgroupSize);
  const rows = Math.ceil(count / capabilities.limits.maxComputeWorkgroupsPerDimension);
  const columns = Math.ceil(count / rows);
  return { grid: { workgroupSize, columns, invocations }, workgroups: [columns, rows, 1] };
}

/** The only variant of an operation whose one dispatch binds its inputs, then the constants, then its output. */
export function onlyVariant(
  { kind, name, inputs, output }: Operation,
  code: string,
  workgroups: GpuDispatch['workgroups'],
  constants: GpuVariant['constants'] = [],
): GpuVariant {
  const bindings = [
    ...inputs.map((tensor) => ({ kind: 'tensor', tensor, access: 'read' }) as const),
    ...constants.map((_, index) => ({ kind: 'constant', index }) as const),
    { kind: 'tensor', tensor: output, access: 'write' } as const,
  ];
  return {
    name: kind,
    family: 'none',
    dispatches: [{ label: name, code, bindings, workgroups }],
    constants,
    workspaces: [],
  };
}

/** u32 words of an int8 tensor: four channels a word. */
export function wordCount(tensor: ProgramTensor, batch: number): number {
  return elementCount(tensor, batch) / 4;
}

/** Words of one pixel. */
export function channelWords(channels: number): number {
  return paddedChannels(channels) / 4;
}

/** Four int8 in a word, low byte first. */
export function packBytes(a: number, b: number, c: number, d: number): number {
  return ((a & 0xff) | ((b & 0xff) << 8) | ((c & 0xff) << 16) | ((d & 0xff) << 24)) >>> 0;
}
