/** What to do about each message of docs/errors.md: the first rule that matches it. A message without a rule is an error of `npm run docs`. */
const EXPORT =
  'Export the model again with a current exporter; check the file with `onnx.checker` if it came from elsewhere.';
const DAMAGED = 'Download or export the file again, and compare its size or hash with the original.';
const REQUANTIZE =
  'Quantize the float model again, with `octet quantize` or as QDQ with per-tensor activations and constant scales.';
const REPLACE =
  'Replace the operator, or this use of it, by one of [operators.md](operators.md) before the export, or run the node outside Octet; loadModel takes operators of your own.';
const BATCH = 'Run fewer images at once, or dispose of models that are no longer needed.';
const CALLER = 'Correct the argument as the message says.';

const rules: readonly (readonly [message: RegExp, remedy: string])[] = [
  [
    /holds accumulators|offsets, with those before it|moves single elements|too large to be regrouped/,
    REPLACE,
  ],
  // Files.
  [/Git LFS/, 'Run `git lfs pull` in the checkout that the file is from.'],
  [
    /TensorFlow Lite|ZIP archive|text file, not an ONNX/,
    'Convert the model to ONNX (`torch.onnx.export`, `tf2onnx`) and give that file.',
  ],
  [
    /external (file|data)|weights are in/,
    'Keep the data files beside the model under the names it gives, or pass them as `externalData`.',
  ],
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
  [
    /metadata's mean|mean \[|channels, but mean/,
    'Give as many means and standard deviations as the input has channels (`--mean`, `--std`, `preprocessing`).',
  ],
  [
    /say how (they|pixels) are normalized/,
    'Pass `preprocessing: { mean, std }`, or write both into the file with `--mean` and `--std`.',
  ],
  [
    /is not finite|hold … at index|NaN at index|is NaN|not a number where|computes …/,
    'Find the layer in training that diverged; a model with such weights gives no answers anywhere.',
  ],
  [/an image holds|is not a number at index/, 'Check how the input was made: no value may be NaN.'],
  [
    /scale|requantization|QuantizeLinear|quantize[sd]?|dequantizes|accumulator can overflow|dynamic|quantized activation/,
    REQUANTIZE,
  ],
  [/there is nothing to quantize/, 'Give a model that computes something.'],
  [
    /ONNX Runtime (cannot load|failed)/,
    'Read the reason that ONNX Runtime gives; check that the file runs there by itself.',
  ],
  [
    /calibration feeds one image|must have one input|no fixed height/,
    'Export the model with one picture input of fixed height and width.',
  ],
  [
    /no operator runs operations|two operators are called/,
    'Pass each operator of your own once, where the model is loaded.',
  ],
  [
    /attribute|initializer|constant|name|tensor (of|stored|with)|dimension|is not a tensor|has no shape|graph (has|output)|input "…" is neither|cycle|outputs?, expected|inputs, expected|defined twice|sizes other than|which is not supported$|the … (has|is)/,
    EXPORT,
  ],
  [/raw_data has|tensor has|the input has shape/, EXPORT],
  // Uses.
  [
    /batch size|topK|threads must|must be .*, got|is missing$|takes two of|mean and --std|planToSvg|was not given|no tensor|before it is written|both reads|pixel table|elements?, got|values?, got|bytes, not|pixels, got|multiple of that|inputs before it|given by name|no input "|outputs can stay|GPUBuffer|takes a Float32Array|a device is for|must be a Uint8Array|must be finite|a model is an address|images have shape|softmax needs|zero points for|weights for|no address of a file|decoded from a Uint8Array/,
    CALLER,
  ],
  [
    /threads need shared memory/,
    'Serve the page with the headers `Cross-Origin-Opener-Policy: same-origin` and `Cross-Origin-Embedder-Policy: require-corp`.',
  ],
  [
    /is a text file|not a picture|damaged or cut off|header is damaged|is an empty file|is a … file of|a picture was expected|8 bits a channel|picture has no pixels|picture without data/,
    'Give a PNG, JPEG, WebP, GIF or AVIF file, or pixels of 8 bits a channel, once they have loaded.',
  ],
  [/megapixels|more than … pixels|canvas of/, 'Scale the picture down first, or raise `maxPixels`.'],
  [/CORS/, 'Serve the picture with CORS headers and set `crossOrigin` on its element.'],
  [
    /cannot (fetch|read|write)|no such file|is not JSON|no picture in|recipe/,
    'Check the path or address, its permissions and its content.',
  ],
  [
    /recipe/,
    'Correct the recipe; [its schema](../models/recipe.schema.json) completes and checks it in an editor.',
  ],
  [
    /is damaged: fetch|CIFAR-10|sha(512|256)|expected 1024/,
    'Run `octet data cifar10` again; `$OCTET_CACHE` chooses another folder.',
  ],
  [/npm|onnxruntime-web/, 'Install what the message names; npm must be on the path and reach its registry.'],
  [/interrupted/, 'Nothing: the command was interrupted with Ctrl-C.'],
  [
    /calibration set|there is no image|class|labels?|scores|contact sheet|true class|label …/,
    'Give pictures and class names that belong to the model; [getting-started.md](getting-started.md) shows the layouts.',
  ],
  [/is no classifier|pictures have 1 or 3|inputs and gives/, 'Use `run()` with named tensors.'],
  [/cannot compare|same name|first model and/, 'Compare models that were made from the same file.'],
  // Devices.
  [
    /no adapter|found no adapter|not available here|gives no device|no WebGPU kernel/,
    "Follow the message's advice on drivers and browsers, or load with `backend: 'wasm'`.",
  ],
  [
    /device was lost|outside any call|refused it/,
    'Run again: Octet opens a new device (your own must be made anew). If it recurs, update the driver, or use wasm.',
  ],
  [/maxActivationBytes/, 'Raise `maxActivationBytes` (`--max-activation-bytes`) for a model that you trust.'],
  [/memory|does not fit|kernel calls|a batch of/, BATCH],
  [/disposed of|worker thread|reference backend|picture came before/, 'Load the model again.'],
  [
    /kernels from|no WebAssembly SIMD/,
    'Serve the package’s `.wasm` files beside its scripts, to an engine that the message names.',
  ],
  [/cannot be read \(/, 'Give bytes that were not transferred to another thread.'],
];

/** @throws {Error} no rule covers the message: add one */
export function remedyFor(error: string, message: string): string {
  // A node's problem without a rule of its own is a use that Octet lacks.
  const rule = rules.find(([pattern]) => pattern.test(message.replace(/^… "…": /, '')));
  if (rule) return rule[1];
  if (error === 'ModelError' && message.startsWith('… "…": ')) return REPLACE;
  throw new Error(`scripts/error-remedies.ts says nothing of what to do about ${error}: ${message}`);
}
