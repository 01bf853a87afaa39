import { signal } from '@preact/signals';
import { useMemo } from 'preact/hooks';
import { ConfusionMatrix } from '../components/confusion-matrix.tsx';
import { Figure } from '../components/figure.tsx';
import { PictureGrid } from '../components/picture-grid.tsx';
import { Progress } from '../components/progress.tsx';
import { SteadyButton } from '../components/steady-button.tsx';
import * as format from '../format.ts';
import { floatDownload, labState, openLab } from '../lab/client.ts';
import { isAbort } from '../engine/jobs.ts';
import { testClasses, testCount, testLabels, testSheet } from '../pictures/sheet.ts';
import { info, inUse, knowsTestClasses, messageOf, notice } from '../state.ts';
import {
  cancel,
  currentFloatRun,
  currentInt8Run,
  floatRun,
  int8Run,
  runFloat,
  runInt8,
  tally,
  type TestRun,
} from '../test-run.ts';
import savedResults from 'virtual:site/results';

const BATCHES = [1, 4, 8, 16, 32, 64];
const batch = signal(8);
const cell = signal<number | null>(null);

/** What a run here showed; before there is one, what one showed when the page was built. */
function shownRun(): TestRun | null {
  const id = inUse.value?.id;
  const saved = id === undefined ? undefined : savedResults[id];
  if (currentInt8Run.value || !saved) return currentInt8Run.value;
  return {
    of: null,
    status: 'saved',
    predicted: Int16Array.from(saved.predicted, Number),
    done: testCount,
    elapsedMs: 0,
  };
}

export function TestSet() {
  const run = shownRun();
  const total = testCount;
  const running = run?.status === 'running';
  const counts = run && tally(run);
  const start = `Classify all ${format.count(total)}`;
  return (
    <section class="view" aria-labelledby="test-title">
      <div class="view-head">
        <h2 id="test-title">How often is it right?</h2>
        <p class="lead">
          {knowsTestClasses.value
            ? `All ${format.count(total)} test pictures, and where the mistakes are. Until you run it, the answers are those it gave when this page was built.`
            : 'This model knows other classes than the test pictures have, so none of its answers could be counted as right.'}
        </p>
      </div>
      <div class="run-line">
        <SteadyButton
          class="primary"
          label={running ? 'Cancel' : start}
          others={['Cancel', start]}
          disabled={!info.value || !knowsTestClasses.value}
          onClick={() => {
            if (running) cancel(int8Run);
            else {
              cell.value = null;
              void runInt8(batch.value);
            }
          }}
        />
        <label class="field">
          <span>Batch</span>
          <select
            value={batch.value}
            disabled={running}
            onChange={(event) => (batch.value = Number(event.currentTarget.value))}
          >
            {BATCHES.map((size_) => (
              <option key={size_} value={size_}>
                {size_}
              </option>
            ))}
          </select>
        </label>
        <Progress label="Pictures classified" done={run?.done ?? 0} total={total} />
      </div>
      <dl class="figures">
        <Figure name="Classified" value={`${format.count(run?.done ?? 0)} of ${format.count(total)}`} />
        <Figure
          name="Accuracy"
          value={counts && run?.done ? format.percent(counts.correct / run.done) : '–'}
        />
        <Figure
          name="Pictures a second"
          value={run?.elapsedMs ? format.count(Math.round((run.done / run.elapsedMs) * 1000)) : '–'}
        />
        <Figure
          name="Time"
          value={
            run?.status === 'saved'
              ? 'saved'
              : run?.elapsedMs
                ? `${(run.elapsedMs / 1000).toFixed(1)} s`
                : '–'
          }
        />
      </dl>
      {run && !running && run.status !== 'saved' && (
        <p class="visually-hidden" role="status">
          {run.status === 'done' ? 'Done' : 'Cancelled'}: {counts?.correct} of {run.done} right.
        </p>
      )}
      <div class="matrix-and-pictures">
        <ConfusionMatrix
          classes={testClasses}
          confusion={counts?.confusion ?? new Uint16Array(testClasses.length ** 2)}
          selected={cell.value}
          onSelect={(next) => (cell.value = next)}
        />
        <CellPictures run={run} />
      </div>
      {inUse.value?.float && <FloatComparison />}
    </section>
  );
}

/** The pictures behind a cell of the matrix; before one is chosen, all mistakes. */
function CellPictures({ run }: { readonly run: TestRun | null }) {
  const chosenCell = cell.value;
  const size = testClasses.length;
  const done = run?.done;
  const indices = useMemo(() => {
    if (!run) return [];
    return [...run.predicted.keys()].filter((index) => {
      const [guess, label] = [run.predicted[index], testLabels[index]];
      if (guess < 0) return false;
      return chosenCell === null ? guess !== label : label * size + guess === chosenCell;
    });
  }, [run?.of, run?.status, chosenCell, done]);
  if (!run) {
    return (
      <p class="cell-pictures hint">
        The matrix fills as pictures are classified. Choose a cell to see its pictures.
      </p>
    );
  }
  const title = chosenCell === null ? 'All mistakes' : titleOfCell(chosenCell, testClasses);
  return (
    <div class="cell-pictures">
      <div class="subview-head">
        <h3>
          {title} <span class="muted">{indices.length}</span>
        </h3>
        {chosenCell !== null && (
          <button type="button" class="plain" onClick={() => (cell.value = null)}>
            All mistakes
          </button>
        )}
      </div>
      <PictureGrid
        key={chosenCell}
        sheet={testSheet}
        indices={indices}
        label={title}
        tile={72}
        marks={chosenCell === null ? (index) => `“${testClasses[run.predicted[index]]}”` : undefined}
      />
    </div>
  );
}

function titleOfCell(cellIndex: number, classes: readonly string[]): string {
  const [trueClass, guess] = [Math.floor(cellIndex / classes.length), cellIndex % classes.length];
  return trueClass === guess
    ? `${classes[guess]}, recognized`
    : `${classes[trueClass]} taken for ${classes[guess]}`;
}

/** Float beside int8 over the whole test set: how often they agree, and the pictures where they do not. */
function FloatComparison() {
  const int8 = shownRun();
  const float = currentFloatRun.value;
  const running = float?.status === 'running';
  const lab = labState.value;
  const done = Math.min(int8?.done ?? 0, float?.done ?? 0);
  const differing = useMemo(() => {
    if (!int8 || !float) return [];
    return [...int8.predicted.keys()].filter((index) => {
      const [a, b] = [int8.predicted[index], float.predicted[index]];
      return a >= 0 && b >= 0 && a !== b;
    });
  }, [done, int8?.of, int8?.status, float?.predicted]);

  async function start(): Promise<void> {
    try {
      await openLab();
      await runFloat();
    } catch (error) {
      if (!isAbort(error)) notice.value = messageOf(error);
    }
  }

  const floatCounts = float ? tally(float) : null;
  const ask =
    lab.status === 'ready'
      ? 'Run the float model'
      : `Run the float model (${format.bytes(floatDownload.value)})`;
  return (
    <section class="subview" aria-labelledby="float-title">
      <h3 id="float-title">Against the float model</h3>
      <p class="lead">
        The same pictures through the 32-bit float model in ONNX Runtime, to see where eight bits change an
        answer.
      </p>
      <div class="run-line">
        <SteadyButton
          label={running ? 'Cancel' : ask}
          others={['Cancel', ask]}
          disabled={lab.status === 'loading'}
          onClick={() => (running ? cancel(floatRun) : void start())}
        />
        <Progress label="Pictures classified by the float model" done={float?.done ?? 0} total={testCount} />
      </div>
      {float && floatCounts && float.done > 0 && (
        <>
          <dl class="figures">
            <Figure name="Float accuracy" value={format.percent(floatCounts.correct / float.done)} />
            <Figure
              name="Same answer as int8"
              value={done ? `${format.percent((done - differing.length) / done)}` : 'classify in int8 too'}
            />
            <Figure
              name="Pictures a second"
              value={format.count(Math.round((float.done / float.elapsedMs) * 1000))}
            />
          </dl>
          {differing.length > 0 && (
            <div class="differing">
              <PictureGrid
                sheet={testSheet}
                indices={differing}
                label="Pictures on which float and int8 differ"
                tile={84}
                marks={(index) =>
                  `float: ${testClasses[float.predicted[index]]}; int8: ${testClasses[int8!.predicted[index]]}`
                }
              />
            </div>
          )}
        </>
      )}
    </section>
  );
}
