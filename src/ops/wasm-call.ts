/** Shorthands for describing calls of WebAssembly kernels. */
import type { TensorId } from '../program/program.ts';
import { type BlockFields, type BlockName, fieldsOf } from './wasm-parameters.ts';
import type { WasmArgument, WasmCall, WasmConstant, WasmConstantData, WasmVariant } from './wasm-kernel.ts';

export const scratch: WasmArgument = { kind: 'scratch' };
const unitRange: readonly WasmArgument[] = [{ kind: 'unitStart' }, { kind: 'unitEnd' }];

export const tensorAt = (tensor: TensorId): WasmArgument => ({ kind: 'tensor', tensor });
export const number = (value: number): WasmArgument => ({ kind: 'number', value });

/** A call whose last two arguments are the range of units, as all kernels' are. */
export function call(name: string, args: readonly WasmArgument[], units: number, scratchBytes = 0): WasmCall {
  return { export: name, args: [...args, ...unitRange], units, scratchBytes };
}

/** The parameter block of a kernel: its fields as int32 words, in the order in which the kernel reads them. */
export function parameterBlock<Name extends BlockName>(name: Name, fields: BlockFields<Name>): Int32Array {
  return Int32Array.from(fieldsOf(name), (field) => fields[field]);
}

/** Collects what a variant's calls refer to, and hands out the references. */
export class VariantBuilder {
  readonly #constants: WasmConstant[] = [];
  readonly #workspaces: number[] = [];

  /**
   * @param key names the constant among the operation's; equal keys mean equal data at every batch size
   * @param more what else there is to say of the constant
   */
  constant(
    key: string,
    data: () => WasmConstantData,
    more: Pick<WasmConstant, 'of' | 'packing'> = {},
  ): WasmArgument {
    let index = this.#constants.findIndex((constant) => constant.key === key);
    if (index < 0) index = this.#constants.push({ key, data, ...more }) - 1;
    return { kind: 'constant', index };
  }

  workspace(bytes: number): WasmArgument {
    return { kind: 'workspace', index: this.#workspaces.push(bytes) - 1 };
  }

  build(name: string, calls: readonly WasmCall[]): WasmVariant {
    return { name, calls, constants: this.#constants, workspaces: this.#workspaces };
  }
}
