"""Many questions behind one image prefix: each question sees the image and itself, and the image is computed once.

The packed rows go through the model's own decoder layers; only the attention function is replaced, by a named one.
"""

from __future__ import annotations

import math
import random
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
from crop_core.tiny.world import CATEGORIES, GOODS, Scene

ATTENTION = "crop_tiny_packed"
IGNORED = -100
_END_WEIGHT = 0.1  # the end token after every answer is easy


@dataclass
class Look:
    """Rows that should look at given patches: where they are in the pack (R, 2), and the patches (R, N)."""

    rows: Tensor
    patches: Tensor

    def among(self, keep: Tensor) -> Look:
        """The same, of the patches (B, K) that are kept; without the rows that have none left to look at."""
        patches = self.patches.gather(1, keep[self.rows[:, 0]])
        seen = patches.any(1)
        return Look(self.rows[seen], patches[seen])

    def to(self, device: torch.device) -> Look:
        """The same on a device."""
        return Look(self.rows.to(device), self.patches.to(device))


@dataclass
class Pack:
    """Questions of B scenes in C chunks of equal length, side by side in T columns.

    `ids`, `segment` (which question, -1 = padding), `position` (within the question), `label` and `weight` are (B, T).
    """

    ids: Tensor
    segment: Tensor
    position: Tensor
    label: Tensor
    weight: Tensor
    chunks: int
    reference: Look
    target: Look

    def to(self, device: torch.device) -> Pack:
        """The same on a device."""
        names = ("ids", "segment", "position", "label", "weight", "reference", "target")
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
        looks: tuple[list, list] = ([], [])  # (scene, chunk, place in chunk, patches): reference, target
        for index, scene in enumerate(scenes):
            found = sample_questions(rng, scene, self.questions)
            bins.append(self._fill(index, scene, found, rng, looks))
        length = 8 * -(-max(len(chunk[0]) for chunks in bins for chunk in chunks) // 8)
        columns = [
            torch.tensor([[x for c in chunks for x in c[i] + [fill] * (length - len(c[0]))] for chunks in bins])
            for i, fill in enumerate((0, -1, 0, IGNORED, 0.0))
        ]
        reference, target = (self._look(found, length) for found in looks)
        ids, segment, position, label, weight = columns
        return Pack(ids, segment, position, label, weight, self.chunks, reference, target)

    def _fill(self, index: int, scene: Scene, found: list[Question], rng: random.Random, looks: tuple) -> list:
        """Each question goes into the shortest chunk; returns the chunks' columns."""
        chunks: list[list[list]] = [[[], [], [], [], []] for _ in range(self.chunks)]
        texts = [q.text if rng.random() < 0.8 else q.text.rstrip("?") for q in found]
        encoded = self.tokenizer(texts, add_special_tokens=False)["input_ids"]
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
            shown = patches_of(question.reference, scene, self.recipe)
            wanted = self._wanted(question, scene, shown, len(answer))
            named = [i for i, token in enumerate(asked) if token in self._names]
            waits = question.kind == "two_hop" or (
                question.kind == "compare" and [asked[i] for i in named[:1]] == [self._bar]
            )
            if waits:  # its first name stands before the thing that it depends on, and cannot know where to look
                named = named[1:]
            looks[0].extend((index, place, start + i, shown) for i in named if shown.any())
            looks[1].extend((index, place, start + before + i, w) for i, w in enumerate(wanted) if w.any())
        return chunks

    def _wanted(self, question: Question, scene: Scene, shown: np.ndarray, n: int) -> list[np.ndarray]:
        """Where to look for each of the n words: everything needed for a region, else the target, or its own box."""
        if not self._slots and len(question.target) == n:
            return [patches_of((box,), scene, self.recipe) for box in question.target]
        wanted = patches_of(question.target, scene, self.recipe)
        return [wanted | shown if self._slots else wanted] * n

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
