"""Packs of questions with what they were made of, and both recipes at a size that trains in seconds."""

from __future__ import annotations

from dataclasses import replace

from crop_core.train.bundled import packing
from crop_core.train.bundled import train as training
from crop_core.train.bundled.batches import TrainingBatches
from crop_core.train.bundled.checkpoint import ANSWERER, LOCATOR, RECIPES
from crop_core.train.bundled.packing import Packer


def shrink(monkeypatch):
    """Make both recipes, and the plans to train them, small until the test ends."""
    size = {"hidden_size": 32, "intermediate_size": 32, "num_attention_heads": 2}
    for name, recipe, layers in (("crop-tiny-locator", LOCATOR, 5), ("crop-tiny", ANSWERER, 6)):
        language = {**size, "num_hidden_layers": layers}
        monkeypatch.setitem(RECIPES, name, replace(recipe, vision={**size, "num_hidden_layers": 1}, language=language))
        monkeypatch.setitem(training.VISION, name, replace(training.VISION[name], batch=2, fresh=1))
        plan = replace(training.LANGUAGE[name], batch=2, fresh=1, align=2, questions=4, kept=40, rate=6e-3)
        monkeypatch.setitem(training.LANGUAGE, name, plan)


def rows_of(pack, scene, number):
    """The columns of one question of one scene."""
    return (pack.segment[scene] == number).nonzero()[:, 0]


def packed(recipe, tokenizer, monkeypatch, questions=6, batch=2):
    """A pack, its samples, and the questions of each."""
    samples_of = []

    def noting(*arguments):
        samples_of.append(sample(*arguments))
        return samples_of[-1]

    sample = packing.sample_questions
    monkeypatch.setattr(packing, "sample_questions", noting)
    samples, rng = TrainingBatches(recipe, batch=batch, fresh=1, memory=8)(0)
    return (
        Packer(recipe, tokenizer, questions, chunks=2)([sample.scene for sample in samples], rng),
        samples,
        samples_of,
    )
