/** Writes the generated pages of docs/ and the schemas of recipes and inspections (`npm run docs`). Tests check that they are fresh. */
import { writeFileSync } from 'node:fs';
import { errorTable, errorTablePath } from './error-table.ts';
import { inspectionSchemaPath, inspectionSchemaText } from './inspection-schema.ts';
import { operatorTable, operatorTablePath } from './operator-table.ts';
import { recipeSchemaText, recipeSchemaPath } from './recipe-schema.ts';

writeFileSync(errorTablePath, await errorTable());
writeFileSync(operatorTablePath, await operatorTable());
writeFileSync(inspectionSchemaPath, await inspectionSchemaText());
writeFileSync(recipeSchemaPath, await recipeSchemaText());
