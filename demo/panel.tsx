import { useState } from 'preact/hooks';
import { Camera } from './pictures/camera.tsx';
import { FileButton } from './components/file-button.tsx';
import { Guesses } from './components/guesses.tsx';
import { Latency } from './components/latency.tsx';
import { PixelCanvas } from './components/pixel-canvas.tsx';
import { FloatAnswer } from './components/float-answer.tsx';
import {
  answered,
  chosen,
  info,
  knowsTestClasses,
  opening,
  openFile,
  ownModel,
  type ChosenPicture,
} from './state.ts';

/** The chosen picture and what the network says of it: beside every view. */
export function Panel() {
  const picture = chosen.value;
  const [camera, setCamera] = useState(false);
  return (
    <aside class="panel" aria-label="Picture and answer">
      <figure class="picture">
        {picture ? (
          <PixelCanvas
            pixels={picture.pixels}
            label={`${picture.title}, ${picture.pixels.width} by ${picture.pixels.height} pixels, as the network sees it`}
          />
        ) : (
          <div class="pixels empty" />
        )}
        <figcaption>
          {opening.value !== null ? (
            <span class="picture-title">Reading {opening.value}…</span>
          ) : picture ? (
            <>
              <span class="picture-title">{picture.title}</span>
              <span>
                {picture.pixels.width} × {picture.pixels.height}, as the network sees it
              </span>
            </>
          ) : (
            ' '
          )}
        </figcaption>
      </figure>
      <div class="sources">
        <FileButton
          title="Open a picture"
          label="Picture file"
          accept="image/*"
          onFile={(file) => void openFile(file)}
        />
        <button type="button" aria-pressed={camera} onClick={() => setCamera(!camera)}>
          {camera ? 'Stop camera' : 'Camera'}
        </button>
        {camera && <Camera onStop={() => setCamera(false)} />}
      </div>
      {/* Says whose answer is shown: for a moment it may be the picture before. */}
      <div class="answer" data-picture={answered.value?.picture.title}>
        <Answer picture={picture} />
      </div>
    </aside>
  );
}

function Answer({ picture }: { readonly picture: ChosenPicture | null }) {
  const current = answered.value;
  if (!picture || !current) return <AnswerPlaceholder />;
  const { guesses, timings } = current.answer;
  const trueClass = knowsTestClasses.value ? current.picture.trueClass : null;
  const best = guesses[0];
  return (
    <>
      <p class="verdict" role="status">
        <strong>{best.label}</strong>
        {trueClass !== null && (
          <span class={best.index === trueClass ? 'right' : 'wrong'}>
            {best.index === trueClass ? 'correct' : `labelled ${info.value?.labels[trueClass] ?? trueClass}`}
          </span>
        )}
      </p>
      <Guesses guesses={guesses} trueClass={trueClass} title="Most probable classes" />
      <Latency timings={timings} />
      {/* The float model is the page's own model before it was quantized. */}
      {!ownModel.value && <FloatAnswer picture={current.picture} answer={current.answer} />}
    </>
  );
}

/** Takes the answer's place until there is one: nothing moves when it comes. */
function AnswerPlaceholder() {
  return (
    <div class="answer-empty" aria-hidden="true">
      {Array.from({ length: 5 }, (_, index) => (
        <span key={index} />
      ))}
    </div>
  );
}
