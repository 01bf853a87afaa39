/** `octetjs/extend`: operators of one's own, the integer program that they become, and the plan that runs it. */
export { defineOperator } from './graph/operators/operator.ts';
export type {
  Binary,
  Evaluation,
  Known,
  Move,
  MoveCall,
  NodeOf,
  OnnxOperator,
  OperatorDefinition,
  Role,
  Shape,
  ShapeContext,
  ShapeResult,
  Unary,
  Value,
} from './graph/operators/operator.ts';
export type { NormalizeContext } from './graph/operators/normalize-context.ts';
export type { AttributeKind, AttributeSpec } from './graph/operators/signature.ts';
export type { Problems } from './graph/problems.ts';
export type { NumbersOf } from './graph/strided.ts';

export type { Operator, ReferenceContext } from './ops/operator.ts';
export type {
  ArithmeticFamily,
  GpuBinding,
  GpuCapabilities,
  GpuDispatch,
  GpuKernel,
  GpuConstant,
  GpuVariant,
} from './ops/gpu-kernel.ts';
export type {
  RelaxedDot,
  ValueRange,
  WasmArgument,
  WasmCall,
  WasmCapabilities,
  WasmConstant,
  WasmConstantData,
  WasmKernel,
  WasmPacking,
  WasmVariant,
} from './ops/wasm-kernel.ts';

export type {
  AccumulatorOptions,
  LoweredOutput,
  LoweringContext,
  OutputOptions,
  PointwiseValue,
  QuantizedConstant,
} from './program/lowering.ts';
export type {
  ArgMaxOperation,
  AveragePool2dOperation,
  BuiltinOperation,
  AccumulatorTensor,
  BinaryOperation,
  ConstantOperation,
  Conv2dOperation,
  FloatTensor,
  HostTensor,
  IntegerTensor,
  ImageShape,
  Int8Tensor,
  IntegerProgram,
  Layout,
  LogSoftmaxOperation,
  LookupOperation,
  MatMulOperation,
  MaxPool2dOperation,
  MoveOperation,
  NormalizeOperation,
  ReduceFunction,
  ReduceOperation,
  ResizeOperation,
  ResizeTaps,
  ScalarRequantize,
  MovePart,
  MoveSource,
  Operation,
  ProgramInput,
  ProgramOutput,
  ProgramTensor,
  Requantize,
  Rescale,
  SoftmaxOperation,
  TensorBuffer,
  TensorId,
} from './program/program.ts';
export { int8Weights } from './program/weights.ts';
export type { WeightBits, Weights, WeightShape } from './program/weights.ts';

export { planToSvg } from './schedule/picture.ts';
export type { Allocation, MemoryPlan, Step } from './schedule/plan.ts';
export { compareBackends } from './model/compare.ts';
export type { Pair } from './graph/geometry.ts';
export type { FloatConvolution, FloatKernels, FloatProduct } from './graph/float-kernels.ts';
