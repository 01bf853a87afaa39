/** Writes the generated pages of docs/ (`npm run docs`). A test checks that they are fresh. */
import { writeFileSync } from 'node:fs';
import { operatorTable, operatorTablePath } from './operator-table.ts';

writeFileSync(operatorTablePath, await operatorTable());
