"""ONNX in the form of `models/vgg16-cifar10.onnx`: opset 13, batch norms unfolded, weights stored as float16.

Written node by node from the traced model rather than by torch.onnx, which folds batch norms and whose names and
constants change from release to release.

    python -m training.export --model vgg16 --run training/runs/vgg16 --output models/vgg16-cifar10.onnx
"""

import argparse
import operator
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import fx, nn

from .data import CLASSES, DATASETS, MEAN, STD, Dataset
from .models import ARCHITECTURES, MODELS

OPSET = 13
# The newest that ONNX Runtime releases of opset 13's time read.
IR_VERSION = 7


def export(model: nn.Module, name: str, path: Path) -> None:
    """Writes `model` (evaluation mode, on the CPU) to `path`: input [N, 3, 32, 32], output logits [N, 10]."""
    traced = fx.symbolic_trace(model.eval())
    modules = dict(model.named_modules())
    nodes: list[onnx.NodeProto] = []
    casts: list[onnx.NodeProto] = []
    initializers: list[onnx.TensorProto] = []

    def constant(key: str, tensor: torch.Tensor) -> str:
        array = tensor.detach().cpu().float().contiguous().numpy()
        if array.ndim < 2:
            initializers.append(numpy_helper.from_array(array, key))
        else:
            initializers.append(numpy_helper.from_array(array.astype(np.float16), f"{key}.float16"))
            casts.append(helper.make_node("Cast", [f"{key}.float16"], [key], f"cast.{key}", to=TensorProto.FLOAT))
        return key

    values: dict[str, str] = {}

    def emit(node: fx.Node, scope: str, op: str, inputs: list[str], **attributes: object) -> None:
        label = f"{scope}/{op}"
        values[node.name] = f"{label}_output_0"
        nodes.append(helper.make_node(op, inputs, [values[node.name]], label, **attributes))

    for node in traced.graph.nodes:
        args = [values[arg.name] for arg in node.args if isinstance(arg, fx.Node)]
        if node.op == "placeholder":
            values[node.name] = "input"
        elif node.op == "output":
            nodes[-1].output[0] = "logits"
        elif node.op == "call_module":
            module, key = modules[node.target], node.target
            scope = onnx_scope(modules, key)
            if isinstance(module, nn.Conv2d):
                parameters = [constant(f"{key}.weight", module.weight)]
                if module.bias is not None:
                    parameters.append(constant(f"{key}.bias", module.bias))
                emit(
                    *(node, scope, "Conv", args + parameters),
                    dilations=module.dilation,
                    group=module.groups,
                    kernel_shape=module.kernel_size,
                    pads=module.padding * 2,
                    strides=module.stride,
                )
            elif isinstance(module, nn.BatchNorm2d):
                keys = ("weight", "bias", "running_mean", "running_var")
                parameters = [constant(f"{key}.{k}", getattr(module, k)) for k in keys]
                emit(node, scope, "BatchNormalization", args + parameters, epsilon=module.eps)
            elif isinstance(module, nn.ReLU6):
                bounds = [constant(f"{key}.{k}", torch.tensor(v)) for k, v in (("min", 0.0), ("max", 6.0))]
                emit(node, scope, "Clip", args + bounds)
            elif isinstance(module, nn.ReLU):
                emit(node, scope, "Relu", args)
            elif isinstance(module, nn.MaxPool2d):
                window = [module.kernel_size] * 2, [module.stride] * 2
                emit(node, scope, "MaxPool", args, kernel_shape=window[0], strides=window[1], pads=[0] * 4)
            elif isinstance(module, nn.AdaptiveAvgPool2d):
                emit(node, scope, "GlobalAveragePool", args)
            elif isinstance(module, nn.Linear):
                parameters = [constant(f"{key}.weight", module.weight), constant(f"{key}.bias", module.bias)]
                emit(node, scope, "Gemm", args + parameters, alpha=1.0, beta=1.0, transB=1)
            elif isinstance(module, nn.Dropout):
                values[node.name] = args[0]
            else:
                raise TypeError(f"export has no rule for {type(module).__name__} ({key})")
        elif node.target in (operator.add, torch.add):
            emit(node, f"/{node.name}", "Add", args)
        elif node.target is torch.flatten:
            emit(node, "", "Flatten", args, axis=1)
        else:
            raise TypeError(f"export has no rule for {node.target}")

    graph = helper.make_graph(
        casts + nodes,
        f"{ARCHITECTURES[name]}_cifar10",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, 32, 32])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", len(CLASSES)])],
        initializers,
    )
    proto = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="octet-training",
        producer_version=torch.__version__.split("+")[0],
    )
    helper.set_model_props(proto, metadata(name, DATASETS["cifar10"]))
    onnx.checker.check_model(proto, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(proto, path)


def metadata(name: str, dataset: Dataset) -> dict[str, str]:
    """What a file says of its labels and its input."""
    return {
        "labels": ",".join(dataset.labels),
        "mean": ",".join(map(str, MEAN)),
        "std": ",".join(map(str, STD)),
        "layout": "NCHW RGB, pixels/255, then (x-mean)/std",
        "dataset": dataset.title,
        "architecture": ARCHITECTURES[name],
    }


def onnx_scope(modules: dict[str, nn.Module], key: str) -> str:
    """`features.0` in a Sequential becomes `/features/features.0`, as torch.onnx names it."""
    scope, prefix, segment = "", "", ""
    for part in key.split("."):
        inside_sequential = isinstance(modules[prefix], nn.Sequential)
        segment = f"{segment}.{part}" if inside_sequential else part
        scope += f"/{segment}"
        prefix = f"{prefix}.{part}".removeprefix(".")
    return scope


def load_weights(model: nn.Module, path: Path) -> None:
    """Fills `model` from a file that `export` wrote (warm start, or evaluation of what is shipped)."""
    stored = {t.name.removesuffix(".float16"): t for t in onnx.load(path).graph.initializer}
    state = model.state_dict()
    for key in state:
        if not key.endswith("num_batches_tracked"):
            state[key] = torch.from_numpy(numpy_helper.to_array(stored[key]).astype(np.float32))
    model.load_state_dict(state)


def main() -> None:
    parser = argparse.ArgumentParser(description="Export a run's averaged weights to ONNX.")
    parser.add_argument("--model", choices=MODELS, required=True)
    parser.add_argument("--run", type=Path, help="run directory (default: training/runs/<model>)")
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()
    run = args.run or Path("training/runs") / args.model
    checkpoint = torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=True)
    model = MODELS[args.model]()
    model.load_state_dict(checkpoint["average"])
    export(model, args.model, args.output)
    print(f"{args.output}: epoch {checkpoint['epoch']} of {checkpoint['recipe']['epochs']}")


if __name__ == "__main__":
    main()
