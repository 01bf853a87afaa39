import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { engine } from '../engine/client.ts';
import type { Guess, ModelInfo } from '../engine/protocol.ts';
import * as format from '../format.ts';
import { addOwnPictures, chosen, info, messageOf, openFile, ownPictures, type OwnPicture } from '../state.ts';
import { FileButton } from './file-button.tsx';

/** What the model `of` says of a visitor's own pictures, as it becomes known; a text where it cannot say anything. */
const answers = signal<{
  readonly of: ModelInfo | null;
  readonly known: ReadonlyMap<OwnPicture, Guess | string>;
}>({ of: null, known: new Map() });

/** A visitor's pictures with the model's answer under each. */
export function OwnPictures() {
  const network = info.value;
  const mine = ownPictures.value;
  useEffect(() => {
    if (!network) return;
    let current = true;
    void (async () => {
      for (const picture of mine) {
        const known = answers.peek().of === network ? answers.peek().known : new Map<OwnPicture, Guess>();
        if (known.has(picture)) continue;
        const answer = await answerTo(picture);
        if (!current) return;
        answers.value = { of: network, known: new Map(known).set(picture, answer) };
      }
    })();
    return () => {
      current = false;
    };
  }, [network, mine]);
  const known = answers.value.of === network ? answers.value.known : null;
  return (
    <section class="own-gallery" aria-labelledby="own-gallery-title">
      <div class="subview-head">
        <h3 id="own-gallery-title">
          Your pictures <span class="muted">{mine.length || ''}</span>
        </h3>
        <FileButton
          class={mine.length === 0 ? 'primary' : undefined}
          title="Add pictures"
          label="Picture files for the gallery"
          accept="image/*"
          onFiles={(files) => {
            addOwnPictures(files);
            void openFile(files[0]);
          }}
        />
      </div>
      {mine.length === 0 ? (
        <p class="muted">Drop some anywhere on this page, or add them here: each gets the model’s answer.</p>
      ) : (
        <div class="own-tiles">
          {mine.map((picture, index) => (
            <button
              key={index}
              type="button"
              class="own-tile"
              aria-pressed={chosen.value?.title === picture.file.name}
              onClick={() => void openFile(picture.file)}
            >
              <img src={picture.url} alt={picture.file.name} loading="lazy" />
              <Caption answer={known?.get(picture)} />
            </button>
          ))}
        </div>
      )}
    </section>
  );
}

function Caption({ answer }: { readonly answer: Guess | string | undefined }) {
  if (answer === undefined) return <span class="muted">…</span>;
  if (typeof answer === 'string') {
    return (
      <span class="wrong" title={answer}>
        cannot be read
      </span>
    );
  }
  return (
    <span>
      {answer.label} <span class="muted">{format.percent(answer.probability, 0)}</span>
    </span>
  );
}

async function answerTo({ file }: OwnPicture): Promise<Guess | string> {
  try {
    return (await engine.classify(await engine.prepare(file))).guesses[0];
  } catch (error) {
    return messageOf(error);
  }
}
