/** `octetjs/quantize`: ONNX files in and out, calibration, quantization, and what they cost in accuracy. */
export { decodeModel } from './onnx/decode-model.ts';
export type { DecodeModelOptions } from './onnx/decode.ts';
export { encodeModel } from './onnx/encode.ts';
export type { ExternalData } from './onnx/tensor.ts';
export type {
  Attribute,
  Branch,
  Dimension,
  DType,
  Extras,
  Graph,
  GraphExtras,
  Node,
  Tensor,
  TensorData,
  ValueInfo,
} from './graph/graph.ts';
export type { InputShape } from './graph/passes/input-shape.ts';
export { describeModel } from './model/describe.ts';
export type { LayerDescription, ModelDescription } from './model/describe.ts';
export { readLabels } from './model/labels.ts';
export { findObstacles } from './model/support.ts';
export type { Obstacles } from './model/support.ts';

export { imageBatches } from './model/image-batches.ts';
export type { ImageBatchOptions } from './model/image-batches.ts';
export { readSheet } from './vision/sheet.ts';
export type { Sheet, SheetIndex } from './vision/sheet.ts';

export { calibrate } from './quantize/calibrate.ts';
export type { Calibration, CalibrationOptions } from './quantize/calibrate.ts';
export type { ActivationStatistics, Histogram } from './quantize/statistics.ts';
export { reconstruct } from './quantize/reconstruct.ts';
export type { Reconstruction, ReconstructionOptions } from './quantize/reconstruct.ts';
export type { QuantizedLayer } from './quantize/weights.ts';
export { quantize, quantizeCalibrated } from './quantize/quantize.ts';
export type {
  ActivationReport,
  LayerReport,
  QuantizeOptions,
  QuantizationReport,
  QuantizationResult,
  WeightReport,
} from './quantize/quantize.ts';
export type { QuantizationLayers, QuantizedValue, WeightedLayer } from './quantize/layers.ts';
export type { Recipe, RecipeInput } from './quantize/recipe.ts';
export { quantizeImage, quantizeUniformly, uniformQuantizer } from './quantize/scheme.ts';
export type { QuantizationParameters, RealRange, Scheme, UniformQuantizer } from './quantize/scheme.ts';

export { compareModels } from './quantize/compare.ts';
export type { CompareModelsOptions, ValueComparison } from './quantize/compare.ts';
export { measureSensitivities, searchBits } from './quantize/search.ts';
export type {
  LayerSensitivity,
  ModelQuality,
  SearchOptions,
  SearchPoint,
  SearchResult,
  SensitivityOptions,
  SensitivityPart,
} from './quantize/search.ts';
export { sweepBits } from './quantize/sweep.ts';
export type { BitWidths, SweepOptions, SweepResult } from './quantize/sweep.ts';
export { evaluateClassifiers } from './model/evaluate.ts';
export type {
  Classifier,
  ClassifierResult,
  EvaluateOptions,
  Evaluation,
  LabelledPicture,
} from './model/evaluate.ts';

export { openFloatSession } from './quantize/onnx-runtime.ts';
export type {
  Batch,
  FloatResult,
  FloatResults,
  FloatSession,
  OnnxRuntimeOptions,
} from './quantize/onnx-runtime.ts';
