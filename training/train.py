"""Trains one of the models and exports it.

    python -m training.train --model vgg16                   # from nothing, to training/runs/vgg16/
    python -m training.train --model vgg16 --resume          # goes on after the last whole epoch

The run directory holds checkpoint.pt (everything needed to go on), log.jsonl (one line an epoch) and at the end <model>.onnx, exported
from the averaged weights.
"""

import argparse
import dataclasses
import json
import math
import os
import time
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from .data import augment, default_directory, load, normalize, resize
from .export import export, load_weights
from .models import MODELS, SMALLEST_IMAGE, build
from .muon import Muon
from .winograd import use_winograd


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What determines the result. Kept in the checkpoint, so that `--resume` cannot change it halfway."""

    model: str
    epochs: int = 60
    batch: int = 128
    learning_rate: float = 0.05
    warmup: float = 0.1
    """Share of all steps over which the learning rate rises from a tenth of its peak, before it falls as a cosine to 0."""
    momentum: float = 0.9
    muon: float = 0.0
    """Peak learning rate, in radians a step or so, of Muon for the kernels of convolutions; 0: these by SGD as well."""
    weight_decay: float = 5e-4
    """On weights of two or more dimensions only: not on biases and batch norms."""
    label_smoothing: float = 0.0
    alternate_flip: int = 0
    """1: an image is flipped in every other epoch rather than at random, so that both of its sides are seen equally often (Jordan 2024,
    "94% on CIFAR-10 in 3.29 Seconds on a Single GPU")."""
    cutout: int = 16
    plain_epochs: int = 0
    """Last epochs without cutout, whose statistics then match those of whole images."""
    first_size: int = 32
    """Side of the images in the first two fifths of the epochs; halfway to 32 in the next two. Small images cost a share of the
    time, and the network learns the rest on whole ones (progressive resizing; Tan & Le 2021, EfficientNetV2)."""
    average: float = 0.998
    """Decay a step of the exponential moving average that is evaluated and exported."""
    gradient_norm: float = 5.0
    seed: int = 16
    limit: int = 0
    """Train on the first `limit` images only (0: all); for tests."""


class Rates(Protocol):
    """What of a recipe concerns the optimizers."""

    learning_rate: float
    momentum: float
    muon: float
    weight_decay: float


def schedule(recipe: Recipe, progress: float) -> float:
    """Share of the peak learning rates at `progress` (0 to 1) through the run."""
    if progress < recipe.warmup:
        return 0.1 + 0.9 * progress / recipe.warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - recipe.warmup) / (1 - recipe.warmup)))


def image_size(recipe: Recipe, epoch: int) -> int:
    """Side of the images of the epoch, counted from 0."""
    return (recipe.first_size, (recipe.first_size + 32) // 2, 32)[5 * epoch // (2 * recipe.epochs)]


def alternate_flips(recipe: Recipe, count: int, epoch: int) -> torch.Tensor:
    """Which of `count` images the epoch flips: a half drawn once in the even ones, the others in the odd ones."""
    sides = torch.randint(2, (count,), generator=torch.Generator().manual_seed(recipe.seed))
    return (sides + epoch) % 2 == 1


def make_optimizers(model: nn.Module, recipe: Rates) -> list[torch.optim.Optimizer]:
    """Between them they hold all parameters. `peak` of each group is its learning rate where the schedule is at 1."""
    dimensions = 4 if recipe.muon else None
    kernels = [p for p in model.parameters() if p.dim() == dimensions]
    matrices = [p for p in model.parameters() if p.dim() >= 2 and p.dim() != dimensions]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    optimizers: list[torch.optim.Optimizer] = [torch.optim.SGD(groups, recipe.learning_rate, recipe.momentum, nesterov=True, fused=True)]
    if kernels:
        optimizers.append(Muon(kernels, recipe.muon, recipe.momentum))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return optimizers


@torch.no_grad()
def evaluate(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, device: torch.device) -> float:
    """Share of `images` whose label comes out on top, in float32."""
    model.eval()
    correct = 0
    for start in range(0, len(images), 500):
        logits = model(normalize(images[start : start + 500].to(device)))
        correct += int((logits.argmax(1).cpu() == labels[start : start + 500]).sum())
    return correct / len(images)


def train(recipe: Recipe, args: argparse.Namespace) -> Path:
    device = torch.device(args.device)
    run: Path = args.run or Path("training/runs") / recipe.model
    run.mkdir(parents=True, exist_ok=True)
    checkpoint_path = run / "checkpoint.pt"
    checkpoint = None
    if args.resume and checkpoint_path.exists():
        checkpoint = torch.load(checkpoint_path, map_location="cpu", weights_only=True)
        recipe = Recipe(**checkpoint["recipe"])
    elif checkpoint_path.exists():
        raise SystemExit(f"{checkpoint_path} is there: go on with --resume, or name another --run")

    torch.manual_seed(recipe.seed)
    generator = torch.Generator().manual_seed(recipe.seed)
    images, labels = load("train", args.data)
    if recipe.limit:
        images, labels = images[: recipe.limit], labels[: recipe.limit]
    images, labels = images.to(device), labels.to(device)
    model = build(recipe.model)
    if args.warm_start and checkpoint is None:
        load_weights(model, args.warm_start)
    model = model.to(device)
    if args.winograd:
        use_winograd(model)
    forward = torch.compile(model, dynamic=False) if args.compile else model
    if args.precision == "bfloat16":
        # Muon's products, which are outside of autocast, in tensor cores as well.
        torch.set_float32_matmul_precision("high")
    optimizers = make_optimizers(model, recipe)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.average), use_buffers=True)
    first_epoch = 0
    if checkpoint is not None:
        model.load_state_dict(checkpoint["model"])
        average.module.load_state_dict(checkpoint["average"])
        average.n_averaged.fill_(checkpoint["averaged"])
        for optimizer, state in zip(optimizers, checkpoint["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        generator.set_state(checkpoint["generator"])
        torch.set_rng_state(checkpoint["torch_rng"])
        first_epoch = checkpoint["epoch"]

    log_path = run / "log.jsonl"
    # Epochs after the checkpoint are run again.
    logged = log_path.read_text().splitlines(keepends=True) if log_path.exists() else []
    log_path.write_text("".join(logged[:first_epoch]))

    steps = len(images) // recipe.batch
    saved = time.monotonic()
    for epoch in range(first_epoch, recipe.epochs):
        started = time.monotonic()
        model.train()
        cutout = recipe.cutout if epoch < recipe.epochs - recipe.plain_epochs else 0
        size = image_size(recipe, epoch)
        flips = alternate_flips(recipe, len(images), epoch).to(device) if recipe.alternate_flip else None
        order = torch.randperm(len(images), generator=generator).to(device)
        # Summed where they are computed: reading one back would make a GPU wait for the next step's launches.
        total_loss = torch.zeros((), device=device)
        correct = torch.zeros((), dtype=torch.int64, device=device)
        for step in range(steps):
            index = order[step * recipe.batch : (step + 1) * recipe.batch]
            flipped = None if flips is None else flips[index]
            inputs = resize(augment(normalize(images[index]), cutout, generator, flipped), size)
            targets = labels[index]
            share = schedule(recipe, (epoch + step / steps) / recipe.epochs)
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = share * group["peak"]
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=args.precision == "bfloat16"):
                logits = forward(inputs)
            loss = F.cross_entropy(logits.float(), targets, label_smoothing=recipe.label_smoothing)
            model.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), recipe.gradient_norm)
            for optimizer in optimizers:
                optimizer.step()
            average.update_parameters(model)
            total_loss += loss.detach()
            correct += (logits.argmax(1) == targets).sum()
            if args.verbose:
                seconds = (time.monotonic() - started) / (step + 1)
                print(f"  step {step + 1}/{steps} loss {loss.item():.3f} {seconds:.2f} s/step", flush=True)

        mean_loss = float(total_loss) / steps
        if not math.isfinite(mean_loss):
            raise SystemExit(f"the loss is {mean_loss} in epoch {epoch + 1}: lower --learning-rate")
        if epoch + 1 == recipe.epochs or time.monotonic() - saved >= args.checkpoint_seconds:
            checkpoint = {
                "recipe": dataclasses.asdict(recipe),
                "epoch": epoch + 1,
                "model": model.state_dict(),
                "average": average.module.state_dict(),
                "averaged": int(average.n_averaged),
                "optimizers": [optimizer.state_dict() for optimizer in optimizers],
                "generator": generator.get_state(),
                "torch_rng": torch.get_rng_state(),
            }
            # Replaced in one step, so that a run killed while writing still has the one before.
            torch.save(checkpoint, run / "checkpoint.tmp")
            os.replace(run / "checkpoint.tmp", checkpoint_path)
            saved = time.monotonic()
        line = {
            "epoch": epoch + 1,
            "learning_rate": round(share * recipe.learning_rate, 6),
            "loss": round(mean_loss, 4),
            "train_accuracy": round(int(correct) / (steps * recipe.batch), 4),
            "seconds": round(time.monotonic() - started, 1),
        }
        with log_path.open("a") as log:
            log.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)

    exported = MODELS[recipe.model]()
    exported.load_state_dict({k: v.cpu() for k, v in average.module.state_dict().items()})
    path = run / f"{recipe.model}.onnx"
    export(exported, recipe.model, path)
    # The test set is looked at once, when nothing is left to choose.
    if not args.skip_test:
        torch.set_float32_matmul_precision("highest")
        accuracy = evaluate(exported.to(device), *load("test", args.data), device)
        print(f"{path}: {accuracy:.2%} of the test images after {recipe.epochs} epochs")
    return path


def parse_arguments(argv: list[str] | None = None) -> tuple[Recipe, argparse.Namespace]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, required=True)
    for field in dataclasses.fields(Recipe):
        if field.name != "model":
            flag = f"--{field.name.replace('_', '-')}"
            parser.add_argument(flag, type=field.type, default=field.default, help=f"default {field.default}")
    parser.add_argument("--run", type=Path, help="run directory (default: training/runs/<model>)")
    parser.add_argument("--resume", action="store_true", help="go on from the run's checkpoint, with its recipe")
    parser.add_argument("--warm-start", type=Path, metavar="ONNX", help="start from the weights of an exported file")
    parser.add_argument("--data", type=Path, default=default_directory(), help="folder of train.bin and test.bin")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precision", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument("--winograd", action="store_true", help="faster 3x3 convolutions on CPUs, in float32 (see winograd.py)")
    parser.add_argument("--compile", action="store_true", help="torch.compile: on a GPU, up to a minute at first, for fewer launches after it")
    parser.add_argument(
        "--checkpoint-seconds", type=float, default=0, help="least time between two checkpoints (default 0: one after each epoch)"
    )
    parser.add_argument("--skip-test", action="store_true", help="no evaluation at the end")
    parser.add_argument("--verbose", action="store_true", help="one line a step")
    args = parser.parse_args(argv)
    recipe = Recipe(**{field.name: getattr(args, field.name) for field in dataclasses.fields(Recipe)})
    if not SMALLEST_IMAGE <= recipe.first_size <= 32:
        parser.error(f"--first-size must be from {SMALLEST_IMAGE} to 32, got {recipe.first_size}")
    if args.winograd and args.precision != "float32":
        # Its transforms lose more digits than bfloat16 has.
        parser.error("--winograd needs --precision float32")
    return recipe, args


if __name__ == "__main__":
    train(*parse_arguments())
