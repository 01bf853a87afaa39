"""What each part of the flagship's recipe gives: trains with all of it, then without each part.

    python -m training.ablate --model resnet20 --precision float32 --epochs 8 --first-size 16 --seeds 16 17

All other flags are those of training.train and hold for every run. Accuracy is that on the last 5,000 training images, which no run sees. A run
that is there already, below `--run` (default training/runs/ablate-<model>), goes on where it stopped.
"""

import argparse
from pathlib import Path

import torch

from .data import load
from .export import load_weights
from .models import build
from .train import evaluate, parse_arguments, train

HELD_OUT = 5000
ALL = ["--batch", "500", "--muon", "0.05", "--alternate-flip", "1", "--label-smoothing", "0.1", "--cutout", "16", "--average", "0.99"]
"""As in models/README.md."""
WITHOUT = {
    "nothing": [],
    # SGD for all, at the default learning rate for batches of 128, scaled with the batch.
    "Muon": ["--muon", "0", "--learning-rate", "0.2"],
    "alternating flips": ["--alternate-flip", "0"],
    "label smoothing": ["--label-smoothing", "0"],
    "cutout": ["--cutout", "0"],
    "weight averaging": ["--average", "0"],
}


def accuracy(flags: list[str], run: Path) -> float:
    """Of a network trained with `flags`, on the images held out."""
    recipe, args = parse_arguments([*flags, "--skip-test", "--resume", "--run", str(run)])
    path = run / f"{recipe.model}.onnx"
    if not path.exists():
        path = train(recipe, args)
    model = build(recipe.model)
    load_weights(model, path)
    images, labels = load("train", args.data)
    device = torch.device(args.device)
    return evaluate(model.to(device), images[recipe.limit :], labels[recipe.limit :], device)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[16], help="one run of each for every seed")
    args, flags = parser.parse_known_args(argv)
    recipe, settings = parse_arguments([*flags, *ALL])
    count = len(load("train", settings.data)[0]) - HELD_OUT
    if count < recipe.batch:
        raise SystemExit(f"{HELD_OUT} images are held out, which leaves {count}: too few to train on")
    directory = settings.run or Path("training/runs") / f"ablate-{recipe.model}"
    for part, changes in WITHOUT.items():
        measured = []
        for seed in args.seeds:
            run = directory / f"{part.replace(' ', '-')}-{seed}"
            run.mkdir(parents=True, exist_ok=True)
            measured.append(accuracy([*flags, *ALL, *changes, "--seed", str(seed), "--limit", str(count)], run))
        seeds = "  ".join(f"{value:.2%}" for value in measured)
        print(f"without {part:18} {sum(measured) / len(measured):.2%}  ({seeds})", flush=True)


if __name__ == "__main__":
    main()
