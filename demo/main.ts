import { firstModel } from './start.ts';

// Handed on, since the package is free of side effects and the build would drop an import of nothing.
void import('./page.tsx').then(({ showPage }) => showPage(firstModel));
