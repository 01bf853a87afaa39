"""A network trained with its quantizers as QDQ ONNX, opset 13: what Octet runs as an integer program, and any
ONNX runtime reads.

    python -m training.export_qdq --run resnet20-lsq-4-alone --output models/resnet20-w4a4-cifar10.onnx

Weights of k bits are int8 initializers with k bits' worth of values (2^k odd ones for DoReFa, -1 and 1 for
one bit), activations a Clip before the QuantizeLinear where their grid is smaller than its type. Batch norms
are part of scales and biases (`convert`).
"""

import argparse
import operator
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import fx, nn

from .convert import IntegerLayer, QuantizeDequantize, convert
from .data import DATASETS
from .export import IR_VERSION, OPSET, metadata
from .models import ARCHITECTURES
from .qat import DIRECTORY, Recipe, load_run


def export_qdq(prepared: fx.GraphModule, recipe: Recipe, path: Path) -> None:
    """Writes what `convert` makes of `prepared`: input [N, 3, H, W], output logits [N, classes]."""
    converted = convert(prepared.cpu())
    dataset = DATASETS[recipe.dataset]
    modules = dict(converted.named_modules())
    nodes: list[onnx.NodeProto] = []
    initializers: list[onnx.TensorProto] = []
    values: dict[str, str] = {}

    def constant(name: str, array: np.ndarray) -> str:
        initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def emit(op: str, name: str, inputs: list[str], **attributes: object) -> str:
        nodes.append(helper.make_node(op, inputs, [f"{name}_output"], name, **attributes))
        return f"{name}_output"

    def dequantized(name: str, array: np.ndarray, scale: np.ndarray, axis: int) -> str:
        zero = np.zeros(scale.shape, array.dtype)
        inputs = [
            constant(name, array),
            constant(f"{name}.scale", scale.astype(np.float32)),
            constant(f"{name}.zero_point", zero),
        ]
        return emit("DequantizeLinear", f"{name}.dequantize", inputs, axis=axis)

    def quantized(name: str, value: str, module: QuantizeDequantize) -> str:
        grid = module.grid
        scale = np.float32(grid.scale)
        dtype = np.uint8 if grid.lo >= 0 else np.int8
        bounds = np.iinfo(dtype)
        if (grid.lo, grid.hi) != (bounds.min, bounds.max):
            limits = [scale * np.float32(q - grid.zero_point) for q in (grid.lo, grid.hi)]
            value = emit(
                "Clip",
                f"{name}.clip",
                [value, *(constant(f"{name}.{k}", v) for k, v in zip(("min", "max"), limits, strict=True))],
            )
        parameters = [
            constant(f"{name}.scale", scale),
            constant(f"{name}.zero_point", np.array(grid.zero_point, dtype)),
        ]
        integers = emit("QuantizeLinear", f"{name}.quantize", [value, *parameters])
        return emit("DequantizeLinear", f"{name}.dequantize", [integers, *parameters])

    for node in converted.graph.nodes:
        args = [values[arg.name] for arg in node.args if isinstance(arg, fx.Node)]
        if node.op == "placeholder":
            values[node.name] = "input"
        elif node.op == "output":
            nodes[-1].output[0] = "logits"
        elif node.op == "call_module":
            module, name = modules[node.target], node.target
            if isinstance(module, IntegerLayer):
                inputs = [
                    *args,
                    dequantized(f"{name}.weight", module.weight.numpy(), module.scale.numpy(), 0),
                ]
                if module.bias is not None:
                    # ONNX: the scale of a bias is the product of those of input and weight, each a float32.
                    scale = np.float32(module.input_scale) * module.scale.numpy()
                    inputs.append(dequantized(f"{name}.bias", module.bias.numpy(), scale, 0))
                if module.dense:
                    values[node.name] = emit("Gemm", name, inputs, transB=1)
                else:
                    geometry = module.geometry
                    values[node.name] = emit(
                        *("Conv", name, inputs),
                        dilations=geometry["dilation"],
                        group=geometry["groups"],
                        kernel_shape=module.weight.shape[2:],
                        pads=geometry["padding"] * 2,
                        strides=geometry["stride"],
                    )
            elif isinstance(module, QuantizeDequantize):
                values[node.name] = quantized(name, args[0], module)
            elif isinstance(module, nn.ReLU6):
                bounds = [constant(f"{name}.{k}", np.float32(v)) for k, v in (("min", 0), ("max", 6))]
                values[node.name] = emit("Clip", name, [*args, *bounds])
            elif isinstance(module, nn.ReLU):
                values[node.name] = emit("Relu", name, args)
            elif isinstance(module, nn.MaxPool2d):
                kernel, stride = [module.kernel_size] * 2, [module.stride] * 2
                values[node.name] = emit(
                    "MaxPool", name, args, kernel_shape=kernel, strides=stride, pads=[0] * 4
                )
            elif isinstance(module, nn.AdaptiveAvgPool2d):
                values[node.name] = emit("GlobalAveragePool", name, args)
            elif isinstance(module, nn.Dropout):
                values[node.name] = args[0]
            else:
                raise TypeError(f"export_qdq has no rule for {type(module).__name__} ({name})")
        elif node.target in (operator.add, torch.add):
            values[node.name] = emit("Add", node.name, args)
        elif node.target is torch.flatten:
            values[node.name] = emit("Flatten", node.name, args, axis=1)
        else:
            raise TypeError(f"export_qdq has no rule for {node.target}")

    scheme = recipe.scheme
    graph = helper.make_graph(
        nodes,
        f"{ARCHITECTURES[recipe.network]}_{recipe.dataset}_{scheme.method}_w{scheme.weight_bits}a{scheme.activation_bits}",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, dataset.size, dataset.size])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", dataset.classes])],
        initializers,
    )
    proto = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="octet-training",
        producer_version=torch.__version__.split("+")[0],
    )
    helper.set_model_props(proto, metadata(recipe.network, dataset))
    onnx.checker.check_model(proto, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(proto, path)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--run", required=True, help="name of a run of training.qat, training.chain or training.lab"
    )
    parser.add_argument("--directory", type=Path, default=DIRECTORY, help="where the runs are")
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args(argv)
    recipe, model = load_run(args.run, args.directory)
    export_qdq(model, recipe, args.output)
    print(f"{args.output}: {args.output.stat().st_size} bytes")


if __name__ == "__main__":
    main()
