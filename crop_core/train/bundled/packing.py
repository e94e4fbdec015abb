"""Packing: many questions about each scene, with their answers, look targets and needed patches."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast as Tokenizer

from crop_core.records.region import Region
from crop_core.train.bundled.checkpoint import Recipe
from crop_core.train.bundled.dense import cells, middles_of, patches_of
from crop_core.train.bundled.token_selection import Selection
from crop_core.train.world.question import Question
from crop_core.train.world.questions import sample_questions
from crop_core.train.world.vocabulary import CATEGORIES, GOODS, Box, Scene

IGNORED = -100
_END_WEIGHT = 0.1  # the end token after every answer is easy


@dataclass
class Look:
    """Attention targets: rows (R, 2) as (scene, place), and the patches (R, N) that each should attend to."""

    rows: Tensor
    patches: Tensor

    def among(self, selection: Selection) -> Look:
        """The targets among selected tokens: those made mostly of target patches; rows without any are dropped."""
        patches = self.patches.new_zeros(len(self.patches), selection.count)
        for scene, weights in enumerate(selection.weights):
            rows = self.rows[:, 0] == scene
            patches[rows] = self.patches[rows].float() @ weights.T > 0.5
        seen = patches.any(1)
        return Look(self.rows[seen], patches[seen])

    def to(self, device: torch.device) -> Look:
        """A copy on a device."""
        return Look(self.rows.to(device), self.patches.to(device))


@dataclass
class Pack:
    """Questions of B scenes in C chunks of equal length, side by side in T columns.

    `ids`, `segment` (which question, -1 = padding), `position` (within the question), `label` and `weight` are (B, T).
    `reference`, `target` and `winner` are the targets of attention in this order: the named objects, the answer, and
    the name of a comparison's winner. `asking` (R, 2) are the rows after each question, before the answer, as (scene,
    place); `needed` (B, S, N) bool the patches of each question's region.
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
    asking: Tensor
    needed: Tensor

    def to(self, device: torch.device) -> Pack:
        """A copy on a device."""
        tensors = {item.name: getattr(self, item.name).to(device) for item in fields(self) if item.name != "chunks"}
        return replace(self, **tensors)


@dataclass
class Packer:
    """Packs scenes for one recipe: the answer's words follow, or the region's numbers fill the slots."""

    recipe: Recipe
    tokenizer: Tokenizer
    questions: int
    chunks: int
    _names: set[int] = field(init=False)
    _asks: list[int] = field(init=False)
    _bar: int = field(init=False)
    _mark: int = field(init=False)
    _slots: list[int] = field(init=False)
    prefix: list[int] = field(init=False)

    def __post_init__(self) -> None:
        ids = self.tokenizer.convert_tokens_to_ids
        self._names = set(ids([*CATEGORIES, *GOODS, "shape"]))
        self._asks = ids([self.recipe.says.lower(), ":"])
        self._bar, self._mark = ids(["bar", "?"])
        self._slots = ids(list(self.recipe.slots))
        self.prefix = ids(["<s>", "user", ":"])

    def __call__(self, scenes: list[Scene], rng: random.Random) -> Pack:
        """A pack of sampled questions for every scene."""
        return self.pack(scenes, (sample_questions(rng, scene, self.questions) for scene in scenes), rng)

    def pack(self, scenes: list[Scene], questions: Iterable[list[Question]], rng: random.Random) -> Pack:
        """A pack of up to `questions` given questions a scene; rng: omits some question marks."""
        bins = []
        looks: tuple[list, list, list] = ([], [], [])  # (scene, chunk, place in chunk, patches): as in Pack
        needed = torch.zeros(len(scenes), self.questions, self.recipe.grid**2, dtype=torch.bool)
        for index, (scene, own) in enumerate(zip(scenes, questions, strict=True)):
            bins.append(self._fill(index, scene, own, rng, looks))
            for number, question in enumerate(own):
                needed[index, number] = torch.from_numpy(patches_of((_region(question, scene),), scene, self.recipe))
        length = 8 * -(-max(len(chunk[0]) for chunks in bins for chunk in chunks) // 8)
        columns = [
            torch.tensor([[x for c in chunks for x in c[i] + [fill] * (length - len(c[0]))] for chunks in bins])
            for i, fill in enumerate((0, -1, 0, IGNORED, 0.0))
        ]
        ids, segment, position, label, weight = columns
        asking = torch.isin(ids, torch.tensor([*self._asks, self._mark])).nonzero()
        reference, target, winner = (self._look(entries, length) for entries in looks)
        return Pack(ids, segment, position, label, weight, self.chunks, reference, target, winner, asking, needed)

    def _fill(self, index: int, scene: Scene, questions: list[Question], rng: random.Random, looks: tuple) -> list:
        """Put each question into the shortest chunk; return the chunks' columns."""
        chunks: list[list[list]] = [[[], [], [], [], []] for _ in range(self.chunks)]
        texts = [q.text if rng.random() < 0.8 else q.text.rstrip("?") for q in questions]
        encoded = self.tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
        for number, (question, tokens) in enumerate(zip(questions, encoded, strict=True)):
            place = min(range(self.chunks), key=lambda i: len(chunks[i][0]))
            chunk, start = chunks[place], len(chunks[place][0])
            answer = self._answer(question, scene)
            row = tokens + self._asks + (self._slots or answer)
            end = [] if self._slots else [self.tokenizer.eos_token_id]
            before = len(row) - len(answer) - len(end)
            labels = [IGNORED] * before + answer + end
            weights = [0.0] * before + [1.0 / len(answer)] * len(answer) + [_END_WEIGHT] * len(end)
            for column, values in zip(chunk, (row, [number] * len(row), range(len(row)), labels, weights), strict=True):
                column.extend(values)
            pairs_by_look = self._pairs(question, tokens, range(before, before + len(answer)))
            for look, pairs in zip(looks, pairs_by_look, strict=True):
                shown = [(start + i, patches_of(boxes, scene, self.recipe)) for i, boxes in pairs]
                look.extend((index, place, at, patches) for at, patches in shown if patches.any())
            if question.counted and not self._slots:
                middles = middles_of(question.counted, scene, self.recipe)
                looks[1].extend((index, place, start + before + i, middles) for i in range(len(answer)))
        return chunks

    def _pairs(self, question: Question, tokens: list[int], answer_rows: range) -> tuple[list, list, list]:
        """Targets of the question's names and of the answer's words (rows `answer_rows`): first, second and last."""
        named = [i for i, token in enumerate(tokens) if token in self._names]
        if question.kind == "compare":
            named = [i for i in named if tokens[i] != self._bar]
        if question.kind == "two_hop":  # its first name stands before the object that it depends on
            named = named[1:]
        if self._slots:  # a region is around everything
            return (
                _each(named, question.reference),
                _each(answer_rows, question.reference + question.target, apart=False),
                [],
            )
        target = () if question.counted else question.target or question.winner[:1]
        targets = _each(answer_rows, target) + _each(named, question.amounts)
        return _each(named, question.reference), targets, _each(answer_rows, question.winner[1:])

    def _answer(self, question: Question, scene: Scene) -> list[int]:
        words = question.answer.split()
        if self._slots:
            box = question.box(*scene.image.size)
            words = [str(cell) for cell in cells(box, scene, self.recipe, 8)]
        return self.tokenizer.convert_tokens_to_ids(words)

    def _look(self, entries: list, length: int) -> Look:
        rows = torch.tensor([(scene, chunk * length + place) for scene, chunk, place, _ in entries]).view(-1, 2)
        patches = (
            torch.from_numpy(np.stack([f[3] for f in entries]))
            if entries
            else torch.zeros(0, self.recipe.grid**2, dtype=torch.bool)
        )
        return Look(rows, patches)


def _region(question: Question, scene: Scene) -> Box:
    """The grid cells around what a question needs, in whole pixels."""
    left, top, right, bottom = Region.from_box(question.box(*scene.image.size), *scene.image.size).box
    return (int(left), int(top), math.ceil(right), math.ceil(bottom))


def _each(rows: Sequence[int], boxes: tuple[Box, ...], apart: bool = True) -> list[tuple[int, tuple[Box, ...]]]:
    """A box for each row where there are as many (and `apart`), else all boxes for every row."""
    if apart and len(rows) == len(boxes):
        return [(row, (box,)) for row, box in zip(rows, boxes, strict=True)]
    return [(row, boxes) for row in rows]
