import { useEffect, useState } from 'preact/hooks';
import { notice } from '../state.ts';

/** Milliseconds that a notice stays, and for each of its characters: long ones take longer to read. */
const STAY_MS = 8000;
const STAY_MS_A_CHARACTER = 60;

/** What went wrong, until it is dismissed or has been read. Lies over the page, so that nothing moves. */
export function Notice() {
  const message = notice.value;
  const [held, setHeld] = useState(false);
  useEffect(() => setHeld(false), [message]);
  useEffect(() => {
    if (message === null || held) return;
    const timer = setTimeout(() => (notice.value = null), STAY_MS + STAY_MS_A_CHARACTER * message.length);
    return () => clearTimeout(timer);
  }, [message, held]);
  useEffect(() => {
    const dismiss = (event: KeyboardEvent) => {
      if (event.key === 'Escape') notice.value = null;
    };
    addEventListener('keydown', dismiss);
    return () => removeEventListener('keydown', dismiss);
  }, []);
  return (
    <div class="notice-place" role="alert">
      {message !== null && (
        <div
          class="notice"
          onMouseEnter={() => setHeld(true)}
          onMouseLeave={() => setHeld(false)}
          onFocusIn={() => setHeld(true)}
          onFocusOut={() => setHeld(false)}
        >
          <p>{message}</p>
          <button type="button" class="plain" onClick={() => (notice.value = null)}>
            Dismiss
          </button>
        </div>
      )}
    </div>
  );
}
