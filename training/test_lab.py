"""Tests of the quantizers and all that trains with them: python -m unittest training.test_lab

Quantizers are held to values worked by hand from the papers' formulas; runs are a few steps on made-up
images.
"""

import argparse
import dataclasses
import math
import tempfile
import unittest
import zlib
from pathlib import Path
from unittest import mock

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from . import agreement, chain, hooks, lab, qat, table
from .convert import convert, is_integer
from .data import DATASETS, normalize
from .export_qdq import export_qdq
from .models import build
from .observers import HistogramObserver, MinMaxObserver, MovingAverageObserver
from .prepare import METHODS, Quantized, Scheme, initialize, latent_weights, prepare
from .qat import Recipe, distillation_loss, load_run, make_scheme, train
from .quantizers import (
    ClippedActivation,
    DoReFaWeight,
    FakeQuantize,
    LSQActivation,
    LSQWeight,
    PACTActivation,
    WRPNWeight,
)
from .test_training import printed, write_data


def gradients(module: nn.Module, values: list[float]) -> tuple[torch.Tensor, torch.Tensor]:
    """Output for `values`, and the gradient of the output's sum to each."""
    x = torch.tensor([values], requires_grad=True)
    y = module(x)
    y.sum().backward()
    return y.detach()[0], x.grad[0]


class QuantizerTest(unittest.TestCase):
    def close(self, actual: torch.Tensor, expected: list[float]) -> None:
        torch.testing.assert_close(
            actual.detach(), torch.tensor(expected, dtype=torch.float32), rtol=1e-5, atol=1e-6
        )

    def test_dorefa_weights(self) -> None:
        # tanh(w) = 0.8, 0.4, -0.8, 0; over twice the largest, plus 1/2: 1, 0.75, 0, 0.5; times 3: 3, 2.25, 0,
        # 1.5; rounded: 3, 2, 0, 2.
        weight = torch.atanh(torch.tensor([0.8, 0.4, -0.8, 0.0]))
        self.close(DoReFaWeight(2)(weight), [1, 1 / 3, -1, 1 / 3])
        integers, scale = DoReFaWeight(2).integers(weight)
        self.assertEqual((integers.tolist(), float(scale)), ([3, 1, -3, 1], float(torch.tensor(1 / 3))))
        magnitude = float(weight.abs().mean())
        self.close(
            DoReFaWeight(2, scaled=True)(weight), [magnitude, magnitude / 3, -magnitude, magnitude / 3]
        )
        # d tanh(w) / dw = 1 - tanh^2, over the largest: 0.84 / 0.8 for the second; rounding passes it on.
        self.close(gradients(DoReFaWeight(2), weight.tolist())[1][1:2], [0.84 / 0.8])

    def test_dorefa_one_bit_is_the_sign_times_the_mean_magnitude(self) -> None:
        weight = torch.tensor([0.5, -0.25, 0.0, -0.75])
        y, gradient = gradients(DoReFaWeight(1), weight.tolist())
        self.close(y, [0.375, -0.375, 0.375, -0.375])
        self.assertEqual(gradient.tolist(), [1, 1, 1, 1])
        self.assertEqual(DoReFaWeight(1).integers(weight)[0].tolist(), [1, -1, 1, -1])

    def test_dorefa_and_wrpn_activations(self) -> None:
        # Times 3: -0.6, 0.3, 0.6, 1.5, 2.7, 4.2; the tie goes to the even 2.
        y, gradient = gradients(ClippedActivation(2), [-0.2, 0.1, 0.2, 0.5, 0.9, 1.4])
        self.close(y, [0, 0, 1 / 3, 2 / 3, 1, 1])
        self.assertEqual(gradient.tolist(), [0, 1, 1, 1, 1, 0])

    def test_pact(self) -> None:
        # Clip 2, steps of 2/3: x / (2/3) = -1.5, 0.75, 1.8, 3, 4.5. The last two are at or above the clip.
        module = PACTActivation(2)
        module.clip.data.fill_(2)
        y, gradient = gradients(module, [-1, 0.5, 1.2, 2, 3])
        self.close(y, [0, 2 / 3, 4 / 3, 2, 2])
        self.assertEqual(gradient.tolist(), [0, 1, 1, 0, 0])
        self.assertEqual(float(module.clip.grad), 2)
        self.assertEqual(float(module.penalty().detach()), 4)

    def test_pact_starts_where_it_rounds_best(self) -> None:
        module = PACTActivation(2)
        module.initialize(torch.tensor([-5.0, 0, 1, 2, 3]))
        self.assertAlmostEqual(float(module.clip.detach()), 3, places=5)

    def test_wrpn_weights(self) -> None:
        # 2 bits: ternary, and -0.5 is a tie, to the even 0. 3 bits: times 3 after clipping, -3, -1.5, 0.6,
        # 1.8, 2.7.
        weight = [-1.3, -0.5, 0.2, 0.6, 0.9]
        y, gradient = gradients(WRPNWeight(2), weight)
        self.close(y, [-1, 0, 0, 1, 1])
        self.assertEqual(gradient.tolist(), [0, 1, 1, 1, 1])
        self.close(WRPNWeight(3)(torch.tensor(weight)), [-1, -2 / 3, 1 / 3, 2 / 3, 1])
        self.close(WRPNWeight(1)(torch.tensor([1.0, -3.0])), [2, -2])
        fitted = WRPNWeight(2)
        fitted.initialize(torch.tensor([-0.1, 0.0, 0.1]))
        self.close(fitted(torch.tensor([-0.1, 0.04, 0.3])), [-0.1, 0, 0.1])

    def test_lsq_activations(self) -> None:
        # Step 0.5, 2 bits: 0.4, 1.6, 2.6, 10 of 0...3. To the step: (0 - 0.4) + (2 - 1.6) + (3 - 2.6) + 3 =
        # 3.4, times 1 / sqrt(4 values * 3).
        module = LSQActivation(2)
        module.step.data.fill_(0.5)
        y, gradient = gradients(module, [0.2, 0.8, 1.3, 5])
        self.close(y, [0, 1, 1.5, 1.5])
        self.assertEqual(gradient.tolist(), [1, 1, 1, 0])
        self.assertAlmostEqual(float(module.step.grad), 3.4 / math.sqrt(12), places=5)
        module.initialize(torch.tensor([-8.0, 1, 2, 3]))
        self.assertAlmostEqual(float(module.step.detach()), 2 * 1.5 / math.sqrt(3), places=5)

    def test_lsq_weights(self) -> None:
        # Step 0.5, 2 bits, -2...1: -4, -1.2, 0.2, 1.8. To the step: -2 + (-1 + 1.2) + (0 - 0.2) + 1 = -1,
        # times 1 / sqrt(4 values * 1).
        module = LSQWeight(2)
        module.step.data.fill_(0.5)
        y, gradient = gradients(module, [-2, -0.6, 0.1, 0.9])
        self.close(y, [-1, -0.5, 0, 0.5])
        self.assertEqual(gradient.tolist(), [0, 1, 1, 0])
        self.assertAlmostEqual(float(module.step.grad), -0.5, places=5)
        self.assertEqual(module.integers(torch.tensor([-2, -0.6, 0.1, 0.9]))[0].tolist(), [-2, -1, 0, 1])

    def test_lsq_one_bit(self) -> None:
        module = LSQWeight(1)
        module.initialize(torch.tensor([0.5, -0.1]))
        self.assertAlmostEqual(float(module.step.detach()), 0.3, places=6)
        y, gradient = gradients(module, [0.15, -0.06, 0.9])
        self.close(y, [0.3, -0.3, 0.3])
        self.assertEqual(gradient.tolist(), [1, 1, 0])
        # (1 - 0.5) + (-1 + 0.2) + 1, times 1 / sqrt(3 values).
        self.assertAlmostEqual(float(module.step.grad), 0.7 / math.sqrt(3), places=5)

    def test_affine_fake_quantization_is_that_of_the_documentation(self) -> None:
        """The activations of docs/quantization.md: -1...1.5, s = 0.00980392, z = -26."""
        module = FakeQuantize(8, observer="minmax")
        module(torch.tensor([-1.0, 1.5]))
        grid = module.grid()
        self.assertEqual(
            (round(grid.scale, 8), grid.zero_point, grid.lo, grid.hi), (0.00980392, -26, -128, 127)
        )
        self.close(
            module(torch.tensor([0.5, -1, 0.25])), [51 * grid.scale, -102 * grid.scale, 26 * grid.scale]
        )
        positive = FakeQuantize(8, observer="minmax")
        positive(torch.tensor([1.0, 2.0]))
        self.assertEqual((positive.grid().zero_point, round(positive.grid().scale * 255, 5)), (-128, 2))

    def test_symmetric_weights_have_a_scale_a_tensor_or_a_channel(self) -> None:
        """The weights of docs/quantization.md."""
        weight = torch.tensor([[0.6, -0.3, 0.9], [-0.02, 0.05, 0.01]])
        channels = FakeQuantize(8, symmetric=True, observer="current", axis=0, narrow=True)
        channels(weight)
        integers, scale = channels.integers(weight)
        self.assertEqual(integers.tolist(), [[85, -42, 127], [-51, 127, 25]])
        self.close(scale, [0.00708661, 0.000393701])
        tensor = FakeQuantize(8, symmetric=True, observer="current", narrow=True)
        tensor(weight)
        self.assertEqual(tensor.integers(weight)[0].tolist(), [[85, -42, 127], [-3, 7, 1]])

    def test_a_frozen_range_stays(self) -> None:
        module = FakeQuantize(8, observer="minmax")
        module(torch.tensor([-1.0, 1.5]))
        module.frozen = True
        before = module.grid()
        self.close(module(torch.tensor([9.0])), [before.scale * (127 + 26)])
        self.assertEqual(module.grid(), before)


class ObserverTest(unittest.TestCase):
    def test_minimum_and_maximum(self) -> None:
        observer = MinMaxObserver(axis=1)
        observer(torch.tensor([[1.0, -2], [3, 4]]))
        observer(torch.tensor([[2.0, 9]]))
        self.assertEqual([bound.tolist() for bound in observer.range()], [[1, -2], [3, 9]])

    def test_moving_average(self) -> None:
        observer = MovingAverageObserver(momentum=0.25)
        observer(torch.tensor([-1.0, 2]))
        observer(torch.tensor([-3.0, 6]))
        self.assertEqual([float(bound) for bound in observer.range()], [-1.5, 3])

    def test_a_histogram_grows_without_losing_a_value(self) -> None:
        observer = HistogramObserver()
        observer(torch.linspace(-1, 1, 1000))
        observer(torch.tensor([3.0, -0.5]))
        self.assertEqual((float(observer.limit), float(observer.counts.sum())), (4, 1002))
        occupied = observer.counts.nonzero().flatten()
        # 8 / 2048 a bin: -1 is 1024 - 256, 3 is 1024 + 768.
        self.assertEqual((int(occupied[0]), int(occupied[-1])), (768, 1792))

    def test_a_histogram_clips_a_value_that_costs_more_than_it_is_worth(self) -> None:
        observer = HistogramObserver(bits=4)
        observer(torch.cat([torch.linspace(0, 1, 10_000), torch.tensor([10.0])]))
        lower, upper = observer.range()
        self.assertLess(float(upper), 6)
        self.assertGreater(float(upper), 0.9)
        self.assertAlmostEqual(float(lower), 0, places=2)


class PrepareTest(unittest.TestCase):
    def test_what_is_quantized_and_to_how_many_bits(self) -> None:
        model = prepare(build("resnet8"), make_scheme("lsq", 2))
        weights = {
            name: module.quantizer.bits
            for name, module in model.named_modules()
            if isinstance(module, Quantized)
        }
        self.assertEqual((weights.pop("conv"), weights.pop("fc")), (8, 8))
        self.assertEqual((len(weights), set(weights.values())), (8, {2}))
        values = {
            name: module.bits
            for name, module in model.named_modules()
            if hasattr(module, "grid") and name.endswith("_quantizer")
        }
        eight = (
            "x",
            "conv",
            "relu",
            "avgpool",
            *("add", "add_1", "add_2"),
            *(f"blocks_{i}_conv2" for i in range(3)),
        )
        shortcuts = (f"blocks_{i}_shortcut" for i in (1, 2))
        two = (f"blocks_{i}_relu{j}" for i in range(3) for j in (1, 2))
        expected = {
            f"{name}_quantizer": bits
            for names, bits in (((*eight, *shortcuts), 8), (two, 2))
            for name in names
        }
        self.assertEqual(values, expected)

    def test_switches(self) -> None:
        for only, weights, activations in (("weights", 8, 0), ("activations", 0, 6)):
            model = prepare(build("resnet8"), make_scheme("dorefa", 2, only))
            self.assertEqual(sum(isinstance(module, Quantized) for module in model.modules()), weights)
            self.assertEqual(
                sum(isinstance(module, ClippedActivation) for module in model.modules()), activations
            )
        edges = prepare(build("resnet8"), Scheme("dorefa", 2, 2, edge_bits=32))
        self.assertEqual(sum(isinstance(module, Quantized) for module in edges.modules()), 8)
        self.assertFalse(is_integer(make_scheme("lsq", 16)))
        self.assertFalse(is_integer(make_scheme("dorefa", 8)))
        self.assertTrue(is_integer(make_scheme("lsq", 8)))

    def test_float_is_the_network_itself(self) -> None:
        model = build("resnet8").eval()
        x = torch.randn(2, 3, 32, 32)
        torch.testing.assert_close(prepare(model, make_scheme("lsq", 32))(x), model(x))

    def test_folding_changes_nothing_but_the_rounding(self) -> None:
        torch.manual_seed(1)
        x = torch.randn(8, 3, 16, 16)
        model = build("catdog").features[:3]
        network = nn.Sequential(model, nn.Conv2d(16, 4, 1, bias=False), nn.Conv2d(4, 2, 1)).to(
            memory_format=torch.channels_last
        )
        model[1].weight.data.uniform_(-2, 2)
        model[1].running_var.uniform_(0.5, 2)
        outputs = {}
        for fold in (False, True):
            prepared = prepare(network, Scheme("symmetric", 8, 8, fold=fold))
            initialize(prepared, x)
            outputs[fold] = [prepared.train(training)(x).detach() for training in (True, False)]
        for plain, folded in zip(*outputs.values(), strict=True):
            torch.testing.assert_close(folded, plain, rtol=0.05, atol=0.05 * float(plain.std()))

    def test_every_network_converts_and_exports(self) -> None:
        for name, method in (("mobilenetv2", "lsq"), ("mobilenetv2-relu", "dorefa"), ("catdog", "symmetric")):
            with self.subTest(name), tempfile.TemporaryDirectory() as temporary:
                dataset = "catdog" if name == "catdog" else "cifar10"
                scheme = make_scheme(method, 8 if name == "catdog" else 4, fold=name == "catdog")
                torch.manual_seed(2)
                inputs = torch.randn(2, 3, DATASETS[dataset].size, DATASETS[dataset].size)
                model = prepare(build(name, DATASETS[dataset].classes), scheme).eval()
                initialize(model, inputs)
                path = Path(temporary) / "model.onnx"
                export_qdq(model, Recipe("run", name, scheme, dataset), path)
                with torch.no_grad():
                    expected = convert(model)(inputs).numpy()
                (actual,) = onnxruntime.InferenceSession(path).run(None, {"input": inputs.numpy()})
                np.testing.assert_allclose(actual, expected, atol=0.1 * float(expected.std()))

    def test_weights_go_from_one_scheme_to_another(self) -> None:
        network = build("resnet8")
        for method in METHODS:
            latent = latent_weights(prepare(network, make_scheme(method, 4)))
            self.assertEqual(set(latent), set(network.state_dict()))
            build("resnet8").load_state_dict(latent)


class DistillationTest(unittest.TestCase):
    def test_by_hand(self) -> None:
        # Teacher / T = (ln 3, 0): 3/4 and 1/4; student 1/2 and 1/2. KL = 3/4 ln(3/2) + 1/4 ln(1/2) =
        # 0.130812, times T^2 = 4.
        loss = distillation_loss(torch.zeros(1, 2), torch.tensor([[2 * math.log(3), 0]]), 2)
        self.assertAlmostEqual(float(loss), 4 * 0.130812, places=5)


class RunTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        write_data(self.directory)
        patch = mock.patch.object(qat, "HELD_OUT", 4)
        patch.start()
        self.addCleanup(patch.stop)

    def arguments(self, directory: str = "runs") -> argparse.Namespace:
        return argparse.Namespace(
            directory=self.directory / directory, data=self.directory, device="cpu", checkpoint_seconds=0.0
        )

    def recipe(self, method: str, bits: int, **settings: object) -> Recipe:
        name = settings.pop("name", f"{method}-{bits}")
        return Recipe(
            name, "resnet8", make_scheme(method, bits), batch=4, epochs=2, first_size=16, **settings
        )

    def test_every_method_trains_and_exports_what_it_is_converted_to(self) -> None:
        images, _ = DATASETS["cifar10"].load("test", self.directory)
        inputs = normalize(images)
        widths = {
            "dorefa": (1, 2, 4),
            "pact": (2,),
            "wrpn": (1, 2),
            "lsq": (1, 2, 8),
            "affine": (4, 8),
            "symmetric": (8,),
        }
        for method, bits in [(name, bits) for name in METHODS for bits in widths[name]]:
            with self.subTest(method=method, bits=bits):
                recipe = self.recipe(method, bits)
                result = train(recipe, self.arguments())
                self.assertEqual((result["epoch"], result["test_images"]), (2, 16))
                _, model = load_run(recipe.name, self.directory / "runs")
                path = self.directory / "model.onnx"
                export_qdq(model, recipe, path)
                converted = convert(model)
                with torch.no_grad():
                    expected, fake = converted(inputs), model.eval()(inputs)
                (actual,) = onnxruntime.InferenceSession(path).run(None, {"input": inputs.numpy()})
                # With 8 bits, ONNX Runtime's integer kernels may be a step off, and a float sum beside a tie too.
                tolerance = 1e-4 if bits < 8 else 0.1 * float(expected.std())
                np.testing.assert_allclose(actual, expected.numpy(), atol=tolerance)
                torch.testing.assert_close(fake, expected, rtol=0, atol=tolerance)
                self.check_grids(path, method, bits)

    def check_grids(self, path: Path, method: str, bits: int) -> None:
        """Of all layers but the first and the last, which have 8 bits, and the batch norms, which are
        depthwise."""
        layers = [node for node in onnx.load(path).graph.node if node.op_type in ("Conv", "Gemm")]
        inner = {
            f"{node.name}.weight" for node in layers[1:-1] if ".bn" not in node.name and node.name != "bn"
        }
        self.assertEqual(len(inner), 8)
        arrays = {
            tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer
        }
        found = set(np.concatenate([arrays[name].ravel() for name in inner]).tolist())
        if method in ("dorefa", "pact"):
            odd = {2 * level - (2**bits - 1) for level in range(2**bits)}
            self.assertLessEqual(found, odd)
            self.assertGreater(len(found), len(odd) // 2)
        elif bits == 1:
            self.assertEqual(found, {-1, 1})
        else:
            self.assertLessEqual(max(map(abs, found)), 2 ** (bits - 1))

    def test_an_interrupted_run_ends_where_a_straight_one_does(self) -> None:
        teacher = self.recipe("lsq", 32, name="float")
        recipe = self.recipe("lsq", 2, start="float", teacher="float")
        for directory in ("straight", "interrupted"):
            train(teacher, self.arguments(directory))
        straight = train(recipe, self.arguments("straight"))
        calls = iter(range(100))
        augment = qat.augment

        def interrupt(*args: object) -> torch.Tensor:
            if next(calls) == 4:
                raise KeyboardInterrupt
            return augment(*args)

        with mock.patch.object(qat, "augment", interrupt), self.assertRaises(KeyboardInterrupt):
            train(recipe, self.arguments("interrupted"))
        resumed = train(recipe, self.arguments("interrupted"))
        timeless = [
            {key: value for key, value in line.items() if key != "cpu_seconds"}
            for line in (straight, resumed)
        ]
        self.assertEqual(*timeless)
        states = [
            load_run(recipe.name, self.directory / name)[1].state_dict()
            for name in ("straight", "interrupted")
        ]
        for key, value in states[0].items():
            self.assertTrue(torch.equal(value, states[1][key]), key)
        # An ended run is not run again.
        with mock.patch.object(qat, "build", side_effect=AssertionError):
            self.assertEqual(train(recipe, self.arguments("straight")), straight)

    def test_ranges_and_batch_norms_freeze(self) -> None:
        scheme = dataclasses.replace(make_scheme("affine", 8), freeze_observers=0.5, freeze_batch_norm=0.5)
        recipe = dataclasses.replace(self.recipe("affine", 8), scheme=scheme)
        kept: list[dict[str, torch.Tensor]] = []
        convert_as_it_is = qat.convert

        def keep(model: nn.Module) -> nn.Module:
            kept.append(
                {
                    key: value.clone()
                    for key, value in model.state_dict().items()
                    if "observer" in key or "running_mean" in key
                }
            )
            return convert_as_it_is(model)

        with mock.patch.object(qat, "convert", keep):
            train(recipe, self.arguments())
        first, second = kept[:2]
        for key, value in first.items():
            # The range of weights is that of the weights at hand, until it freezes.
            self.assertTrue(torch.equal(value, second[key]), key)
        unfrozen = dataclasses.replace(
            recipe,
            name="unfrozen",
            scheme=dataclasses.replace(scheme, freeze_observers=1.0, freeze_batch_norm=1.0),
        )
        kept.clear()
        with mock.patch.object(qat, "convert", keep):
            train(unfrozen, self.arguments())
        self.assertTrue(
            any(
                not torch.equal(value, kept[1][key])
                for key, value in kept[0].items()
                if "running_mean" in key
            )
        )

    def test_checkpoints_stay_under_a_megabyte(self) -> None:
        for network in ("resnet8", "resnet20"):
            recipe = dataclasses.replace(self.recipe("lsq", 4, name=network), network=network)
            train(recipe, self.arguments())
            self.assertLess((self.directory / "runs" / f"{network}.pt").stat().st_size, 1_000_000)
            load_run(network, self.directory / "runs")

    def test_the_chain_hands_on(self) -> None:
        flags = [
            "--method",
            "dorefa",
            "--bits",
            "32",
            "2",
            "1",
            "--epochs",
            "1",
            "--batch",
            "4",
            "--first-size",
            "16",
        ]
        places = [
            "--directory",
            str(self.directory / "runs"),
            "--data",
            str(self.directory),
            "--device",
            "cpu",
        ]
        lines = printed(chain.main, [*flags, *places])
        self.assertEqual(lines[-5], "| bits | alone | teacher | chain |")
        self.assertRegex(lines[-1], r"^\| 1 \|( \d+\.\d+% \|){3}$")
        recipes = {
            name: load_run(f"resnet8-dorefa-{name}", self.directory / "runs")[0]
            for name in ("2-chain", "1-chain", "1-teacher", "1-alone")
        }
        self.assertEqual(
            {name: (recipe.start, recipe.teacher) for name, recipe in recipes.items()},
            {
                "2-chain": ("resnet8-float", "resnet8-float"),
                "1-chain": ("resnet8-dorefa-2-chain", "resnet8-dorefa-2-chain"),
                "1-teacher": ("resnet8-float", "resnet8-float"),
                "1-alone": ("resnet8-float", ""),
            },
        )

    def test_hooks(self) -> None:
        model = build("resnet8").eval()
        inputs = torch.randn(2, 3, 32, 32)
        with torch.no_grad(), hooks.recording(model, ["conv", "blocks.0.relu1"]) as records:
            model(inputs)
            model(3 * inputs)
        self.assertEqual(
            (records["conv"].calls, records["conv"].input_range), (2, hooks.extremes(3 * inputs))
        )
        self.assertTrue(torch.equal(records["conv"].input, 3 * inputs))
        self.assertEqual(records["blocks.0.relu1"].output_range[0], 0)
        self.assertFalse(model.conv._forward_hooks)
        with self.assertRaisesRegex(ValueError, "nothing"), hooks.recording(model, ["nothing"]):
            pass
        rows = hooks.summary(model, inputs)
        self.assertEqual(
            (rows[0]["parameters"], rows[0]["multiply_adds"], rows[-1]["output"]), (432, 432 * 1024, [10])
        )
        prepared = prepare(model, make_scheme("lsq", 2))
        initialize(prepared, inputs)
        self.assertEqual(
            hooks.float_bytes(model),
            4 * sum(v.numel() for v in model.state_dict().values() if v.is_floating_point()),
        )
        self.assertEqual(
            [row["multiply_adds"] for row in hooks.summary(prepared, inputs)],
            [row["multiply_adds"] for row in rows],
        )
        bits = {row["name"]: 2 for row in rows[1:-1]}
        self.assertLess(hooks.integer_bytes(convert(prepared), bits), hooks.float_bytes(model) / 10)

    def test_agreement_passes_and_fails(self) -> None:
        recipe = self.recipe("lsq", 4)
        train(recipe, self.arguments())
        flags = [
            "--run",
            recipe.name,
            "--directory",
            str(self.directory / "runs"),
            "--data",
            str(self.directory),
        ]
        images, _ = DATASETS["cifar10"].load("test", self.directory)
        _, model = load_run(recipe.name, self.directory / "runs")
        answers = qat.logits_of(model, images, DATASETS["cifar10"], torch.device("cpu")).argmax(1).tolist()
        with mock.patch.object(agreement, "octet_predictions", lambda path, source: answers):
            self.assertIn("the same answer on 100.00% of 16 images", printed(agreement.main, flags)[0])
        with (
            mock.patch.object(
                agreement, "octet_predictions", lambda path, source: [(answers[0] + 1) % 10, *answers[1:]]
            ),
            self.assertRaises(SystemExit),
        ):
            printed(agreement.main, flags)

    def test_the_small_images_of_first_epochs_stay_small(self) -> None:
        for name, sizes in (("cifar10", (16, 32)), ("catdog", (112, 224))):
            enlarged = [DATASETS[name].enlarge(torch.zeros(1, 3, size, size)).shape[-1] for size in (16, 32)]
            self.assertEqual(tuple(enlarged), sizes)

    def test_pictures_are_enlarged_and_in_the_order_of_their_paths(self) -> None:
        images, labels = (
            torch.arange(2 * 3 * 32 * 32).remainder(251).to(torch.uint8).view(2, 3, 32, 32),
            torch.tensor([1, 0]),
        )
        order = agreement.write_pictures(self.directory, DATASETS["catdog"], images, labels)
        self.assertEqual(order, [1, 0])
        data = (self.directory / "dog" / "00000.png").read_bytes()
        length = int.from_bytes(data[33:37])
        rows = np.frombuffer(zlib.decompress(data[41 : 41 + length]), np.uint8).reshape(224, 1 + 224 * 3)
        self.assertFalse(rows[:, 0].any())
        np.testing.assert_array_equal(
            rows[:, 1:].reshape(224, 224, 3)[3::7, 3::7], images[0].permute(1, 2, 0).numpy()
        )


class LabTest(unittest.TestCase):
    def test_runs_come_after_those_they_build_on(self) -> None:
        names: set[str] = set()
        for recipe in lab.runs():
            for before in (recipe.start, recipe.teacher):
                self.assertTrue(
                    not before or before in names or Path(before).exists(), f"{recipe.name} needs {before}"
                )
            self.assertNotIn(recipe.name, names)
            names.add(recipe.name)
        longer = lab.lengthened(
            next(recipe for recipe in lab.runs() if recipe.name == "resnet8-lsq-2-chain"), 100
        )
        self.assertEqual(
            (longer.name, longer.start, longer.epochs),
            ("resnet8-lsq-2-chain-100epochs", "resnet8-lsq-4-chain-100epochs", 100),
        )

    def test_the_table_has_a_row_a_method_and_width(self) -> None:
        with tempfile.TemporaryDirectory() as temporary:
            directory = Path(temporary)
            for name, value in (
                ("float", 0.85),
                ("lsq-4-chain", 0.84),
                ("lsq-2-alone", 0.8),
                ("lsq-2-chain", 0.82),
                ("lsq-2-chain-seed2", 0.83),
            ):
                (directory / f"resnet8-{name}.jsonl").write_text(
                    f'{{"epoch": 20, "test_accuracy": {value}}}\n'
                )
            self.assertEqual(
                table.rows(directory),
                [
                    ["resnet8", "float", "float", "20", "85.00%", "", ""],
                    ["resnet8", "lsq", "4", "20", "", "84.00%", "84.00%"],
                    ["resnet8", "lsq", "2", "20", "80.00%", "", "82.00%, 83.00%"],
                ],
            )


if __name__ == "__main__":
    unittest.main()
