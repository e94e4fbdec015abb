"""Many questions behind one image prefix: each question sees the image and itself, and the image is computed once.

The packed rows go through the model's own decoder layers; only the attention function is replaced, by a named one.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AttentionInterface
from transformers import PreTrainedTokenizerFast as Tokenizer

from crop_core.tiny.checkpoint import Recipe
from crop_core.tiny.dense import cells, patches_of
from crop_core.tiny.question import Question
from crop_core.tiny.questions import sample_questions
from crop_core.tiny.selection import Selection
from crop_core.tiny.world import CATEGORIES, GOODS, Box, Scene

ATTENTION = "crop_tiny_packed"
IGNORED = -100
_END_WEIGHT = 0.1  # the end token after every answer is easy


@dataclass
class Look:
    """Rows that should look at given patches: where they are in the pack (R, 2), and the patches (R, N)."""

    rows: Tensor
    patches: Tensor

    def among(self, selection: Selection) -> Look:
        """The same with the selected tokens in place of patches: those that are mostly made of the patches to look at;
        without the rows that have none left."""
        patches = self.patches.new_zeros(len(self.patches), selection.count)
        for scene, weights in enumerate(selection.weights):
            rows = self.rows[:, 0] == scene
            patches[rows] = self.patches[rows].float() @ weights.T > 0.5
        seen = patches.any(1)
        return Look(self.rows[seen], patches[seen])

    def to(self, device: torch.device) -> Look:
        """The same on a device."""
        return Look(self.rows.to(device), self.patches.to(device))


@dataclass
class Pack:
    """Questions of B scenes in C chunks of equal length, side by side in T columns.

    `ids`, `segment` (which question, -1 = padding), `position` (within the question), `label` and `weight` are (B, T).
    `reference`, `target` and `winner` are where to look first (the things that are named), then (what holds the answer)
    and at last (the name of what wins a comparison).
    """

    ids: Tensor
    segment: Tensor
    position: Tensor
    label: Tensor
    weight: Tensor
    chunks: int
    reference: Look
    target: Look
    winner: Look

    def to(self, device: torch.device) -> Pack:
        """The same on a device."""
        names = ("ids", "segment", "position", "label", "weight", "reference", "target", "winner")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})


@dataclass
class Packer:
    """Turns scenes into packs for one recipe: the answer's words follow, or the region's numbers fill the slots."""

    recipe: Recipe
    tokenizer: Tokenizer
    questions: int
    chunks: int
    _names: set[int] = field(init=False)
    _asks: list[int] = field(init=False)
    _bar: int = field(init=False)
    _slots: list[int] = field(init=False)
    prefix: list[int] = field(init=False)

    def __post_init__(self) -> None:
        ids = self.tokenizer.convert_tokens_to_ids
        self._names = set(ids([*CATEGORIES, *GOODS, "shape"]))
        self._asks = ids([self.recipe.says.lower(), ":"])
        self._bar = ids("bar")
        self._slots = ids(list(self.recipe.slots))
        self.prefix = ids(["<s>", "user", ":"])

    def __call__(self, scenes: list[Scene], rng: random.Random) -> Pack:
        bins = []
        looks: tuple[list, list, list] = ([], [], [])  # (scene, chunk, place in chunk, patches): as in Pack
        for index, scene in enumerate(scenes):
            found = sample_questions(rng, scene, self.questions)
            bins.append(self._fill(index, scene, found, rng, looks))
        length = 8 * -(-max(len(chunk[0]) for chunks in bins for chunk in chunks) // 8)
        columns = [
            torch.tensor([[x for c in chunks for x in c[i] + [fill] * (length - len(c[0]))] for chunks in bins])
            for i, fill in enumerate((0, -1, 0, IGNORED, 0.0))
        ]
        ids, segment, position, label, weight = columns
        return Pack(ids, segment, position, label, weight, self.chunks, *(self._look(found, length) for found in looks))

    def _fill(self, index: int, scene: Scene, found: list[Question], rng: random.Random, looks: tuple) -> list:
        """Each question goes into the shortest chunk; returns the chunks' columns."""
        chunks: list[list[list]] = [[[], [], [], [], []] for _ in range(self.chunks)]
        texts = [q.text if rng.random() < 0.8 else q.text.rstrip("?") for q in found]
        encoded = self.tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
        for number, (question, asked) in enumerate(zip(found, encoded, strict=True)):
            place = min(range(self.chunks), key=lambda i: len(chunks[i][0]))
            chunk, start = chunks[place], len(chunks[place][0])
            answer = self._answer(question, scene)
            row = asked + self._asks + (self._slots or answer)
            end = [] if self._slots else [self.tokenizer.eos_token_id]
            before = len(row) - len(answer) - len(end)
            labels = [IGNORED] * before + answer + end
            weights = [0.0] * before + [1.0 / len(answer)] * len(answer) + [_END_WEIGHT] * len(end)
            for column, values in zip(chunk, (row, [number] * len(row), range(len(row)), labels, weights), strict=True):
                column.extend(values)
            pairs_by_look = self._pairs(question, asked, range(before, before + len(answer)))
            for look, pairs in zip(looks, pairs_by_look, strict=True):
                found = [(start + i, patches_of(boxes, scene, self.recipe)) for i, boxes in pairs]
                look.extend((index, place, row, patches) for row, patches in found if patches.any())
        return chunks

    def _pairs(self, question: Question, asked: list[int], said: range) -> tuple[list, list, list]:
        """Where the question's names and the answer's words (from `said` on) look first, then, and at last."""
        named = [i for i, token in enumerate(asked) if token in self._names]
        if question.kind == "compare":
            named = [i for i in named if asked[i] != self._bar]
        if question.kind == "two_hop":  # its first name stands before the thing that it depends on
            named = named[1:]
        if self._slots:  # a region is around everything
            return _each(named, question.reference), _each(said, question.reference + question.target, apart=False), []
        wanted = _each(said, question.target or question.winner[:1]) + _each(named, question.amounts)
        return _each(named, question.reference), wanted, _each(said, question.winner[1:])

    def _answer(self, question: Question, scene: Scene) -> list[int]:
        words = question.answer.split()
        if self._slots:
            box = question.box(*scene.image.size)
            words = [str(cell) for cell in cells(box, scene, self.recipe, 8)]
        return self.tokenizer.convert_tokens_to_ids(words)

    def _look(self, found: list, length: int) -> Look:
        rows = torch.tensor([(scene, chunk * length + place) for scene, chunk, place, _ in found]).view(-1, 2)
        patches = (
            torch.from_numpy(np.stack([f[3] for f in found]))
            if found
            else torch.zeros(0, self.recipe.grid**2, dtype=torch.bool)
        )
        return Look(rows, patches)


def _each(rows: Sequence[int], boxes: tuple[Box, ...], apart: bool = True) -> list[tuple[int, tuple[Box, ...]]]:
    """A box for each row where there are as many (and `apart`), else all boxes for every row."""
    if apart and len(rows) == len(boxes):
        return [(row, (box,)) for row, box in zip(rows, boxes, strict=True)]
    return [(row, boxes) for row in rows]


@dataclass
class Context:
    """What the packed attention needs beside q, k and v, and where it leaves its look losses."""

    prefix: int  # columns before the questions: the prompt's head and the K visual tokens
    first_visual: int
    chunks: int
    barred: Tensor  # (B, 1, C, T / C, T / C), what is added to the scores within a chunk: 0 or -inf
    looks: dict[int, Look]  # by layer
    losses: list[Tensor] = field(default_factory=list)


def barred(pack: Pack) -> Tensor:
    """(B, 1, C, T / C, T / C): -inf but for one's own question up to oneself."""
    segment = pack.segment.view(len(pack.segment), 1, pack.chunks, -1)
    width = segment.shape[-1]
    own = (segment[..., :, None] == segment[..., None, :]) & _causal(width, segment.device)
    return _as_bias(own)


def _as_bias(allowed: Tensor) -> Tensor:
    return torch.zeros(allowed.shape, device=allowed.device).masked_fill(~allowed, -math.inf)


def _causal(n: int, device: torch.device) -> Tensor:
    return torch.ones(n, n, dtype=torch.bool, device=device).tril()


def packed_attention(
    module: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scaling: float, **kwargs: Any
) -> tuple:
    """Attention for a packed row; q, k, v (B, H, prefix + T, D); returns (B, prefix + T, H, D).

    It is written out: on a CPU in bfloat16 its backward pass takes half the time of the fused kernel's.
    """
    context: Context = kwargs["packing"]
    n, q = context.prefix, q * scaling
    causal = _as_bias(_causal(n, q.device)).to(q.dtype)
    image = (q[:, :, :n] @ k[:, :, :n].transpose(2, 3) + causal).softmax(-1).to(v.dtype) @ v[:, :, :n]

    def chunked(x: Tensor) -> Tensor:  # (B, H, C, T / C, ...)
        return x.unflatten(2, (context.chunks, -1))

    asked, own, said = q[:, :, n:], chunked(k[:, :, n:]), chunked(v[:, :, n:])
    within = chunked(asked) @ own.transpose(3, 4) + context.barred.to(q.dtype)
    scores = torch.cat([chunked(asked @ k[:, :, :n].transpose(2, 3)), within], -1).softmax(-1).to(v.dtype)
    text = scores[..., :n].flatten(2, 3) @ v[:, :, :n] + (scores[..., n:] @ said).flatten(2, 3)
    look = context.looks.get(module.layer_idx)
    if look is not None and len(look.rows):
        context.losses.append(look_loss(look, asked[:, :3], k[:, :3, context.first_visual : n]))
    return torch.cat([image, text], 2).transpose(1, 2), None


def look_loss(look: Look, q: Tensor, k: Tensor) -> Tensor:
    """Mean -log of the share of visual attention that rows give to their patches; q (B, h, T, D), k (B, h, K, D).

    q is scaled already.
    """
    scene, place = look.rows.T
    scores = (q @ k.transpose(2, 3))[scene, :, place].float()
    inside = scores.masked_fill(~look.patches[:, None], -1e9).logsumexp(-1)
    return (scores.logsumexp(-1) - inside).mean()


def register() -> None:
    """Make the packed attention known to transformers under `ATTENTION`."""
    AttentionInterface.register(ATTENTION, packed_attention)
