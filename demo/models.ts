/** The models that the page offers. */
import efficientnetLite0 from '../models/efficientnet-lite0.int8.onnx';
import mobilenetv2Float from '../models/mobilenetv2-cifar10.onnx';
import resnet20Float from '../models/resnet20-cifar10.onnx';
import vgg16Float from '../models/vgg16-cifar10.onnx';
import mobilenetv2 from '../.cache/site/mobilenetv2.onnx.gz';
import resnet20w4 from '../.cache/site/resnet20-w4.onnx.gz';
import resnet20 from '../.cache/site/resnet20.onnx.gz';
import resnet20w2a2 from '../.cache/site/resnet20-w2a2.onnx.gz';
import resnet20w4a4 from '../.cache/site/resnet20-w4a4.onnx.gz';
import vgg16 from '../.cache/site/vgg16.onnx.gz';
import bytes from 'virtual:site/bytes';

export interface OfferedModel {
  readonly id: string;
  /** Which network it is, whatever its bits. */
  readonly network: string;
  readonly title: string;
  /** What sets it apart from the others. */
  readonly note: string;
  readonly url: string;
  /** Of the download. */
  readonly bytes: number;
  /** What it was quantized from, where that was done afterwards: the page can do it again. */
  readonly float: { readonly url: string; readonly bytes: number } | null;
}

function offer(id: string, title: string, note: string, url: string, floatUrl: string | null): OfferedModel {
  const [network] = id.split('-w');
  const float = floatUrl === null ? null : { url: floatUrl, bytes: bytes[`${network}-float`] };
  return { id, network, title, note, url, bytes: bytes[id], float };
}

/** The first answers first: it is small. Its accuracy is that of 8 bits but for 0.02 points (scripts/site-files.ts). */
export const offered: readonly [OfferedModel, ...OfferedModel[]] = [
  offer('resnet20-w4', 'ResNet-20', 'weights of 4 bits', resnet20w4, resnet20Float),
  offer('resnet20', 'ResNet-20', '8 bits', resnet20, resnet20Float),
  offer('resnet20-w4a4', 'ResNet-20', 'trained with 4 bits', resnet20w4a4, null),
  offer('resnet20-w2a2', 'ResNet-20', 'trained with 2 bits', resnet20w2a2, null),
  offer('mobilenetv2', 'MobileNetV2', '8 bits', mobilenetv2, mobilenetv2Float),
  offer('efficientnet-lite0', 'EfficientNet-Lite0', 'photographs, 1,000 classes', efficientnetLite0, null),
  offer('vgg16', 'VGG16', '8 bits', vgg16, vgg16Float),
];

export const modelById = (id: string): OfferedModel | undefined => offered.find((model) => model.id === id);

/** For photographs: the others know ten classes, in pictures of 32×32. */
export const photoModel = modelById('efficientnet-lite0')!;
