"""3x3 convolutions by Winograd's minimal filtering (Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks").

PyTorch has no such convolution for CPUs. Written as matrix products, whose gradients are matrix products as well, so that training gains as
much as inference: F(4x4, 3x3) multiplies a quarter as often as a direct convolution. In float32 the results differ by rounding only.
"""

import torch
import torch.nn.functional as F
from torch import nn

# Below so many input channels the transforms, which are bound by memory, cost more than the products save.
FEWEST_CHANNELS = 128


def _kronecker(*matrices: list[list[float]]) -> tuple[torch.Tensor, ...]:
    """For B (input), G (kernel) and A (output) of one dimension, those of two: each takes and gives flattened tiles."""
    return tuple(torch.kron(matrix, matrix) for matrix in map(torch.tensor, matrices))


# By the side of the output tile.
TRANSFORMS = {
    2: _kronecker(
        [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, -1, 0, 1.0]],
        [[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]],
        [[1, 1, 1, 0], [0, 1, -1, 1.0]],
    ),
    3: _kronecker(
        [[2, -1, -2, 1, 0], [0, -2, -1, 1, 0], [0, 2, -3, 1, 0], [0, -1, 0, 1, 0], [0, 2, -1, -2, 1.0]],
        [[1 / 2, 0, 0], [-1 / 2, -1 / 2, -1 / 2], [-1 / 6, 1 / 6, -1 / 6], [1 / 6, 1 / 3, 2 / 3], [0, 0, 1]],
        [[1, 1, 1, 1, 0], [0, 1, -1, 2, 0], [0, 1, 1, 4, 1.0]],
    ),
    4: _kronecker(
        [
            *([4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0]),
            *([0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1.0]),
        ],
        [
            *([1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6]),
            *([1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]),
        ],
        [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1.0]],
    ),
}


class Windows(torch.autograd.Function):
    """[N, H, W, C] to [window, window, N, rows, columns, C]: the windows `tile` apart. What `unfold` does; its gradient is slow."""

    @staticmethod
    def forward(ctx, image: torch.Tensor, tile: int) -> torch.Tensor:
        ctx.shape, ctx.tile = image.shape, tile
        return image.unfold(1, tile + 2, tile).unfold(2, tile + 2, tile).permute(4, 5, 0, 1, 2, 3).contiguous()

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        total = gradient.new_zeros(ctx.shape)
        window, _, _, rows, columns, _ = gradient.shape
        for y in range(window):
            for x in range(window):
                total[:, y :: ctx.tile, x :: ctx.tile][:, :rows, :columns] += gradient[y, x]
        return total, None


class WinogradConv2d(nn.Conv2d):
    """The `nn.Conv2d` it is made of, 3x3 with stride and padding 1, parameters shared. Channels last in memory, float32, on the CPU."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__(convolution.in_channels, convolution.out_channels, 3, padding=1, device="meta")
        self.weight = convolution.weight
        self.bias = convolution.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] to [N, K, H, W]."""
        count, channels, height, width = x.shape
        if height == width == 1:
            # All taps but the middle one see padding.
            return F.conv2d(x, self.weight[:, :, 1:2, 1:2], self.bias)
        # The one that leaves the fewest products.
        tile = min(TRANSFORMS, key=lambda tile: -(-height // tile) * -(-width // tile) * (tile + 2) ** 2)
        window = tile + 2
        to_input, to_kernel, to_output = TRANSFORMS[tile]
        rows, columns = -(-height // tile), -(-width // tile)
        padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, columns * tile + 1 - width, 1, rows * tile + 1 - height))
        windows = Windows.apply(padded, tile)
        inputs = (to_input @ windows.view(window * window, -1)).view(window * window, -1, channels)
        kernel = (to_kernel @ self.weight.permute(2, 3, 1, 0).reshape(9, -1)).view(window * window, channels, -1)
        tiles = to_output @ torch.bmm(inputs, kernel).view(window * window, -1)
        image = tiles.view(tile, tile, count, rows, columns, -1).permute(2, 3, 0, 4, 1, 5)
        output = image.reshape(count, rows * tile, columns * tile, -1)[:, :height, :width]
        return (output if self.bias is None else output + self.bias).permute(0, 3, 1, 2)


def use_winograd(model: nn.Module) -> None:
    """Replaces those convolutions of `model` that gain."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if (
                type(child) is nn.Conv2d
                and (child.kernel_size, child.stride, child.padding, child.dilation, child.groups) == ((3, 3), (1, 1), (1, 1), (1, 1), 1)
                and child.in_channels >= FEWEST_CHANNELS
            ):
                setattr(parent, name, WinogradConv2d(child))
