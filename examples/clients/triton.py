"""NVIDIA's Triton client against a running `octet serve`: every call that a client of the protocol makes, with JSON and with binary tensors.

    pip install 'tritonclient[http]'
    octet serve model.int8.onnx --port 8000
    python examples/clients/triton.py localhost:8000 model
"""

import hashlib
import sys

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException


def main(url: str, name: str) -> None:
    client = triton.InferenceServerClient(url, concurrency=8)
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(name)
    server = client.get_server_metadata()
    assert server["name"] == "octet" and "binary_tensor_data" in server["extensions"], server
    metadata = client.get_model_metadata(name)
    [version, *_] = metadata["versions"][-1:]
    assert client.is_model_ready(name, version)
    assert any(model["name"] == name for model in client.get_model_repository_index())
    [spec] = metadata["inputs"]
    [output] = metadata["outputs"]
    print(f"{name}, version {version}: {spec} -> {output}")

    random = np.random.default_rng(1)
    pictures = random.standard_normal((3, *spec["shape"][1:])).astype(np.float32)

    def infer(values: np.ndarray, binary: bool, **options):
        tensor = triton.InferInput(spec["name"], values.shape, spec["datatype"])
        tensor.set_data_from_numpy(values, binary_data=binary)
        asked = [triton.InferRequestedOutput(output["name"], binary_data=binary)]
        return client.infer(name, [tensor], outputs=asked, **options)

    whole = infer(pictures, binary=True, request_id="7", model_version=version)
    assert whole.get_response()["id"] == "7"
    logits = whole.as_numpy(output["name"])
    assert logits.shape[0] == 3 and logits.dtype == np.float32
    # JSON and binary, one by one and together, sync and async: the same bits.
    assert np.array_equal(infer(pictures, binary=False).as_numpy(output["name"]), logits)
    for index in range(3):
        alone = infer(pictures[index : index + 1], binary=index % 2 == 0).as_numpy(output["name"])
        assert np.array_equal(alone, logits[index : index + 1])
    tensor = triton.InferInput(spec["name"], pictures.shape, spec["datatype"])
    tensor.set_data_from_numpy(pictures)
    pending = [client.async_infer(name, [tensor]) for _ in range(16)]
    for request in pending:
        assert np.array_equal(request.get_result().as_numpy(output["name"]), logits)

    for wrong in (pictures[:, :1], pictures * np.nan):
        try:
            infer(wrong, binary=True)
            raise AssertionError("a wrong input was answered")
        except InferenceServerException as error:
            assert error.status() == "400", error
    try:
        client.get_model_metadata("no-such-model")
        raise AssertionError("a model that is not there was described")
    except InferenceServerException as error:
        assert error.status() == "404", error
    print(f"all calls answered; SHA-256 of the logits {hashlib.sha256(logits.tobytes()).hexdigest()}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
