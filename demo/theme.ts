/** Whether the page is dark: for what is drawn on canvases; CSS follows by itself. */
import { signal } from '@preact/signals';

const query = matchMedia('(prefers-color-scheme: dark)');
export const darkMode = signal(query.matches);
query.addEventListener('change', () => (darkMode.value = query.matches));
