/** Base class of every exception that leaves Octet's public API. */
export class OctetError extends Error {
  override name = 'OctetError';
}

/** One thing that is wrong with a model. */
export interface ModelProblem {
  /** Name of the offending node (or tensor), '' where the problem is the file's as a whole. */
  readonly node: string;
  /** ONNX operator type, e.g. `Conv`; '' where the problem is not a node's. */
  readonly op: string;
  /** What is wrong, what was expected, and what to do about it. */
  readonly reason: string;
  /** Opset version of the operator's domain, where known. */
  readonly opset?: number;
}

/** A bad or unsupported model file. Carries every problem found, not only the first. */
export class ModelError extends OctetError {
  override name = 'ModelError';
  readonly problems: readonly ModelProblem[];

  constructor(problems: string | readonly ModelProblem[], options?: ErrorOptions) {
    const list = typeof problems === 'string' ? [{ node: '', op: '', reason: problems }] : problems;
    super(describeProblems(list), options);
    this.problems = list;
  }
}

/** A wrong argument: shape, type or range of an input. States what was given and what was expected. */
export class InputError extends OctetError {
  override name = 'InputError';
}

/** No adapter, lost device, out of memory: says what the user can do. */
export class DeviceError extends OctetError {
  override name = 'DeviceError';
}

function describeProblems(problems: readonly ModelProblem[]): string {
  const lines = problems.map(({ node, op, opset, reason }) => {
    const where = [op && `${op}${opset === undefined ? '' : ` (opset ${opset})`}`, node && `"${node}"`]
      .filter(Boolean)
      .join(' ');
    return where ? `${where}: ${reason}` : reason;
  });
  if (lines.length === 1) return lines[0];
  return `the model has ${lines.length} problems:\n${lines.map((line) => `  - ${line}`).join('\n')}`;
}
