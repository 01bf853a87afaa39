import { signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import { isAbort } from '../engine/jobs.ts';
import type { Answer } from '../engine/protocol.ts';
import * as format from '../format.ts';
import { floatDownload, lab, labState, openLab } from '../lab/client.ts';
import type { FloatAnswer as Result } from '../lab/protocol.ts';
import { messageOf, notice, type ChosenPicture } from '../state.ts';
import { Guesses } from './guesses.tsx';

const wanted = signal(false);

/** The float model's answer to the same picture, once the visitor asks for it. */
export function FloatAnswer({
  picture,
  answer,
}: {
  readonly picture: ChosenPicture;
  readonly answer: Answer;
}) {
  const [result, setResult] = useState<{ picture: ChosenPicture; answer: Result } | null>(null);
  const state = labState.value;
  const on = wanted.value;

  useEffect(() => {
    if (!on) return;
    let current = true;
    openLab()
      .then(() => lab.classify(picture.pixels))
      .then(
        (floatAnswer) => {
          if (current) setResult({ picture, answer: floatAnswer });
        },
        (error: unknown) => {
          if (!current) return;
          wanted.value = false;
          // Cancelled in another view.
          if (!isAbort(error)) notice.value = `The float model: ${messageOf(error)}`;
        },
      );
    return () => {
      current = false;
    };
  }, [on, picture]);

  return (
    <div class="float">
      <label class="switch">
        <input
          type="checkbox"
          role="switch"
          checked={on}
          onChange={(event) => (wanted.value = event.currentTarget.checked)}
        />
        <span>Float model beside it</span>
        <span class="muted">{floatNote(on)}</span>
      </label>
      {on && result && (
        <>
          <Guesses
            guesses={result.answer.guesses}
            trueClass={result.picture.trueClass}
            title="The float model’s classes"
          />
          <p class="muted">
            {compare(answer, result.answer)} Float took {format.milliseconds(result.answer.ms)} in ONNX
            Runtime (WebAssembly); int8 {format.milliseconds(answer.timings.totalMs)}.
          </p>
        </>
      )}
    </div>
  );

  function floatNote(wantedNow: boolean): string {
    if (!wantedNow || state.status === 'off')
      return state.status === 'ready' ? '' : format.bytes(floatDownload.value);
    if (state.status === 'loading') {
      return state.event?.stage === 'fetch'
        ? `${format.bytes(state.event.loaded)} of ${format.bytes(state.event.total ?? floatDownload.value)}`
        : 'starting…';
    }
    return '';
  }
}

function compare(int8: Answer, float: Result): string {
  const same = int8.guesses[0].index === float.guesses[0].index;
  const byClass = new Map(float.guesses.map((guess) => [guess.index, guess.probability]));
  const furthest = Math.max(
    ...int8.guesses.map((guess) => Math.abs(guess.probability - (byClass.get(guess.index) ?? 0))),
  );
  const points = `${(furthest * 100).toFixed(1)} points`;
  return same
    ? `Same answer; probabilities differ by at most ${points}.`
    : `They disagree; probabilities differ by up to ${points}.`;
}
