"""Packs ONNX's backend node tests into node-tests.bin.gz: `pip install onnx==1.23.2`, then `python3 test/node-tests/pack.py`.

Taken are tests of the default domain whose inputs and outputs are tensors of numbers. Left out are operators that no vision
network has in inference (losses, optimizers, sequences, text, signal processing, language models' attention), which keeps the file small.

The file, behind gzip: the length of a JSON header (uint32, little-endian), the header, and blobs one behind another.
`header.blobs` lists their lengths. Each test has the places of its model and of its inputs and outputs (TensorProto) among them;
tensors that several tests share are stored once.
"""

import gzip
import json
import pathlib
import struct
import warnings

import numpy as np
import onnx
from onnx import numpy_helper

# Overflows that the tests are about.
warnings.filterwarnings("ignore")
from onnx.backend.test.case.node import collect_testcases  # noqa: E402

LEFT_OUT = """
    Adagrad Adam AffineGrid Attention Bernoulli BitCast BlackmanWindow CausalConvWithState DFT Det FlexAttention ImageDecoder
    HammingWindow HannWindow LinearAttention Loop MelWeightMatrix Momentum NegativeLogLikelihoodLoss RandomUniformLike RegexFullMatch
    RotaryEmbedding STFT Scan SequenceEmpty SequenceInsert SequenceLength SequenceMap SoftmaxCrossEntropyLoss SplitToSequence
    StringConcat StringNormalizer StringSplit SwiGLU TensorScatter TfIdfVectorizer Unique
""".split()
# What their expansions stand for; they are the largest models.
LEFT_OUT_PREFIXES = tuple(
    f"test_{name}"
    for name in ("affine_grid", "attention", "causal_conv", "flexattention", "linear_attention", "nllloss", "rotary", "sce", "swiglu")
)

HERE = pathlib.Path(__file__).parent


def tensor(value, name):
    if isinstance(value, onnx.TensorProto):
        proto = onnx.TensorProto()
        proto.CopyFrom(value)
        proto.ClearField("name")
        return proto.SerializeToString(deterministic=True)
    if isinstance(value, (list, dict)) or value is None:
        return None
    array = np.asarray(value)
    if array.dtype.kind in "OSU":
        return None
    return numpy_helper.from_array(array).SerializeToString(deterministic=True)


def main():
    blobs, places, tests = [], {}, []

    def place(blob):
        if blob not in places:
            places[blob] = len(blobs)
            blobs.append(blob)
        return places[blob]

    for case in sorted(collect_testcases(None), key=lambda case: case.name):
        nodes = case.model.graph.node
        if any(node.op_type in LEFT_OUT or node.domain for node in nodes) or case.name.startswith(LEFT_OUT_PREFIXES):
            continue
        inputs, outputs = case.data_sets[0]
        sides = [[tensor(value, "") for value in side] for side in (inputs, outputs)]
        if None in sides[0] or None in sides[1]:
            continue
        tests.append(
            {
                "name": case.name,
                "model": place(case.model.SerializeToString(deterministic=True)),
                "inputs": [place(blob) for blob in sides[0]],
                "outputs": [place(blob) for blob in sides[1]],
                "relative": case.rtol,
                "absolute": case.atol,
            }
        )
    header = json.dumps(
        {"onnx": onnx.__version__, "tests": tests, "blobs": [len(blob) for blob in blobs]}, separators=(",", ":")
    ).encode()
    packed = gzip.compress(struct.pack("<I", len(header)) + header + b"".join(blobs), 9, mtime=0)
    (HERE / "node-tests.bin.gz").write_bytes(packed)
    print(f"{len(tests)} tests, {len(packed)} bytes")


main()
