/** docs/inspection.schema.json, the JSON Schema of what `octet inspect --json` prints, from src/inspect/schema.ts. */
import { toJsonSchema } from '@valibot/to-json-schema';
import { format, resolveConfig } from 'prettier';
import { inspectionSchema } from '../src/inspect/schema.ts';

export const inspectionSchemaPath = new URL('../docs/inspection.schema.json', import.meta.url);

export async function inspectionSchemaText(): Promise<string> {
  const options = await resolveConfig(inspectionSchemaPath);
  const schema = toJsonSchema(inspectionSchema, { typeMode: 'input', target: 'draft-2020-12' });
  return format(JSON.stringify(schema), { ...options, parser: 'json' });
}
