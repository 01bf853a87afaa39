"""The networks of `models/`. Module names are those of the published implementations, so weights can be exchanged."""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn


class VGG16(nn.Module):
    """`vgg16_bn` as in huyvnphan/PyTorch_CIFAR10: 13 convolutions with bias, batch norm, and the full 4096-wide head."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"):
            if width == "M":
                # Windows are whole for images of 32x32; of smaller ones, in the first epochs, a last pixel stays.
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
            else:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
                channels = width
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            *(nn.Linear(512, 4096), nn.ReLU(), nn.Dropout()),
            *(nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout()),
            nn.Linear(4096, classes),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


class PreActBlock(nn.Module):
    """BN-ReLU-conv twice, added to the input (He et al. 2016, "Identity Mappings in Deep Residual Networks")."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        changes = stride != 1 or channels != width
        self.shortcut = nn.Conv2d(channels, width, 1, stride, bias=False) if changes else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.relu1(self.bn1(x))
        shortcut = x if self.shortcut is None else self.shortcut(y)
        return self.conv2(self.relu2(self.bn2(self.conv1(y)))) + shortcut


class PreActResNet(nn.Module):
    """Three stages of (depth - 2) / 6 blocks, 16-32-64 channels: 0.08 M parameters at depth 8, 0.27 M at 20."""

    def __init__(self, depth: int, classes: int = 10, widening: int = 1) -> None:
        super().__init__()
        channels = 16 * widening
        self.conv = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        blocks: list[nn.Module] = []
        for width, first_stride in ((16 * widening, 1), (32 * widening, 2), (64 * widening, 2)):
            for stride in (first_stride, *[1] * ((depth - 2) // 6 - 1)):
                blocks.append(PreActBlock(channels, width, stride))
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.bn = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.relu(self.bn(self.blocks(self.conv(x))))
        return self.fc(torch.flatten(self.avgpool(y), 1))


class InvertedResidual(nn.Module):
    """1x1 expansion, 3x3 depthwise, 1x1 linear projection (Sandler et al. 2018, MobileNetV2)."""

    def __init__(self, channels: int, width: int, stride: int, expansion: int, activation: type[nn.Module]) -> None:
        super().__init__()
        hidden = channels * expansion
        self.residual = stride == 1 and channels == width
        layers: list[nn.Module] = []
        if expansion != 1:
            layers += [nn.Conv2d(channels, hidden, 1, bias=False), nn.BatchNorm2d(hidden), activation()]
        layers += [
            *(nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False), nn.BatchNorm2d(hidden), activation()),
            *(nn.Conv2d(hidden, width, 1, bias=False), nn.BatchNorm2d(width)),
        ]
        self.conv = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileNetV2(nn.Module):
    """MobileNetV2 at width 1 for 32x32 inputs: the stem and the second stage keep the resolution. 2.2 M parameters."""

    # Expansion, channels, blocks, stride of the first block.
    STAGES = ((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))

    def __init__(self, classes: int = 10, activation: type[nn.Module] = nn.ReLU6) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), activation()]
        channels = 32
        for expansion, width, count, first_stride in self.STAGES:
            for stride in (first_stride, *[1] * (count - 1)):
                layers.append(InvertedResidual(channels, width, stride, expansion, activation))
                channels = width
        layers += [nn.Conv2d(channels, 1280, 1, bias=False), nn.BatchNorm2d(1280), activation()]
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


class CatDog(nn.Module):
    """Four convolutions without padding, each with batch norm, ReLU and a 2x2 max pool, for images of 224x224: 968 values, 512, two classes."""

    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for kernel, width in ((5, 16), (5, 32), (3, 16), (3, 8)):
            layers += [nn.Conv2d(channels, width, kernel, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)]
            channels = width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Linear(968, 512), nn.ReLU(), nn.Linear(512, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(torch.flatten(self.features(x), 1))


MODELS: dict[str, Callable[..., nn.Module]] = {
    "vgg16": VGG16,
    "resnet8": partial(PreActResNet, 8),
    "resnet14": partial(PreActResNet, 14),
    "resnet20": partial(PreActResNet, 20),
    "resnet26": partial(PreActResNet, 26),
    "mobilenetv2": MobileNetV2,
    "mobilenetv2-relu": partial(MobileNetV2, activation=nn.ReLU),
}
"""For images of 32x32, which `training.train` trains."""

NETWORKS = {**MODELS, "catdog": CatDog}
"""With those that have a data set of their own, in `training.qat`."""

# Side of the smallest images that every model can be trained on: three strides or pools leave a pixel.
SMALLEST_IMAGE = 8

# What the exported file says of itself.
ARCHITECTURES = {
    "vgg16": "vgg16_bn",
    "mobilenetv2": "mobilenet_v2",
    "mobilenetv2-relu": "mobilenet_v2_relu",
    "catdog": "catdog",
    **{f"resnet{depth}": f"preact_resnet{depth}" for depth in (8, 14, 20, 26)},
}


def build(name: str, classes: int = 10, widening: int = 1) -> nn.Module:
    """A model with He initialization, in channels-last memory format. `widening`, for pre-activation ResNets: times so many channels."""
    model = NETWORKS[name](classes=classes, **({"widening": widening} if widening != 1 else {}))
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu" if module.out_features > classes else "linear")
        if isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
            nn.init.zeros_(module.bias)
    return model.to(memory_format=torch.channels_last)
