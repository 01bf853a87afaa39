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

/** Lines of a message, names on a line, characters of a name and of a reason: `problems` has all of them. */
const MOST_LINES = 20;
const MOST_NAMES = 3;
const LONGEST_NAME = 100;
const LONGEST_REASON = 500;

/** A line for each operator and reason, with the first nodes that it is true of. */
function describeProblems(problems: readonly ModelProblem[]): string {
  const groups = new Map<string, ModelProblem[]>();
  for (const problem of problems) {
    const key = JSON.stringify([problem.op, problem.opset, problem.reason]);
    const group = groups.get(key);
    if (group) group.push(problem);
    else groups.set(key, [problem]);
  }
  const lines = [...groups.values()].slice(0, MOST_LINES).map(describeGroup);
  if (problems.length === 1) return lines[0];
  const more = groups.size - lines.length;
  if (more > 0) lines.push(`and ${more} more, all of them in the error's \`problems\``);
  return `the model has ${problems.length} problems:\n${lines.map((line) => `  - ${line}`).join('\n')}`;
}

function describeGroup(group: readonly ModelProblem[]): string {
  const { op, opset, reason } = group[0];
  const names = group.map(({ node }) => node).filter(Boolean);
  const shown = names.slice(0, MOST_NAMES).map((name) => `"${shorten(name, LONGEST_NAME)}"`);
  const rest = names.length - shown.length;
  const where = [
    op && `${shorten(op, LONGEST_NAME)}${opset === undefined ? '' : ` (opset ${opset})`}`,
    shown.join(', ') + (rest > 0 ? ` and ${rest} more` : ''),
  ].filter(Boolean);
  const times = names.length === 0 && group.length > 1 ? ` (${group.length} times)` : '';
  const what = shorten(reason, LONGEST_REASON) + times;
  return where.length > 0 ? `${where.join(' ')}: ${what}` : what;
}

/** `text`, cut where it is longer than `length` characters. */
export function shorten(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}
