"""Trains a network with its quantizers in place.

    python -m training.qat --network resnet8 --method lsq --bits 2
    python -m training.qat --network resnet20 --method lsq --bits 4 --muon 0 \\
      --start models/resnet20-cifar10.onnx

A run is two files in `--directory`, <name>.pt (weights, momentum, recipe) and <name>.jsonl (one line an
epoch; the last has the accuracy on the test images, looked at once). What is there already goes on where it
stopped; at any moment it may be killed.
"""

import argparse
import dataclasses
import json
import math
import os
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import fx, nn

from .convert import convert, is_integer
from .data import DATASETS, Dataset, augment, default_directory, normalize, resize
from .export import load_weights
from .models import NETWORKS, build
from .prepare import (
    FLOAT,
    METHODS,
    Scheme,
    freeze_observers,
    initialize,
    latent_weights,
    prepare,
    set_batch_norms,
)
from .train import make_optimizers

DIRECTORY = Path(__file__).parent / "lab"
HELD_OUT = 1000
"""The last so many training images are not trained on: the converted network is checked on them after each
epoch."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What determines the result. Kept in the checkpoint, so that no flag can change it halfway."""

    name: str
    network: str
    scheme: Scheme
    dataset: str = "cifar10"
    start: str = ""
    """Where the weights come from: an exported ONNX file of the float network, or the name of a run. None:
    from nothing."""
    teacher: str = ""
    """Name of a run, or an exported file, whose outputs are learned besides the labels."""
    distill: float = 0.7
    """Share of the teacher in the loss: (1 - d) cross-entropy(labels) + d T^2 KL(teacher / T, student / T)
    (Hinton et al. 2015)."""
    temperature: float = 4.0
    widening: int = 1
    """Times so many channels (WRPN's own remedy for few bits); pre-activation ResNets only."""
    epochs: int = 20
    batch: int = 250
    muon: float = 0.02
    """Peak learning rate of Muon for the kernels of convolutions, as in training.train; 0: these by SGD as
    well."""
    learning_rate: float = 0.05
    """Peak learning rate of SGD for the rest."""
    warmup: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 1e-4
    """On weights of two or more dimensions, and on PACT's clips: not on biases, batch norms and steps."""
    first_size: int = 32
    """Side of the images in the first two fifths of the epochs; halfway to the whole in the next two, as in
    training.train."""
    gradient_norm: float = 5.0
    seed: int = 1
    limit: int = 0
    """Train on the first `limit` images only (0: all but those held out)."""


def recipe_from(stored: dict) -> Recipe:
    return Recipe(**{**stored, "scheme": Scheme(**stored["scheme"])})


def learning_share(recipe: Recipe, progress: float) -> float:
    if progress < recipe.warmup:
        return 0.1 + 0.9 * progress / recipe.warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - recipe.warmup) / (1 - recipe.warmup)))


def image_size(recipe: Recipe, epoch: int) -> int:
    return (recipe.first_size, (recipe.first_size + 32) // 2, 32)[5 * epoch // (2 * recipe.epochs)]


def distillation_loss(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """T^2 KL(softmax(teacher / T) || softmax(student / T)), the mean over images; its gradient is about as
    large at any T."""
    log_student, log_teacher = (F.log_softmax(logits / temperature, dim=1) for logits in (student, teacher))
    return temperature**2 * F.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)


def penalty(model: nn.Module) -> torch.Tensor | float:
    """Sum over the quantizers that have one, PACT's."""
    return sum(module.penalty() for module in model.modules() if hasattr(module, "penalty"))


@torch.no_grad()
def logits_of(
    model: nn.Module, images: torch.Tensor, dataset: Dataset, device: torch.device, batch: int = 250
) -> torch.Tensor:
    """[N, classes] of uint8 `images`, in evaluation mode, on the CPU."""
    model.eval()
    batches = images.split(batch)
    return torch.cat([model(dataset.enlarge(normalize(images.to(device)))).cpu() for images in batches])


def accuracy(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, dataset: Dataset, device: torch.device
) -> float:
    return float((logits_of(model, images, dataset, device).argmax(1) == labels).float().mean())


def load_network(source: str, recipe: Recipe, directory: Path) -> nn.Module:
    """An exported float network (a path that ends in .onnx), or what a run has trained, by the name of the
    run."""
    if not source.endswith(".onnx"):
        return load_run(source, directory)[1]
    model = build(recipe.network, DATASETS[recipe.dataset].classes, recipe.widening)
    load_weights(model, Path(source))
    return model


def load_run(name: str, directory: Path) -> tuple[Recipe, fx.GraphModule]:
    path = directory / f"{name}.pt"
    if not path.exists():
        raise SystemExit(f"{path} is not there: run {name} first")
    stored = torch.load(path, map_location="cpu", weights_only=True)
    recipe = recipe_from(stored["recipe"])
    return recipe, restore(recipe, stored["model"])


def restore(recipe: Recipe, state: dict[str, torch.Tensor]) -> fx.GraphModule:
    model = prepare(build(recipe.network, DATASETS[recipe.dataset].classes, recipe.widening), recipe.scheme)
    model.load_state_dict(
        {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
    )
    return model.to(memory_format=torch.channels_last)


def starting_model(recipe: Recipe, images: torch.Tensor, directory: Path) -> fx.GraphModule:
    """Quantizers start from the weights, and from the values that uint8 `images` give in the network as it
    starts."""
    dataset = DATASETS[recipe.dataset]
    torch.manual_seed(recipe.seed)
    network = build(recipe.network, dataset.classes, recipe.widening)
    if recipe.start:
        network.load_state_dict(latent_weights(load_network(recipe.start, recipe, directory)))
    model = prepare(network, recipe.scheme)
    initialize(model, dataset.enlarge(normalize(images)))
    return model


LARGEST_CHECKPOINT = 1_000_000


def write_checkpoint(
    path: Path, recipe: Recipe, model: nn.Module, optimizers: list[torch.optim.Optimizer], **progress: object
) -> None:
    """Replaces `path` in one step. Where momentum would take it over a megabyte, what it holds is float16,
    and momentum starts anew on resuming."""
    content = {
        "recipe": dataclasses.asdict(recipe),
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        **progress,
    }
    temporary = path.with_suffix(".tmp")
    torch.save(content, temporary)
    if temporary.stat().st_size > LARGEST_CHECKPOINT:
        halves = {key: value.half() if value.dim() >= 2 else value for key, value in content["model"].items()}
        torch.save({**content, "model": halves, "optimizers": []}, temporary)
    os.replace(temporary, path)


def read_log(name: str, directory: Path) -> list[dict]:
    path = directory / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def write_log(path: Path, lines: list[dict]) -> None:
    temporary = path.with_suffix(".jsonl.tmp")
    temporary.write_text("".join(json.dumps(line) + "\n" for line in lines))
    os.replace(temporary, path)


def finished(name: str, directory: Path) -> dict | None:
    """The last line of a run that has ended, which has its accuracy on the test images."""
    lines = read_log(name, directory)
    return lines[-1] if lines and "test_accuracy" in lines[-1] else None


def train(recipe: Recipe, args: argparse.Namespace) -> dict:
    """Runs `recipe` to its end, or goes on with it, or does nothing if it ended. Gives the last line of its
    log."""
    device = torch.device(args.device)
    args.directory.mkdir(parents=True, exist_ok=True)
    checkpoint_path = args.directory / f"{recipe.name}.pt"
    log_path = args.directory / f"{recipe.name}.jsonl"
    if result := finished(recipe.name, args.directory):
        return result
    lines = read_log(recipe.name, args.directory)
    dataset = DATASETS[recipe.dataset]
    images, labels = dataset.load("train", args.data)
    held = images[-HELD_OUT:], labels[-HELD_OUT:]
    count = recipe.limit or len(images) - HELD_OUT
    images, labels = images[:count].to(device), labels[:count].to(device)

    checkpoint = None
    if checkpoint_path.exists():
        checkpoint = torch.load(checkpoint_path, map_location="cpu", weights_only=True)
        recipe = recipe_from(checkpoint["recipe"])
        model = restore(recipe, checkpoint["model"])
    else:
        model = starting_model(recipe, images[:256].cpu(), args.directory)
    model = model.to(device)
    teacher = None
    if recipe.teacher:
        teacher = load_network(recipe.teacher, recipe, args.directory).to(device).eval()
    optimizers = make_optimizers(model, recipe)
    step, seconds = 0, 0.0
    # Loss and accuracy since the epoch began, where they are computed: reading them back would make a GPU
    # wait.
    sums = torch.zeros(2, device=device)
    if checkpoint:
        step, sums, seconds = (
            checkpoint["step"],
            torch.tensor(checkpoint["sums"], device=device),
            checkpoint["seconds"],
        )
        for optimizer, state in zip(optimizers, checkpoint["optimizers"], strict=False):
            optimizer.load_state_dict(state)
    steps = len(images) // recipe.batch
    lines = lines[: step // steps]

    def save() -> None:
        # The log first: a line more than the checkpoint has epochs is dropped, a line less would be missing.
        write_log(log_path, lines)
        write_checkpoint(
            checkpoint_path, recipe, model, optimizers, step=step, sums=sums.tolist(), seconds=seconds
        )

    started = time.process_time()
    saved_at = time.monotonic()
    while step < recipe.epochs * steps:
        epoch, position = divmod(step, steps)
        model.train()
        progress = step / (recipe.epochs * steps)
        if progress >= recipe.scheme.freeze_observers:
            freeze_observers(model)
        if progress >= recipe.scheme.freeze_batch_norm:
            set_batch_norms(model, training=False)
        # Everything random is drawn from the seed and the step, so that a run can go on at any of them.
        order = torch.randperm(
            len(images), generator=torch.Generator().manual_seed(recipe.seed * 1000 + epoch)
        )
        index = order[position * recipe.batch : (position + 1) * recipe.batch].to(device)
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
        inputs = resize(augment(normalize(images[index]), 0, generator), image_size(recipe, epoch))
        inputs = dataset.enlarge(inputs)
        targets = labels[index]
        share = learning_share(recipe, progress)
        for group in [group for optimizer in optimizers for group in optimizer.param_groups]:
            group["lr"] = share * group["peak"]
        logits = model(inputs)
        loss = F.cross_entropy(logits, targets)
        if teacher is not None:
            with torch.no_grad():
                taught = teacher(inputs)
            loss = (1 - recipe.distill) * loss + recipe.distill * distillation_loss(
                logits, taught, recipe.temperature
            )
        model.zero_grad(set_to_none=True)
        (loss + recipe.weight_decay / 2 * penalty(model)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), recipe.gradient_norm)
        for optimizer in optimizers:
            optimizer.step()
        sums += torch.stack([loss.detach(), (logits.argmax(1) == targets).float().mean()])
        step += 1
        if step % steps == 0:
            mean_loss, train_accuracy = (sums / steps).tolist()
            if not math.isfinite(mean_loss):
                raise SystemExit(
                    f"{recipe.name}: the loss is {mean_loss} in epoch {epoch + 1}: lower the learning rate"
                )
            checked = convert(model) if is_integer(recipe.scheme) else model
            lines.append(
                {
                    "epoch": epoch + 1,
                    "loss": round(mean_loss, 4),
                    "train_accuracy": round(train_accuracy, 4),
                    "held_out_accuracy": round(accuracy(checked, *held, dataset, device), 4),
                    "cpu_seconds": round(seconds + time.process_time() - started, 1),
                }
            )
            print(recipe.name, json.dumps(lines[-1]), flush=True)
            sums.zero_()
        if step % steps == 0 or time.monotonic() - saved_at >= args.checkpoint_seconds:
            seconds += time.process_time() - started
            started = time.process_time()
            save()
            saved_at = time.monotonic()
    # Of the weights as the checkpoint has them, which may be float16.
    model = load_run(recipe.name, args.directory)[1].to(device)
    test = dataset.load("test", args.data)
    lines.append(
        {
            **lines[-1],
            "test_accuracy": round(accuracy(model, *test, dataset, device), 4),
            "test_images": len(test[0]),
        }
    )
    if is_integer(recipe.scheme):
        lines[-1]["converted_test_accuracy"] = round(accuracy(convert(model), *test, dataset, device), 4)
    write_log(log_path, lines)
    print(recipe.name, json.dumps(lines[-1]), flush=True)
    return lines[-1]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What does not change a run's result."""
    parser.add_argument("--directory", type=Path, default=DIRECTORY, help="where the runs are")
    parser.add_argument(
        "--data", type=Path, default=default_directory(), help="folder of train.bin and test.bin"
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--checkpoint-seconds",
        type=float,
        default=60,
        help="time between two checkpoints, if an epoch takes longer",
    )


def parse_arguments(argv: list[str] | None = None) -> tuple[Recipe, argparse.Namespace]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", choices=NETWORKS, required=True)
    parser.add_argument("--method", choices=METHODS, required=True)
    parser.add_argument("--name", help="of the run; default: from the other flags")
    parser.add_argument(
        "--bits",
        type=int,
        default=FLOAT,
        help="of weights and activations of all layers but the first and the last; 32: float",
    )
    parser.add_argument(
        "--only",
        choices=["weights", "activations"],
        help="quantizes nothing else, to see which of them costs the accuracy",
    )
    for field in dataclasses.fields(Scheme):
        if field.name not in ("method", "weight_bits", "activation_bits"):
            kind = (
                {"action": "store_true"}
                if field.type is bool
                else {"type": field.type, "default": field.default}
            )
            parser.add_argument(f"--{field.name.replace('_', '-')}", **kind)
    for field in dataclasses.fields(Recipe):
        if field.name not in ("name", "network", "scheme"):
            parser.add_argument(
                f"--{field.name.replace('_', '-')}",
                type=field.type,
                default=field.default,
                help=f"default {field.default}",
            )
    add_arguments(parser)
    args = parser.parse_args(argv)
    others = {
        field.name: getattr(args, field.name)
        for field in dataclasses.fields(Scheme)
        if hasattr(args, field.name) and field.name != "method"
    }
    scheme = make_scheme(args.method, args.bits, args.only, **others)
    name = args.name or f"{args.network}-{args.method}-{args.bits}"
    rest = {
        field.name: getattr(args, field.name)
        for field in dataclasses.fields(Recipe)
        if field.name not in ("name", "scheme")
    }
    return Recipe(name=name, scheme=scheme, **rest), args


def make_scheme(method: str, bits: int, only: str | None = None, **others: object) -> Scheme:
    """`bits` for weights and activations, or `only` one of them. A float network has float sums and edges."""
    if bits >= FLOAT or only:
        others = {**others, "edge_bits": FLOAT, "sum_bits": FLOAT}
    weight_bits, activation_bits = (
        FLOAT if only not in (None, kind) else bits for kind in ("weights", "activations")
    )
    return Scheme(method, weight_bits, activation_bits, **others)


if __name__ == "__main__":
    train(*parse_arguments())
