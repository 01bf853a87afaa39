import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import * as v from 'valibot';
import { InputError } from '../errors.ts';
import { mergeEvaluations } from '../model/evaluate.ts';
import { describeFileError } from '../platform/node/file-error.ts';
import { printEvaluation } from './evaluate.ts';
import { printJson } from './output.ts';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
/** `printJson` writes NaN as text. */
const share = v.union([
  v.number(),
  v.pipe(
    v.literal('NaN'),
    v.transform(() => NaN),
  ),
]);
const partSchema = v.object({
  images: count,
  classes: v.array(v.string()),
  results: v.pipe(
    v.array(
      v.object({
        name: v.string(),
        images: count,
        correct: count,
        top1: share,
        top5: share,
        perClass: v.array(share),
        confusion: v.array(v.array(count)),
        predictions: v.array(count),
        seconds: v.number(),
      }),
    ),
    v.minLength(1),
  ),
  agreement: v.array(v.number()),
  engines: v.array(v.string()),
  part: v.object({
    shard: v.object({ index: count, count }),
    pictures: count,
    labels: v.string(),
    models: v.array(v.string()),
  }),
});
type PartFile = v.InferOutput<typeof partSchema>;

export function configure(command: Command): void {
  command
    .argument('<part...>', 'JSON files, one a shard, in any order')
    .option('--json', 'print JSON')
    .action(async (paths: string[], options: { readonly json?: boolean }) => {
      const parts = await Promise.all(paths.map(readPart));
      parts.sort((a, b) => a.part.shard.index - b.part.shard.index);
      checkWhole(parts);
      const evaluation = mergeEvaluations(parts);
      const { engines } = parts[0];
      if (options.json) printJson({ ...evaluation, engines });
      else printEvaluation(evaluation, engines);
    });
}

async function readPart(path: string): Promise<PartFile> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new InputError(`cannot read ${path}: ${describeFileError(cause)}`, { cause });
  }
  try {
    return v.parse(partSchema, JSON.parse(text));
  } catch (cause) {
    throw new InputError(`${path} is not what \`octet evaluate --shard i/n --json\` prints`, { cause });
  }
}

/** @throws {InputError} a part is missing, is there twice, or is of another evaluation */
function checkWhole(parts: readonly PartFile[]): void {
  const [{ part: first }] = parts;
  for (const { part } of parts) {
    const same =
      part.shard.count === first.shard.count &&
      part.pictures === first.pictures &&
      part.labels === first.labels &&
      part.models.join() === first.models.join();
    if (!same) {
      throw new InputError(
        `parts ${first.shard.index} and ${part.shard.index} differ in the models’ bytes, the pictures or the number of parts: they cannot be merged`,
      );
    }
  }
  const given = parts.map(({ part }) => part.shard.index);
  const expected = Array.from({ length: first.shard.count }, (_, index) => index + 1);
  if (given.join() !== expected.join()) {
    throw new InputError(
      `parts 1 to ${first.shard.count} are needed, once each: these are ${given.join(', ')}`,
    );
  }
  const images = parts.reduce((sum, part) => sum + part.images, 0);
  if (images !== first.pictures) {
    throw new InputError(`the parts have ${images} pictures together, and the whole has ${first.pictures}`);
  }
}
