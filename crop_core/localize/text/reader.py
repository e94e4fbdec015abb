"""Reader: the lines of text in an image, by the PP-OCRv4 networks of the package rapidocr-onnxruntime in onnxruntime.

Only the two networks of that package are used, 15 MB for Chinese and Latin letters and digits; the processing around
them is OURS, after PaddleOCR: a map of text is cut into turned rectangles (DB, Liao et al., arXiv 1911.08947), each is
straightened and decoded by CTC. DIFFERS from PaddleOCR: no third network tells what is upside down, since it turns
short words that are not; a line that is hard to read is read both ways, and the lines of one page agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from crop_core.localize.text.lines import Floats, Line, reading_quad, turned
from crop_core.models.adapter import ModelError
from crop_core.records.localizers import READER

DETECTION, RECOGNITION = "ch_PP-OCRv4_det_infer.onnx", "ch_PP-OCRv4_rec_infer.onnx"
INSTALL = (
    "The localizer 'text' needs two packages: pip install onnxruntime, and then, with --no-deps as it would bring a "
    "second OpenCV, pip install --no-deps rapidocr-onnxruntime==1.4.4."
)
SHORT_SIDE, LONG_SIDE, MAX_ENLARGED, STRIDE = 640, 1920, 3.0, 32  # pixels of the image in the first network
TEXT, BOX = 0.3, 0.5  # least probability of a pixel of text, and mean of a box
GROWN = 1.6  # of a box's area over its circumference, by which it grows: the map holds the core of a line
MIN_SIDE, MAX_LINES = 3, 400  # pixels of a box in the map; lines of an image, the largest ones
HEIGHT, BATCH = 48, 6  # pixels of a line in the second network, lines at a time
MIN_RATIO, MAX_RATIO = 320 / 48, 60  # of a line's width to its height; shorter ones are padded, longer ones squeezed
CERTAIN, HALF = 0.8, 0.5  # score below which a line is read both ways; share of turned lines that turns a page
Pixels = NDArray[np.uint8]


@dataclass(eq=False)
class TextReader:
    """The two networks on the CPU, in as many threads as torch has. Raises ModelError without the packages."""

    def __post_init__(self) -> None:
        runtime, networks = map(find_spec, READER)
        if runtime is None or networks is None or not networks.submodule_search_locations:
            raise ModelError(INSTALL)
        folder = Path(networks.submodule_search_locations[0]) / "models"
        self._files = [folder / DETECTION, folder / RECOGNITION]
        if missing := [file.name for file in self._files if not file.is_file()]:
            raise ModelError(f"The package rapidocr-onnxruntime lacks {missing[0]}; {INSTALL}")
        self._detector, self._recognizer = map(_session, self._files)

    @property
    def weights_bytes(self) -> int:
        """Bytes of both networks."""
        return sum(file.stat().st_size for file in self._files)

    @cached_property
    def alphabet(self) -> list[str]:
        """What the second network's outputs stand for: nothing, its letters, a space."""
        letters = self._recognizer.get_modelmeta().custom_metadata_map["character"].splitlines()
        return ["", *letters, " "]

    def knows(self, letters: str) -> bool:
        """Whether it was trained on every one of these letters."""
        return set(letters) <= set(self.alphabet)

    def read(self, image: Image.Image) -> list[Line]:
        """The lines of an RGB image, in no order; quads in its pixels."""
        pixels = np.asarray(image.convert("RGB"))[:, :, ::-1]  # the networks were trained on BGR
        quads = self._quads(pixels)
        if not quads:
            return []
        read = self._recognize([straightened(pixels, quad) for quad in quads])
        lines = [Line(quad, *each) for quad, each in zip(quads, read, strict=True)]
        return self._agreed(pixels, lines)

    def _quads(self, pixels: Pixels) -> list[Floats]:
        """The places of text, as `Line.quad`."""
        height, width = pixels.shape[:2]
        scale = min(max(1.0, min(SHORT_SIDE / min(height, width), MAX_ENLARGED)), LONG_SIDE / max(height, width))
        size = [max(STRIDE, round(side * scale / STRIDE) * STRIDE) for side in (width, height)]
        fed = _normalized(cv2.resize(np.ascontiguousarray(pixels), size))[None]
        heat = self._detector.run(None, {self._detector.get_inputs()[0].name: fed})[0][0, 0]
        quads = [quad * (width / size[0], height / size[1]) for quad in text_quads(heat)[:MAX_LINES]]
        return [quad.clip(0, (width, height)) for quad in quads]

    def _recognize(self, crops: list[Pixels]) -> list[tuple[str, float]]:
        """Text and score of each straightened line; lines of similar length share a pass."""
        read: list[tuple[str, float]] = [("", 0.0)] * len(crops)
        order = sorted(range(len(crops)), key=lambda number: crops[number].shape[1] / crops[number].shape[0])
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            fed = _side_by_side([crops[number] for number in batch])
            probabilities = self._recognizer.run(None, {self._recognizer.get_inputs()[0].name: fed})[0]
            for number, each in zip(batch, probabilities, strict=True):
                read[number] = decoded(each, self.alphabet)
        return read

    def _agreed(self, pixels: Pixels, lines: list[Line]) -> list[Line]:
        """The lines the right way up: uncertain ones are read both ways, and where that turns most letters of those
        that lie, or of those that stand, all of these are turned.
        """
        uncertain = [number for number, line in enumerate(lines) if line.score < CERTAIN]
        other = dict(zip(uncertain, self._turned(pixels, [lines[number] for number in uncertain]), strict=True))
        better = {number for number, line in other.items() if line.score > lines[number].score}
        for stands in (False, True):
            group = [n for n, line in enumerate(lines) if (abs(line.direction[1]) > abs(line.direction[0])) == stands]
            letters = [sum(len(lines[n].text) for n in group if n in chosen) for chosen in (better, set(group))]
            if letters[1] and letters[0] > HALF * letters[1]:
                rest = [number for number in group if number not in other]
                other |= zip(rest, self._turned(pixels, [lines[number] for number in rest]), strict=True)
                better |= set(rest)
        return [other[number] if number in better else line for number, line in enumerate(lines)]

    def _turned(self, pixels: Pixels, lines: list[Line]) -> list[Line]:
        quads = [turned(line.quad) for line in lines]
        read = self._recognize([straightened(pixels, quad) for quad in quads])
        return [Line(quad, *each) for quad, each in zip(quads, read, strict=True)]


def _session(file: Path) -> Any:
    """A network; it keeps no memory of its own between two images."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = False
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def _normalized(pixels: Pixels) -> NDArray[np.float32]:
    """(3, H, W) from -1 to 1."""
    return np.ascontiguousarray((pixels.astype(np.float32) / 127.5 - 1).transpose(2, 0, 1))


def text_quads(heat: NDArray[np.float32]) -> list[Floats]:
    """The turned rectangles around connected text in a map of its probability (H, W), as `Line.quad` in its pixels,
    the largest first.
    """
    mask = cv2.dilate((heat > TEXT).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    quads = []
    for contour in sorted(contours, key=cv2.contourArea, reverse=True):
        centre, (width, height), degrees = cv2.minAreaRect(contour)
        if min(width, height) < MIN_SIDE or _mean_inside(heat, (centre, (width, height), degrees)) < BOX:
            continue
        grown = GROWN * width * height / (width + height)  # of both sides together
        quads.append(reading_quad(np.array(centre), (width + grown, height + grown), degrees))
    return quads


def _mean_inside(heat: NDArray[np.float32], rectangle: Any) -> float:
    corners = cv2.boxPoints(rectangle)
    left, top = np.floor(corners.min(0)).astype(int).clip(0)
    right, bottom = np.ceil(corners.max(0)).astype(int) + 1
    part = np.ascontiguousarray(heat[top:bottom, left:right])
    inside = np.zeros(part.shape, np.uint8)
    cv2.fillPoly(inside, [np.round(corners - (left, top)).astype(np.int32)], 1)
    return float(cv2.mean(part, inside)[0])


def straightened(pixels: Pixels, quad: Floats) -> Pixels:
    """The pixels inside a quad, its upper edge above."""
    width = max(1, round(float(max(np.hypot(*(quad[1] - quad[0])), np.hypot(*(quad[2] - quad[3]))))))
    height = max(1, round(float(max(np.hypot(*(quad[3] - quad[0])), np.hypot(*(quad[2] - quad[1]))))))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(quad.astype(np.float32), target)
    warped = cv2.warpPerspective(
        np.ascontiguousarray(pixels), matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(warped, np.uint8)


def _side_by_side(crops: list[Pixels]) -> NDArray[np.float32]:
    """(B, 3, 48, W): the lines in one batch, grey after the shorter ones."""
    ratios = [min(max(crop.shape[1] / crop.shape[0], 1 / HEIGHT), MAX_RATIO) for crop in crops]
    batch = np.zeros((len(crops), 3, HEIGHT, round(HEIGHT * max(*ratios, MIN_RATIO))), np.float32)
    for row, crop, ratio in zip(batch, crops, ratios, strict=True):
        width = min(int(np.ceil(HEIGHT * ratio)), row.shape[2])
        row[:, :, :width] = _normalized(cv2.resize(crop, (width, HEIGHT)))
    return batch


def decoded(probabilities: NDArray[np.float32], alphabet: list[str]) -> tuple[str, float]:
    """Text and mean probability of its letters, from (T, letters); CTC: repeated ones count once, the first is none."""
    best = probabilities.argmax(1)
    kept = (best != 0) & np.concatenate([[True], best[1:] != best[:-1]])
    if not kept.any():
        return "", 0.0
    return "".join(alphabet[letter] for letter in best[kept]).strip(), float(probabilities.max(1)[kept].mean())
