"""As ../spark/cifar10.py, with Ray: an actor a worker keeps one `octet classify --jsonl` and feeds it batches.

    pip install ray
    python examples/ray/cifar10.py ~/.cache/octet/cifar10/test.bin models/vgg16-cifar10.int8.onnx
"""

import base64
import json
import os
import shlex
import subprocess
import sys

import ray

RECORD = 1 + 3 * 32 * 32
WORKERS = 2


class Octet:
    """One process for the life of the actor: lines in, lines out."""

    def __init__(self, model: str) -> None:
        command = shlex.split(os.environ.get("OCTET_COMMAND", "npx octet"))
        options = ["classify", "--jsonl", "--top", "1", "--threads", "1", "--backend", "wasm", "--model", model]
        self.process = subprocess.Popen([*command, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def classify(self, records: list[bytes]) -> list[tuple[int, int]]:
        for record in records:
            pixels = base64.b64encode(record[1:]).decode()
            self.process.stdin.write(json.dumps({"id": record[0], "pixels": pixels, "width": 32, "height": 32}) + "\n")
        self.process.stdin.flush()
        answers = [json.loads(self.process.stdout.readline()) for _ in records]
        return [(answer["id"], answer["predictions"][0]["index"]) for answer in answers]


def main(records: str, model: str) -> None:
    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
    with open(records, "rb") as file:
        data = file.read()
    pictures = [data[start : start + RECORD] for start in range(0, len(data), RECORD)]
    actors = [ray.remote(Octet).remote(os.path.abspath(model)) for _ in range(WORKERS)]
    batches = [pictures[start : start + 64] for start in range(0, len(pictures), 64)]
    pool = ray.util.ActorPool(actors)
    matrix = [[0] * 10 for _ in range(10)]
    for cells in pool.map(lambda actor, batch: actor.classify.remote(batch), batches):
        for truth, answer in cells:
            matrix[truth][answer] += 1
    print(json.dumps(matrix))


if __name__ == "__main__":
    main(*sys.argv[1:3])
