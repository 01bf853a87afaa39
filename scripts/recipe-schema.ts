/** models/recipe.schema.json, the JSON Schema of quantization recipes, from src/quantize/recipe.ts. */
import { toJsonSchema } from '@valibot/to-json-schema';
import { format, resolveConfig } from 'prettier';
import { recipeSchema } from '../src/quantize/recipe.ts';

export const recipeSchemaPath = new URL('../models/recipe.schema.json', import.meta.url);

export const recipeJsonSchema = () =>
  toJsonSchema(recipeSchema, { typeMode: 'input', target: 'draft-2020-12' });

export async function recipeSchemaText(): Promise<string> {
  const options = await resolveConfig(recipeSchemaPath);
  return format(JSON.stringify(recipeJsonSchema()), { ...options, parser: 'json' });
}
