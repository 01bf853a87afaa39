import { render } from 'preact';
import { App } from './app.tsx';
import { backendChoice, loadModel, model, openSheet } from './state.ts';

render(<App />, document.querySelector('#app')!);

void openSheet();
void loadModel(null, backendChoice.value).then(() => {
  // After the model, so that keeping files for offline use never competes with the first answer.
  if (import.meta.env.PROD && model.value.status === 'ready' && 'serviceWorker' in navigator) {
    // A browser may refuse (private windows): then nothing is kept for offline use.
    navigator.serviceWorker.register('./service-worker.js').catch(() => undefined);
  }
});
