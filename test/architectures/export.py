"""Writes the float ONNX files that `npm run architectures` quantizes and runs: torchvision's architectures, narrow, and common blocks.

    python -m venv .cache/architectures/venv
    .cache/architectures/venv/bin/pip install -r test/architectures/requirements.txt
    .cache/architectures/venv/bin/python test/architectures/export.py [NAME ...]

They go to .cache/architectures/, from both of PyTorch's exporters: NAME.torchscript.onnx (opset 17) and NAME.dynamo.onnx (opset 18). Weights are
random and seeded; the statistics of batch normalization are those of seeded images, so that activations are as wide as in a trained network.
manifest.json beside this script gets the SHA-256 of each.
"""

import functools
import hashlib
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn import functional as F

warnings.filterwarnings('ignore')

# torchvision's compiled operators fit one build of torch only. Nothing here calls them, but importing it asks for these two.
library = torch.library.Library('torchvision', 'FRAGMENT')
for operator in ('nms', 'qnms'):
    if not hasattr(torch.ops.torchvision, operator):
        library.define(f'{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')

from torchvision import models  # noqa: E402
from torchvision.models import convnext, densenet, efficientnet, inception, regnet, resnet, shufflenetv2  # noqa: E402
from torchvision.models.googlenet import BasicConv2d, Inception, InceptionAux  # noqa: E402
from torchvision.models.segmentation.deeplabv3 import ASPP  # noqa: E402

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent.parent / '.cache' / 'architectures'
EXPORTERS = {'torchscript': 17, 'dynamo': 18}

# Name → (group, network, shape of an image).
NETWORKS = {}


def network(name, *shape, group):
    """Lists what the decorated function returns."""

    def add(make):
        NETWORKS[name] = (group, make, shape or (3, 64, 64))
        return make

    return add


classification = functools.partial(network, group='classification')
dense = functools.partial(network, group='dense prediction')
detection = functools.partial(network, group='detection')


def images(count, shape, seed):
    """Smooth random images: what pictures have in common."""
    rng = np.random.default_rng(seed)
    if len(shape) == 2:
        return torch.from_numpy(rng.normal(size=(count, *shape)).astype(np.float32))
    coarse = rng.normal(size=(count, shape[0], -(-shape[1] // 4), -(-shape[2] // 4)))
    smooth = coarse.repeat(4, axis=2).repeat(4, axis=3)[:, :, : shape[1], : shape[2]]
    return torch.from_numpy((smooth + 0.3 * rng.normal(size=(count, *shape))).astype(np.float32))


class Lambda(nn.Module):
    def __init__(self, function, **modules):
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        return self.function(self, x)


def conv(i, o, k=3, stride=1, groups=1, activation=nn.ReLU, dilation=1):
    padding = dilation * (k // 2)
    layers = [nn.Conv2d(i, o, k, stride, padding, dilation, groups, bias=False), nn.BatchNorm2d(o)]
    return nn.Sequential(*layers, *([activation()] if activation else []))


# Classification.


@classification('resnet-basic')
def resnet_basic():
    net = resnet.ResNet(resnet.BasicBlock, [1, 1, 1, 1], num_classes=10)
    return narrow(net, 4)


@classification('resnet-bottleneck')
def resnet_bottleneck():
    return narrow(resnet.ResNet(resnet.Bottleneck, [1, 2, 1, 1], num_classes=10), 8)


@classification('resnext')
def resnext():
    return resnet.ResNet(resnet.Bottleneck, [1, 1, 1, 1], num_classes=10, groups=4, width_per_group=4)


def narrow(net, factor):
    """A network of plain layers with its channels divided."""
    for name, module in list(net.named_modules()):
        parent = net.get_submodule(name.rpartition('.')[0])
        leaf = name.rpartition('.')[2]
        if isinstance(module, nn.Conv2d):
            i = module.in_channels if module.in_channels == 3 else module.in_channels // factor
            groups = module.groups if module.groups == 1 else module.groups // factor
            setattr(parent, leaf, nn.Conv2d(
                i, module.out_channels // factor, module.kernel_size, module.stride, module.padding, module.dilation, groups,
                module.bias is not None,
            ))
        elif isinstance(module, nn.BatchNorm2d):
            setattr(parent, leaf, nn.BatchNorm2d(module.num_features // factor, module.eps))
        elif isinstance(module, nn.Linear):
            setattr(parent, leaf, nn.Linear(module.in_features // factor, module.out_features))
    return net


@classification('vgg')
def vgg():
    return narrow(nn.Sequential(models.vgg11_bn().features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10)), 8)


@classification('mobilenet-v2')
def mobilenet_v2():
    return models.MobileNetV2(num_classes=10, width_mult=0.25)


@classification('mobilenet-v3-small')
def mobilenet_v3_small():
    settings, last = models.mobilenetv3._mobilenet_v3_conf('mobilenet_v3_small', width_mult=0.35)
    return models.MobileNetV3(settings, last // 4, num_classes=10)


@classification('mobilenet-v3-large')
def mobilenet_v3_large():
    settings, last = models.mobilenetv3._mobilenet_v3_conf('mobilenet_v3_large', width_mult=0.25)
    return models.MobileNetV3(settings, last // 4, num_classes=10)


@classification('mnasnet')
def mnasnet():
    return models.MNASNet(0.35, num_classes=10)


@classification('efficientnet-b0')
def efficientnet_b0():
    settings, last = efficientnet._efficientnet_conf('efficientnet_b0', width_mult=0.25, depth_mult=0.4)
    return models.EfficientNet(settings, 0.0, num_classes=10, last_channel=last or 128)


@classification('efficientnet-v2')
def efficientnet_v2():
    fused, plain = efficientnet.FusedMBConvConfig, efficientnet.MBConvConfig
    settings = [fused(1, 3, 1, 8, 8, 1), fused(4, 3, 2, 8, 16, 1), plain(4, 3, 2, 16, 24, 2), plain(6, 3, 2, 24, 32, 2)]
    return models.EfficientNet(settings, 0.0, num_classes=10, last_channel=96)


@classification('regnet-x')
def regnet_x():
    parameters = regnet.BlockParams.from_init_params(depth=6, w_0=16, w_a=8.0, w_m=2.0, group_width=8)
    return models.RegNet(parameters, num_classes=10, stem_width=16)


@classification('regnet-y')
def regnet_y():
    parameters = regnet.BlockParams.from_init_params(depth=6, w_0=16, w_a=8.0, w_m=2.0, group_width=8, se_ratio=0.25)
    return models.RegNet(parameters, num_classes=10, stem_width=16)


@classification('densenet')
def dense_net():
    return densenet.DenseNet(8, (2, 3, 2, 2), 16, num_classes=10)


def slim(base, factor):
    """A convolution block of these families with its channels divided."""

    class SlimConv(base):
        def __init__(self, in_channels, out_channels, **options):
            super().__init__(in_channels if in_channels == 3 else in_channels // factor, out_channels // factor, **options)

    return SlimConv


@classification('inception-v3', 3, 96, 96)
def inception_v3():
    layer = slim(inception.BasicConv2d, 4)
    blocks = [inception.InceptionA, inception.InceptionB, inception.InceptionC, inception.InceptionD, inception.InceptionE]
    blocks = [functools.partial(each, conv_block=layer) for each in blocks]
    net = inception.Inception3(10, False, False, [layer, *blocks, inception.InceptionAux], init_weights=False)
    net.fc = nn.Linear(512, 10)
    return net


@classification('googlenet')
def google_net():
    layer = slim(BasicConv2d, 8)
    net = models.GoogLeNet(10, False, False, False, [layer, functools.partial(Inception, conv_block=layer), InceptionAux])
    net.fc = nn.Linear(128, 10)
    return net


@classification('shufflenet-v2')
def shufflenet_v2():
    return shufflenetv2.ShuffleNetV2([2, 3, 2], [8, 16, 32, 64, 96], num_classes=10)


@classification('squeezenet')
def squeezenet():
    net = models.SqueezeNet('1_1', num_classes=40)
    return narrow(net, 4)


@classification('convnext')
def conv_next():
    settings = [convnext.CNBlockConfig(16, 32, 2), convnext.CNBlockConfig(32, 64, 2), convnext.CNBlockConfig(64, None, 2)]
    return models.ConvNeXt(settings, num_classes=10, layer_scale=0.5)


@classification('convnext-v2')
def convnext_v2():
    class Block(nn.Module):
        """With global response normalization, channels last."""

        def __init__(self, c):
            super().__init__()
            self.depthwise, self.norm = nn.Conv2d(c, c, 7, padding=3, groups=c), nn.LayerNorm(c, eps=1e-6)
            self.expand, self.project = nn.Linear(c, 4 * c), nn.Linear(4 * c, c)
            self.gamma = nn.Parameter(torch.rand(1, 1, 1, 4 * c))
            self.beta = nn.Parameter(torch.rand(1, 1, 1, 4 * c) - 0.5)

        def forward(self, x):
            y = F.gelu(self.expand(self.norm(self.depthwise(x).permute(0, 2, 3, 1))))
            norm = torch.linalg.vector_norm(y, dim=(1, 2), keepdim=True)
            y = self.gamma * (y * (norm / (norm.mean(-1, keepdim=True) + 1e-6))) + self.beta + y
            return x + self.project(y).permute(0, 3, 1, 2)

    return nn.Sequential(nn.Conv2d(3, 16, 4, 4), Block(16), Block(16), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))


@classification('vit', 3, 32, 32)
def vit():
    net = models.VisionTransformer(32, 8, 2, 2, 32, 64, num_classes=10)
    # Zeros otherwise.
    nn.init.normal_(net.heads.head.weight, 0, 0.2)
    return net


@classification('swin', 3, 64, 64)
def swin():
    return models.SwinTransformer([4, 4], 16, [2, 2], [2, 4], [4, 4], stochastic_depth_prob=0.0, num_classes=10)


@classification('mlp-mixer', 3, 32, 32)
def mlp_mixer():
    class Mixer(nn.Module):
        def __init__(self, tokens, c):
            super().__init__()
            self.first, self.second = nn.LayerNorm(c), nn.LayerNorm(c)
            self.tokens = nn.Sequential(nn.Linear(tokens, 32), nn.GELU(), nn.Linear(32, tokens))
            self.channels = nn.Sequential(nn.Linear(c, 64), nn.GELU(), nn.Linear(64, c))

        def forward(self, x):
            x = x + self.tokens(self.first(x).transpose(1, 2)).transpose(1, 2)
            return x + self.channels(self.second(x))

    return Lambda(
        lambda m, x: m.head(m.mix(m.stem(x).flatten(2).transpose(1, 2)).mean(1)),
        stem=nn.Conv2d(3, 24, 8, 8), mix=nn.Sequential(Mixer(16, 24), Mixer(16, 24)), head=nn.Linear(24, 10),
    )


class Attention(nn.Module):
    """Heads by hand, as timm has them: one product makes queries, keys and values."""

    def __init__(self, c, heads):
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(c, 3 * c), nn.Linear(c, c)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = self.qkv(x).reshape(b, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        weights = (q @ k.transpose(-2, -1) * (c // self.heads) ** -0.5).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).reshape(b, t, c))


class TransformerBlock(nn.Module):
    def __init__(self, c, heads):
        super().__init__()
        self.first, self.second, self.attention = nn.LayerNorm(c), nn.LayerNorm(c), Attention(c, heads)
        self.mlp = nn.Sequential(nn.Linear(c, 2 * c), nn.SiLU(), nn.Linear(2 * c, c))

    def forward(self, x):
        x = x + self.attention(self.first(x))
        return x + self.mlp(self.second(x))


@classification('mobilevit')
def mobilevit():
    class Block(nn.Module):
        def __init__(self, c, width):
            super().__init__()
            self.local = nn.Sequential(conv(c, c, activation=nn.SiLU), nn.Conv2d(c, width, 1, bias=False))
            self.attend = nn.Sequential(TransformerBlock(width, 2), TransformerBlock(width, 2), nn.LayerNorm(width))
            self.project, self.fuse = conv(width, c, 1, activation=nn.SiLU), conv(2 * c, c, activation=nn.SiLU)

        def forward(self, x):
            y = self.local(x)
            b, c, h, w = y.shape
            y = y.reshape(b * c * h // 2, 2, w // 2, 2).transpose(1, 2).reshape(b, c, h * w // 4, 4)
            y = y.transpose(1, 3).reshape(b * 4, h * w // 4, c)
            y = self.attend(y).reshape(b, 4, h * w // 4, c).transpose(1, 3)
            y = y.reshape(b * c * h // 2, w // 2, 2, 2).transpose(1, 2).reshape(b, c, h, w)
            return self.fuse(torch.cat([x, self.project(y)], 1))

    return nn.Sequential(
        conv(3, 16, stride=2, activation=nn.SiLU), conv(16, 16, stride=2, activation=nn.SiLU), Block(16, 24),
        conv(16, 32, stride=2, activation=nn.SiLU), Block(32, 32), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
    )


@classification('ghostnet')
def ghostnet():
    class Ghost(nn.Module):
        def __init__(self, i, o):
            super().__init__()
            self.primary, self.cheap = conv(i, o // 2, 1), conv(o // 2, o // 2, groups=o // 2)

        def forward(self, x):
            y = self.primary(x)
            return torch.cat([y, self.cheap(y)], 1)

    return nn.Sequential(
        conv(3, 8, stride=2), Ghost(8, 16), nn.MaxPool2d(2), Ghost(16, 32), SqueezeExcite(32), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(32, 10),
    )


@classification('keyword-spotting-1d', 10, 98)
def keyword_spotting():
    def conv1d(i, o, k, stride=1, groups=1):
        return nn.Sequential(nn.Conv1d(i, o, k, stride, k // 2, groups=groups, bias=False), nn.BatchNorm1d(o), nn.ReLU())

    return nn.Sequential(
        conv1d(10, 32, 9, 2), conv1d(32, 32, 5, groups=32), conv1d(32, 48, 1), nn.MaxPool1d(2), conv1d(48, 48, 3),
        nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(48, 12),
    )


@classification('voice-activity', 1, 512)
def voice_activity():
    """Convolutions over samples, then an LSTM."""
    return Lambda(
        lambda m, x: torch.sigmoid(m.head(m.lstm(m.features(x).transpose(1, 2))[0]).squeeze(-1)),
        features=nn.Sequential(
            nn.Conv1d(1, 16, 16, 8), nn.ReLU(), nn.Conv1d(16, 32, 3, 2, 1), nn.ReLU(), nn.Conv1d(32, 32, 3, 1, 1), nn.ReLU(),
        ),
        lstm=nn.LSTM(32, 16, batch_first=True), head=nn.Linear(16, 1),
    )


@classification('text-recognition', 1, 32, 64)
def text_recognition():
    """CRNN: columns of a line of text, a bidirectional LSTM, log-probabilities of characters."""
    return Lambda(
        lambda m, x: m.head(m.lstm(m.features(x).squeeze(2).transpose(1, 2))[0]).log_softmax(-1),
        features=nn.Sequential(
            conv(1, 16), nn.MaxPool2d(2), conv(16, 32), nn.MaxPool2d(2), conv(32, 32), nn.MaxPool2d((2, 1)), conv(32, 48),
            nn.MaxPool2d((4, 1)),
        ),
        lstm=nn.LSTM(48, 24, batch_first=True, bidirectional=True), head=nn.Linear(48, 27),
    )


# Dense prediction.


def unet(up):
    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.down = nn.ModuleList([
                nn.Sequential(conv(i, o), conv(o, o)) for i, o in ((3, 8), (8, 16), (16, 32))
            ])
            self.bottom = nn.Sequential(conv(32, 48), conv(48, 48))
            self.up = nn.ModuleList([up(48, 32), up(32, 16), up(16, 8)])
            self.join = nn.ModuleList([nn.Sequential(conv(2 * c, c), conv(c, c)) for c in (32, 16, 8)])
            self.head = nn.Conv2d(8, 4, 1)

        def forward(self, x):
            kept = []
            for step in self.down:
                x = step(x)
                kept.append(x)
                x = F.max_pool2d(x, 2)
            x = self.bottom(x)
            for step, join in zip(self.up, self.join):
                x = join(torch.cat([kept.pop(), step(x)], 1))
            return self.head(x)

    return UNet()


@dense('unet-nearest')
def unet_nearest():
    return unet(lambda i, o: nn.Sequential(nn.Upsample(scale_factor=2, mode='nearest'), conv(i, o)))


@dense('unet-linear')
def unet_linear():
    return unet(lambda i, o: nn.Sequential(nn.Upsample(scale_factor=2, mode='bilinear', align_corners=True), nn.Conv2d(i, o, 1)))


@dense('unet-transposed')
def unet_transposed():
    return unet(lambda i, o: nn.ConvTranspose2d(i, o, 2, 2))


@dense('deeplab-v3')
def deeplab():
    class DeepLab(nn.Module):
        def __init__(self):
            super().__init__()
            body = resnet.ResNet(resnet.Bottleneck, [1, 1, 1, 1], replace_stride_with_dilation=[False, True, True])
            body = narrow(body, 16)
            self.body = nn.Sequential(*list(body.children())[:-2])
            self.head = nn.Sequential(ASPP(128, [2, 4, 6], 24), conv(24, 24), nn.Conv2d(24, 5, 1))

        def forward(self, x):
            return F.interpolate(self.head(self.body(x)), size=x.shape[-2:], mode='bilinear', align_corners=False)

    return DeepLab()


@dense('lraspp-mobilenet-v3', 3, 64, 64)
def lraspp():
    return Lambda(lambda m, x: m.net(x)['out'], net=models.segmentation.lraspp_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=5,
    ))


@dense('fcn')
def fcn():
    return Lambda(
        lambda m, x: F.interpolate(m.head(m.body(x)), size=x.shape[-2:], mode='bilinear'),
        body=nn.Sequential(conv(3, 16, stride=2), conv(16, 32, stride=2), conv(32, 32, dilation=2)),
        head=models.segmentation.fcn.FCNHead(32, 5),
    )


@dense('segmentation-mask')
def segmentation_mask():
    """Ends in the class of each pixel."""
    return Lambda(
        lambda m, x: m.net(x).argmax(1),
        net=nn.Sequential(conv(3, 8, stride=2), conv(8, 16), nn.Upsample(scale_factor=2, mode='bilinear'), nn.Conv2d(16, 4, 1)),
    )


@dense('pspnet')
def pspnet():
    class Pyramid(nn.Module):
        def __init__(self, c):
            super().__init__()
            self.steps = nn.ModuleList([nn.Sequential(nn.AdaptiveAvgPool2d(n), conv(c, c // 4, 1)) for n in (1, 2, 4, 8)])

        def forward(self, x):
            size = x.shape[-2:]
            return torch.cat([x, *(F.interpolate(step(x), size=size, mode='bilinear', align_corners=True) for step in self.steps)], 1)

    return nn.Sequential(conv(3, 16, stride=2), conv(16, 32, stride=2), Pyramid(32), conv(64, 32), nn.Conv2d(32, 5, 1))


@dense('hrnet')
def hrnet():
    return Lambda(
        lambda m, x: m.head(
            (lambda high, low: torch.cat([
                F.relu(high + F.interpolate(m.raise_(low), scale_factor=2, mode='nearest')),
                F.interpolate(F.relu(low + m.lower(high)), scale_factor=2, mode='bilinear'),
            ], 1))(*(lambda y: (m.high(y), m.low(y)))(m.stem(x)))
        ),
        stem=conv(3, 16, stride=2), high=conv(16, 16), low=conv(16, 32, stride=2),
        raise_=conv(32, 16, 1, activation=None), lower=conv(16, 32, stride=2, activation=None), head=nn.Conv2d(48, 8, 1),
    )


@dense('depth-fpn')
def depth_fpn():
    """MiDaS's way: features of four sizes are joined from the smallest up."""

    class Depth(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.ModuleList([conv(i, o, stride=2, activation=nn.ReLU6) for i, o in ((3, 16), (16, 24), (24, 32), (32, 48))])
            self.lateral = nn.ModuleList([nn.Conv2d(c, 16, 1) for c in (16, 24, 32, 48)])
            self.join = nn.ModuleList([nn.Sequential(nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1)) for _ in range(4)])
            self.head = nn.Sequential(nn.Conv2d(16, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 1), nn.ReLU())

        def forward(self, x):
            kept = []
            for step, lateral in zip(self.body, self.lateral):
                x = step(x)
                kept.append(lateral(x))
            y = kept.pop()
            for join in self.join[:3]:
                y = F.interpolate(y + join(y), scale_factor=2, mode='bilinear', align_corners=True) + kept.pop()
            y = F.interpolate(self.join[3](y), scale_factor=2, mode='bilinear', align_corners=True)
            return self.head(y).squeeze(1)

    return Depth()


@dense('matting')
def matting():
    """MODNet's block: half of the channels batch, half instance normalization."""

    class IBNorm(nn.Module):
        def __init__(self, c):
            super().__init__()
            self.half, self.batch, self.instance = c // 2, nn.BatchNorm2d(c // 2), nn.InstanceNorm2d(c - c // 2)

        def forward(self, x):
            return torch.cat([self.batch(x[:, : self.half]), self.instance(x[:, self.half :])], 1)

    return nn.Sequential(
        conv(3, 16, stride=2, activation=nn.ReLU6), nn.Conv2d(16, 32, 3, 2, 1), IBNorm(32), nn.ReLU(), SqueezeExcite(32),
        nn.Upsample(scale_factor=2, mode='bilinear'), nn.Conv2d(32, 16, 3, padding=1), IBNorm(16), nn.ReLU(),
        nn.Upsample(scale_factor=2, mode='bilinear'), nn.Conv2d(16, 1, 3, padding=1), nn.Sigmoid(),
    )


@dense('style-transfer')
def style_transfer():
    def layer(i, o, k, stride=1, up=1):
        return nn.Sequential(
            *([nn.Upsample(scale_factor=up, mode='nearest')] if up > 1 else []), nn.ReflectionPad2d(k // 2), nn.Conv2d(i, o, k, stride),
            nn.InstanceNorm2d(o, affine=True), nn.ReLU(),
        )

    return nn.Sequential(
        layer(3, 8, 9), layer(8, 16, 3, 2), layer(16, 16, 3), layer(16, 8, 3, 1, 2), nn.ReflectionPad2d(4), nn.Conv2d(8, 3, 9),
    )


@dense('espcn', 1, 32, 32)
def espcn():
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2), nn.Tanh(), nn.Conv2d(16, 12, 3, padding=1), nn.Tanh(), nn.Conv2d(12, 9, 3, padding=1), nn.PixelShuffle(3),
    )


@dense('srresnet', 3, 32, 32)
def srresnet():
    class Residual(nn.Module):
        def __init__(self, c):
            super().__init__()
            self.body = nn.Sequential(conv(c, c, activation=None), nn.PReLU(), conv(c, c, activation=None))

        def forward(self, x):
            return x + self.body(x)

    return nn.Sequential(
        nn.Conv2d(3, 16, 9, padding=4), nn.PReLU(), Residual(16), Residual(16), nn.Conv2d(16, 64, 3, padding=1), nn.PixelShuffle(2),
        nn.PReLU(), nn.Conv2d(16, 3, 9, padding=4),
    )


@dense('edsr-bicubic', 3, 32, 32)
def edsr():
    """Learns what bicubic enlargement lacks."""
    return Lambda(
        lambda m, x: m.tail(m.head(x) + m.body(m.head(x))) + F.interpolate(x, scale_factor=2, mode='bicubic'),
        head=nn.Conv2d(3, 16, 3, padding=1), body=nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1)),
        tail=nn.Sequential(nn.Conv2d(16, 12, 3, padding=1), nn.PixelShuffle(2)),
    )


@dense('fsrcnn', 1, 24, 24)
def fsrcnn():
    return nn.Sequential(
        nn.Conv2d(1, 24, 5, padding=2), nn.PReLU(24), nn.Conv2d(24, 8, 1), nn.PReLU(8), nn.Conv2d(8, 8, 3, padding=1), nn.PReLU(8),
        nn.Conv2d(8, 24, 1), nn.PReLU(24), nn.ConvTranspose2d(24, 1, 9, 3, 4, 2),
    )


@dense('denoiser', 1, 32, 32)
def denoiser():
    return Lambda(lambda m, x: x - m.net(x), net=nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), conv(16, 16), nn.Conv2d(16, 1, 3, padding=1)))


@dense('pose-heatmaps')
def pose():
    """Simple baseline: transposed convolutions, then the expected place of each heatmap."""

    class Pose(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(
                conv(3, 16, stride=2), conv(16, 32, stride=2), conv(32, 32, stride=2), nn.ConvTranspose2d(32, 16, 4, 2, 1, bias=False),
                nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 7, 1),
            )
            self.register_buffer('line', torch.linspace(0, 1, 16))

        def forward(self, x):
            heat = self.net(x)
            p = heat.flatten(2).softmax(-1).reshape(heat.shape)
            return heat, torch.stack([(p.sum(2) * self.line).sum(-1), (p.sum(3) * self.line).sum(-1)], -1)

    return Pose()


# Detection.


class Bottleneck(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.first, self.second = conv(c, c, 1, activation=nn.SiLU), conv(c, c, activation=nn.SiLU)

    def forward(self, x):
        return x + self.second(self.first(x))


class C3(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.a, self.b, self.c = (conv(*each, 1, activation=nn.SiLU) for each in ((i, o // 2), (i, o // 2), (o, o)))
        self.m = Bottleneck(o // 2)

    def forward(self, x):
        return self.c(torch.cat([self.m(self.a(x)), self.b(x)], 1))


class C2f(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.first, self.last = conv(i, o, 1, activation=nn.SiLU), conv(o + o // 2, o, 1, activation=nn.SiLU)
        self.m = Bottleneck(o // 2)

    def forward(self, x):
        y = list(self.first(x).chunk(2, 1))
        y.append(self.m(y[-1]))
        return self.last(torch.cat(y, 1))


class SPPF(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.first, self.last = conv(c, c // 2, 1, activation=nn.SiLU), conv(2 * c, c, 1, activation=nn.SiLU)
        self.pool = nn.MaxPool2d(5, 1, 2)

    def forward(self, x):
        x = self.first(x)
        y = self.pool(x)
        z = self.pool(y)
        return self.last(torch.cat([x, y, z, self.pool(z)], 1))


class Neck(nn.Module):
    """Three sizes of features of a picture, joined from the smallest up and down again."""

    def __init__(self, stage):
        super().__init__()
        silu = functools.partial(conv, activation=nn.SiLU)
        self.stem = nn.Sequential(silu(3, 8, 3, 2), silu(8, 16, 3, 2))
        self.p3, self.p4 = nn.Sequential(silu(16, 24, 3, 2), stage(24, 24)), nn.Sequential(silu(24, 32, 3, 2), stage(32, 32))
        self.p5 = nn.Sequential(silu(32, 48, 3, 2), stage(48, 48), SPPF(48))
        self.up4, self.up3 = stage(80, 32), stage(56, 24)
        self.to4, self.to5 = silu(24, 32, 3, 2), silu(32, 48, 3, 2)
        self.down4, self.down5 = stage(64, 32), stage(96, 48)

    def forward(self, x):
        p3 = self.p3(self.stem(x))
        p4 = self.p4(p3)
        p5 = self.p5(p4)
        u4 = self.up4(torch.cat([F.interpolate(p5, scale_factor=2, mode='nearest'), p4], 1))
        u3 = self.up3(torch.cat([F.interpolate(u4, scale_factor=2, mode='nearest'), p3], 1))
        d4 = self.down4(torch.cat([self.to4(u3), u4], 1))
        return u3, d4, self.down5(torch.cat([self.to5(d4), p5], 1))


class YoloV5(nn.Module):
    def __init__(self, classes=5):
        super().__init__()
        self.neck, self.outputs = Neck(C3), classes + 5
        self.heads = nn.ModuleList([nn.Conv2d(c, 3 * self.outputs, 1) for c in (24, 32, 48)])
        for i, size in enumerate((8, 4, 2)):
            y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing='ij')
            self.register_buffer(f'grid{i}', torch.stack([x, y], -1).float().expand(1, 3, size, size, 2) - 0.5)
            anchors = torch.tensor([[1.0, 1.2], [1.8, 1.5], [2.5, 3.0]]) * 8 * 2**i
            self.register_buffer(f'anchors{i}', anchors.reshape(1, 3, 1, 1, 2).expand(1, 3, size, size, 2))

    def forward(self, x):
        results = []
        for i, (feature, head) in enumerate(zip(self.neck(x), self.heads)):
            y = head(feature)
            b, _, h, w = y.shape
            y = y.view(b, 3, self.outputs, h, w).permute(0, 1, 3, 4, 2).contiguous().sigmoid()
            xy, wh, rest = y.split((2, 2, self.outputs - 4), 4)
            xy = (xy * 2 + getattr(self, f'grid{i}')) * 8 * 2**i
            wh = (wh * 2) ** 2 * getattr(self, f'anchors{i}')
            results.append(torch.cat([xy, wh, rest], 4).view(b, -1, self.outputs))
        return torch.cat(results, 1)


class YoloV8(nn.Module):
    def __init__(self, classes=5, bins=16):
        super().__init__()
        self.neck, self.bins, self.classes = Neck(C2f), bins, classes
        silu = functools.partial(conv, activation=nn.SiLU)
        self.box = nn.ModuleList([nn.Sequential(silu(c, 32), nn.Conv2d(32, 4 * bins, 1)) for c in (24, 32, 48)])
        self.score = nn.ModuleList([nn.Sequential(silu(c, 24), nn.Conv2d(24, classes, 1)) for c in (24, 32, 48)])
        self.dfl = nn.Conv2d(bins, 1, 1, bias=False).requires_grad_(False)
        self.dfl.weight.data[:] = torch.arange(bins, dtype=torch.float).reshape(1, bins, 1, 1)
        points, strides = [], []
        for i, size in enumerate((8, 4, 2)):
            y, x = torch.meshgrid(torch.arange(size) + 0.5, torch.arange(size) + 0.5, indexing='ij')
            points.append(torch.stack([x, y], -1).reshape(-1, 2))
            strides.append(torch.full((size * size, 1), 8.0 * 2**i))
        self.register_buffer('points', torch.cat(points).T[None])
        self.register_buffer('strides', torch.cat(strides).T)

    def raw(self, x):
        features = self.neck(x)
        b = x.shape[0]
        box = torch.cat([head(f).view(b, 4 * self.bins, -1) for f, head in zip(features, self.box)], 2)
        return box, torch.cat([head(f).view(b, self.classes, -1) for f, head in zip(features, self.score)], 2)

    def forward(self, x):
        box, score = self.raw(x)
        b, _, n = box.shape
        distances = self.dfl(box.view(b, 4, self.bins, n).transpose(2, 1).softmax(1)).view(b, 4, n)
        lt, rb = distances.chunk(2, 1)
        low, high = self.points - lt, self.points + rb
        return torch.cat([torch.cat([(low + high) / 2, high - low], 1) * self.strides, score.sigmoid()], 1)


@detection('yolo-v5')
def yolo_v5():
    return YoloV5()


@detection('yolo-v8')
def yolo_v8():
    return YoloV8()


@detection('yolo-v8-nms')
def yolo_v8_nms():
    """Ends in NonMaxSuppression, which `finish` adds."""
    return YoloV8()


@detection('yolo-v3-tiny')
def yolo_v3_tiny():
    leaky = functools.partial(conv, activation=functools.partial(nn.LeakyReLU, 0.1))
    return Lambda(
        lambda m, x: (lambda a: (lambda b: (m.large(b), m.small(torch.cat([m.up(b), a], 1))))(m.rest(a)))(m.first(x)),
        first=nn.Sequential(leaky(3, 8), nn.MaxPool2d(2), leaky(8, 16), nn.MaxPool2d(2), leaky(16, 24)),
        rest=nn.Sequential(nn.MaxPool2d(2), leaky(24, 32), nn.ZeroPad2d((0, 1, 0, 1)), nn.MaxPool2d(2, 1), leaky(32, 32)),
        up=nn.Sequential(leaky(32, 16, 1), nn.Upsample(scale_factor=2)), large=nn.Conv2d(32, 30, 1), small=nn.Conv2d(40, 30, 1),
    )


@detection('yolox')
def yolox():
    """Focus, decoupled heads, anchor-free boxes."""

    class YoloX(nn.Module):
        def __init__(self):
            super().__init__()
            silu = functools.partial(conv, activation=nn.SiLU)
            self.stem, self.body = silu(12, 16), nn.Sequential(silu(16, 24, 3, 2), C3(24, 24), silu(24, 32, 3, 2))
            self.score, self.box = nn.Sequential(silu(32, 32), nn.Conv2d(32, 5, 1)), nn.Sequential(silu(32, 32), nn.Conv2d(32, 4, 1))
            y, x = torch.meshgrid(torch.arange(8), torch.arange(8), indexing='ij')
            self.register_buffer('grid', torch.stack([x, y], -1).reshape(1, 64, 2).float())

        def forward(self, x):
            x = torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1)
            x = self.body(self.stem(x))
            y = torch.cat([self.box(x), self.score(x).sigmoid()], 1).flatten(2).permute(0, 2, 1)
            return torch.cat([(y[..., :2] + self.grid) * 8, torch.exp(y[..., 2:4]) * 8, y[..., 4:]], -1)

    return YoloX()


@detection('ssd')
def ssd():
    """Boxes and class probabilities of anchors of two sizes."""

    class Ssd(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Sequential(conv(3, 16, stride=2, activation=nn.ReLU6), conv(16, 32, stride=2, activation=nn.ReLU6))
            self.second = conv(32, 48, stride=2, activation=nn.ReLU6)
            self.box = nn.ModuleList([nn.Conv2d(c, 4 * 3, 3, padding=1) for c in (32, 48)])
            self.score = nn.ModuleList([nn.Conv2d(c, 6 * 3, 3, padding=1) for c in (32, 48)])

        def forward(self, x):
            features = [self.first(x)]
            features.append(self.second(features[0]))
            flat = lambda heads, n: torch.cat([h(f).permute(0, 2, 3, 1).reshape(x.shape[0], -1, n) for h, f in zip(heads, features)], 1)
            return flat(self.box, 4), flat(self.score, 6).softmax(-1)

    return Ssd()


@detection('centernet')
def centernet():
    """Peaks of a heatmap: what a max pool leaves as it is."""
    return Lambda(
        lambda m, x: (lambda y: (lambda p: (p * (F.max_pool2d(p, 3, 1, 1) == p).float(), m.size(y)))(m.heat(y).sigmoid()))(m.body(x)),
        body=nn.Sequential(conv(3, 16, stride=2), conv(16, 32, stride=2), conv(32, 32)), heat=nn.Conv2d(32, 4, 1), size=nn.Conv2d(32, 2, 1),
    )


# Common blocks, each between two convolutions.


class SqueezeExcite(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(c, c // 4), nn.ReLU(), nn.Linear(c // 4, c), nn.Sigmoid())

    def forward(self, x):
        return x * self.net(x.mean((2, 3)))[:, :, None, None]


def between(module, c=16, out=None):
    return nn.Sequential(nn.Conv2d(3, c, 3, 2, 1), nn.ReLU(), module, nn.Conv2d(out or c, 8, 3, padding=1))


def add_block(name, make, out=None, shape=(3, 24, 24)):
    NETWORKS[f'block-{name}'] = ('blocks', lambda: between(make(), 16, out), shape)


class CoordinateAttention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.squeeze, self.h, self.w = conv(c, 8, 1, activation=nn.Hardswish), nn.Conv2d(8, c, 1), nn.Conv2d(8, c, 1)

    def forward(self, x):
        rows, columns = x.mean(3, keepdim=True), x.mean(2, keepdim=True).transpose(2, 3)
        y = self.squeeze(torch.cat([rows, columns], 2))
        rows, columns = y.split([x.shape[2], x.shape[3]], 2)
        return x * self.h(rows).sigmoid() * self.w(columns.transpose(2, 3)).sigmoid()


class Cbam(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.mlp, self.place = nn.Sequential(nn.Conv2d(c, 4, 1), nn.ReLU(), nn.Conv2d(4, c, 1)), nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, x):
        x = x * (self.mlp(F.adaptive_avg_pool2d(x, 1)) + self.mlp(F.adaptive_max_pool2d(x, 1))).sigmoid()
        return x * self.place(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)).sigmoid()


class NonLocal(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Conv2d(c, c, 1) for _ in range(4))

    def forward(self, x):
        weights = (self.q(x).flatten(2).transpose(1, 2) @ self.k(x).flatten(2)).softmax(-1)
        y = (weights @ self.v(x).flatten(2).transpose(1, 2)).transpose(1, 2).reshape(x.shape)
        return x + self.out(y)


class LinearAttention(nn.Module):
    """EfficientViT's: ReLU features, the sums divided."""

    def __init__(self, c):
        super().__init__()
        self.qkv, self.out = nn.Conv2d(c, 3 * c, 1), nn.Conv2d(c, c, 1)

    def forward(self, x):
        b, c, h, w = x.shape
        q, k, v = self.qkv(x).reshape(b, 3 * c, h * w).chunk(3, 1)
        q, k = q.relu().transpose(1, 2), k.relu()
        y = (q @ (k @ v.transpose(1, 2))) / (q @ k.sum(-1, keepdim=True) + 1e-3)
        return x + self.out(y.transpose(1, 2).reshape(b, c, h, w))


class SelectiveKernel(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.a, self.b = conv(c, c), conv(c, c, dilation=2)
        self.squeeze, self.expand = nn.Linear(c, 8), nn.Linear(8, 2 * c)

    def forward(self, x):
        y = torch.stack([self.a(x), self.b(x)], 1)
        weights = self.expand(self.squeeze(y.sum(1).mean((2, 3))).relu()).reshape(-1, 2, x.shape[1], 1, 1).softmax(1)
        return (y * weights).sum(1)


class Eca(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 1, 3, padding=1, bias=False)

    def forward(self, x):
        y = self.conv(x.mean((2, 3)).unsqueeze(1)).transpose(1, 2).unsqueeze(-1)
        return x * y.sigmoid()


class Sequence(nn.Module):
    """A picture's pixels as a sequence of tokens."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return self.body(x.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(x.shape)


class Multihead(nn.Module):
    def __init__(self, c, heads):
        super().__init__()
        self.attention = nn.MultiheadAttention(c, heads, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x)[0]


def shuffle(x, groups=4):
    b, c, h, w = x.shape
    return x.view(b, groups, c // groups, h, w).transpose(1, 2).reshape(b, c, h, w)


def lambda_block(function):
    return lambda: Lambda(lambda _, x: function(x))


add_block('squeeze-excite', lambda: SqueezeExcite(16))
add_block('eca', Eca)
add_block('cbam', lambda: Cbam(16))
add_block('coordinate-attention', lambda: CoordinateAttention(16))
add_block('non-local', lambda: NonLocal(16))
add_block('attention-heads', lambda: Sequence(Attention(16, 2)))
add_block('multihead-attention', lambda: Sequence(Multihead(16, 2)))
add_block('transformer', lambda: Sequence(TransformerBlock(16, 2)))
add_block('linear-attention', lambda: LinearAttention(16))
add_block('selective-kernel', lambda: SelectiveKernel(16))
add_block('layer-norm', lambda: Sequence(nn.LayerNorm(16)))
add_block('group-norm', lambda: nn.GroupNorm(4, 16))
add_block('instance-norm', lambda: nn.InstanceNorm2d(16, affine=True))
add_block('local-response-norm', lambda: nn.LocalResponseNorm(5))
add_block('batch-norm-first', lambda: nn.Sequential(nn.BatchNorm2d(16), nn.ReLU()))
add_block('l2-normalize', lambda_block(lambda x: F.normalize(x, dim=1)))
add_block('channel-shuffle', lambda_block(shuffle))
add_block('pixel-unshuffle', lambda: nn.PixelUnshuffle(2), 64)
add_block('pixel-shuffle', lambda: nn.PixelShuffle(2), 4)
add_block('gated-linear', lambda_block(lambda x: F.glu(x, 1)), 8)
add_block('maxout', lambda_block(lambda x: torch.maximum(*x.chunk(2, 1))), 8)
add_block('crelu', lambda_block(lambda x: torch.cat([x, -x], 1).relu()), 32)
add_block('ratio', lambda_block(lambda x: x[:, :8] / (1 + x[:, 8:])), 8)
add_block('softmax-channels', lambda_block(lambda x: x.softmax(1)))
add_block('log-softmax-channels', lambda_block(lambda x: x.log_softmax(1)))
add_block('spatial-softmax', lambda_block(lambda x: x.flatten(2).softmax(-1).reshape(x.shape)))
add_block('standard-deviation', lambda_block(lambda x: x * x.std((2, 3), keepdim=True)))
add_block('l2-pool', lambda: nn.LPPool2d(2, 3, 2))
add_block('average-pool-ceil', lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True))
add_block('max-pool-ceil', lambda: nn.MaxPool2d(3, 2, ceil_mode=True))
add_block('adaptive-pool', lambda: nn.AdaptiveAvgPool2d((3, 4)))
add_block('blur-pool', lambda: nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(16, 16, 3, 2, groups=16, bias=False)))
add_block('pad-replicate', lambda: nn.ReplicationPad2d((1, 2, 3, 0)))
add_block('pad-circular', lambda: nn.CircularPad2d(2))
add_block('roll', lambda_block(lambda x: x.roll((2, 3), (2, 3))))
add_block('flip', lambda_block(lambda x: x.flip(3)))
add_block('crop', lambda_block(lambda x: x[:, :, 2:-2, 1::2]))
add_block('upsample-nearest', lambda: nn.Upsample(scale_factor=1.5))
add_block('upsample-bilinear', lambda: nn.Upsample(scale_factor=2, mode='bilinear'))
add_block('upsample-corners', lambda: nn.Upsample(size=(17, 21), mode='bilinear', align_corners=True))
add_block('upsample-bicubic', lambda: nn.Upsample(scale_factor=2, mode='bicubic'))
add_block('transposed-overlap', lambda: nn.ConvTranspose2d(16, 16, 3, 2, 1, 1))
add_block('transposed-depthwise', lambda: nn.ConvTranspose2d(16, 16, 4, 2, 1, groups=16))
add_block('dilated-grouped', lambda: nn.Conv2d(16, 16, 3, padding=3, dilation=3, groups=4))
add_block('separable-rows', lambda: nn.Sequential(nn.Conv2d(16, 16, (1, 7), padding=(0, 3)), nn.Conv2d(16, 16, (7, 1), padding=(3, 0))))
add_block('prelu', lambda: nn.PReLU(16))
add_block('swish-variants', lambda: nn.Sequential(nn.SiLU(), nn.Conv2d(16, 16, 1), nn.Mish(), nn.Conv2d(16, 16, 1), nn.Hardswish()))
add_block('gelu-tanh', lambda: nn.GELU('tanh'))
add_block('threshold', lambda_block(lambda x: torch.where(x > 0.5, x, torch.zeros_like(x))))
add_block('scale-per-channel', lambda: ScaleAndShift(16))
add_block('position-embedding', lambda: PositionEmbedding(16, 12))
add_block('rescaled-input', lambda_block(lambda x: (x - 0.5) / 0.25))
add_block('dropout', lambda: nn.Dropout2d(0.2))


class ScaleAndShift(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.randn(1, c, 1, 1)), nn.Parameter(torch.randn(1, c, 1, 1))

    def forward(self, x):
        return x * self.scale + self.shift


class PositionEmbedding(nn.Module):
    def __init__(self, c, size):
        super().__init__()
        self.table = nn.Parameter(torch.randn(1, c, size, size))

    def forward(self, x):
        return x + self.table


def settle(net, shape):
    """Uneven channels with negative factors, as trained networks have, and the statistics of images."""
    for module in net.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.normal_(module.weight, 0.9, 0.3)
            nn.init.normal_(module.bias, 0.1, 0.3)
            module.momentum = None
        if isinstance(module, nn.PReLU):
            nn.init.uniform_(module.weight, -0.2, 0.6)
    dropouts = [module for module in net.modules() if isinstance(module, (nn.Dropout, nn.Dropout2d))]
    net.train()
    for module in dropouts:
        module.eval()
    with torch.no_grad():
        net(images(16, shape, 1))
    return net.eval()


def finish(name, model):
    """What PyTorch has no operator for: NonMaxSuppression at the end."""
    if name != 'yolo-v8-nms':
        return model
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    for constant, value in (('most', np.int64(20)), ('overlap', np.float32(0.5)), ('least', np.float32(0.3))):
        graph.initializer.append(numpy_helper.from_array(np.array([value]), constant))
    graph.initializer.append(numpy_helper.from_array(np.array([4, 5]), 'parts'))
    graph.node.extend([
        helper.make_node('Split', [graph.output[0].name, 'parts'], ['boxes_of', 'scores'], axis=1),
        helper.make_node('Transpose', ['boxes_of'], ['boxes'], perm=[0, 2, 1]),
        helper.make_node('NonMaxSuppression', ['boxes', 'scores', 'most', 'overlap', 'least'], ['selected'], center_point_box=1),
    ])
    graph.output.append(helper.make_tensor_value_info('selected', TensorProto.INT64, ['selected_count', 3]))
    return model


def export(name, exporter, net, sample):
    CACHE.mkdir(parents=True, exist_ok=True)
    file = CACHE / f'{name}.{exporter}.onnx'
    with torch.no_grad():
        results = net(sample)
    names = ['y'] if isinstance(results, torch.Tensor) else [f'y{i}' for i in range(len(results))]
    if exporter == 'dynamo':
        options = {'dynamo': True, 'dynamic_shapes': ({0: torch.export.Dim('N', min=1, max=64)},), 'external_data': False}
    else:
        axes = {each: {0: 'N'} for each in ('x', *names)}
        options = {'dynamo': False, 'dynamic_axes': axes}
    torch.onnx.export(
        net, (sample,), str(file), opset_version=EXPORTERS[exporter], input_names=['x'], output_names=names, verbose=False, **options,
    )
    model = finish(name, onnx.load(file))
    for node in model.graph.node:
        node.doc_string = ''
        del node.metadata_props[:]
    del model.graph.value_info[:], model.graph.metadata_props[:], model.metadata_props[:]
    for tensor in model.graph.initializer:
        tensor.doc_string = ''
        del tensor.metadata_props[:]
    for info in [*model.graph.input, *model.graph.output]:
        del info.metadata_props[:]
    model.doc_string = model.graph.doc_string = ''
    file.write_bytes(model.SerializeToString())
    return file


def main():
    # More threads than free cores make these small networks many times slower.
    torch.set_num_threads(1)
    unknown = set(sys.argv[1:]) - set(NETWORKS)
    if unknown:
        raise SystemExit(f'no such network: {", ".join(sorted(unknown))}')
    path = HERE / 'manifest.json'
    manifest = {(each['name'], each['exporter']): each for each in json.loads(path.read_text())} if path.exists() else {}
    for name, (group, make, shape) in NETWORKS.items():
        if len(sys.argv) > 1 and name not in sys.argv[1:]:
            continue
        torch.manual_seed(0)
        net = settle(make(), shape)
        for exporter in EXPORTERS:
            try:
                file = export(name, exporter, net, images(2, shape, 2))
            except Exception as error:  # an exporter's own limits are none of Octet's
                print(f'{name} {exporter}: {type(error).__name__}: {str(error).splitlines()[0][:150]}', flush=True)
                continue
            manifest[name, exporter] = {
                'name': name, 'group': group, 'exporter': exporter, 'shape': list(shape),
                'sha256': hashlib.sha256(file.read_bytes()).hexdigest(),
            }
            print(f'{file.name}: {file.stat().st_size:,} bytes', flush=True)
    order = list(NETWORKS)
    listed = sorted(manifest.values(), key=lambda each: (order.index(each['name']), each['exporter']))
    path.write_text('[\n' + ',\n'.join(f'  {json.dumps(each)}' for each in listed) + '\n]\n')


if __name__ == '__main__':
    main()
