"""From a float network to one that computes with quantized values, by the rules by which Octet runs it in
integers.

Every value that a later layer reads is quantized: the input, each activation, and, to 8 bits, whatever else
enters or leaves a residual sum or a pool. A batch norm behind a convolution, and a ReLU, belong to the layer
before them and have no rounding in between.
"""

import copy
import dataclasses
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import fx, nn

from .quantizers import (
    ClippedActivation,
    DoReFaWeight,
    FakeQuantize,
    LSQActivation,
    LSQWeight,
    PACTActivation,
    WRPNWeight,
    round_straight_through,
)

FLOAT = 32


@dataclasses.dataclass(frozen=True)
class Method:
    weight: Callable[[int], nn.Module]
    activation: Callable[[int], nn.Module]


def weight_by_range(axis: int | None) -> Callable[[int], FakeQuantize]:
    """Symmetric fake quantization by the weights' own largest magnitude, a tensor or a channel."""
    return lambda bits: FakeQuantize(bits, symmetric=True, observer="current", axis=axis, narrow=True)


METHODS = {
    "dorefa": Method(lambda bits: DoReFaWeight(bits, scaled=True), ClippedActivation),
    # PACT's own experiments quantize weights by DoReFa.
    "pact": Method(lambda bits: DoReFaWeight(bits, scaled=True), PACTActivation),
    "wrpn": Method(WRPNWeight, ClippedActivation),
    "lsq": Method(LSQWeight, LSQActivation),
    "affine": Method(weight_by_range(0), FakeQuantize),
    "symmetric": Method(weight_by_range(None), lambda bits: FakeQuantize(bits, symmetric=True)),
}


@dataclasses.dataclass(frozen=True)
class Scheme:
    """What is quantized, and how. 32 bits: not at all."""

    method: str
    weight_bits: int
    activation_bits: int
    edge_bits: int = 8
    """Of the first and the last layer: their weights, and what they read."""
    sum_bits: int = 8
    """Of residual sums, what is added, and the results of average pools."""
    fold: bool = False
    """Batch norms multiply the weights before these are quantized (Jacob et al. 2018, section 3.2), as int8
    inference with one scale a tensor needs. Without, the quantized weights are those of the convolution
    alone, and the batch norm scales each output channel."""
    freeze_observers: float = 0.5
    """Share of the run after which ranges stay as they are."""
    freeze_batch_norm: float = 0.75
    """Share of the run after which batch norms use their averages, and these stay as they are."""


class Quantized(nn.Module):
    """A layer with its weight quantizer and the batch norm behind it, if any.

    Where the batch norm has no statistics of its own batch to take, in evaluation and once it is frozen, its
    factor and offset are part of the layer, and the offset is rounded as integers round a bias: to a multiple
    of the product of the scales of input and weights. With few bits these are large steps, which a network
    must have been trained with.
    """

    def __init__(
        self, layer: nn.Conv2d | nn.Linear, quantizer: nn.Module, norm: nn.BatchNorm2d | None, fold: bool
    ) -> None:
        super().__init__()
        self.layer = layer
        self.quantizer = quantizer
        self.norm = norm
        self.fold = fold
        self.source: list[nn.Module] = []
        """The quantizer of the input, if it has one. In a list, so that it is no submodule."""

    def factor_and_offset(self) -> tuple[torch.Tensor, torch.Tensor]:
        """[K] each: what the batch norm's averages multiply output channels by, and add."""
        return factor_and_offset(self.norm)

    def latent(self) -> torch.Tensor:
        """The weight that is quantized."""
        if not self.fold:
            return self.layer.weight
        return self.layer.weight * per_channel(self.factor_and_offset()[0], self.layer.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        latent = self.latent()
        weight = self.quantizer(latent)
        bias = self.layer.bias
        if self.norm is None:
            return self.apply_layer(x, weight, self.rounded(bias, latent, None))
        factor, offset = self.factor_and_offset()
        if self.norm.training:
            y = self.apply_layer(x, weight, None)
            # The factor of the averages, by which the weights are quantized, is taken out again: the batch's
            # own statistics normalize.
            y = y / factor.view(-1, 1, 1) if self.fold else y
            return self.norm(y if bias is None else y + bias.view(-1, 1, 1))
        offset = offset if bias is None else offset + bias * factor
        weight = weight if self.fold else weight * per_channel(factor, weight)
        return self.apply_layer(x, weight, self.rounded(offset, latent, None if self.fold else factor))

    def rounded(
        self, bias: torch.Tensor | None, latent: torch.Tensor, factor: torch.Tensor | None
    ) -> torch.Tensor | None:
        if bias is None or not self.source:
            return bias
        _, scale = self.quantizer.integers(latent)
        unit = scale.detach() * self.source[0].grid().scale
        if factor is not None:
            unit = unit * torch.where(factor != 0, factor.detach().abs(), 1.0)
        return round_straight_through(bias / unit) * unit

    def apply_layer(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        layer = self.layer
        if isinstance(layer, nn.Linear):
            return F.linear(x, weight, bias)
        return F.conv2d(x, weight, bias, layer.stride, layer.padding, layer.dilation, layer.groups)


class RoundedNorm(nn.BatchNorm2d):
    """A batch norm that no convolution precedes, with the same state.

    Once it uses its averages it rounds its offset, as its integers do: they are a depthwise convolution of one
    tap, whose weight, the factor, is 127 steps of its own scale.
    """

    STEPS = 127

    def __init__(self, norm: nn.BatchNorm2d, source: nn.Module) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum)
        self.load_state_dict(norm.state_dict())
        # In a list, so that it is no submodule.
        self.source = [source]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            return super().forward(x)
        factor, offset = factor_and_offset(self)
        unit = factor.detach().abs() * (self.source[0].grid().scale / self.STEPS)
        unit = torch.where(factor != 0, unit, 1.0)
        offset = round_straight_through(offset / unit) * unit
        return x * factor.view(-1, 1, 1) + offset.view(-1, 1, 1)


def factor_and_offset(norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """[C] each: what a batch norm's averages multiply by and add."""
    factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return factor, norm.bias - norm.running_mean * factor


def per_channel(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """[K], to be broadcast against a weight [K, ...]."""
    return values.view(-1, *[1] * (weight.dim() - 1))


PASSING = (nn.MaxPool2d, nn.Dropout)


def passes(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    """Whether the node's values are some of its input's, so that they lie on its grid."""
    if node.op == "call_module":
        return isinstance(modules[node.target], PASSING)
    return node.target is torch.flatten


def behind(node: fx.Node, modules: dict[str, nn.Module]) -> fx.Node:
    """The node whose values, or some of them, `node` passes on."""
    return behind(node.args[0], modules) if passes(node, modules) else node


def prepare(model: nn.Module, scheme: Scheme) -> fx.GraphModule:
    """A copy of `model` that fake-quantizes as `scheme` says, with the same parameters under longer names."""
    traced = fx.symbolic_trace(copy.deepcopy(model))
    modules = dict(traced.named_modules())
    method = METHODS[scheme.method]
    layers = [
        n
        for n in traced.graph.nodes
        if n.op == "call_module" and isinstance(modules[n.target], (nn.Conv2d, nn.Linear))
    ]
    edges = {layers[0], layers[-1]}

    def is_module(node: fx.Node, kinds: type | tuple[type, ...]) -> bool:
        return node.op == "call_module" and isinstance(modules[node.target], kinds)

    def readers(node: fx.Node) -> list[fx.Node]:
        """Behind nodes that pass values on."""
        return [r for user in node.users for r in (readers(user) if passes(user, modules) else [user])]

    def belongs_to_next(node: fx.Node) -> bool:
        if len(node.users) != 1:
            return False
        (user,) = node.users
        if is_module(user, (nn.ReLU, nn.ReLU6)):
            return True
        return is_module(node, nn.Conv2d) and is_module(user, nn.BatchNorm2d)

    for node in list(traced.graph.nodes):
        if node.op == "output" or passes(node, modules) or belongs_to_next(node):
            continue
        following = readers(node)
        if any(reader.op == "output" for reader in following):
            continue
        is_activation = is_module(node, (nn.ReLU, nn.ReLU6))
        # What only the last layer reads, if through a pool, has as many bits as the layer.
        ends = {
            r
            for reader in following
            for r in (readers(reader) if is_module(reader, nn.AdaptiveAvgPool2d) else [reader])
        }
        if node.op == "placeholder" or ends <= edges:
            symmetric = scheme.method == "symmetric"
            quantizer = FakeQuantize(scheme.edge_bits, symmetric) if scheme.edge_bits < FLOAT else None
        elif is_activation:
            quantizer = method.activation(scheme.activation_bits) if scheme.activation_bits < FLOAT else None
        else:
            quantizer = FakeQuantize(scheme.sum_bits, symmetric=True) if scheme.sum_bits < FLOAT else None
        if quantizer is None:
            continue
        name = f"{node.name}_quantizer"
        traced.add_module(name, quantizer)
        modules[name] = quantizer
        with traced.graph.inserting_after(node):
            inserted = traced.graph.call_module(name, (node,))
        node.replace_all_uses_with(inserted, lambda user, inserted=inserted: user is not inserted)
        if is_module(node, nn.ReLU) and not isinstance(quantizer, FakeQuantize):
            # The quantizer's clamp at 0 is the ReLU.
            inserted.args = node.args
            traced.graph.erase_node(node)

    for node in layers:
        bits = scheme.edge_bits if node in edges else scheme.weight_bits
        if bits >= FLOAT:
            continue
        norm = next(iter(node.users)) if belongs_to_next(node) else None
        norm = norm if norm is not None and is_module(norm, nn.BatchNorm2d) else None
        fold = scheme.fold and norm is not None
        quantizer = (
            weight_by_range(None if scheme.fold else 0)(bits) if node in edges else method.weight(bits)
        )
        layer = Quantized(modules[node.target], quantizer, norm and modules[norm.target], fold)
        source = modules.get(str(behind(node.args[0], modules).target))
        if hasattr(source, "grid"):
            layer.source.append(source)
        set_module(traced, node.target, layer)
        if norm is not None:
            norm.replace_all_uses_with(node)
            traced.graph.erase_node(norm)
    for node in traced.graph.nodes:
        if is_module(node, nn.BatchNorm2d):
            source = modules.get(str(behind(node.args[0], modules).target))
            if hasattr(source, "grid"):
                set_module(traced, node.target, RoundedNorm(modules[node.target], source))
    traced.recompile()
    return traced


def set_module(model: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, module)


@torch.no_grad()
def initialize(model: nn.Module, inputs: torch.Tensor) -> None:
    """Chooses the grids that are learned or observed: those of weights by the weights, those of activations
    by the values that `inputs` give."""
    handles = []
    for module in model.modules():
        if isinstance(module, Quantized):
            module.quantizer.initialize(module.latent())
        elif hasattr(module, "grid"):
            # Before its own forward, so that layer by layer the values are those of quantized layers before
            # it.
            handles.append(
                module.register_forward_pre_hook(lambda quantizer, args: quantizer.initialize(args[0]))
            )
    training = model.training
    model.eval()
    model(inputs)
    model.train(training)
    for handle in handles:
        handle.remove()


def latent_weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """The state of a prepared network without its quantizers, under the names that it has in the float
    network."""
    named = {key.replace(".layer.", "."): value for key, value in model.state_dict().items()}
    return {key: value for key, value in named.items() if "quantizer" not in key and ".norm." not in key}


def freeze_observers(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, FakeQuantize):
            module.frozen = True


def set_batch_norms(model: nn.Module, training: bool) -> None:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train(training)
