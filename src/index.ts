export { DeviceError, InputError, ModelError, OctetError } from './errors.ts';
export type { ModelProblem } from './errors.ts';
export type { AsyncOptions, ProgressEvent } from './progress.ts';
export { loadModel } from './model/load.ts';
export type {
  AdapterDescription,
  Classification,
  ClassifyOptions,
  CompareOptions,
  Comparison,
  GpuOutputTensor,
  InspectedTensor,
  LoadOptions,
  Model,
  ModelInput,
  ModelOutput,
  ModelPlan,
  ModelSource,
  OutputTensor,
  PictureSource,
  PixelsInput,
  PlannedOperation,
  Prediction,
  Preprocessing,
  Profile,
  ProfiledOperation,
  ProfileOptions,
  RunInput,
  RunOptions,
  RunResult,
  TensorComparison,
  Timings,
} from './model/model.ts';
export { compareBackends } from './model/compare.ts';
export { describeModel } from './model/describe.ts';
export type { LayerDescription, ModelDescription } from './model/describe.ts';
export { evaluateClassifiers } from './model/evaluate.ts';
export type { Classifier, ClassifierResult, Evaluation, LabelledPicture } from './model/evaluate.ts';
export { imageBatches } from './model/image-batches.ts';
export type { ImageBatchOptions } from './model/image-batches.ts';
export type { BackendName } from './model/session.ts';
export type { BuiltinOperation, IntegerProgram, Operation, ProgramTensor } from './program/program.ts';
export { planToSvg } from './schedule/picture.ts';
export type { MemoryPlan } from './schedule/plan.ts';

export type { Graph } from './graph/graph.ts';
export { decodeModel } from './onnx/decode.ts';
export { encodeModel } from './onnx/encode.ts';

export { calibrate } from './quantize/calibrate.ts';
export type { Calibration, CalibrationOptions } from './quantize/calibrate.ts';
export { quantize, quantizeCalibrated } from './quantize/quantize.ts';
export type { LayerReport, QuantizationReport, QuantizationResult } from './quantize/quantize.ts';
export type { Recipe, RecipeInput } from './quantize/recipe.ts';
export { compareModels } from './quantize/compare.ts';
export type { ValueComparison } from './quantize/compare.ts';
export { sweepBits } from './quantize/sweep.ts';
export { quantizeImage, quantizeUniformly, uniformQuantizer } from './quantize/scheme.ts';
export type { UniformQuantizer } from './quantize/scheme.ts';
export { openFloatSession } from './quantize/onnx-runtime.ts';
export type { Batch, FloatSession } from './quantize/onnx-runtime.ts';

export { decodePicture } from './vision/decode.ts';
export { pictureFromPixels } from './vision/picture.ts';
export type { Picture } from './vision/picture.ts';
export { softmax, topK } from './vision/ranking.ts';
export { resize } from './vision/resize.ts';
export { readSheet } from './vision/sheet.ts';
export type { Sheet, SheetIndex } from './vision/sheet.ts';
