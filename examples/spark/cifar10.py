"""CIFAR-10's 10,000 test pictures through `octet classify --jsonl`, spread over Spark's workers.

    pip install pyspark                                # and a Java runtime
    npm run octet -- data cifar10
    python examples/spark/cifar10.py ~/.cache/octet/cifar10/test.bin models/vgg16-cifar10.int8.onnx

Prints the confusion matrix (true class down, answer across) as JSON: that of `octet evaluate --full --json`. Octet's command line is
`npx octet`, or what OCTET_COMMAND says.
"""

import base64
import json
import os
import shlex
import sys

from pyspark import SparkConf, SparkContext

RECORD = 1 + 3 * 32 * 32


def to_line(indexed: tuple[bytes, int]) -> str:
    """A record (label, then RGB pixels) as a line for Octet; its id says where it is from and what it is."""
    record, index = indexed
    pixels = base64.b64encode(record[1:]).decode()
    return json.dumps({"id": f"{index} {record[0]}", "pixels": pixels, "width": 32, "height": 32})


def to_cell(line: str) -> tuple[int, int]:
    answer = json.loads(line)
    if "error" in answer:
        raise ValueError(line)
    return int(answer["id"].split()[1]), answer["predictions"][0]["index"]


def main(records: str, model: str) -> None:
    command = os.environ.get("OCTET_COMMAND", "npx octet")
    # Two workers, each a process of its own with one core; what a cluster's master is elsewhere.
    master = os.environ.get("SPARK_MASTER", "local-cluster[2,1,1024]")
    context = SparkContext(conf=SparkConf().setMaster(master).setAppName("octet"))
    context.setLogLevel("ERROR")
    # binaryRecords splits by size; a partition a worker, since each starts an Octet of its own.
    lines = context.binaryRecords(records, RECORD).zipWithIndex().map(to_line).repartition(2)
    pipe = f"{command} classify --jsonl --top 1 --threads 1 --backend wasm --model {shlex.quote(os.path.abspath(model))}"
    cells = lines.pipe(pipe, checkCode=True).map(to_cell).countByValue()
    matrix = [[cells.get((truth, answer), 0) for answer in range(10)] for truth in range(10)]
    print(json.dumps(matrix))
    context.stop()


if __name__ == "__main__":
    main(*sys.argv[1:3])
