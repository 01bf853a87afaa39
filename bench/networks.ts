/** Distinct convolution and dense shapes of the networks that the kernel benchmark measures. */

export interface LayerShape {
  readonly name: string;
  /** Input [height, width, channels]. */
  readonly input: readonly [height: number, width: number, channels: number];
  readonly outChannels: number;
  readonly kernel: number;
  readonly stride: number;
  readonly pad: number;
  readonly groups: number;
  /** A 2×2 max pool follows and is fused. */
  readonly pool: boolean;
}

export type NetworkName = 'vgg16-cifar10' | 'resnet18' | 'mobilenetv2';

interface Options {
  readonly stride?: number;
  readonly groups?: number;
  readonly pool?: boolean;
}

function conv(
  name: string,
  size: number,
  channels: number,
  outChannels: number,
  kernel: number,
  { stride = 1, groups = 1, pool = false }: Options = {},
): LayerShape {
  const pad = (kernel - 1) >> 1;
  return { name, input: [size, size, channels], outChannels, kernel, stride, pad, groups, pool };
}

const dense = (name: string, channels: number, outChannels: number): LayerShape =>
  conv(name, 1, channels, outChannels, 1);

/** Simonyan & Zisserman 2015, configuration D, at 32×32, with a global average pool before the classifier. */
const vgg16 = [
  conv('conv1_1', 32, 3, 64, 3),
  conv('conv1_2', 32, 64, 64, 3, { pool: true }),
  conv('conv2_1', 16, 64, 128, 3),
  conv('conv2_2', 16, 128, 128, 3, { pool: true }),
  conv('conv3_1', 8, 128, 256, 3),
  conv('conv3_2', 8, 256, 256, 3),
  conv('conv3_3', 8, 256, 256, 3, { pool: true }),
  conv('conv4_1', 4, 256, 512, 3),
  conv('conv4_2', 4, 512, 512, 3),
  conv('conv4_3', 4, 512, 512, 3, { pool: true }),
  conv('conv5_1', 2, 512, 512, 3),
  conv('conv5_3', 2, 512, 512, 3, { pool: true }),
  dense('fc6', 512, 4096),
  dense('fc7', 4096, 4096),
  dense('fc8', 4096, 10),
];

/** He et al. 2016, ImageNet, 224×224. */
const resnet18 = [
  conv('conv1', 224, 3, 64, 7, { stride: 2 }),
  ...[64, 128, 256, 512].flatMap((channels, stage) => {
    const size = 56 >> stage;
    const block = conv(`layer${stage + 1}.conv`, size, channels, channels, 3);
    if (stage === 0) return [block];
    return [
      conv(`layer${stage + 1}.0.conv1`, size * 2, channels / 2, channels, 3, { stride: 2 }),
      conv(`layer${stage + 1}.0.downsample`, size * 2, channels / 2, channels, 1, { stride: 2 }),
      block,
    ];
  }),
  dense('fc', 512, 1000),
];

/** Sandler et al. 2018, table 2, ImageNet, 224×224: expansion, channels, repeats, stride. */
const mobilenetStages: readonly (readonly [t: number, c: number, n: number, s: number])[] = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
];

function mobilenetV2(): LayerShape[] {
  const layers = [conv('stem', 224, 3, 32, 3, { stride: 2 })];
  let size = 112;
  let channels = 32;
  for (const [stage, [expansion, outChannels, repeats, firstStride]] of mobilenetStages.entries()) {
    for (let i = 0; i < Math.min(repeats, 2); i++) {
      const stride = i === 0 ? firstStride : 1;
      const hidden = channels * expansion;
      const name = `block${stage + 1}.${i}`;
      if (expansion > 1) layers.push(conv(`${name}.expand`, size, channels, hidden, 1));
      layers.push(conv(`${name}.depthwise`, size, hidden, hidden, 3, { stride, groups: hidden }));
      size = Math.ceil(size / stride);
      layers.push(conv(`${name}.project`, size, hidden, outChannels, 1));
      channels = outChannels;
    }
  }
  layers.push(conv('head', 7, 320, 1280, 1), dense('classifier', 1280, 1000));
  return layers;
}

export const networks: Readonly<Record<NetworkName, readonly LayerShape[]>> = {
  'vgg16-cifar10': vgg16,
  resnet18,
  mobilenetv2: mobilenetV2(),
};
