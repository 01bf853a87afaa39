/** Models whose sizes are all fixed, by the file or by `inputShape`. */
import type { IntegerProgram } from '../program/program.ts';
import type { HostNode, Model, ModelInput, ModelOutput } from './model.ts';

/** An input of fixed sizes. */
export interface FixedInput extends ModelInput {
  readonly shape: readonly [batch: 'N', ...dimensions: number[]];
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

/** An output of fixed sizes. */
export interface FixedOutput extends ModelOutput {
  readonly shape: readonly [batch: 'N', ...dimensions: number[]];
}

/** A model of fixed sizes. */
export interface FixedModel extends Model {
  readonly inputs: readonly FixedInput[];
  readonly outputs: readonly FixedOutput[];
  readonly program: IntegerProgram;
  readonly hostNodes: readonly HostNode[];
}
