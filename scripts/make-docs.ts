/** Writes the generated pages of docs/ and the schema of recipes (`npm run docs`). Tests check that they are fresh. */
import { writeFileSync } from 'node:fs';
import { errorTable, errorTablePath } from './error-table.ts';
import { operatorTable, operatorTablePath } from './operator-table.ts';
import { recipeSchemaText, recipeSchemaPath } from './recipe-schema.ts';

writeFileSync(errorTablePath, await errorTable());
writeFileSync(operatorTablePath, await operatorTable());
writeFileSync(recipeSchemaPath, await recipeSchemaText());
