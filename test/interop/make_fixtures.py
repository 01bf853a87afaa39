"""Makes the fixtures of the interop tests: three small networks, quantized by the tools that people use.

    python make_fixtures.py float variants # PyTorch: the float networks, from every exporter
    python make_fixtures.py onnxruntime    # each of these may run in an environment of its own
    python make_fixtures.py nncf quark pytorch
    python make_fixtures.py outputs        # ONNX Runtime's outputs, into manifest.json

`requirements/` pins what each step needs. Weights and inputs are seeded; `npm test` reads the files and needs no Python.
"""
import json
import pathlib
import sys
import tempfile
import warnings

import numpy as np
import onnx
import onnx.version_converter
from onnx import TensorProto, helper

warnings.filterwarnings('ignore')

HERE = pathlib.Path(__file__).parent
FIXTURES = HERE / 'fixtures'
FLOAT = FIXTURES / 'float'
SHAPE = (3, 16, 16)
BATCH = 2
NETWORKS = ('plain', 'preact', 'mobile')
MAX_BYTES = 200_000


def images(count, seed):
    """Smooth random images: what pictures have in common."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=(count, SHAPE[0], 4, 4))
    smooth = coarse.repeat(4, axis=2).repeat(4, axis=3)
    return (smooth + 0.3 * rng.normal(size=(count, *SHAPE))).astype(np.float32)


CALIBRATION = images(32, 1)
INPUT = images(BATCH, 2)


def save(model, folder, setting, network):
    """Writes a fixture without what only the tool that made it reads."""
    for node in model.graph.node:
        node.doc_string = ''
        del node.metadata_props[:]
    del model.graph.value_info[:]
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    for info in [*model.graph.input, *model.graph.output]:
        del info.metadata_props[:]
    for tensor in model.graph.initializer:
        tensor.doc_string = ''
        del tensor.metadata_props[:]
    model.doc_string = model.graph.doc_string = ''
    path = FIXTURES / folder / f'{setting}.{network}.onnx'
    path.parent.mkdir(parents=True, exist_ok=True)
    data = model.SerializeToString()
    if len(data) >= MAX_BYTES:
        raise ValueError(f'{path.name} has {len(data)} bytes')
    path.write_bytes(data)


def attempts(folder, settings, make):
    """Runs `make(setting, network, *arguments)` for all, and says what a tool refuses to make."""
    for setting, *arguments in settings:
        for network in NETWORKS:
            try:
                save(make(network, *arguments), folder, setting, network)
            except Exception as error:  # a tool's own limits are part of the table
                print(f'{folder} {setting} {network}: {type(error).__name__}: {str(error).splitlines()[0][:150]}')


# The networks.


def torch_network(name):
    import torch
    from torch import nn
    from torch.nn import functional

    def conv_bn(i, o, k=3, stride=1, groups=1, activation=nn.ReLU):
        layers = [nn.Conv2d(i, o, k, stride, k // 2, groups=groups, bias=False), nn.BatchNorm2d(o)]
        return nn.Sequential(*layers, *([activation()] if activation else []))

    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(
                conv_bn(3, 12), nn.Conv2d(12, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                conv_bn(12, 16), nn.MaxPool2d(3, 2, 1), nn.Conv2d(16, 16, 3), nn.Sigmoid(), nn.Dropout(0.1),
            )
            self.hidden = nn.Linear(64, 24)
            self.classifier = nn.Linear(24, 10)

        def forward(self, x):
            return self.classifier(torch.relu(self.hidden(torch.flatten(self.features(x), 1))))

    class Block(nn.Module):
        def __init__(self, i, o, stride):
            super().__init__()
            self.bn1, self.conv1 = nn.BatchNorm2d(i), nn.Conv2d(i, o, 3, stride, 1, bias=False)
            self.bn2, self.conv2 = nn.BatchNorm2d(o), nn.Conv2d(o, o, 3, 1, 1, bias=False)
            self.shortcut = nn.Conv2d(i, o, 1, stride, bias=False) if stride > 1 or i != o else None

        def forward(self, x):
            y = torch.relu(self.bn1(x))
            shortcut = self.shortcut(y) if self.shortcut else x
            return self.conv2(torch.relu(self.bn2(self.conv1(y)))) + shortcut

    class Preact(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 12, 3, padding=1, bias=False)
            self.blocks = nn.Sequential(Block(12, 12, 1), Block(12, 24, 2))
            self.bn = nn.BatchNorm2d(24)
            self.pool = nn.AdaptiveAvgPool2d(1)
            self.classifier = nn.Linear(24, 10)

        def forward(self, x):
            y = self.pool(torch.relu(self.bn(self.blocks(self.stem(x)))))
            return self.classifier(y.view(y.size(0), -1))

    class Gate(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.squeeze, self.expand = nn.Conv2d(channels, 8, 1), nn.Conv2d(8, channels, 1)

        def forward(self, x):
            pooled = functional.adaptive_avg_pool2d(x, 1)
            return x * functional.hardsigmoid(self.expand(torch.relu(self.squeeze(pooled))))

    class Mobile(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = conv_bn(3, 16, stride=2, activation=nn.Hardswish)
            self.expand = conv_bn(16, 32, 1, activation=nn.ReLU6)
            self.depthwise = conv_bn(32, 32, groups=32, activation=nn.ReLU6)
            self.gate = Gate(32)
            self.project = conv_bn(32, 16, 1, activation=None)
            self.branch = conv_bn(16, 8, 1, activation=nn.SiLU)
            self.pool = nn.AvgPool2d(3, 1, 1)
            self.last = conv_bn(24, 32, stride=2, activation=lambda: nn.LeakyReLU(0.1))
            self.prelu = nn.PReLU(32)
            self.head = nn.Parameter(torch.randn(32, 10) / 4)
            self.bias = nn.Parameter(torch.randn(10) / 4)

        def forward(self, x):
            y = self.stem(x)
            y = y + self.project(self.gate(self.depthwise(self.expand(y))))
            y = torch.cat([self.branch(y), self.pool(y)], 1)
            y = self.prelu(self.last(y)).mean((2, 3))
            return torch.softmax(y @ self.head + self.bias, -1)

    torch.manual_seed(NETWORKS.index(name))
    network = {'plain': Plain, 'preact': Preact, 'mobile': Mobile}[name]()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            # Negative factors and uneven channels, as trained networks have.
            nn.init.normal_(module.weight, 0.9, 0.4)
            nn.init.normal_(module.bias, 0.1, 0.3)
            module.momentum = None
        if isinstance(module, nn.PReLU):
            nn.init.uniform_(module.weight, -0.2, 0.6)
    network.train()
    with torch.no_grad():
        network(torch.from_numpy(CALIBRATION))
    return network.eval()


def export(network, opset=17, dynamo=False, batch='dynamic', **options):
    import torch

    dynamic = {}
    if batch == 'dynamic' and dynamo:
        dynamic = {'dynamic_shapes': ({0: torch.export.Dim('N', min=1, max=64)},)}
    elif batch == 'dynamic':
        dynamic = {'dynamic_axes': {'x': {0: 'N'}, 'y': {0: 'N'}}}
    elif batch == 'sizes':
        axes = {0: 'N', 2: 'H', 3: 'W'}
        dynamic = {'dynamic_axes': {'x': axes, 'y': {0: 'N'}}}
    with tempfile.NamedTemporaryFile(suffix='.onnx') as file:
        torch.onnx.export(
            network, (torch.from_numpy(INPUT),), file.name, opset_version=opset, dynamo=dynamo, input_names=['x'],
            output_names=['y'], **({'external_data': False} if dynamo else {}), **dynamic, **options,
        )
        return onnx.load(file.name)


def make_float():
    import torch

    preserve = torch.onnx.TrainingMode.PRESERVE

    def make(network, options):
        return export(torch_network(network), **options)

    attempts('float', [
        # Batch normalization kept, as most files that people quantize have it.
        ('bn', {'training': preserve}),
        *((f'torchscript-opset{opset}', {'opset': opset}) for opset in (7, 9, 10, 11, 12, 13, 17, 20)),
        ('torchscript-fixed-batch', {'batch': 'fixed'}),
        ('torchscript-dynamic-sizes', {'batch': 'sizes'}),
        *((f'dynamo-opset{opset}', {'opset': opset, 'dynamo': True}) for opset in (18, 21, 23)),
        ('dynamo-fixed-batch', {'opset': 18, 'dynamo': True, 'batch': 'fixed'}),
        ('dynamo-unoptimized', {'opset': 18, 'dynamo': True, 'optimize': False}),
    ], make)


def make_variants():
    attempts('float', [('float16', True), ('float16-inputs', False)], float16)
    attempts('float', [('nhwc',)], channels_last)


def float16(network, keep_io_types):
    from onnxconverter_common import float16 as converter

    return converter.convert_float_to_float16(onnx.load(FLOAT / f'bn.{network}.onnx'), keep_io_types=keep_io_types)


def channels_last(network):
    """As converters from TensorFlow write it: an NHWC input and Transpose pairs around what wants NCHW."""
    model = onnx.load(FLOAT / f'torchscript-opset13.{network}.onnx')
    graph = model.graph
    nodes = [helper.make_node('Transpose', ['image'], ['x'], perm=[0, 3, 1, 2])]
    inferred = onnx.shape_inference.infer_shapes(model).graph
    images = {info.name for info in inferred.value_info if len(info.type.tensor_type.shape.dim) == 4}
    for node in graph.node:
        nodes.append(node)
        if node.op_type in {'Relu', 'Conv', 'MaxPool'} and node.output[0] in images:
            result = node.output[0]
            node.output[0] = f'{result}_nchw'
            nodes += [
                helper.make_node('Transpose', [f'{result}_nchw'], [f'{result}_nhwc'], perm=[0, 2, 3, 1]),
                helper.make_node('Transpose', [f'{result}_nhwc'], [result], perm=[0, 3, 1, 2]),
            ]
    image = helper.make_tensor_value_info('image', TensorProto.FLOAT, ['N', *SHAPE[1:], SHAPE[0]])
    del graph.node[:], graph.input[:]
    graph.node.extend(nodes)
    graph.input.append(image)
    return model


# The tools.


def make_onnxruntime():
    from onnxruntime.quantization import (
        CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_dynamic, quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.images = iter(CALIBRATION.reshape(-1, BATCH, *SHAPE))

        def get_next(self):
            image = next(self.images, None)
            return None if image is None else {'x': image}

    s8, u8 = QuantType.QInt8, QuantType.QUInt8

    def source(network, opset, folder):
        model = onnx.load(FLOAT / f'bn.{network}.onnx')
        if opset != 17:
            older = FLOAT / f'torchscript-opset{opset}.{network}.onnx'
            model = onnx.load(older) if opset < 17 else onnx.version_converter.convert_version(model, opset)
        path = pathlib.Path(folder) / 'float.onnx'
        onnx.save(model, path)
        return path

    def static(network, options, extra=None, opset=17, preprocess=False, output_types=None):
        with tempfile.TemporaryDirectory() as folder:
            path = source(network, opset, folder)
            if preprocess:
                quant_pre_process(path, path)
            out = pathlib.Path(folder) / 'out.onnx'
            quantize_static(path, out, Reader(), **options, extra_options=extra or {})
            return onnx.load(out)

    def dynamic(network, weight_type):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / 'out.onnx'
            quantize_dynamic(source(network, 17, folder), out, weight_type=weight_type)
            return onnx.load(out)

    def of(activations, weights, **options):
        return {'activation_type': activations, 'weight_type': weights, **options}

    qoperator = {'quant_format': QuantFormat.QOperator}
    attempts('onnxruntime', [
        ('s8s8', of(s8, s8)),
        ('s8s8-per-channel', of(s8, s8, per_channel=True)),
        ('u8u8', of(u8, u8)),
        ('u8u8-per-channel', of(u8, u8, per_channel=True)),
        ('u8s8', of(u8, s8)),
        ('u8s8-per-channel', of(u8, s8, per_channel=True)),
        ('u8s8-reduce-range', of(u8, s8, per_channel=True, reduce_range=True)),
        ('weights-asymmetric', of(u8, s8), {'WeightSymmetric': False}),
        ('activations-symmetric', of(s8, s8), {'ActivationSymmetric': True}),
        ('pair-on-weights', of(s8, s8, per_channel=True), {'AddQDQPairToWeight': True}),
        ('bias-float', of(s8, s8), {'QuantizeBias': False}),
        ('dedicated-pairs', of(s8, s8), {'DedicatedQDQPair': True}),
        ('weights-int4', of(s8, QuantType.QInt4), None, 21),
        ('weights-uint4', of(u8, QuantType.QUInt4), None, 21),
        ('activations-int16', of(QuantType.QInt16, s8), None, 21),
        ('activations-uint16', of(QuantType.QUInt16, u8), None, 21),
        ('contrib-domain', of(u8, s8), {'UseQDQContribOps': True}),
        ('contrib-int16', of(QuantType.QInt16, s8), {'UseQDQContribOps': True}),
        ('conv-only', of(s8, s8, op_types_to_quantize=['Conv'])),
        ('conv-only-inputs', of(u8, s8, op_types_to_quantize=['Conv']),
         {'OpTypesToExcludeOutputQuantization': ['Conv']}),
        ('keep-activations', of(u8, s8), {'QDQKeepRemovableActivations': True}),
        ('force-quantize', of(u8, s8), {'ForceQuantizeNoInputCheck': True}),
        ('percentile', of(s8, s8, calibrate_method=CalibrationMethod.Percentile)),
        ('preprocessed', of(u8, s8), None, 17, True),
        *((f'opset{opset}', of(u8, s8, per_channel=opset >= 13), None, opset)
          for opset in (10, 11, 12, 13, 19, 21, 23)),
        ('qoperator-s8s8', of(s8, s8, **qoperator)),
        ('qoperator-u8u8', of(u8, u8, **qoperator)),
        # All 8 bits of both overflow the 16-bit sums of processors without VNNI, and ONNX Runtime lets them.
        ('qoperator-u8s8-per-channel', of(u8, s8, per_channel=True, reduce_range=True, **qoperator)),
        ('qoperator-opset11', of(u8, u8, **qoperator), None, 11),
    ], static)
    attempts('onnxruntime', [('dynamic-u8', u8), ('dynamic-s8', s8)], dynamic)
    attempts('onnxruntime', [
        ('integer-operators', True, False), ('integer-output', False, True),
    ], lambda network, *how: with_integers(onnx.load(FIXTURES / f'onnxruntime/u8s8.{network}.onnx'), *how))
    attempts('onnxruntime', [('batch-fixed',)], lambda network: with_batch(
        onnx.load(FIXTURES / f'onnxruntime/s8s8.{network}.onnx'), BATCH))


def with_batch(model, batch):
    for info in [*model.graph.input, *model.graph.output]:
        info.type.tensor_type.shape.dim[0].dim_value = batch
    return model


def with_integers(model, inside, output):
    """As compilers rewrite QDQ files: operators that only select or move on the integers; an output left quantized."""
    graph = model.graph
    producer = {name: node for node in graph.node for name in node.output}
    if inside:
        movers = {'MaxPool', 'Reshape', 'Flatten', 'Transpose', 'Squeeze'}
        for node in graph.node:
            before = producer.get(node.input[0]) if node.input else None
            if node.op_type not in movers or before is None or before.op_type != 'DequantizeLinear':
                continue
            readers = [each for each in graph.node if node.output[0] in each.input]
            same = [each for each in readers if each.op_type == 'QuantizeLinear']
            if len(same) != len(readers) or not same:
                continue
            # Q → DQ → MaxPool → Q becomes Q → MaxPool, whose integers go on to the DequantizeLinear behind it.
            node.input[0] = before.input[0]
            for quantize in same:
                for each in graph.node:
                    for i, name in enumerate(each.input):
                        if name == quantize.output[0]:
                            each.input[i] = node.output[0]
                            if each.op_type == 'DequantizeLinear':
                                each.input[1], each.input[2] = before.input[1], before.input[2]
                graph.node.remove(quantize)
    if output:
        last = producer[graph.output[0].name]
        if last.op_type != 'DequantizeLinear':
            raise ValueError(f'the output is computed by {last.op_type}')
        graph.output[0].name = last.input[0]
        graph.output[0].type.tensor_type.elem_type = TensorProto.UINT8
        graph.node.remove(last)
    onnx.checker.check_model(model)
    return model


def make_nncf():
    import nncf

    dataset = nncf.Dataset(CALIBRATION.reshape(-1, BATCH, *SHAPE), lambda image: {'x': image})

    def make(network, options):
        model = onnx.load(FLOAT / f'bn.{network}.onnx')
        return nncf.quantize(model, dataset, subset_size=16, **options)

    attempts('nncf', [
        ('performance', {'preset': nncf.QuantizationPreset.PERFORMANCE}),
        ('mixed', {'preset': nncf.QuantizationPreset.MIXED}),
        ('cpu', {'target_device': nncf.TargetDevice.CPU}),
        ('exact-bias-correction', {'fast_bias_correction': False}),
        ('transformer', {'model_type': nncf.ModelType.TRANSFORMER}),
    ], make)


def make_quark():
    from onnxruntime.quantization import CalibrationDataReader
    from quark.onnx import ModelQuantizer
    from quark.onnx.quantization.config import Config, get_default_config

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.images = iter(CALIBRATION.reshape(-1, BATCH, *SHAPE))

        def get_next(self):
            image = next(self.images, None)
            return None if image is None else {'x': image}

    def make(network, name):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / 'out.onnx'
            quantizer = ModelQuantizer(Config(global_quant_config=get_default_config(name)))
            quantizer.quantize_model(str(FLOAT / f'bn.{network}.onnx'), str(out), Reader())
            return onnx.load(out)

    attempts('quark', [(name.lower().replace('_', '-'), name) for name in (
        'XINT8', 'S8S8_AAWS', 'U8S8_AAWS', 'U8U8_AAWA', 'S16S8_ASWS', 'A8W8', 'A16W8', 'INT8_CNN_DEFAULT',
        'INT8_TRANSFORMER_DEFAULT', 'VINT8',
    )], make)


def make_pytorch():
    import torch
    from torch.ao.quantization import FakeQuantize, QConfig, QConfigMapping, get_default_qat_qconfig_mapping
    from torch.ao.quantization import disable_observer, quantize_fx
    from torch.ao.quantization.observer import MinMaxObserver, PerChannelMinMaxObserver

    def calibrated(network, mapping):
        model = torch_network(network).train()
        prepared = quantize_fx.prepare_qat_fx(model, mapping, (torch.from_numpy(INPUT),)).eval()
        with torch.no_grad():
            prepared(torch.from_numpy(CALIBRATION))
        return prepared.apply(disable_observer)

    def qconfig(per_channel):
        weights = PerChannelMinMaxObserver if per_channel else MinMaxObserver
        return QConfigMapping().set_global(QConfig(
            activation=FakeQuantize.with_args(
                observer=MinMaxObserver, quant_min=0, quant_max=255, qscheme=torch.per_tensor_affine, dtype=torch.quint8,
            ),
            weight=FakeQuantize.with_args(
                observer=weights, quant_min=-128, quant_max=127, dtype=torch.qint8,
                qscheme=torch.per_channel_symmetric if per_channel else torch.per_tensor_symmetric,
            ),
        ))

    def fake(network, per_channel, opset):
        return export(calibrated(network, qconfig(per_channel)), opset=opset)

    attempts('pytorch', [('fake-quantize', False, 13), ('fake-quantize-per-channel', True, 17)], fake)

    def converted(network):
        model = calibrated(network, get_default_qat_qconfig_mapping('x86'))
        return export(quantize_fx.convert_fx(model), opset=13)

    attempts('pytorch', [('fx-converted',)], converted)

    def pt2e(network, per_channel, opset):
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
        from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
            X86InductorQuantizer, get_default_x86_inductor_quantization_config,
        )

        example = (torch.from_numpy(INPUT),)
        dynamic = ({0: torch.export.Dim('N', min=1, max=64)},)
        program = torch.export.export(torch_network(network), example, dynamic_shapes=dynamic).module()
        quantizer = X86InductorQuantizer().set_global(get_default_x86_inductor_quantization_config())
        prepared = prepare_pt2e(program, quantizer)
        prepared(torch.from_numpy(CALIBRATION))
        return export(convert_pt2e(prepared), opset=opset, dynamo=True)

    attempts('pytorch', [('pt2e-x86', True, 18), ('pt2e-x86-opset21', True, 21)], pt2e)


def make_outputs():
    """ONNX Runtime's outputs, without optimizations: fused, it would skip roundings that the file asks for."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    INPUT.tofile(FIXTURES / 'input.bin')
    entries = []
    for path in sorted(FIXTURES.glob('*/*.onnx')):
        setting, network, _ = path.name.split('.')
        entry = {'tool': path.parent.name, 'setting': setting, 'network': network}
        try:
            session = ort.InferenceSession(path.read_bytes(), options, providers=['CPUExecutionProvider'])
            (port,) = session.get_inputs()
            image = INPUT.transpose(0, 2, 3, 1) if port.name == 'image' else INPUT
            dtype = np.float16 if port.type == 'tensor(float16)' else np.float32
            (output,) = session.run(None, {port.name: image.astype(dtype)})
            entry['output'] = [float(f'{value:.9g}') for value in output.astype(np.float64).ravel()]
        except Exception as error:
            entry['refusedByOnnxRuntime'] = str(error).splitlines()[0][:200]
        entries.append(entry)
    (FIXTURES / 'manifest.json').write_text('[\n' + ',\n'.join(json.dumps(each) for each in entries) + '\n]\n')
    print(len(entries), 'fixtures,', sum('output' in each for each in entries), 'run by ONNX Runtime')


if __name__ == '__main__':
    for step in sys.argv[1:]:
        globals()[f'make_{step}']()
