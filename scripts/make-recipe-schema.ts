/** Writes models/recipe.schema.json, the JSON Schema of quantization recipes, from src/quantize/recipe.ts. */
import { writeFile } from 'node:fs/promises';
import { format, resolveConfig } from 'prettier';
import { recipeJsonSchema } from '../src/quantize/recipe.ts';

const path = new URL('../models/recipe.schema.json', import.meta.url);
const text = JSON.stringify(recipeJsonSchema());
await writeFile(path, await format(text, { ...(await resolveConfig(path)), parser: 'json' }));
