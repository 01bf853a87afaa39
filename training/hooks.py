"""Looks into a network: what goes in and out of each layer, what it is made of, and how large it is.

python -m training.hooks --run resnet8-lsq-2-alone
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from .convert import IntegerLayer, convert, is_integer
from .data import DATASETS, default_directory, normalize
from .qat import DIRECTORY, load_run


@dataclass
class Record:
    """What one module has been given and has given in its last call, and the extremes over all calls."""

    input: torch.Tensor
    output: torch.Tensor
    input_range: tuple[float, float]
    output_range: tuple[float, float]
    calls: int = 1


@contextmanager
def recording(model: nn.Module, names: list[str] | None = None) -> Iterator[dict[str, Record]]:
    """Within the block, fills the dictionary that it gives: a `Record` for each named module that is called
    (default: each without children)."""
    records: dict[str, Record] = {}
    modules = dict(model.named_modules())
    unknown = set(names or ()) - set(modules)
    if unknown:
        raise ValueError(f"no modules of the network: {', '.join(sorted(unknown))}")
    chosen = (
        names
        if names is not None
        else [name for name, module in modules.items() if not list(module.children())]
    )

    def listen(name: str) -> object:
        def hook(_: nn.Module, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            if not isinstance(output, torch.Tensor):
                return
            record = Record(args[0].detach(), output.detach(), extremes(args[0]), extremes(output))
            before = records.get(name)
            if before is not None:
                record.calls += before.calls
                record.input_range = widened(before.input_range, record.input_range)
                record.output_range = widened(before.output_range, record.output_range)
            records[name] = record

        return modules[name].register_forward_hook(hook)

    handles = [listen(name) for name in chosen]
    try:
        yield records
    finally:
        for handle in handles:
            handle.remove()


def extremes(x: torch.Tensor) -> tuple[float, float]:
    return float(x.min()), float(x.max())


def widened(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    return min(a[0], b[0]), max(a[1], b[1])


def summary(model: nn.Module, inputs: torch.Tensor) -> list[dict]:
    """One row a convolution or dense layer, in the order of running: name, shape of the output without the
    batch, parameters, multiply-adds an image."""
    kinds = (nn.Conv2d, nn.Linear, IntegerLayer)
    names = [
        name
        for name, module in model.named_modules()
        if isinstance(module, kinds) or hasattr(module, "layer")
    ]
    inner = {f"{name}.layer" for name in names}
    with torch.no_grad(), recording(model, [name for name in names if name not in inner]) as records:
        model(inputs)
    rows = []
    for name, record in records.items():
        module = model.get_submodule(name)
        weight = getattr(module, "layer", module).weight
        positions = record.output[0].numel() // len(weight)
        rows.append(
            {
                "name": name,
                "output": list(record.output.shape[1:]),
                "parameters": weight.numel(),
                "multiply_adds": weight.numel() * positions,
            }
        )
    return rows


def float_bytes(model: nn.Module) -> int:
    """Of parameters and batch norms' statistics as float32, without those of quantizers."""
    return sum(
        4 * value.numel()
        for key, value in model.state_dict().items()
        if "quantizer" not in key and value.is_floating_point()
    )


def integer_bytes(converted: nn.Module, packed_bits: dict[str, int]) -> int:
    """Of what `convert` made: weights of `packed_bits` (by layer; others 8) side by side, each layer from a
    whole byte; float32 scales, int32 biases."""
    total = 0
    for name, module in converted.named_modules():
        if isinstance(module, IntegerLayer):
            total += (module.weight.numel() * packed_bits.get(name, 8) + 7) // 8 + 4 * module.scale.numel()
            total += 0 if module.bias is None else 4 * module.bias.numel()
    return total


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", required=True)
    parser.add_argument("--directory", type=Path, default=DIRECTORY)
    parser.add_argument("--data", type=Path, default=default_directory())
    parser.add_argument("--images", type=int, default=64, help="test images to run")
    args = parser.parse_args(argv)
    recipe, model = load_run(args.run, args.directory)
    dataset = DATASETS[recipe.dataset]
    inputs = dataset.enlarge(normalize(dataset.load("test", args.data)[0][: args.images]))
    model.eval()
    rows = summary(model, inputs)
    with torch.no_grad(), recording(model, [row["name"] for row in rows]) as records:
        model(inputs)
    print(
        f"{'layer':24} {'output':>14} {'parameters':>11} {'multiply-adds':>14} {'input':>17} {'output':>17}"
    )
    for row in rows:
        record = records[row["name"]]
        ranges = (f"{low:.3g}…{high:.3g}" for low, high in (record.input_range, record.output_range))
        shape = "×".join(map(str, row["output"]))
        print(
            f"{row['name']:24} {shape:>14} {row['parameters']:11,} {row['multiply_adds']:14,} "
            + " ".join(f"{text:>17}" for text in ranges)
        )
    print(f"float32: {float_bytes(model):,} bytes")
    if is_integer(recipe.scheme):
        bits = {row["name"]: recipe.scheme.weight_bits for row in rows[1:-1]}
        print(f"integers, weights packed: {integer_bytes(convert(model), bits):,} bytes")


if __name__ == "__main__":
    main()
