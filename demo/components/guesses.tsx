import type { Guess } from '../engine/protocol.ts';
import * as format from '../format.ts';

/** The most probable classes, with bars. */
export function Guesses({
  guesses,
  trueClass,
  title,
}: {
  readonly guesses: readonly Guess[];
  readonly trueClass: number | null;
  readonly title: string;
}) {
  return (
    <ol class="guesses" aria-label={title}>
      {/* A line for each rank, not for each class: lines change their text and never their place. */}
      {guesses.slice(0, 5).map((guess, rank) => (
        <li key={rank} class={guess.index === trueClass ? 'true' : undefined}>
          <span class="guess-label">
            {guess.label}
            {guess.index === trueClass && <span class="visually-hidden"> (the true class)</span>}
          </span>
          <data class="guess-share" value={guess.probability}>
            {format.percent(guess.probability)}
          </data>
          <span class="bar" aria-hidden="true">
            <span style={{ transform: `scaleX(${guess.probability})` }} />
          </span>
        </li>
      ))}
    </ol>
  );
}
