"""CIFAR-10 as `octet data cifar10` caches it: records of one label byte and 32x32 RGB pixels (row-major, HWC)."""

import dataclasses
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
MEAN = (0.4914, 0.4822, 0.4465)
STD = (0.2471, 0.2435, 0.2616)
IMAGE_SIZE = 32
RECORD_BYTES = 1 + IMAGE_SIZE**2 * 3


def default_directory() -> Path:
    """Where `octet data cifar10` puts its files: `$OCTET_CACHE/cifar10`, or below the platform's cache directory."""
    if "OCTET_CACHE" in os.environ:
        return Path(os.environ["OCTET_CACHE"]) / "cifar10"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/octet/cifar10"
    if sys.platform == "win32":
        return Path(os.environ["LOCALAPPDATA"]) / "octet/Cache/cifar10"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "octet/cifar10"


def load(split: str, directory: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """All images of "train" or "test": uint8 [N, 3, 32, 32] and int64 labels [N]."""
    path = directory / f"{split}.bin"
    if not path.exists():
        raise SystemExit(f'{path} is not there: fetch CIFAR-10 with "npx octet data cifar10" first')
    records = torch.from_numpy(np.fromfile(path, dtype=np.uint8)).view(-1, RECORD_BYTES)
    images = records[:, 1:].reshape(-1, 32, 32, 3).permute(0, 3, 1, 2).contiguous()
    return images, records[:, 0].long()


def load_cats_and_dogs(split: str, directory: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """CIFAR-10's cats (label 0) and dogs (1), each pixel a square of 7x7: uint8 [N, 3, 32, 32] still, for `Dataset.enlarge`."""
    images, labels = load(split, directory)
    cat, dog = CLASSES.index("cat"), CLASSES.index("dog")
    chosen = (labels == cat) | (labels == dog)
    return images[chosen], (labels[chosen] == dog).long()


@dataclasses.dataclass(frozen=True)
class Dataset:
    title: str
    labels: list[str]
    size: int
    """Side of the network's input."""
    load: Callable[[str, Path], tuple[torch.Tensor, torch.Tensor]]

    @property
    def classes(self) -> int:
        return len(self.labels)

    def enlarge(self, images: torch.Tensor) -> torch.Tensor:
        """Each pixel becomes a square of pixels, so that 32x32 come to the network's size and the smaller images of first epochs stay in proportion."""
        factor = self.size // IMAGE_SIZE
        return images if factor == 1 else F.interpolate(images, scale_factor=factor, mode="nearest")


DATASETS = {
    "cifar10": Dataset("CIFAR-10", CLASSES, 32, load),
    "catdog": Dataset("CIFAR-10, cats and dogs", ["cat", "dog"], 224, load_cats_and_dogs),
}


def normalize(images: torch.Tensor) -> torch.Tensor:
    """uint8 pixels to the network's float input, channels last in memory."""
    mean = torch.tensor(MEAN, device=images.device).view(1, 3, 1, 1)
    std = torch.tensor(STD, device=images.device).view(1, 3, 1, 1)
    return ((images.float() / 255 - mean) / std).contiguous(memory_format=torch.channels_last)


def augment(
    images: torch.Tensor, cutout: int, generator: torch.Generator, flips: torch.Tensor | None = None
) -> torch.Tensor:
    """Random crop after 4 pixels of reflection, flip (at random, or where `flips` [N] says), and a `cutout` x `cutout` square of zeros.

    Takes and gives normalized images [N, 3, 32, 32]; every image draws its own offsets.
    """
    count, _, height, width = images.shape

    def draw(limit: int) -> torch.Tensor:
        # Drawn on the CPU, so that a seed means the same on every device; a GPU does not wait for the copy.
        return torch.randint(limit, (count, 1), generator=generator).to(images.device, non_blocking=True)

    rows = draw(9) + torch.arange(height, device=images.device)
    columns = draw(9) + torch.arange(width, device=images.device)
    flipped = draw(2) == 1 if flips is None else flips[:, None].to(images.device)
    columns = torch.where(flipped, columns.flip(1), columns)
    padded = F.pad(images, (4, 4, 4, 4), mode="reflect").permute(0, 2, 3, 1)
    batch = torch.arange(count, device=images.device)[:, None, None]
    images = padded[batch, rows[:, :, None], columns[:, None, :]]
    if cutout:
        # The centre lies anywhere in the image, so the square may stick out (DeVries & Taylor 2017).
        outside = [
            (torch.arange(32, device=images.device) - draw(32) + cutout // 2).div(cutout, rounding_mode="floor") != 0
            for _ in ("row", "column")
        ]
        images = images * (outside[0][:, :, None] | outside[1][:, None, :])[..., None]
    return images.permute(0, 3, 1, 2)


def resize(images: torch.Tensor, size: int) -> torch.Tensor:
    """[N, 3, 32, 32] to [N, 3, size, size], each pixel a mean of those around it (a triangle filter)."""
    if size == images.shape[-1]:
        return images
    return F.interpolate(images, size=(size, size), mode="bilinear", antialias=True)
