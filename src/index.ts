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
