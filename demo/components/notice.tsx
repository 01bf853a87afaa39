import { notice } from '../state.ts';

/** What went wrong, until it is dismissed. Lies over the page, so that nothing moves. */
export function Notice() {
  const message = notice.value;
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
