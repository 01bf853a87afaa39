/** models/recipe.schema.json, the JSON Schema of quantization recipes, from src/quantize/recipe.ts. */
import { format, resolveConfig } from 'prettier';
import { recipeJsonSchema } from '../src/quantize/recipe.ts';

export const recipeSchemaPath = new URL('../models/recipe.schema.json', import.meta.url);

export async function recipeSchema(): Promise<string> {
  const options = await resolveConfig(recipeSchemaPath);
  return format(JSON.stringify(recipeJsonSchema()), { ...options, parser: 'json' });
}
