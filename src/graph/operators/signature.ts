/** How attributes are declared: their types, defaults and opsets, as in https://onnx.ai/onnx/operators/. */
import type { Attribute } from '../graph.ts';

export type AttributeKind = 'int' | 'float' | 'string' | 'ints' | 'floats' | 'strings' | 'tensor';

export interface AttributeSpec {
  readonly kind: AttributeKind;
  readonly default?: Attribute;
  readonly required?: boolean;
  /** Opset in which the attribute came, and the one in which it went. */
  readonly since?: number;
  readonly until?: number;
}

const spec =
  (kind: AttributeKind) =>
  (value?: Attribute): AttributeSpec =>
    value === undefined ? { kind } : { kind, default: value };

export const int = spec('int');
export const float = spec('float');
export const ints = spec('ints');
export const floats = spec('floats');
export const string = spec('string');
export const tensor = spec('tensor');
export const since = (opset: number, attribute: AttributeSpec): AttributeSpec => ({
  ...attribute,
  since: opset,
});
export const until = (opset: number, attribute: AttributeSpec): AttributeSpec => ({
  ...attribute,
  until: opset,
});
export const required = (attribute: AttributeSpec): AttributeSpec => ({ ...attribute, required: true });
