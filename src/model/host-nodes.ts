/** What of a program runs on the CPU, whatever the backend: why, and how much of the work it is. */
import { quantizeLinear } from '../graph/operators/quantize-linear.ts';
import type { OperatorRegistry } from '../ops/registry.ts';
import type { HostOperation, IntegerProgram, Operation, QuantizeOperation } from '../program/program.ts';

/** A node that is computed in real numbers on the CPU. */
export interface HostNode {
  readonly name: string;
  /** ONNX operator. */
  readonly op: string;
  /** Why it does not run in integers. */
  readonly reason: string;
  /** Multiply-adds for one image. */
  readonly macs: number;
  /** Of the program's multiply-adds, 0 to 1. */
  readonly share: number;
}

/** In the order of execution; what only passes values on between the host and the device is not listed. */
export function hostNodes(program: IntegerProgram, operators: Pick<OperatorRegistry, 'of'>): HostNode[] {
  const macsOf = (operation: Operation) =>
    operators.of(operation).macs(operation, (id) => program.tensors[id]);
  const total = program.operations.reduce((sum, operation) => sum + macsOf(operation), 0);
  return program.operations.flatMap((operation) => {
    const why = reasonOf(operation);
    if (!why) return [];
    const macs = macsOf(operation);
    return [{ name: operation.name, ...why, macs, share: total > 0 ? macs / total : 0 }];
  });
}

function reasonOf(operation: Operation): Pick<HostNode, 'op' | 'reason'> | undefined {
  if (operation.kind === 'host') {
    const { node, reason } = operation as HostOperation;
    return { op: node.op, reason };
  }
  if (operation.kind !== 'quantize') return undefined;
  const { reason } = operation as QuantizeOperation;
  return reason === null ? undefined : { op: quantizeLinear.op, reason };
}
