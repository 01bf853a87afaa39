"""Writes detection.json: what torchvision, torch, OpenCV and Pillow make of the inputs that it holds too.

    pip install torch==2.13.0 torchvision==0.28.0 pillow==13.0.0 opencv-python-headless==5.0.0.93
    python test/vision/make_fixtures.py
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision import ops

generator = torch.Generator().manual_seed(1)


def random(*shape):
    return torch.rand(*shape, generator=generator)


def numbers(tensor):
    """Float32 values with the digits that tell them apart."""
    return [float(f"{value:.9g}") for value in tensor.flatten().tolist()]


def suppressions():
    corners = random(60, 2) * 80
    boxes = torch.cat([corners, corners + 5 + random(60, 2) * 40], 1)
    boxes[50:] = boxes[:10]
    # Few different scores, so that equal ones occur; sorted stably by torchvision.
    scores = (random(60) * 30).round() / 30
    classes = (random(60) * 3).floor().long()
    for threshold in (0.2, 0.5, 0.75):
        yield {
            "boxes": numbers(boxes),
            "scores": numbers(scores),
            "classes": classes.tolist(),
            "threshold": threshold,
            "nms": ops.nms(boxes, scores, threshold).tolist(),
            "batched": ops.batched_nms(boxes, scores, classes, threshold).tolist(),
        }


def maps():
    for height, width, to_height, to_width in ((5, 7, 11, 9), (4, 4, 16, 16), (9, 8, 4, 3), (1, 1, 3, 2)):
        values = random(height, width)
        modes = {
            mode: numbers(torch.nn.functional.interpolate(values[None, None], (to_height, to_width), mode=mode))
            for mode in ("bilinear", "nearest-exact")
        }
        yield {"size": [width, height], "to": [to_width, to_height], "values": numbers(values), **modes}


def arg_max():
    scores = (random(5, 6, 7) * 8).round()
    return {"size": [7, 6], "scores": numbers(scores), "classes": scores.argmax(0).flatten().tolist()}


def rotated_boxes():
    """cv2.minAreaRect of each connected region, by the mean of its corners, as the direction of corners is each one's own."""
    import cv2

    width, height = 60, 44
    values = np.zeros((height, width), np.float32)
    boxes = (((14, 10), (20, 7), 0), ((42, 14), (22, 8), 24), ((16, 31), (18, 9), -37), ((46, 35), (12, 9), 90), ((30, 24), (1, 1), 0))
    for box in boxes:
        cv2.fillPoly(values, [np.round(cv2.boxPoints(box)).astype(np.int32)], 1)
    values *= (random(height, width) * 0.4 + 0.6).numpy()
    count, labels = cv2.connectedComponents((values > 0.3).astype(np.uint8), connectivity=8)
    rectangles = []
    for label in range(1, count):
        rows, columns = np.nonzero(labels == label)
        points = np.stack([columns, rows], 1).astype(np.float32)
        # OpenCV gives NaN for a single point.
        corners = cv2.boxPoints(cv2.minAreaRect(points)) if len(points) > 1 else [*points] * 4
        rectangles.append(sorted([round(float(x), 4), round(float(y), 4)] for x, y in corners))
    return {"size": [width, height], "values": numbers(torch.tensor(values)), "rectangles": rectangles}


def letterboxes():
    for width, height, to_width, to_height in ((40, 30, 32, 32), (30, 41, 64, 48), (90, 7, 20, 20)):
        picture = Image.new("RGB", (width, height))
        picture.putdata([(5 * x % 256, 7 * y % 256, 11 * (x + y) % 256) for y in range(height) for x in range(width)])
        scale = min(to_width / width, to_height / height)
        inner = (max(1, int(width * scale + 0.5)), max(1, int(height * scale + 0.5)))
        left, top = (to_width - inner[0]) // 2, (to_height - inner[1]) // 2
        boxed = Image.new("RGB", (to_width, to_height), (114, 114, 114))
        boxed.paste(picture.resize(inner, Image.Resampling.BILINEAR), (left, top))
        yield {
            "from": [width, height],
            "to": [to_width, to_height],
            "target": [left, top, *inner],
            "sha256": hashlib.sha256(boxed.tobytes()).hexdigest(),
        }


fixtures = {
    "suppressions": list(suppressions()),
    "maps": list(maps()),
    "argMax": arg_max(),
    "letterboxes": list(letterboxes()),
    "rotatedBoxes": rotated_boxes(),
}
Path(__file__).with_name("detection.json").write_text(json.dumps(fixtures) + "\n")
