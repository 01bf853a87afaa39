import { useState } from 'preact/hooks';
import * as format from './format.ts';
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
  inUse,
  knowsTestClasses,
  opening,
  openFile,
  type ChosenPicture,
} from './state.ts';

/** The chosen picture and what the network says of it: beside every view. */
export function Panel() {
  const picture = chosen.value;
  const [camera, setCamera] = useState(false);
  // On a phone the panel is a bar at the bottom, which opens.
  const [open, setOpen] = useState(false);
  return (
    <aside class={open ? 'panel open' : 'panel'} aria-label="Picture and answer">
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
          title={<Labelled icon="M2 3h12v10H2zM2 11l4-4 4 4 2-2 2 2M10.5 6h.01" label="Open a picture" />}
          label="Picture file"
          accept="image/*"
          onFile={(file) => void openFile(file)}
        />
        <button type="button" aria-pressed={camera} onClick={() => setCamera(!camera)}>
          <Labelled
            icon="M2 5h3l1-2h4l1 2h3v8H2zM8 11a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5"
            label={camera ? 'Stop camera' : 'Camera'}
          />
        </button>
        {camera && <Camera onStop={() => setCamera(false)} />}
      </div>
      <button
        type="button"
        class="panel-toggle"
        aria-expanded={open}
        aria-label="All of the answer"
        onClick={() => setOpen(!open)}
      >
        <svg viewBox="0 0 16 16" width="16" aria-hidden="true">
          <path d="M2 11l6-6 6 6" fill="none" stroke="currentColor" stroke-width="2" />
        </svg>
      </button>
      {/* Says whose answer is shown: for a moment it may be the picture before. */}
      <div class="answer" data-picture={answered.value?.picture.title}>
        <Answer picture={picture} />
      </div>
    </aside>
  );
}

/** A picture beside the words; on a phone there is room for the picture only. */
function Labelled({ icon, label }: { readonly icon: string; readonly label: string }) {
  return (
    <span class="labelled">
      <svg viewBox="0 0 16 16" width="18" aria-hidden="true">
        <path d={icon} fill="none" stroke="currentColor" stroke-width="1.4" stroke-linejoin="round" />
      </svg>
      <span>{label}</span>
    </span>
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
        <span class="verdict-share muted" aria-hidden="true">
          {format.percent(best.probability, 0)}
        </span>
        {trueClass !== null && (
          <span class={best.index === trueClass ? 'right' : 'wrong'}>
            {best.index === trueClass ? 'correct' : `labelled ${info.value?.labels[trueClass] ?? trueClass}`}
          </span>
        )}
      </p>
      <Guesses guesses={guesses} trueClass={trueClass} title="Most probable classes" />
      <Latency timings={timings} />
      {inUse.value?.float && <FloatAnswer picture={current.picture} answer={current.answer} />}
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
