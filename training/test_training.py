"""Smoke test: python -m unittest training.test_training

Trains a few steps of every model on a made-up data set, goes on from the checkpoint, exports, and reads the file back.
"""

import contextlib
import io
import itertools
import re
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from . import ablate
from .data import RECORD_BYTES, augment, load, normalize, resize
from .export import load_weights
from .models import MODELS, SMALLEST_IMAGE, build
from .muon import Muon, orthogonalize
from .train import Recipe, alternate_flips, evaluate, image_size, make_optimizers, parse_arguments, train
from .winograd import WinogradConv2d, use_winograd


def write_data(directory: Path) -> None:
    generator = np.random.default_rng(1)
    for split in ("train", "test"):
        records = generator.integers(0, 256, (16, RECORD_BYTES), dtype=np.uint8)
        records[:, 0] = np.arange(16) % 10
        records.tofile(directory / f"{split}.bin")


class TrainingTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        write_data(self.directory)

    def arguments(self, model: str, *more: str) -> list[str]:
        places = ["--data", str(self.directory), "--run", str(self.directory / model)]
        return ["--model", model, "--epochs", "2", "--batch", "8", "--device", "cpu", *places, *more]

    def test_the_export_in_the_documentation(self) -> None:
        """docs/your-own-model.md: its Python, run as it stands, writes a model that ONNX Runtime takes, with labels and normalization."""
        page = Path(__file__).parents[1] / "docs" / "your-own-model.md"
        (code,) = re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
        subprocess.run([sys.executable, "-c", code], cwd=self.directory, check=True, capture_output=True)
        path = self.directory / "model.onnx"
        metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
        self.assertEqual(set(metadata), {"labels", "mean", "std"})
        session = onnxruntime.InferenceSession(path)
        (logits,) = session.run(None, {"input": np.zeros((5, 3, 64, 64), np.float32)})
        self.assertEqual(logits.shape, (5, len(metadata["labels"].split(","))))

    def test_every_model_trains_resumes_and_exports(self) -> None:
        for name in MODELS:
            with self.subTest(name):
                smallest = ["--precision", "float32", "--first-size", str(SMALLEST_IMAGE)]
                path = train(*parse_arguments(self.arguments(name, *smallest)))
                proto = onnx.load(path)
                operators = {node.op_type for node in proto.graph.node}
                self.assertLessEqual({"Cast", "Conv", "BatchNormalization", "GlobalAveragePool", "Gemm"}, operators)
                self.assertEqual(proto.opset_import[0].version, 13)
                self.assertIn("labels", {property.key for property in proto.metadata_props})

                images, labels = load("test", self.directory)
                model = MODELS[name]()
                load_weights(model, path)
                evaluate(model, images, labels, torch.device("cpu"))
                with torch.no_grad():
                    expected = model(normalize(images[:2])).numpy()
                (actual,) = onnxruntime.InferenceSession(path).run(None, {"input": normalize(images[:2]).numpy()})
                np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)

    def test_a_resumed_run_ends_where_an_uninterrupted_one_does(self) -> None:
        whole = ["--precision", "float32", "--skip-test", "--first-size", "16", "--muon", "0.1", "--alternate-flip", "1", "--winograd"]
        recipe, args = parse_arguments(self.arguments("resnet20", *whole))
        straight = onnx.load(train(recipe, args)).SerializeToString()
        args.run = self.directory / "interrupted"
        with self.assertRaises(KeyboardInterrupt):
            train(recipe, Interrupted(args))
        args.resume = True
        self.assertEqual(onnx.load(train(recipe, args)).SerializeToString(), straight)

    def test_a_compiled_run_ends_where_a_plain_one_does(self) -> None:
        plain, compiled = (self.directory / name for name in ("plain", "compiled"))
        for run, *more in ((plain,), (compiled, "--compile")):
            recipe, args = parse_arguments(self.arguments("resnet20", "--precision", "float32", "--skip-test", "--epochs", "1", *more))
            args.run = run
            train(recipe, args)
        states = [torch.load(run / "checkpoint.pt", weights_only=True)["average"] for run in (plain, compiled)]
        self.assertEqual(*map(list, states))
        for key in states[0]:
            torch.testing.assert_close(states[1][key], states[0][key], rtol=1e-3, atol=1e-4)

    def test_checkpoints_keep_their_distance_but_the_last_is_written(self) -> None:
        recipe, args = parse_arguments(self.arguments("resnet20", "--precision", "float32", "--skip-test", "--checkpoint-seconds", "1000"))
        with self.assertRaises(KeyboardInterrupt):
            train(recipe, Interrupted(args))
        self.assertFalse((args.run / "checkpoint.pt").exists())
        train(recipe, args)
        self.assertEqual(torch.load(args.run / "checkpoint.pt", weights_only=True)["epoch"], 2)
        # The interrupted run's epoch is not there twice.
        self.assertEqual(len((args.run / "log.jsonl").read_text().splitlines()), 2)

    def test_a_run_that_diverges_says_so_and_keeps_no_checkpoint(self) -> None:
        recipe, args = parse_arguments(self.arguments("resnet20", "--precision", "float32", "--learning-rate", "1e30"))
        with self.assertRaisesRegex(SystemExit, "lower --learning-rate"):
            train(recipe, args)
        self.assertFalse((args.run / "checkpoint.pt").exists())

    def test_a_run_is_not_overwritten(self) -> None:
        whole = self.arguments("resnet20", "--precision", "float32", "--skip-test")
        train(*parse_arguments(whole))
        with self.assertRaises(SystemExit):
            train(*parse_arguments(whole))


class AblateTest(unittest.TestCase):
    def test_runs_see_nothing_of_what_they_are_judged_by_and_are_not_repeated(self) -> None:
        with tempfile.TemporaryDirectory() as temporary:
            directory = Path(temporary)
            write_data(directory)
            places = ["--data", temporary, "--run", str(directory / "runs"), "--device", "cpu"]
            command = ["--seeds", "1", "2", "--model", "resnet20", "--precision", "float32", "--epochs", "1", *places]
            with mock.patch.multiple(ablate, HELD_OUT=6, ALL=["--batch", "5"], WITHOUT={"nothing": [], "cutout": ["--cutout", "0"]}):
                with mock.patch.object(ablate, "evaluate", wraps=evaluate) as judged:
                    first = printed(ablate.main, command)
                held_out = load("train", directory)[0][10:]
                self.assertTrue(all(torch.equal(call.args[1], held_out) for call in judged.call_args_list))
                with mock.patch.object(ablate, "train", side_effect=AssertionError("trained again")):
                    self.assertEqual(printed(ablate.main, command), [line for line in first if line.startswith("without")])
            self.assertRegex(first[-1], r"^without cutout +[\d.]+%  \([\d.]+%  [\d.]+%\)$")
            recipes = {
                run.name: torch.load(run / "checkpoint.pt", weights_only=True)["recipe"] for run in (directory / "runs").iterdir()
            }
            self.assertEqual(sorted(recipes), ["cutout-1", "cutout-2", "nothing-1", "nothing-2"])
            self.assertEqual({recipe["limit"] for recipe in recipes.values()}, {10})
            self.assertEqual([recipes["cutout-2"][key] for key in ("cutout", "seed", "batch")], [0, 2, 5])

    def test_too_few_images_are_refused(self) -> None:
        with tempfile.TemporaryDirectory() as temporary:
            write_data(Path(temporary))
            with self.assertRaisesRegex(SystemExit, "too few"):
                ablate.main(["--model", "resnet20", "--data", temporary])


def printed(function: Callable[[list[str]], None], arguments: list[str]) -> list[str]:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        function(arguments)
    return output.getvalue().splitlines()


class Interrupted:
    """Arguments whose `verbose`, read at every step, raises in the second epoch (two steps of eight images each)."""

    def __init__(self, args: object) -> None:
        self.args = args
        self.steps = 0

    def __getattr__(self, name: str) -> object:
        if name == "verbose":
            self.steps += 1
            if self.steps > 3:
                raise KeyboardInterrupt
        return getattr(self.args, name)


class AugmentTest(unittest.TestCase):
    def test_cutout_clears_a_square_of_its_size_and_crops_keep_the_rest(self) -> None:
        images = torch.ones(64, 3, 32, 32)
        changed = augment(images, 8, torch.Generator().manual_seed(3))
        holes = (changed == 0).sum(dim=(1, 2, 3)) // 3
        self.assertEqual(int(holes.max()), 64)
        self.assertTrue(bool((holes >= 16).all()))
        self.assertTrue(torch.equal(augment(images, 0, torch.Generator()), images))

    def test_crops_move_by_up_to_four_pixels(self) -> None:
        ramp = torch.arange(32.0).expand(256, 3, 32, 32)
        shifted = augment(ramp, 0, torch.Generator().manual_seed(3))[:, 0, 0, 16]
        self.assertEqual(set(shifted.tolist()), set(range(11, 21)))


    def test_flips_are_those_asked_for(self) -> None:
        ramp = torch.arange(32.0).expand(64, 3, 32, 32)
        flips = torch.arange(64) % 3 == 0
        changed = augment(ramp, 0, torch.Generator().manual_seed(3), flips)[:, 0, 0]
        self.assertEqual((changed[:, 12] > changed[:, 20]).tolist(), flips.tolist())


class WinogradTest(unittest.TestCase):
    def test_outputs_and_gradients_are_those_of_a_direct_convolution(self) -> None:
        torch.manual_seed(5)
        sizes = ((1, 1), (2, 2), (1, 2), (3, 3), (4, 4), (5, 9), (8, 6))
        for size, bias in itertools.product(sizes, (True, False)):
            with self.subTest(size=size, bias=bias):
                direct = nn.Conv2d(5, 7, 3, padding=1, bias=bias)
                fast = WinogradConv2d(direct)
                results = []
                for module in (direct, fast):
                    x = torch.randn(3, 5, *size, generator=torch.Generator().manual_seed(6)).requires_grad_()
                    y = module(x)
                    direct.zero_grad()
                    (y * torch.arange(y.numel()).view(y.shape).cos()).sum().backward()
                    results.append((y, x.grad, *(p.grad.clone() for p in direct.parameters())))
                for actual, expected in zip(results[1], results[0], strict=True):
                    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)

    def test_only_convolutions_that_gain_are_replaced(self) -> None:
        counts = {}
        for name in MODELS:
            model = build(name)
            keys = list(model.state_dict())
            use_winograd(model)
            self.assertEqual(list(model.state_dict()), keys)
            counts[name] = sum(isinstance(module, WinogradConv2d) for module in model.modules())
        self.assertEqual({name: count for name, count in counts.items() if count}, {"vgg16": 10})


class MuonTest(unittest.TestCase):
    def test_singular_values_become_about_one_and_vectors_stay(self) -> None:
        torch.manual_seed(5)
        for shape in ((12, 40), (40, 12)):
            matrix = torch.randn(shape) @ torch.diag(torch.logspace(0, -1, shape[1]))
            u, _, v = torch.linalg.svd(matrix, full_matrices=False)
            values = u.T @ orthogonalize(matrix, 5) @ v.T
            self.assertLess(float((values - torch.diag(values.diag())).abs().max()), 1e-4)
            self.assertTrue(bool(((values.diag() > 0.6) & (values.diag() < 1.3)).all()))

    def test_a_step_turns_filters_of_root_mean_square_one_by_the_learning_rate(self) -> None:
        torch.manual_seed(5)
        parameter = nn.Parameter(torch.randn(8, 4, 3, 3).to(memory_format=torch.channels_last))
        start = parameter.detach() * (8**0.5 / parameter.detach().norm())
        parameter.grad = torch.randn(8, 4, 3, 3)
        gradient = parameter.grad.flatten(1)
        Muon([parameter], lr=0.1, momentum=0.9).step()
        change = (parameter.detach() - start).flatten(1)
        torch.testing.assert_close(change, -0.1 * orthogonalize(gradient, 3), rtol=1e-3, atol=1e-5)

    def test_kernels_are_muons_and_the_rest_is_not(self) -> None:
        model = build("resnet20")
        sgd, muon = make_optimizers(model, Recipe("resnet20", muon=0.1))
        self.assertEqual({p.dim() for group in muon.param_groups for p in group["params"]}, {4})
        count = sum(len(group["params"]) for optimizer in (sgd, muon) for group in optimizer.param_groups)
        self.assertEqual(count, len(list(model.parameters())))
        self.assertEqual(len(make_optimizers(model, Recipe("resnet20"))), 1)


class RecipeTest(unittest.TestCase):
    def test_images_grow_to_their_size(self) -> None:
        sizes = [image_size(Recipe("mobilenetv2", epochs=10, first_size=16), epoch) for epoch in range(10)]
        self.assertEqual(sizes, [16] * 4 + [24] * 4 + [32] * 2)
        self.assertEqual({image_size(Recipe("vgg16", epochs=7), epoch) for epoch in range(7)}, {32})
        self.assertEqual(resize(torch.full((2, 3, 32, 32), 0.5), 24).unique().tolist(), [0.5])

    def test_epochs_flip_in_turns(self) -> None:
        first, second, third = (alternate_flips(Recipe("vgg16"), 1000, epoch) for epoch in range(3))
        self.assertTrue(bool((first == ~second).all()) and bool((first == third).all()))
        self.assertAlmostEqual(float(first.float().mean()), 0.5, delta=0.1)

    def test_sizes_that_models_cannot_take_are_refused(self) -> None:
        for size in ("7", "40"):
            with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()):
                parse_arguments(["--model", "vgg16", "--first-size", size])

    def test_winograd_is_refused_in_bfloat16(self) -> None:
        with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()):
            parse_arguments(["--model", "vgg16", "--winograd", "--precision", "bfloat16"])

    def test_defaults_are_the_documented_ones(self) -> None:
        recipe, _ = parse_arguments(["--model", "vgg16"])
        self.assertEqual(recipe, Recipe("vgg16"))


if __name__ == "__main__":
    unittest.main()
