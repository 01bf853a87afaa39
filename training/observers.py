"""Ranges of tensors, for the affine and symmetric fake quantization of `quantizers.FakeQuantize`.

An observer is called with each tensor and keeps what it needs of it in buffers, so that checkpoints hold it;
`range()` gives the lower and upper bound to quantize, each of shape [] or, with an `axis`, [channels].
"""

import torch
from torch import nn


class MinMaxObserver(nn.Module):
    """The smallest and largest value seen; with `axis`, of each channel on that axis."""

    def __init__(self, axis: int | None = None) -> None:
        super().__init__()
        self.axis = axis
        self.register_buffer("minimum", torch.tensor(float("inf")))
        self.register_buffer("maximum", torch.tensor(float("-inf")))

    def extremes(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if self.axis is None:
            # In the order that channels last has in memory, which aminmax would copy the tensor into.
            return torch.aminmax(x.detach().permute(0, 2, 3, 1) if x.dim() == 4 else x.detach())
        return torch.aminmax(x.detach().movedim(self.axis, 0).flatten(1), dim=1)

    def forward(self, x: torch.Tensor) -> None:
        minimum, maximum = self.extremes(x)
        self.minimum = torch.minimum(self.minimum, minimum)
        self.maximum = torch.maximum(self.maximum, maximum)

    def range(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.minimum, self.maximum

    def _load_from_state_dict(self, state: dict, prefix: str, *args: object) -> None:
        # A checkpoint's buffers have one entry a channel, a new observer's have none yet.
        for name in ("minimum", "maximum"):
            if prefix + name in state:
                setattr(self, name, torch.empty_like(state[prefix + name]))
        super()._load_from_state_dict(state, prefix, *args)


class MovingAverageObserver(MinMaxObserver):
    """The extremes of each batch, averaged exponentially (Jacob et al. 2018, section 3.1): a <- (1 -
    momentum) a + momentum x."""

    def __init__(self, axis: int | None = None, momentum: float = 0.01) -> None:
        super().__init__(axis)
        self.momentum = momentum

    def forward(self, x: torch.Tensor) -> None:
        minimum, maximum = self.extremes(x)
        # What lies at infinity is the start, before the first batch.
        first = torch.isinf(self.minimum)
        self.minimum = torch.where(first, minimum, self.minimum + self.momentum * (minimum - self.minimum))
        self.maximum = torch.where(first, maximum, self.maximum + self.momentum * (maximum - self.maximum))


class CurrentObserver(MinMaxObserver):
    """The extremes of the tensor at hand, without memory: for weights, which are all there."""

    def forward(self, x: torch.Tensor) -> None:
        self.minimum, self.maximum = self.extremes(x)


class HistogramObserver(nn.Module):
    """The range with the least squared error of the quantized values, from a histogram of all values seen.

    Bins cover 0 symmetrically and double in width when a value falls outside, by merging pairs, which is
    exact. `range()` tries 64 shares of the histogram's extent on either side and takes each value to be in
    the middle of its bin.
    """

    BINS = 2048
    CANDIDATES = 64

    def __init__(self, bits: int = 8, symmetric: bool = False) -> None:
        super().__init__()
        self.levels = 2**bits - 1
        self.symmetric = symmetric
        self.register_buffer("counts", torch.zeros(self.BINS))
        self.register_buffer("limit", torch.tensor(0.0))

    def forward(self, x: torch.Tensor) -> None:
        x = x.detach()
        largest = float(x.abs().max())
        if largest == 0:
            self.counts[self.BINS // 2] += x.numel()
            return
        if self.limit == 0:
            self.limit.fill_(largest)
        while self.limit < largest:
            # The bins 2i and 2i + 1 become one, in the middle half of the histogram that is twice as wide.
            merged = self.counts.view(-1, 2).sum(1)
            self.counts.zero_()
            self.counts[self.BINS // 4 : 3 * self.BINS // 4] = merged
            self.limit.mul_(2)
        limit = float(self.limit)
        self.counts += torch.histc(x, self.BINS, -limit, limit)

    def range(self) -> tuple[torch.Tensor, torch.Tensor]:
        limit = float(self.limit)
        middles = (torch.arange(self.BINS, device=self.counts.device) + 0.5) * (2 * limit / self.BINS) - limit
        seen = self.counts.nonzero().flatten()
        if limit == 0 or not len(seen):
            return torch.tensor(0.0), torch.tensor(0.0)
        half = limit / self.BINS
        lower, upper = min(float(middles[seen[0]]) - half, 0.0), max(float(middles[seen[-1]]) + half, 0.0)
        if self.symmetric:
            lower, upper = -max(-lower, upper), max(-lower, upper)
        best = (float("inf"), lower, upper)
        for step in range(1, self.CANDIDATES + 1):
            low, high = lower * step / self.CANDIDATES, upper * step / self.CANDIDATES
            scale = (high - low) / self.levels
            rounded = low + scale * torch.round((middles.clamp(low, high) - low) / scale)
            error = float((self.counts * (rounded - middles) ** 2).sum())
            best = min(best, (error, low, high))
        return torch.tensor(best[1]), torch.tensor(best[2])
