import { Download } from '../components/download.tsx';
import { FileButton } from '../components/file-button.tsx';
import { Figure } from '../components/figure.tsx';
import { PixelCanvas } from '../components/pixel-canvas.tsx';
import { Progress } from '../components/progress.tsx';
import { isAbort } from '../engine/jobs.ts';
import * as format from '../format.ts';
import type { FloatDescription, NodeFate, OwnResult } from '../lab/protocol.ts';
import { offered } from '../models.ts';
import {
  addPictures,
  addSamplePictures,
  cancel,
  description,
  labels,
  normalization,
  NORMALIZATIONS,
  openOwn,
  pictures,
  quantizeOwn,
  readLabelFile,
  result,
  saveReport,
  step,
  type Normalization,
} from '../own.ts';
import { choose, messageOf, notice, ownFloat } from '../state.ts';

/** A visitor's float model, quantized in the page. */
export function Own() {
  const found = description.value;
  const file = ownFloat.value?.float;
  return (
    <section class="view own" aria-labelledby="own-title">
      <div class="view-head">
        <h2 id="own-title">{found && file ? file.name : 'Quantize your own model'}</h2>
        <p class="lead">
          {found
            ? 'What becomes of each node, and how near the int8 model is to the float one. Nothing leaves this page.'
            : 'Open a float ONNX classifier, give it some pictures, and take the int8 file away. Nothing is uploaded: all of it happens in this page.'}
        </p>
      </div>
      <div class="run-line">
        <FileButton
          class={found ? 'plain' : 'primary'}
          title={found ? 'Open another' : 'Open a float model'}
          label="Float ONNX model file"
          accept=".onnx"
          onFile={(chosen) => attempt(openOwn(chosen))}
        />
        {!found && (
          <button type="button" onClick={() => attempt(openSample())}>
            Try it with ResNet-20
          </button>
        )}
        <p class="muted" role="status">
          {step.value === 'opening' && 'Reading the model…'}
        </p>
      </div>
      {found ? (
        <>
          <Pictures found={found} />
          {result.value && <Result result={result.value} found={found} />}
          <Nodes found={found} />
        </>
      ) : (
        <ol class="steps">
          <li>The model: ONNX, opset 10 to 28, one RGB picture in, classes out.</li>
          <li>
            Pictures like those it will see, 30 or more, without labels: they show how large its values get.
          </li>
          <li>
            Its int8 copy, a quarter of the size, in every view of this page: inside, at fewer bits, verified,
            as a download.
          </li>
        </ol>
      )}
    </section>
  );
}

/** Shows what goes wrong. */
function attempt(work: Promise<unknown>): void {
  work.catch((error: unknown) => {
    if (!isAbort(error)) notice.value = messageOf(error);
  });
}

async function openSample(): Promise<void> {
  const { url } = offered[0].float!;
  await openOwn(new File([await (await fetch(url)).blob()], 'resnet20-cifar10.onnx'));
}

function Pictures({ found }: { readonly found: FloatDescription }) {
  const given = pictures.value;
  const event = step.value;
  const running = event !== null && event !== 'opening';
  const names = labels.value.length > 0 ? labels.value : found.labels;
  return (
    <section class="subview" aria-labelledby="own-pictures">
      <h3 id="own-pictures">
        Pictures <span class="muted">{given.length}</span>
      </h3>
      <p class="lead">
        Like those it will see; they become {found.input.width} × {found.input.height} pixels.
      </p>
      <div class="run-line">
        <FileButton
          title="Add pictures"
          label="Pictures to quantize on"
          accept="image/*"
          onFiles={(files) => attempt(addPictures(files))}
        />
        {given.length === 0 && (
          <button type="button" class="plain" onClick={() => attempt(addSamplePictures())}>
            Use 64 of this page’s
          </button>
        )}
        <FileButton
          class="plain"
          title={names.length > 0 ? `${names.length} class names` : 'Class names…'}
          label="File of class names, one a line"
          accept=".txt,.json"
          onFile={(file) => attempt(readLabelFile(file))}
        />
        {!found.saysNormalization && (
          <label class="field">
            <span>Pixels in training</span>
            <select
              value={normalization.value}
              onChange={(change) => (normalization.value = change.currentTarget.value as Normalization)}
            >
              {Object.entries(NORMALIZATIONS).map(([id, { title }]) => (
                <option key={id} value={id}>
                  {title}
                </option>
              ))}
            </select>
          </label>
        )}
      </div>
      {given.length > 0 && (
        <div class="own-pictures">
          {given.slice(0, 24).map((picture, index) => (
            <button
              key={index}
              type="button"
              aria-label={`Show ${picture.title}`}
              onClick={() => choose(picture)}
            >
              <PixelCanvas pixels={picture.pixels} label={picture.title} />
            </button>
          ))}
        </div>
      )}
      <div class="run-line">
        <button
          type="button"
          class="primary"
          disabled={!running && (given.length === 0 || found.problems.length > 0)}
          onClick={() => (running ? cancel() : attempt(quantizeOwn()))}
        >
          {running ? 'Cancel' : 'Quantize'}
        </button>
        <p class="muted" role="status">
          {running && describe(event.stage)}
        </p>
        <Progress
          label="Quantizing"
          done={running && event.stage !== 'fetch' ? event.done : 0}
          total={running && event.stage !== 'fetch' ? event.total : 1}
        />
      </div>
    </section>
  );
}

function describe(stage: string): string {
  if (stage === 'calibrate') return 'Running the float model on your pictures';
  return stage === 'quantize' ? 'Rounding' : 'Comparing the two models';
}

function Result({ result: made, found }: { readonly result: OwnResult; readonly found: FloatDescription }) {
  const name = ownFloat.value?.int8?.name ?? 'model.int8.onnx';
  return (
    <section class="subview" aria-labelledby="own-result">
      <h3 id="own-result">The int8 model</h3>
      <dl class="figures">
        <Figure name="Same answer as float" value={`${made.same} of ${made.of}`} />
        <Figure name="Output SQNR" value={`${made.sqnr.toFixed(1)} dB`} />
        <Figure
          name="Size"
          value={`${format.bytes(made.bytes.length)}, was ${format.bytes(made.floatBytes)}`}
        />
        <Figure name="Multiply-adds" value={format.magnitude(found.macs)} />
      </dl>
      <div class="run-line">
        <Download name={name} data={made.bytes} title="Download the int8 model" />
        <button type="button" disabled={step.value !== null} onClick={() => attempt(saveReport())}>
          Download the report
        </button>
        <p class="muted">Every view is about it now; the menu above leads back.</p>
      </div>
      <details>
        <summary>Where the two models part most</summary>
        <ul class="worst">
          {made.layers.slice(0, 8).map((layer) => (
            <li key={layer.name}>
              {layer.name} <span class="muted">{layer.op}</span> {layer.sqnr.toFixed(1)} dB
            </li>
          ))}
        </ul>
      </details>
    </section>
  );
}

function Nodes({ found }: { readonly found: FloatDescription }) {
  const stay = found.nodes.filter(({ reason }) => reason !== null);
  return (
    <section class="subview" aria-labelledby="own-nodes">
      <h3 id="own-nodes">Nodes</h3>
      <p class="lead">
        {found.problems.length > 0
          ? 'Octet cannot run this model:'
          : stay.length === 0
            ? `All ${found.nodes.length} become integers.`
            : `${found.nodes.length - stay.length} of ${found.nodes.length} become integers; the others stay in float, on the CPU.`}{' '}
        {format.magnitude(found.parameters)} parameters, {format.magnitude(found.macs)} multiply-adds a
        picture.
      </p>
      {found.problems.length > 0 && <pre class="report">{found.problems.join('\n')}</pre>}
      <div class="table-scroll nodes" role="region" aria-label="Nodes of the model" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">Node</th>
              <th scope="col">Operator</th>
              <th scope="col">Output</th>
              <th scope="col">Becomes</th>
            </tr>
          </thead>
          <tbody>
            {found.nodes.map((node, index) => (
              <Node key={index} node={node} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Node({ node: { name, op, shape, reason } }: { readonly node: NodeFate }) {
  return (
    <tr>
      <th scope="row">{name || '–'}</th>
      <td>{op}</td>
      <td>{shape.slice(1).join(' × ')}</td>
      <td class={reason === null ? 'right' : 'wrong'}>{reason === null ? 'integers' : `float: ${reason}`}</td>
    </tr>
  );
}
