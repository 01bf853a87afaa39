import { render } from 'preact';
import { App, openAllPages } from './app.tsx';
import { testSheet } from './pictures/sheet.ts';
import { firstModel } from './start.ts';
import { loadFirst, model } from './state.ts';

render(<App />, document.querySelector('#app')!);
void loadFirst(firstModel).then(() => {
  // After the first answer, so that nothing competes with it.
  void testSheet
    .load()
    .then(openAllPages)
    .catch(() => undefined);
  if (import.meta.env.PROD && model.value.status === 'ready' && 'serviceWorker' in navigator) {
    // A browser may refuse (private windows): then nothing is kept for offline use.
    navigator.serviceWorker.register('./service-worker.js').catch(() => undefined);
  }
});
