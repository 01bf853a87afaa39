"""Quantizers to train with: real values in, real values on a grid out, gradients straight through the
rounding (Bengio et al. 2013).

Each is an `nn.Module` with the number of bits it was made for. A weight quantizer takes a weight tensor;
`integers(weight)` gives the same as integers and a scale, whose product is the output. An activation
quantizer is its own ReLU where the grid starts at 0; `grid()` gives what it quantizes to: real = scale * (q -
zero point) for the integers q from `lo` to `hi`.
"""

import dataclasses
import math

import torch
from torch import nn

from .observers import CurrentObserver, HistogramObserver, MinMaxObserver, MovingAverageObserver


class _Quantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: torch.Tensor, step: torch.Tensor, lo: int, hi: int) -> torch.Tensor:
        ratio = x / step
        integers = ratio.clamp(lo, hi).round_()
        ctx.lo, ctx.hi = lo, hi
        ctx.save_for_backward(ratio, integers)
        return integers * step

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        ratio, integers = ctx.saved_tensors
        # Hardtanh's gradient is this one: 0 at and beyond the bounds, in one pass over memory.
        inside = torch.ops.aten.hardtanh_backward(gradient, ratio, ctx.lo, ctx.hi)
        step = (gradient * integers).sum() - (inside * ratio).sum() if ctx.needs_input_grad[1] else None
        return inside, step, None, None


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradient, None


def quantize(x: torch.Tensor, step: torch.Tensor, lo: int, hi: int) -> torch.Tensor:
    """step * round(clamp(x / step, lo, hi)), ties to even.

    The gradient to `x` is 1 where lo < x / step < hi, else 0. That to `step`, which must have the shape [] if
    it has one, is the integer minus x / step inside, and the integer, lo or hi, outside.
    """
    return _Quantize.apply(x, step, lo, hi)


def straight_through(x: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """`value`, with the gradient as if it were `x`."""
    return _StraightThrough.apply(x, value.detach())


def round_straight_through(x: torch.Tensor) -> torch.Tensor:
    """`x` rounded to the nearest integer, ties to even."""
    return straight_through(x, torch.round(x))


def sign(x: torch.Tensor) -> torch.Tensor:
    """1 where `x` >= 0, else -1: one bit has no 0."""
    return torch.where(x >= 0, 1.0, -1.0)


@dataclasses.dataclass(frozen=True)
class Grid:
    """An activation's values: scale * (q - zero_point), lo <= q <= hi."""

    scale: float
    zero_point: int
    lo: int
    hi: int


class DoReFaWeight(nn.Module):
    """Zhou et al. 2016, "DoReFa-Net":

        w_q = 2 quantize_k(tanh(w) / (2 max|tanh(w)|) + 1/2) - 1
        quantize_k(x) = round((2^k - 1) x) / (2^k - 1)
        1 bit: w_q = sign(w) E|w|, with the gradient of w

    The 2^k levels are the odd multiples of 1 / (2^k - 1). `scaled` multiplies them by E|w|, a constant to the
    gradient, as Any-Precision networks do (Yu et al. 2021): without it a layer that no batch norm follows
    outputs values far larger than those of the float network it came from.
    """

    def __init__(self, bits: int, scaled: bool = False) -> None:
        super().__init__()
        self.bits, self.scaled = bits, scaled

    def initialize(self, weight: torch.Tensor) -> None:
        """The grid follows from the weights: nothing to choose."""

    def split(self, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        steps = 2**self.bits - 1
        squashed = torch.tanh(weight)
        levels = round_straight_through((squashed / (2 * squashed.abs().max()) + 0.5) * steps)
        magnitude = weight.abs().mean().detach() if self.scaled else weight.new_ones(())
        return 2 * levels - steps, magnitude / steps

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        if self.bits == 1:
            return straight_through(weight, sign(weight) * weight.abs().mean())
        integers, scale = self.split(weight)
        return integers * scale

    @torch.no_grad()
    def integers(self, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return (sign(weight), weight.abs().mean()) if self.bits == 1 else self.split(weight)


class ClippedActivation(nn.Module):
    """Clamped to 0...1 and rounded to 2^k - 1 equal steps. DoReFa's and WRPN's."""

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits, self.hi = bits, 2**bits - 1
        self.register_buffer("step", torch.tensor(1 / self.hi))

    def initialize(self, x: torch.Tensor) -> None:
        """The bound is given."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return quantize(x, self.step, 0, self.hi)

    def grid(self) -> Grid:
        return Grid(float(self.step), 0, 0, self.hi)


class PACTActivation(nn.Module):
    """Choi et al. 2018, "PACT":

        y = (|x| - |x - a| + a) / 2 = clamp(x, 0, a), rounded to multiples of a / (2^k - 1)
        dy/da = 1 where x >= a, else 0

    a is learned, with an L2 penalty on it (`penalty`), which the paper weighs like the weight decay. The
    paper starts it at 10, for hundreds of epochs to bring down; `initialize` starts it where the values given
    are rounded best.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits, self.hi = bits, 2**bits - 1
        self.clip = nn.Parameter(torch.tensor(10.0))

    @torch.no_grad()
    def initialize(self, x: torch.Tensor) -> None:
        self.clip.fill_(best_step(x.clamp(min=0), 0, self.hi) * self.hi)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        clipped = torch.where(x >= self.clip, self.clip, x.clamp(min=0))
        step = self.clip.detach() / self.hi
        return round_straight_through(clipped / step) * step

    def grid(self) -> Grid:
        return Grid(float(self.clip.detach() / self.hi), 0, 0, self.hi)

    def penalty(self) -> torch.Tensor:
        return self.clip**2


class WRPNWeight(nn.Module):
    """Mishra et al. 2017, "WRPN":

        w_q = round((2^(k-1) - 1) clip(w, -1, 1)) / (2^(k-1) - 1)
        1 bit: w_q = sign(w) E|w|

    One of k bits is the sign, so 2 bits are ternary. The paper trains from weights that fill -1...1; a float
    network's do not, so `initialize` finds the multiple of that range that rounds them best, `unit`, and the
    formula holds for w / unit.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits
        self.register_buffer("unit", torch.tensor(1.0))

    def initialize(self, weight: torch.Tensor) -> None:
        if self.bits > 1:
            steps = 2 ** (self.bits - 1) - 1
            self.unit.fill_(best_step(weight, -steps, steps) * steps)

    def split(self, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        steps = 2 ** (self.bits - 1) - 1
        return round_straight_through((weight / self.unit).clamp(-1, 1) * steps), self.unit / steps

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        if self.bits == 1:
            return straight_through(weight, sign(weight) * weight.abs().mean())
        integers, scale = self.split(weight)
        return integers * scale

    @torch.no_grad()
    def integers(self, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return (sign(weight), weight.abs().mean()) if self.bits == 1 else self.split(weight)


def scale_gradient(x: torch.Tensor, factor: float) -> torch.Tensor:
    """`x`, with `factor` times its gradient."""
    return (x - x * factor).detach() + x * factor


class _LearnedStep(nn.Module):
    """Esser et al. 2020, "Learned Step Size Quantization", for weights and activations:

    v = round(clip(x / s, lo, hi)),  x_q = s v
    dx_q/ds = v - x/s inside, lo or hi outside, times g = 1 / sqrt(count * hi)
    """

    def __init__(self, bits: int, lo: int, hi: int) -> None:
        super().__init__()
        self.bits, self.lo, self.hi = bits, lo, hi
        self.step = nn.Parameter(torch.tensor(1.0))

    @torch.no_grad()
    def initialize(self, x: torch.Tensor) -> None:
        """s = 2 E|x| / sqrt(hi)."""
        self.step.fill_(2 * x.abs().mean() / math.sqrt(self.hi))

    def learned(self, count: int) -> torch.Tensor:
        return scale_gradient(self.step, 1 / math.sqrt(count * self.hi))


class LSQWeight(_LearnedStep):
    """Integers from -2^(k-1) to 2^(k-1) - 1. One bit is +s or -s: sign in place of rounding, and s starts at
    E|w|."""

    def __init__(self, bits: int) -> None:
        super().__init__(bits, -(2 ** (bits - 1)), max(1, 2 ** (bits - 1) - 1))

    @torch.no_grad()
    def initialize(self, x: torch.Tensor) -> None:
        super().initialize(x)
        if self.bits == 1:
            self.step.fill_(x.abs().mean())

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        step = self.learned(weight.numel())
        if self.bits == 1:
            clipped = (weight / step).clamp(-1, 1)
            return straight_through(clipped, sign(clipped)) * step
        return quantize(weight, step, self.lo, self.hi)

    @torch.no_grad()
    def integers(self, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if self.bits == 1:
            return sign(weight), self.step.detach()
        return torch.round((weight / self.step).clamp(self.lo, self.hi)), self.step.detach()


class LSQActivation(_LearnedStep):
    """Integers from 0 to 2^k - 1. The count in the gradient's factor is that of the values of one image, as
    the step is one for all images."""

    def __init__(self, bits: int) -> None:
        super().__init__(bits, 0, 2**bits - 1)

    def initialize(self, x: torch.Tensor) -> None:
        super().initialize(x.clamp(min=0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return quantize(x, self.learned(x[0].numel()), self.lo, self.hi)

    def grid(self) -> Grid:
        return Grid(float(self.step.detach()), 0, self.lo, self.hi)


def best_step(x: torch.Tensor, lo: int, hi: int) -> float:
    """Of 100 multiples of max|x| / hi, up to itself, the step whose integers lo...hi have the least squared
    error."""
    largest = float(x.detach().abs().max())
    if largest == 0:
        return 1.0
    steps = [largest / hi * (i + 1) / 100 for i in range(100)]
    return min(
        steps, key=lambda s: float(((x.detach() / s).round().clamp(lo, hi) * s - x.detach()).square().sum())
    )


OBSERVERS = {
    "minmax": MinMaxObserver,
    "movingAverage": MovingAverageObserver,
    "current": CurrentObserver,
    "histogram": HistogramObserver,
}


class FakeQuantize(nn.Module):
    """The frameworks' fake quantization (Jacob et al. 2018), for weights and activations:

        x_q = s (clamp(round(x / s) + z, lo, hi) - z)

    Affine: lo...hi is -2^(k-1)...2^(k-1) - 1, s = (max - min) / (hi - lo), z = round(lo - min / s), the range
    widened to hold 0. Symmetric: z = 0 and s = max|x| / hi; with `narrow`, for weights, lo is -hi. With
    `axis`, s and z are one a channel. The range is an observer's, until `frozen`.
    """

    def __init__(
        self,
        bits: int,
        symmetric: bool = False,
        observer: str = "movingAverage",
        axis: int | None = None,
        narrow: bool = False,
    ) -> None:
        super().__init__()
        self.bits, self.symmetric, self.axis = bits, symmetric, axis
        self.hi = 2 ** (bits - 1) - 1
        self.lo = -self.hi if narrow else -self.hi - 1
        if observer == "histogram":
            if axis is not None:
                raise ValueError(
                    "the histogram observer has one range for the tensor: leave out axis or take another"
                )
            self.observer: nn.Module = HistogramObserver(bits, symmetric)
        else:
            self.observer = OBSERVERS[observer](axis)
        self.frozen = False

    def initialize(self, x: torch.Tensor) -> None:
        if not self.frozen:
            self.observer(x)

    def scale_and_zero_point(self) -> tuple[torch.Tensor, torch.Tensor]:
        """float32 and int32, of shape [] or [channels]."""
        minimum, maximum = self.observer.range()
        if self.symmetric:
            scale = torch.maximum(-minimum, maximum) / self.hi
        else:
            minimum, maximum = minimum.clamp(max=0), maximum.clamp(min=0)
            scale = (maximum - minimum) / (self.hi - self.lo)
        # A tensor of zeros has no range: any scale is right.
        scale = torch.where(scale > 0, scale, torch.ones_like(scale))
        if self.symmetric:
            return scale, torch.zeros_like(scale, dtype=torch.int32)
        return scale, torch.round(self.lo - minimum / scale).clamp(self.lo, self.hi).to(torch.int32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training and not self.frozen:
            self.observer(x)
        scale, zero_point = self.scale_and_zero_point()
        if self.symmetric:
            return quantize(x, self.shaped(scale, x), self.lo, self.hi)
        if self.axis is None:
            return torch.fake_quantize_per_tensor_affine(x, scale, zero_point, self.lo, self.hi)
        return torch.fake_quantize_per_channel_affine(x, scale, zero_point, self.axis, self.lo, self.hi)

    def shaped(self, scale: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Scales a channel, to be broadcast against `x`."""
        return (
            scale
            if self.axis is None
            else scale.view([-1 if axis == self.axis else 1 for axis in range(x.dim())])
        )

    def grid(self) -> Grid:
        scale, zero_point = self.scale_and_zero_point()
        return Grid(float(scale), int(zero_point), self.lo, self.hi)

    @torch.no_grad()
    def integers(self, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scale, zero_point = self.scale_and_zero_point()
        if zero_point.any():
            raise ValueError("the integers of weights have no zero point: quantize them symmetrically")
        return torch.round((weight / self.shaped(scale, weight)).clamp(self.lo, self.hi)), scale
