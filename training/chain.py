"""A chain of teachers: each student starts from, and learns from, the one of more bits before it.

    python -m training.chain --network resnet8 --method dorefa --bits 32 16 8 4 2 1

Beside them, the same students alone (labels only) and by the float network (as start and teacher): one table
with all three. Yu et al. 2021, "Any-Precision Deep Neural Networks", train one network for all widths
by the same order of teachers. A run of the table that is there already is not repeated.
"""

import argparse

from .models import MODELS
from .prepare import FLOAT, METHODS
from .qat import Recipe, add_arguments, make_scheme, train

MODES = ("alone", "teacher", "chain")


def student(
    network: str,
    method: str,
    bits: int,
    mode: str,
    float_run: str,
    before: str | None = None,
    **settings: object,
) -> Recipe:
    """The run of one student. `before`, for the chain: the run of the student before it (default: the float
    one)."""
    start = (before or float_run) if mode == "chain" else float_run
    teacher = "" if mode == "alone" else start
    return Recipe(
        f"{network}-{method}-{bits}-{mode}",
        network,
        make_scheme(method, bits),
        start=start,
        teacher=teacher,
        **settings,
    )


def students(
    network: str, method: str, widths: list[int], mode: str, float_run: str, **settings: object
) -> list[Recipe]:
    """Of all widths but the float one, from many bits to few."""
    recipes: list[Recipe] = []
    for bits in widths:
        before = recipes[-1].name if recipes and mode == "chain" else None
        recipes.append(student(network, method, bits, mode, float_run, before, **settings))
    return recipes


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", choices=MODELS, default="resnet8")
    parser.add_argument("--method", choices=METHODS, default="dorefa")
    parser.add_argument(
        "--bits",
        type=int,
        nargs="+",
        default=[32, 16, 8, 4, 2, 1],
        help="of the students, falling; 32 is the float network",
    )
    for name in (
        "epochs",
        "batch",
        "muon",
        "learning_rate",
        "first_size",
        "distill",
        "temperature",
        "seed",
        "limit",
    ):
        field = Recipe.__dataclass_fields__[name]
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=field.type,
            default=field.default,
            help=f"default {field.default}",
        )
    add_arguments(parser)
    args = parser.parse_args(argv)
    if args.bits[0] != FLOAT or sorted(set(args.bits), reverse=True) != args.bits:
        parser.error("--bits must fall from 32, the float network")
    names = (
        "epochs",
        "batch",
        "muon",
        "learning_rate",
        "first_size",
        "distill",
        "temperature",
        "seed",
        "limit",
    )
    settings = {name: getattr(args, name) for name in names}
    network = Recipe(
        f"{args.network}-float", args.network, make_scheme(args.method, FLOAT), **{**settings, "muon": 0.05}
    )
    results = {(FLOAT, "alone"): train(network, args)}
    for mode in MODES:
        for recipe in students(args.network, args.method, args.bits[1:], mode, network.name, **settings):
            results[recipe.scheme.weight_bits, mode] = train(recipe, args)
    print(f"| bits | {' | '.join(MODES)} |\n|---|{'---|' * len(MODES)}")
    for bits in args.bits:
        cells = (
            f"{results[bits, mode]['test_accuracy']:.2%}" if (bits, mode) in results else "" for mode in MODES
        )
        print(f"| {bits} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
