"""Compares a run's fake-quantized evaluation in PyTorch with the integer run of its export in Octet, on all
test images.

    python -m training.agreement --run resnet20-lsq-4-alone

Exits with 1 where fewer than 99.5 % of the answers are the same, or the accuracies differ by more than 0.1
points.
"""

import argparse
import json
import struct
import subprocess
import tempfile
import zlib
from pathlib import Path

import torch

from .data import DATASETS, Dataset, default_directory
from .export_qdq import export_qdq
from .qat import DIRECTORY, load_run, logits_of

ROOT = Path(__file__).parent.parent
FEWEST_SAME, LARGEST_DIFFERENCE = 0.995, 0.001


def write_png(path: Path, pixels: torch.Tensor) -> None:
    """uint8 [3, H, W] as an RGB PNG."""
    _, height, width = pixels.shape
    # Each row begins with the number of its filter, none.
    rows = torch.cat(
        [torch.zeros(height, 1, dtype=torch.uint8), pixels.permute(1, 2, 0).reshape(height, -1)], dim=1
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows.numpy().tobytes(), 1))
        + chunk(b"IEND", b"")
    )


def write_pictures(folder: Path, dataset: Dataset, images: torch.Tensor, labels: torch.Tensor) -> list[int]:
    """A PNG each, in a folder for its class. Gives the indices of the images in the order of the paths, in
    which Octet runs them."""
    paths = [f"{dataset.labels[int(label)]}/{index:05}.png" for index, label in enumerate(labels)]
    for path, image in zip(paths, images, strict=True):
        write_png(folder / path, dataset.enlarge(image[None].float())[0].to(torch.uint8))
    return sorted(range(len(paths)), key=paths.__getitem__)


def octet_predictions(path: Path, source: list[str]) -> list[int]:
    """By Octet's WebAssembly backend, from this checkout's sources, of the pictures that the flags `source`
    name."""
    command = [
        "npm",
        "run",
        "--silent",
        "octet",
        "--",
        "evaluate",
        str(path),
        *source,
        "--json",
        "--backend",
        "wasm",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)["results"][0]["predictions"]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", required=True)
    parser.add_argument("--directory", type=Path, default=DIRECTORY)
    parser.add_argument("--data", type=Path, default=default_directory())
    parser.add_argument("--limit", type=int, default=10_000, help="the first so many images only")
    args = parser.parse_args(argv)
    recipe, model = load_run(args.run, args.directory)
    dataset = DATASETS[recipe.dataset]
    images, labels = (tensor[: args.limit] for tensor in dataset.load("test", args.data))
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "model.onnx"
        export_qdq(model, recipe, path)
        if recipe.dataset == "cifar10":
            source = ["--full", "--limit", str(len(images))]
        else:
            # Pictures of the network's own size, which Octet resizes no further.
            order = write_pictures(Path(temporary) / "pictures", dataset, images, labels)
            images, labels = images[order], labels[order]
            source = ["--images", str(Path(temporary) / "pictures")]
        actual = torch.tensor(octet_predictions(path, source))
    expected = logits_of(model, images, dataset, torch.device("cpu")).argmax(1)
    same = float((actual == expected).double().mean())
    accuracies = [float((answers == labels).double().mean()) for answers in (expected, actual)]
    print(
        f"{args.run}: PyTorch {accuracies[0]:.2%}, Octet {accuracies[1]:.2%}, "
        f"the same answer on {same:.2%} of {len(images)} images"
    )
    if same < FEWEST_SAME or abs(accuracies[0] - accuracies[1]) > LARGEST_DIFFERENCE:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
