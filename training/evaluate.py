"""Accuracy of an exported file on CIFAR-10's 10,000 test images, by PyTorch in float32.

    python -m training.evaluate --model vgg16 models/vgg16-cifar10.onnx
"""

import argparse
from pathlib import Path

import torch

from .data import default_directory, load
from .export import load_weights
from .models import MODELS, build
from .train import evaluate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, required=True)
    parser.add_argument("file", type=Path)
    parser.add_argument("--data", type=Path, default=default_directory(), help="folder of test.bin")
    parser.add_argument("--limit", type=int, default=0, help="the first so many images only (0: all)")
    args = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = build(args.model)
    load_weights(model, args.file)
    images, labels = load("test", args.data)
    if args.limit:
        images, labels = images[: args.limit], labels[: args.limit]
    print(f"{evaluate(model.to(device), images, labels, device):.2%} of {len(images)}")


if __name__ == "__main__":
    main()
