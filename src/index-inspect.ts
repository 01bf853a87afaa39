/** `octetjs/inspect`: what becomes of each node of a model on a device, and why; reports; device profiles. */
export { inspectModel, withMeasuredTimes } from './inspect/inspect.ts';
export type {
  InspectedNode,
  InspectedOperation,
  InspectedTensor,
  Inspection,
  InspectionTotals,
  InspectOptions,
  NodeStage,
} from './inspect/inspect.ts';
export type { ExpectedTime } from './inspect/cost.ts';
export { deviceProfile, parseDeviceProfile } from './inspect/target.ts';
export type { DeviceProfile, DeviceRates, ProfileBase } from './inspect/target.ts';
export { measureDevice } from './inspect/device.ts';
export type { MeasureDeviceOptions } from './inspect/device.ts';

export { measureAccuracy } from './inspect/accuracy.ts';
export type { Accuracy, LevelHistogram, MeasureAccuracyOptions, ValueAccuracy } from './inspect/accuracy.ts';

export { analyzeSensitivity } from './inspect/sensitivity.ts';
export type { AnalyzeSensitivityOptions, Effect, LayerEffect, Sensitivity } from './inspect/sensitivity.ts';
export { raiseBits } from './inspect/raise-bits.ts';
export type { RaiseBitsOptions, RaiseResult, RaiseStep } from './inspect/raise-bits.ts';
export { compareWithOnnxRuntime } from './inspect/onnx-runtime.ts';
export type {
  CompareWithOnnxRuntimeOptions,
  OnnxRuntimeComparison,
  OnnxRuntimeTensor,
} from './inspect/onnx-runtime.ts';
export { diffModels } from './inspect/diff-models.ts';
export type { LayerDiff, LayerFigures, ModelDiff } from './inspect/diff.ts';

export { makeGoldenPack, verifyGoldenPack } from './inspect/golden.ts';
export type {
  GoldenCase,
  GoldenOptions,
  GoldenPixels,
  GoldenVerification,
  VerifyOptions,
} from './inspect/golden.ts';

export { inspectionHtml } from './inspect/report.ts';
export type { NamedPicture, ReportOptions } from './inspect/report.ts';
export { inspectionSvg, toDot } from './inspect/picture.ts';
export type { PictureOf } from './inspect/picture.ts';
