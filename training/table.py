"""The laboratory's results, from the logs in training/lab: networks and methods by bits, each student alone,
by the float network, and by the chain.

    python -m training.table
"""

import argparse
import re
from collections import defaultdict
from pathlib import Path

from .chain import MODES
from .lab import lengthened, runs
from .prepare import FLOAT
from .qat import DIRECTORY, HELD_OUT, Recipe, finished, read_log


def variants(directory: Path) -> list[Recipe]:
    """The laboratory's runs, and those of other lengths of which the directory has logs."""
    found = []
    for recipe in runs():
        names = [path.stem for path in sorted(directory.glob(f"{recipe.name}-*epochs.jsonl"))]
        lengths = [match[1] for name in names if (match := re.fullmatch(rf"{recipe.name}-(\d+)epochs", name))]
        found += [recipe, *(lengthened(recipe, int(length)) for length in lengths)]
    return found


def rows(directory: Path) -> list[list[str]]:
    """Of the runs that have ended; where several seeds have, each is in the cell."""
    cells: dict[tuple[str, str, int, int], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for recipe in variants(directory):
        result = finished(recipe.name, directory)
        if result is None:
            continue
        scheme = recipe.scheme
        is_float = min(scheme.weight_bits, scheme.activation_bits) >= FLOAT
        method = "float" if is_float else scheme.method
        row = cells[recipe.network, method, scheme.weight_bits, result["epoch"]]
        accuracy = result["test_accuracy"]
        if not recipe.teacher:
            row["alone"].append(accuracy)
        else:
            # The float network is the teacher of a chain's first student too, so that run stands in both
            # columns.
            by_float = re.fullmatch(r".*-float(-\d+epochs)?", recipe.teacher)
            modes = [
                mode
                for mode in MODES[1:]
                if recipe.name.startswith(f"{recipe.network}-{scheme.method}-{scheme.weight_bits}-{mode}")
            ]
            for mode in {*modes, *(["teacher"] if by_float else [])}:
                row[mode].append(accuracy)
    ordered = sorted(
        cells.items(), key=lambda item: (item[0][0], item[0][1] != "float", item[0][1], -item[0][2])
    )
    return [
        [
            network,
            method,
            "float" if bits >= FLOAT else str(bits),
            str(epochs),
            *(", ".join(f"{a:.2%}" for a in row[mode]) for mode in MODES),
        ]
        for (network, method, bits, epochs), row in ordered
    ]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--directory", type=Path, default=DIRECTORY)
    args = parser.parse_args(argv)
    header = ["network", "method", "bits", "epochs", "alone", "float teacher", "chain"]
    for row in [header, ["---"] * len(header), *rows(args.directory)]:
        print(f"| {' | '.join(row)} |")
    open_runs = []
    for recipe in variants(args.directory):
        lines = read_log(recipe.name, args.directory)
        if not lines:
            open_runs.append(recipe.name)
        elif finished(recipe.name, args.directory) is None:
            print(
                f"after {lines[-1]['epoch']} of {recipe.epochs} epochs: {recipe.name}, "
                f"{lines[-1]['held_out_accuracy']:.1%} of {HELD_OUT} images held out"
            )
    print(f"not run: {', '.join(open_runs) or 'none'}")


if __name__ == "__main__":
    main()
