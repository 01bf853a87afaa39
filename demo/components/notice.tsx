import { useEffect } from 'preact/hooks';
import { notice } from '../state.ts';

/** What went wrong, until it is dismissed. Lies over the page, so that nothing moves. */
export function Notice() {
  const message = notice.value;
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
        <div class="notice">
          <p>{message}</p>
          <button type="button" class="plain" onClick={() => (notice.value = null)}>
            Dismiss
          </button>
        </div>
      )}
    </div>
  );
}
