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
export type {
  Classifier,
  ClassifierResult,
  EvaluateOptions,
  Evaluation,
  LabelledPicture,
} from './model/evaluate.ts';
export { imageBatches } from './model/image-batches.ts';
export type { ImageBatchOptions } from './model/image-batches.ts';
export type { BackendName } from './schedule/session.ts';
export type {
  ArithmeticFamily,
  GpuBinding,
  GpuCapabilities,
  GpuDispatch,
  GpuKernel,
  GpuVariant,
} from './ops/gpu-kernel.ts';
export { defineOperator } from './graph/operators/operator.ts';
export type { OnnxOperator, OperatorDefinition } from './graph/operators/operator.ts';
export type { AttributeSpec } from './graph/operators/signature.ts';
export type { Operator, ReferenceContext } from './ops/operator.ts';
export type {
  RelaxedDot,
  ValueRange,
  WasmArgument,
  WasmCall,
  WasmCapabilities,
  WasmConstantData,
  WasmKernel,
  WasmVariant,
} from './ops/wasm-kernel.ts';
export type {
  LoweredOutput,
  LoweringContext,
  OutputOptions,
  PointwiseValue,
  QuantizedConstant,
} from './program/lowering.ts';
export type {
  AveragePool2dOperation,
  BuiltinOperation,
  BinaryOperation,
  Conv2dOperation,
  ImageShape,
  IntegerProgram,
  LookupOperation,
  MaxPool2dOperation,
  MoveOperation,
  Operation,
  ProgramInput,
  ProgramOutput,
  ProgramTensor,
  Requantize,
  Rescale,
  TensorId,
  TensorBuffer,
} from './program/program.ts';
export { int8Weights } from './program/weights.ts';
export type { WeightBits, Weights, WeightShape } from './program/weights.ts';
export { planToSvg } from './schedule/picture.ts';
export type { Allocation, MemoryPlan, Step } from './schedule/plan.ts';

export type {
  Attribute,
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
export { decodeModel } from './onnx/decode.ts';
export type { DecodeOptions as ModelDecodeOptions } from './onnx/decode.ts';
export type { ExternalData } from './onnx/tensor.ts';
export { encodeModel } from './onnx/encode.ts';

export { calibrate } from './quantize/calibrate.ts';
export type { Calibration, CalibrationOptions } from './quantize/calibrate.ts';
export { quantize, quantizeCalibrated } from './quantize/quantize.ts';
export type {
  ActivationReport,
  LayerReport,
  QuantizationReport,
  QuantizationResult,
  WeightReport,
} from './quantize/quantize.ts';
export type { QuantizationLayers, QuantizedValue, WeightedLayer } from './quantize/layers.ts';
export type { ActivationStatistics, Histogram } from './quantize/statistics.ts';
export type { Recipe, RecipeInput } from './quantize/recipe.ts';
export { compareModels } from './quantize/compare.ts';
export type { CompareOptions as CompareModelsOptions, ValueComparison } from './quantize/compare.ts';
export { sweepBits } from './quantize/sweep.ts';
export type { BitWidths, SweepOptions, SweepResult } from './quantize/sweep.ts';
export { quantizeImage, quantizeUniformly, uniformQuantizer } from './quantize/scheme.ts';
export type { Range as RealRange, Scheme, UniformQuantizer } from './quantize/scheme.ts';
export { openFloatSession } from './quantize/onnx-runtime.ts';
export type {
  Batch,
  FloatResult,
  FloatResults,
  FloatSession,
  OnnxRuntimeOptions,
} from './quantize/onnx-runtime.ts';

export { decodePicture } from './vision/decode.ts';
export type { DecodeOptions as PictureDecodeOptions } from './vision/decode.ts';
export { pictureFromPixels } from './vision/picture.ts';
export type { Picture } from './vision/picture.ts';
export { softmax, topK } from './vision/ranking.ts';
export type { RankedClass } from './vision/ranking.ts';
export { resize } from './vision/resize.ts';
export type { ResizeOptions } from './vision/resize.ts';
export { readSheet } from './vision/sheet.ts';
export type { Sheet, SheetIndex } from './vision/sheet.ts';
