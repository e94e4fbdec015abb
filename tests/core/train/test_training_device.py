"""Where and by how many processes the bundled models are trained: nothing of what is learnt depends on it."""

import os
import signal
import time
from dataclasses import fields, replace

import pytest
import torch

from crop_core.train.bundled import train as training
from crop_core.train.bundled.batches import TrainingBatches
from crop_core.train.bundled.checkpoint import LOCATOR, build_model, build_tokenizer
from crop_core.train.bundled.language import LanguagePlan, Packs, TokenDropout, train_language
from crop_core.train.bundled.packing import Look, Packer
from crop_core.train.bundled.train import VisionPlan, train_vision
from crop_core.train.bundled.warm_start import Imitation
from crop_core.train.bundled.workers import Workers
from crop_core.train.world.scenes import make_scene
from crop_core.train.world.vocabulary import DiscardedImage
from tests.support.other_device import OTHER, OtherDevice

pytestmark = pytest.mark.training

PLAN = LanguagePlan(
    8,
    reference_layers=(1,),
    target_layers=(3,),
    batch=3,
    fresh=1,
    questions=4,
    kept=40,
    align=1,
    pooled=0.5,
    pruned=0.5,
    salience=0.1,
)


def same(first, second):
    """Whether two packs or parts of them are equal."""
    if isinstance(first, Look) or hasattr(first, "segment"):
        return all(same(getattr(first, f.name), getattr(second, f.name)) for f in fields(first))
    return torch.equal(first, second) if isinstance(first, torch.Tensor) else first == second


def made(workers, steps):
    """What the steps are made of: samples, kept patches, packs."""
    encoded = []

    def encode(squares):
        encoded.append(len(squares))
        return squares.float().mean((1, 2))

    feed = TrainingBatches(LOCATOR, PLAN.batch, PLAN.fresh, memory=6, encode=encode, images=3, workers=workers)
    packs = Packs(feed, Packer(LOCATOR, build_tokenizer(), PLAN.questions, PLAN.chunks), PLAN)
    return [(feed(step)[0], *packs(step)) for step in steps], encoded


def test_an_unpruned_plan_reads_every_token_in_every_step():
    plan, count = training.LANGUAGE["crop-tiny"].unpruned(LOCATOR.grid**2), LOCATOR.grid**2
    assert (plan.pruned, plan.pooled, plan.salience, plan.steps) == (0, 0, 0, training.LANGUAGE["crop-tiny"].steps)
    feed = TrainingBatches(LOCATOR, plan.batch, plan.fresh, memory=6, images=count, workers=Workers())
    dropouts = {Packs(feed, None, replace(plan, align=plan.steps))(step)[0] for step in (0, 500)}
    assert dropouts == {TokenDropout(count)}


def test_workers_make_the_same_and_tell_when_one_is_gone():
    with Workers(2) as workers:
        for steps in (range(8), range(5, 7)):  # with scenes that are forgotten meanwhile; resumed
            (ours, alone), (theirs, together) = made(workers, steps), made(Workers(), steps)
            assert alone == together  # as many at once, for the same rounding
            for (samples, kept, pack), (others, also, packed) in zip(ours, theirs, strict=True):
                assert kept == also and (pack is packed is None or same(pack, packed))
                for sample, other in zip(samples, others, strict=True):
                    assert torch.equal(sample.view, other.view) and torch.equal(sample.labels, other.labels)
                    assert sample.scene.objects == other.scene.objects
                    assert type(sample.scene.image) is type(other.scene.image)
        with pytest.raises(ValueError, match="invalid literal"):
            workers.start(int, "a mistake in a job").result()
        process, busy = workers.start(os.getpid).result(), workers.start(time.sleep, 600)
        os.kill(process, signal.SIGKILL)
        with pytest.raises(RuntimeError, match="worker process of the training ended unexpectedly"):
            busy.result()
        with pytest.raises(RuntimeError, match="worker process of the training ended unexpectedly"):
            workers.start(os.getpid)


def test_samples_keep_the_size_of_an_image_alone():
    feed = TrainingBatches(LOCATOR, batch=2, fresh=1, memory=8, images=1)
    first, later = feed(0)[0], feed(3)[0]
    assert all(sample.scene.image.getpixel((0, 0)) for sample in first)
    assert (
        isinstance(later[0].scene.image, DiscardedImage)
        and later[0].scene.image.size == make_scene(1_000_004).image.size
    )
    assert all(isinstance(scene.image, DiscardedImage) for scene in feed.scenes(0)[0])


def test_options_that_cannot_be_are_errors(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for options, says in (
        (["--device", "cuda"], "--device cuda needs a GPU that torch can use, and there is none"),
        (["--device", "tpu"], "invalid choice: 'tpu'"),
        (["--workers", "-1"], "--workers is a number of processes, 0 for none, not -1"),
    ):
        with pytest.raises(SystemExit):
            training.main(options)
        assert says in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:for .* copying from a non-meta parameter")  # the other device is none to torch
def test_both_stages_run_on_another_device_and_go_on_on_either(tmp_path, monkeypatch):
    size = {"hidden_size": 32, "intermediate_size": 32, "num_attention_heads": 2}
    recipe = replace(LOCATOR, vision={**size, "num_hidden_layers": 1}, language={**size, "num_hidden_layers": 4})
    tokenizer, teacher = build_tokenizer(), build_model(recipe, build_tokenizer())

    def run(first, second):
        """The end of both stages, begun on one device and ended on another."""
        for device, steps in ((first, 2), (second, 4)):
            torch.manual_seed(0)
            model, work = build_model(recipe, tokenizer).to(device), tmp_path / f"{first} {second}"
            train_vision(model, recipe, VisionPlan(steps, batch=2, fresh=1, kept=60), work / "v.pt", Workers())
            imitation = Imitation(teacher.to(device), recipe, recipe)
            plan = replace(PLAN, steps=steps, batch=2)
            said = train_language(model, recipe, tokenizer, plan, work / "l.pt", Workers(), imitation)
        states = [torch.load(work / f"{name}.pt", weights_only=True)["modules"] for name in "vl"]
        return said, {name: weight for state in states for name, weight in state.items()}

    with OtherDevice(monkeypatch):
        (said, weights), *others = (run(*devices) for devices in (("cpu", "cpu"), (OTHER, "cpu"), ("cpu", OTHER)))
    for also, theirs in others:
        assert also == pytest.approx(said, rel=1e-3)
        assert all(type(weight) is torch.Tensor and weight.device.type == "cpu" for weight in theirs.values())
        for name, weight in weights.items():
            assert torch.allclose(theirs[name], weight, atol=2e-3), name
