"""All runs of the laboratory's table, in order of value.

    nice -n 19 python -m training.lab                              # goes on where it stopped
    python -m training.lab --device cuda --minutes 9 --epochs 100  # on a GPU, while there is one: longer runs
    python -m training.lab --list                                  # what is done and what is open

It may be killed or stopped at any moment.
"""

import argparse
import dataclasses
import fnmatch
import time

import torch

from .chain import student
from .prepare import Scheme
from .qat import Recipe, add_arguments, finished, make_scheme, train

FIRST_SIZE = 16
"""Of the pictures in the first epochs (`Recipe.first_size`), in every run on 32x32 pictures: it halves the
time."""


def runs() -> list[Recipe]:
    float8 = Recipe("resnet8-float", "resnet8", make_scheme("lsq", 32), muon=0.05, first_size=FIRST_SIZE)

    def of(method: str, bits: int, mode: str, seed: int = 1) -> Recipe:
        before = "resnet8-float" if bits == 4 else f"resnet8-{method}-{2 * bits}-chain"
        recipe = student("resnet8", method, bits, mode, "resnet8-float", before)
        suffix = "" if seed == 1 else f"-seed{seed}"
        return dataclasses.replace(recipe, name=recipe.name + suffix, first_size=FIRST_SIZE, seed=seed)

    order = [float8]
    # A chain's first student has the float network before it, as the one taught by the float network has: one
    # run is both.
    order += [of("lsq", 2, "alone"), of("lsq", 4, "chain"), of("lsq", 2, "chain"), of("lsq", 2, "teacher")]
    order += [of("lsq", 1, mode) for mode in ("alone", "chain", "teacher")] + [of("lsq", 4, "alone")]
    order += [of("dorefa", 4, "chain")] + [
        of("dorefa", bits, mode) for bits in (2, 1) for mode in ("alone", "chain", "teacher")
    ]
    order += [of("dorefa", 4, "alone"), of("pact", 2, "alone"), of("wrpn", 2, "alone")]
    catdog = Recipe(
        "catdog-float", "catdog", make_scheme("symmetric", 32), "catdog", muon=0.05, batch=100, epochs=10
    )
    int8 = Scheme("symmetric", 8, 8, fold=True)
    order += [
        catdog,
        dataclasses.replace(
            catdog,
            name="catdog-int8",
            scheme=int8,
            start=catdog.name,
            muon=0.01,
            learning_rate=0.01,
            epochs=2,
        ),
    ]
    order += [fine_tuned("resnet20", bits) for bits in (4, 2, 3)]
    # What differs by less than a point is run once more.
    order += [
        of(method, bits, mode, seed=2)
        for method in ("lsq", "dorefa")
        for bits in (2, 1)
        for mode in ("alone", "chain", "teacher")
    ]
    order.append(fine_tuned("mobilenetv2", 4))
    return order


def fine_tuned(network: str, bits: int) -> Recipe:
    """By LSQ, from the float network in models/, which SGD trained: Muon would give each of its kernels
    another scale."""
    start = f"models/{network}-cifar10.onnx"
    settings = {"start": start, "epochs": 12, "muon": 0.0, "learning_rate": 0.02, "batch": 125}
    return Recipe(f"{network}-lsq-{bits}-alone", network, make_scheme("lsq", bits), **settings)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    parser.add_argument(
        "--list", action="store_true", help="prints the runs and how far each is, and runs none"
    )
    parser.add_argument("--only", default="*", help="runs whose name matches, such as 'resnet8-lsq-*'")
    parser.add_argument(
        "--epochs", type=int, help="instead of each run's own; their number is then part of the names"
    )
    parser.add_argument("--minutes", type=float, default=float("inf"), help="starts no run after so long")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    started = time.monotonic()
    for recipe in runs():
        if args.epochs:
            recipe = lengthened(recipe, args.epochs)
        if not fnmatch.fnmatch(recipe.name, args.only):
            continue
        if args.list:
            print(f"{recipe.name:32} {'done' if finished(recipe.name, args.directory) else 'open'}")
        elif time.monotonic() - started < 60 * args.minutes:
            train(recipe, args)


def lengthened(recipe: Recipe, epochs: int) -> Recipe:
    """The run, and those that it builds on, with another number of epochs."""

    def renamed(name: str) -> str:
        return f"{name}-{epochs}epochs" if name and not name.endswith(".onnx") else name

    return dataclasses.replace(
        recipe,
        name=renamed(recipe.name),
        start=renamed(recipe.start),
        teacher=renamed(recipe.teacher),
        epochs=epochs,
    )


if __name__ == "__main__":
    main()
