"""From a network trained with its quantizers to the integers that it runs as, still in PyTorch: what
`export_qdq` writes and each epoch is checked by.

Weights are int8 with a scale, biases int32 at the scale of the products, batch norms part of either. Values
between layers are real numbers on the grids.
"""

import copy

import torch
import torch.nn.functional as F
from torch import fx, nn

from .prepare import Quantized, RoundedNorm, Scheme, behind, factor_and_offset, per_channel, set_module
from .quantizers import Grid


class QuantizeDequantize(nn.Module):
    """s (clamp(round(x / s) + z, lo, hi) - z): QuantizeLinear and DequantizeLinear."""

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        if not grid.scale > 0:
            raise ValueError(
                f"a learned step or clip became {grid.scale}, but must be positive: lower the learning rate"
            )
        self.grid = grid

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        g = self.grid
        return g.scale * (torch.round(x / g.scale) + g.zero_point).clamp(g.lo, g.hi).sub(g.zero_point)


class IntegerLayer(nn.Module):
    """A convolution, or a dense layer, of int8 weights [K, ...] with a scale [K] and int32 biases [K] at the
    scale of the products, or none."""

    def __init__(
        self,
        layer: nn.Conv2d | nn.Linear,
        weight: torch.Tensor,
        scale: torch.Tensor,
        bias: torch.Tensor | None,
        input_scale: float,
    ) -> None:
        super().__init__()
        if weight.max() > 127 or weight.min() < -128:
            raise ValueError(
                f"weights of {int(weight.min())} to {int(weight.max())} are no int8: train with "
                "fewer bits, or with a narrow grid, where a batch norm turns signs around"
            )
        self.dense = isinstance(layer, nn.Linear)
        self.geometry = (
            {} if self.dense else {k: getattr(layer, k) for k in ("stride", "padding", "dilation", "groups")}
        )
        self.register_buffer("weight", weight.to(torch.int8))
        self.register_buffer("scale", scale.float().expand(len(weight)).clone())
        self.register_buffer("bias", None)
        if bias is not None:
            self.bias = (
                torch.round(bias.double() / (self.scale.double() * input_scale))
                .clamp(-(2**31), 2**31 - 1)
                .to(torch.int32)
            )
        self.input_scale = input_scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.weight * per_channel(self.scale, self.weight)
        bias = None if self.bias is None else self.bias * (self.scale * self.input_scale)
        return F.linear(x, weight, bias) if self.dense else F.conv2d(x, weight, bias, **self.geometry)


def is_integer(scheme: Scheme) -> bool:
    """Whether every layer of the scheme computes with int8 or less. DoReFa's odd integers of 8 bits go to
    255."""
    odd = scheme.method in ("dorefa", "pact")
    return max(scheme.weight_bits + odd, scheme.activation_bits, scheme.edge_bits, scheme.sum_bits) <= 8


@torch.no_grad()
def convert(prepared: fx.GraphModule) -> fx.GraphModule:
    """A copy of the network that `prepare` made, in evaluation mode, of layers as above."""
    converted = copy.deepcopy(prepared).eval()
    modules = dict(converted.named_modules())
    for node in converted.graph.nodes:
        if node.op != "call_module":
            continue
        module = modules[node.target]
        if isinstance(module, Quantized):
            integers, scale = module.quantizer.integers(module.latent())
            bias = module.layer.bias
            if module.norm is not None:
                factor, offset = factor_and_offset(module.norm)
                bias = offset if bias is None else offset + bias * factor
                if not module.fold:
                    # The sign goes to the weights, since scales are positive. Of a channel that is constant,
                    # the scale says nothing.
                    integers = integers * per_channel(torch.sign(factor), integers)
                    scale = scale * torch.where(factor != 0, factor.abs(), 1.0)
            set_module(
                converted,
                node.target,
                IntegerLayer(module.layer, integers, scale, bias, input_scale(node, modules)),
            )
        elif hasattr(module, "grid"):
            set_module(converted, node.target, QuantizeDequantize(module.grid()))
        elif isinstance(module, nn.BatchNorm2d):
            # Behind an addition: a product and a sum for each channel, which is a depthwise convolution of
            # one tap.
            factor, offset = factor_and_offset(module)
            layer = nn.Conv2d(len(factor), len(factor), 1, groups=len(factor))
            integers = RoundedNorm.STEPS * torch.sign(factor).view(-1, 1, 1, 1)
            scale = torch.where(factor != 0, factor.abs() / RoundedNorm.STEPS, 1.0)
            set_module(
                converted,
                node.target,
                IntegerLayer(layer, integers, scale, offset, input_scale(node, modules)),
            )
    converted.delete_all_unused_submodules()
    converted.recompile()
    return converted


def input_scale(node: fx.Node, modules: dict[str, nn.Module]) -> float:
    source = behind(node.args[0], modules)
    module = modules.get(str(source.target))
    if not hasattr(module, "grid"):
        raise ValueError(
            f"{node.target} reads {source.name}, which is not quantized: the network is no integer program"
        )
    return module.grid().scale
