/** `octet`: load a model, run it, classify pictures. What quantizing and extending need has entries of its own. */
export { DeviceError, InputError, ModelError, OctetError } from './errors.ts';
export type { ModelProblem } from './errors.ts';
export type { AsyncOptions, ProgressEvent } from './progress.ts';

export { loadFixedModel, loadModel } from './model/load.ts';
export { preloadBackend } from './model/preload.ts';
export type { BackendOptions } from './model/preload.ts';
export type { FixedInput, FixedModel, FixedOutput } from './model/fixed-sizes.ts';
export type {
  AdapterDescription,
  Classification,
  ClassifyOptions,
  CompareBackendsOptions,
  Comparison,
  GpuOutputTensor,
  HostNode,
  InputShape,
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
  SizeOptions,
  TensorComparison,
  TensorInput,
  TensorValues,
  Timings,
  ValuesOptions,
} from './model/model.ts';
export type { OutputValues } from './program/input.ts';
export type { AdapterClass, BackendName } from './schedule/session.ts';

export { decodePicture } from './vision/decode.ts';
export type { DecodePictureOptions } from './vision/decode.ts';
export { pictureFromPixels } from './vision/picture.ts';
export type { Picture } from './vision/picture.ts';
export { resize } from './vision/resize.ts';
export type { ResizeOptions } from './vision/resize.ts';
export { softmax, topK } from './vision/ranking.ts';
export type { RankedClass } from './vision/ranking.ts';
