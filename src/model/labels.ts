import * as v from 'valibot';
import { check, text as string } from '../arguments.ts';

const metadataSchema = v.map(string, string, 'a Map of strings');

/**
 * Class names from a model's metadata, under `labels`: a JSON array, or names separated by line ends or commas. Empty where there
 * are none.
 * @throws {InputError} no metadata
 */
export function readLabels(metadata: ReadonlyMap<string, string>): readonly string[] {
  check('readLabels', { metadata: metadataSchema }, { metadata });
  const text = metadata.get('labels')?.trim() ?? '';
  if (text === '') return [];
  if (text.startsWith('[')) {
    try {
      const names: unknown = JSON.parse(text);
      if (Array.isArray(names)) return names.map(String);
    } catch {
      // Not JSON after all: names whose first begins with a bracket.
    }
  }
  return text.split(text.includes('\n') ? '\n' : ',').map((name) => name.trim());
}
