import { DeviceError, InputError, ModelError, OctetError } from '../src/errors.ts';

const EXPORT =
  'Export the model again with a current exporter; check the file with `onnx.checker` if it came from elsewhere.';
const DAMAGED = 'Download or export the file again, and compare its size or hash with the original.';
const REQUANTIZE =
  'Quantize the float model again, with `octet quantize` or as QDQ with per-tensor activations and constant scales.';
const REPLACE =
  'Replace the operator, or this use of it, by one of [operators.md](operators.md) before the export, or run the node outside Octet; loadModel takes operators of your own.';
const BATCH = 'Run fewer images at once, or dispose of models that are no longer needed.';
const CALLER = 'Correct the argument as the message says.';

const LABELS =
  'Give pictures and class names that belong to the model; [getting-started.md](getting-started.md) shows the layouts.';
const PICTURE =
  'Give a PNG, JPEG, WebP, GIF or AVIF file, or pixels of 8 bits a channel, once they have loaded.';
const RECIPE =
  'Correct the recipe; [its schema](../models/recipe.schema.json) completes and checks it in an editor.';
const NORMALIZATION =
  'Pass `preprocessing: { mean, std }`, one number a channel, or write both into the file with `--mean` and `--std`.';
const ONE_PICTURE = 'Export the model with one picture input.';
const OPEN_SIZES =
  'Pass `inputShape` (`--input-shape`) with a size for each dimension that the file leaves open, by the names that the message gives.';
const EXTERNAL =
  'Keep the data files beside the model under the names it gives, or pass them as `externalData`.';
const CIFAR = 'Run `octet data cifar10` again; `$OCTET_CACHE` chooses another folder.';
const RUNTIME = 'Read the reason that ONNX Runtime gives; check that the file runs there by itself.';

/** What to do about the messages of one class: the first rule that matches. A message without a rule is an error of `npm run docs`. */
type Rules = readonly (readonly [message: RegExp, remedy: string])[];

const modelRules: Rules = [
  [
    /where int8 is needed|(offsets|tables), with those before it|moves single elements|too large to be regrouped|nor can it run/,
    REPLACE,
  ],
  [/server is closing/, 'Nothing: the server was told to stop.'],
  [/Git LFS/, 'Run `git lfs pull` in the checkout that the file is from.'],
  [
    /TensorFlow Lite|ZIP archive|text file, not an ONNX/,
    'Convert the model to ONNX (`torch.onnx.export`, `tf2onnx`) and give that file.',
  ],
  [/external (file|data)|weights are in/, EXTERNAL],
  [
    /not an ONNX model|the file is empty|truncated|more parts than any model|versions of the default/,
    DAMAGED,
  ],
  [
    /uses opset|came with opset/,
    'Convert the model with `onnx.version_converter` to an opset that Octet reads.',
  ],
  [/training mode|training information/, 'Call `model.eval()` before the export.'],
  [/quantized already|only models with float32 inputs/, 'Give the float model that it was made from.'],
  [/is not quantized \(it has|float model, which has no/, 'Run `octet quantize` on it and give the result.'],
  [/metadata's mean/, NORMALIZATION],
  [
    /is not finite|are not finite|hold … at index|NaN at index|is NaN|not a number where|computes …/,
    'Find the layer in training that diverged; a model with such weights gives no answers anywhere.',
  ],
  [/what it quantizes is not a number/, 'Check how the input was made: no value may be NaN.'],
  [/there is nothing to quantize/, 'Give a model that computes something between its inputs and outputs.'],
  [/maxActivationBytes/, 'Raise `maxActivationBytes` (`--max-activation-bytes`) for a model that you trust.'],
  [
    /no operator runs operations|two operators are called/,
    'Pass each operator of your own once, where the model is loaded.',
  ],
  [/calibration feeds one image|must have one input/, ONE_PICTURE],
  [/sizes that the file leaves open/, OPEN_SIZES],
  [/ONNX Runtime (cannot load|failed)/, RUNTIME],
  [
    /scale|requantization|QuantizeLinear|quantize[sd]?|dequantizes|accumulator can overflow|dynamic|quantized activation/,
    REQUANTIZE,
  ],
  [
    /attribute|initializer|constant|name|tensor (of|stored|with)|dimension|is not a tensor|has no shape|graph (has|output)|input "…" is neither|cycle|outputs?, expected|inputs, expected|defined twice|sizes other than|which is not supported$|the … (has|is)|raw_data has|tensor has|the input has shape|value … at index/,
    EXPORT,
  ],
  [
    /the (input|output) is …/,
    'Cast it outside the model: inputs are float32, int8 or uint8, outputs of these or other integers.',
  ],
];

const inputRules: Rules = [
  [/takes a package that is not installed/, 'Install what the message names.'],
  [
    /golden pack|golden\.json|\.npy file/,
    'Make the pack again with `octet golden`, and give the model that it was made from.',
  ],
  [/recipe/, RECIPE],
  [/external data|out of the model's folder/, EXTERNAL],
  [/cannot write/, 'Name another file, in a folder that is there and may be written to.'],
  [
    /cannot (fetch|read)|no such file|is not JSON|no picture in|is no address/,
    'Check the path or address, its permissions and its content.',
  ],
  [/quantize it first/, 'Run `octet quantize` on it and give the result.'],
  [/mean and std|mean \[|but mean has/, NORMALIZATION],
  [/how (they|pixels) are normalized/, NORMALIZATION],
  [/must have one input/, ONE_PICTURE],
  [/inputShape|no fixed height/, OPEN_SIZES],
  [/an image holds|is not a number at index/, 'Check how the input was made: no value may be NaN.'],
  [/is no classifier|pictures have 1 or 3/, 'Use `run()` with named tensors.'],
  [
    /threads need shared memory/,
    'Serve the page with the headers `Cross-Origin-Opener-Policy: same-origin` and `Cross-Origin-Embedder-Policy: require-corp`.',
  ],
  [/megapixels|more than … pixels|canvas of/, 'Scale the picture down first, or raise `maxPixels`.'],
  [/CORS/, 'Serve the picture with CORS headers and set `crossOrigin` on its element.'],
  [
    /is a text file|not a picture|damaged or cut off|header is damaged|is an empty file|is a … file of|picture was expected|8 bits a channel|picture has no pixels|picture without data/,
    PICTURE,
  ],
  [/cannot compare|same name|first model and/, 'Compare models that were made from the same file.'],
  [
    /calibration set|there is no image|true class|class "|names no class|does not name its classes|classes, but|have … classes|there are … classes|gives scores|contact sheet/,
    LABELS,
  ],
  [/two operators are called/, 'Pass each operator of your own once, where the model is loaded.'],
  [/pictures of your own/, 'Name the pictures: files, or a folder of them.'],
  [/only, where "npm run model" makes it/, 'Name the model: `octet quantize` makes one.'],
  [/tensor "…" holds at most/, BATCH],
  [/./, CALLER],
];

const deviceRules: Rules = [
  [
    /no adapter|found no adapter|not available here|gives no device|no WebGPU kernel/,
    "Follow the message's advice on drivers and browsers, or load with `backend: 'wasm'`.",
  ],
  [
    /device was lost|outside any call|refused it/,
    'Run again: Octet opens a new device (your own must be made anew). If it recurs, update the driver, or use wasm.',
  ],
  [/no WebAssembly SIMD/, "Update the engine, or load with `backend: 'webgpu'`."],
  [
    /cannot load the WebAssembly kernels/,
    "Let the page's Content Security Policy allow `'wasm-unsafe-eval'`; see [bundlers.md](bundlers.md).",
  ],
  [
    /module cannot be loaded/,
    'Serve all files of the build, those that are loaded later too, and try again.',
  ],
  [/could not be started/, 'Load the model with fewer threads.'],
  [/disposed of: load|been disposed of|worker thread/, 'Load the model again.'],
  [/memory|does not fit|kernel calls/, BATCH],
];

const otherRules: Rules = [
  [/SHA-256 is missing/, 'Serve the page with https, or open it on the machine that serves it.'],
  [/CIFAR-10|sha(512|256)|expected 1024/, CIFAR],
  [/ONNX Runtime failed/, RUNTIME],
  [/npm|onnxruntime-web/, 'Install what the message names; npm must be on the path and reach its registry.'],
  [/interrupted/, 'Nothing: the command was interrupted with Ctrl-C.'],
  [/cannot read/, 'Check the path or address, its permissions and its content.'],
  [/reference backend|picture came before/, 'Load the model again.'],
];

/** The server, lines of JSON, and parts of evaluations: wrong requests and what fails beside them. */
const serveRules: Rules = [
  [
    /--output|--resume|--jsonl|--shard|resume …|of another list|is there already: add|is no answer of/,
    CALLER,
  ],
  [/part|nothing to merge/, 'Merge the JSON files of one `octet evaluate --shard`, each part once.'],
  [
    /the queue holds|pictures are more than|there was no answer within|is not ready|server is closing|holds as many bytes|no process runs|process that runs|a batch took more/,
    'Try again after the time that `Retry-After` gives; more replicas, or a longer `--queue`, take more at once.',
  ],
  [/nobody waits|client has left/, 'Nothing: whoever asked is not there any more.'],
  [
    /bearer token is needed|cannot read the token|the token must/,
    'Send the token that the server was started with.',
  ],
  [
    /model file has changed|is there twice with|the server cannot start/,
    'Correct what the message names, and start the server again.',
  ],
  [
    /there is no (model|version|…)|takes FP32|request|binary_data|the body|Inference-Header|there twice|is there twice|has shape \[N|either data or|nested too deep|values, and its shape|bytes, and its shape|no … at index|is not a number at index|infinite values|a body without a header|no output|classification of outputs|asked for twice|takes no pictures|cannot take pixels|must be of the same size|top must be|Content-Encoding|use the … route|line (is|must)|integers are read/,
    'Correct the request as the message says; [serve.md](serve.md) describes it.',
  ],
  [/the server needs two packages/, 'Install what the message names.'],
];

const rules: Readonly<Record<string, Rules>> = {
  [ModelError.name]: modelRules,
  [InputError.name]: [...inputRules, ...serveRules],
  [DeviceError.name]: deviceRules,
  [OctetError.name]: [...otherRules, ...serveRules],
};

/** @throws {Error} no rule covers the message: add one */
export function remedyFor(error: string, message: string): string {
  // A node's problem without a rule of its own is a use that Octet lacks.
  const rule = rules[error]?.find(([pattern]) => pattern.test(message.replace(/^… "…": /, '')));
  if (rule) return rule[1];
  if (error === ModelError.name && message.startsWith('… "…": ')) return REPLACE;
  throw new Error(`scripts/error-remedies.ts says nothing of what to do about ${error}: ${message}`);
}
