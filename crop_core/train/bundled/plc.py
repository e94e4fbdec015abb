"""Training of the learned PLC: queries that compress the image, and low-rank changes of the model that reads them.

Source: Guo et al., CROP, EMNLP 2025, arXiv 2505.21233: both are trained together. Differs from the paper: the changes
are low-rank, tower and projector stay frozen, and beside the right answers the model learns the baseline's logits
(distillation).
"""

from __future__ import annotations

import argparse
import math
import random
from collections import OrderedDict
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crop_core.compress.learned import LearnedCompressor
from crop_core.compress.plc_checkpoint import LowRank, save_plc
from crop_core.compress.protocol import CompressionInput
from crop_core.compress.query_resampler import QueryWindows, RegionResampler
from crop_core.localize.calibration import iou
from crop_core.models import DEFAULT_MODEL, Adapter, load
from crop_core.records.region import GRID, Region
from crop_core.train.bundled.batches import draw
from crop_core.train.bundled.checkpoint import ANSWERER
from crop_core.train.bundled.dense import encode_patches
from crop_core.train.bundled.packed_attention import ATTENTION, Context, barred, read, register
from crop_core.train.bundled.packing import IGNORED, Pack, Packer
from crop_core.train.bundled.training_loop import Stats, TrainingRun
from crop_core.train.world import splits
from crop_core.train.world.question import Question
from crop_core.train.world.questions import sample_questions
from crop_core.train.world.vocabulary import Scene

FIRST_SEED = splits.PLC_TRAINING.start - splits.TRAINING.start  # as `draw` counts
_WIDER, _NARROWER, _WHOLE = (
    0.15,
    0.02,
    0.04,
)  # rates of a region's errors: by a cell on a side, or the whole image
_NEAR = 0.5  # minimal overlap at which another question can share a region


@dataclass(frozen=True)
class PlcPlan:
    """Schedule of the training. A step compresses `batch` images to the same number of tokens, from `min_tokens` to
    `max_tokens`, mostly few; `fresh` of them are new, the others of the last `memory`. Of up to `questions` about each,
    up to `per_region` that share a region are used. In a share `bare` of the steps no token of the region is retained,
    so that the weights also work without anchors. distilled: weight of the divergence beside the right answers.
    """

    steps: int = 1000
    batch: int = 8
    fresh: int = 1
    memory: int = 800
    questions: int = 20
    per_region: int = 6
    min_tokens: int = 48
    max_tokens: int = 256
    bare: float = 0.4
    rank: int = 4
    rate: float = 2e-3
    distilled: float = 1.0


@dataclass(frozen=True)
class Lesson:
    """A scene without its image, its visual tokens (N, D), questions about it, and for each of these the
    baseline's logits (T, V) of the answer's tokens.
    """

    scene: Scene
    tokens: Tensor
    questions: list[Question]
    logits: list[Tensor]


class Lessons:
    """Fresh lessons mixed with recent ones; the step decides which, so that a resumed run sees the same."""

    def __init__(self, adapter: Adapter, packer: Packer, plan: PlcPlan) -> None:
        self.adapter, self.packer, self.plan = adapter, packer, plan
        self._lessons: OrderedDict[int, Lesson] = OrderedDict()

    def __call__(self, step: int) -> tuple[list[Lesson], random.Random]:
        """The lessons of a step, and the generator for its other random choices."""
        rng = random.Random(f"plc {step}")
        newest = self.plan.batch + step * self.plan.fresh
        seeds = list(range(newest - self.plan.fresh, newest))
        seeds += [rng.randrange(max(0, newest - self.plan.memory), newest) for _ in range(self.plan.batch - len(seeds))]
        lessons = [self._lesson(seed) for seed in seeds]
        while len(self._lessons) > self.plan.memory:
            self._lessons.popitem(last=False)
        return lessons, rng

    def _lesson(self, seed: int) -> Lesson:
        if seed not in self._lessons:
            self._lessons[seed] = self._make(FIRST_SEED + seed)
        return self._lessons[seed]

    @torch.no_grad()
    def _make(self, seed: int) -> Lesson:
        scene, square, _ = draw(ANSWERER, seed, with_image=False)
        model, rng = self.adapter.model.model, random.Random(f"plc questions {seed}")
        questions = sample_questions(rng, scene, self.plan.questions)
        features = encode_patches(model.vision_tower, torch.tensor(square)[None])
        tokens = model.multi_modal_projector(features)  # (1, N, D)
        if not questions:  # of a cut-out image
            return Lesson(scene, tokens[0].half(), [], [])
        pack = self.packer.pack([scene], [questions], rng)
        logits = answers(self.adapter, self.packer, tokens, torch.arange(tokens.shape[1])[None], pack)
        lengths = pack.segment[pack.label != IGNORED].bincount(minlength=len(questions)).tolist()
        return Lesson(scene, tokens[0].half(), questions, list(logits.split(lengths)))


def answers(adapter: Adapter, packer: Packer, visual: Tensor, places: Tensor, pack: Pack) -> Tensor:
    """(R, V) logits of the answers' tokens, scene by scene, question by question; visual (B, K, D) at places (B, K)."""
    first, model = len(packer.prefix), adapter.model
    context = Context(first + visual.shape[1], first, pack.chunks, barred(pack), {})
    image = packer.recipe.grid**2
    with torch.autocast("cpu", torch.bfloat16):
        hidden = read(model.model.language_model, packer.prefix, visual, places, image, pack, context)
        return model.lm_head(hidden[pack.label != IGNORED]).float()


def region_of(question: Question, scene: Scene) -> Region:
    """The smallest region of grid cells that holds all that a question needs."""
    size = scene.image.size
    return Region.from_box(question.box(*size), *size)


def noisy_region(needed: Region, rng: random.Random) -> Region:
    """A simulated prediction for the needed region: each side may be off by a cell, or it is the whole image."""
    if rng.random() < _WHOLE:
        return replace(needed, x0=0, y0=0, x1=GRID - 1, y1=GRID - 1)
    off = rng.choices((1, 0, -1), (_WIDER, 1 - _WIDER - _NARROWER, _NARROWER), k=4)
    x0, x1 = max(0, needed.x0 - off[0]), min(GRID - 1, needed.x1 + off[1])
    y0, y1 = max(0, needed.y0 - off[2]), min(GRID - 1, needed.y1 + off[3])
    return replace(needed, x0=min(x0, x1), y0=min(y0, y1), x1=max(x0, x1), y1=max(y0, y1))


def questions_with_region(lesson: Lesson, rng: random.Random, max_count: int) -> tuple[Region, list[int]]:
    """A region for one of the lesson's questions, and the indices of that question and up to `max_count` - 1 others
    with nearly the same region.
    """
    chosen = rng.randrange(len(lesson.questions))
    region = noisy_region(region_of(lesson.questions[chosen], lesson.scene), rng)
    overlap = iou([region.grid], [region_of(question, lesson.scene).grid for question in lesson.questions])
    near = [number for number, share in enumerate(overlap) if number != chosen and share >= _NEAR]
    return region, sorted([chosen, *rng.sample(near, min(len(near), max_count - 1))])


class PlcTraining:
    """Loss of a step: the changed language model reads images that the queries compress around given regions."""

    def __init__(self, adapter: Adapter, plan: PlcPlan) -> None:
        register()
        self.adapter, self.plan = adapter, plan
        adapter.model.requires_grad_(False)
        adapter.model.model.language_model.config._attn_implementation = ATTENTION
        self.packer = Packer(ANSWERER, adapter.tokenizer, plan.questions, chunks=1)
        self.lessons = Lessons(adapter, self.packer, plan)
        self.queries = RegionResampler(adapter.model.config.text_config.hidden_size)
        self.changes = LowRank(adapter.stack.layers, plan.rank)

    def __call__(self, step: int) -> tuple[Tensor, Stats]:
        """Cross-entropy of the right answers and divergence from the baseline's logits."""
        lessons, rng = self.lessons(step)
        lessons = [lesson for lesson in lessons if lesson.questions]
        count = round(math.exp(rng.uniform(math.log(self.plan.min_tokens), math.log(self.plan.max_tokens))))
        anchors = rng.random() >= self.plan.bare
        sampled = [questions_with_region(lesson, rng, self.plan.per_region) for lesson in lessons]
        visual, places = self._compressed(lessons, [region for region, _ in sampled], count, anchors)
        chosen = [[lesson.questions[at] for at in own] for lesson, (_, own) in zip(lessons, sampled, strict=True)]
        pack = self.packer.pack([lesson.scene for lesson in lessons], chosen, rng)
        with self.changes.training_on(self.adapter.stack.layers):
            logits = answers(self.adapter, self.packer, visual, places, pack)
        baseline = torch.cat(
            [lesson.logits[at] for lesson, (_, own) in zip(lessons, sampled, strict=True) for at in own]
        )
        return self._loss(logits, baseline, pack)

    def _compressed(
        self, lessons: list[Lesson], regions: list[Region], count: int, anchors: bool
    ) -> tuple[Tensor, Tensor]:
        """(B, M, D) input tokens and their (B, M) places among the N."""
        images = [CompressionInput(self.adapter.layout((each.width, each.height)), each) for each in regions]
        compressor = LearnedCompressor(anchors=anchors)
        homes = QueryWindows.stack([compressor.homes(image, count)[1] for image in images])
        tokens = torch.stack([lesson.tokens for lesson in lessons]).float()
        return self.queries(tokens, homes), homes.mean @ torch.arange(tokens.shape[1], dtype=torch.float32)

    def _loss(self, logits: Tensor, full: Tensor, pack: Pack) -> tuple[Tensor, Stats]:
        rows = pack.label != IGNORED
        target, weight = pack.label[rows], pack.weight[rows]
        right = F.cross_entropy(logits, target, reduction="none")
        divergence = F.kl_div(logits.log_softmax(-1), full.log_softmax(-1), reduction="none", log_target=True).sum(-1)
        own, like = ((each * weight).sum() / weight.sum() for each in (right, divergence))
        hit = (logits.argmax(-1) == target)[weight > 0.2].float().mean().item()
        stats = {"answer": hit, "loss": own.item(), "kl": like.item()}
        return own + self.plan.distilled * like, stats


def train(adapter: Adapter, plan: PlcPlan, file: Path) -> tuple[PlcTraining, Stats]:
    """Train on `adapter`'s model, whose own weights stay frozen, resuming from `file` if it exists."""
    torch.manual_seed(0)
    training = PlcTraining(adapter, plan)
    modules = nn.ModuleDict({"queries": training.queries, "changes": training.changes})
    return training, TrainingRun(modules, file, plan.steps, plan.rate, save_every=50, muon=False).train(training)


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(prog="python -m crop_core.train.bundled plc", description=__doc__)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="the answering model, a bundled name or a folder")
    parser.add_argument("--work", type=Path, default=Path("training"), help="where resumable checkpoints are kept")
    parser.add_argument("--out", type=Path, help="the model's folder, in which plc/ is written (default: WORK/MODEL)")
    parser.add_argument("--steps", type=int, default=PlcPlan.steps)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    adapter, plan = load(options.model, "cpu", "float32", "sdpa"), PlcPlan(steps=options.steps)
    training, _ = train(adapter, plan, options.work / "plc.pt")
    out = options.out or options.work / Path(options.model).name
    save_plc(out, training.queries, training.changes, {"trained": {**asdict(plan), "first_seed": FIRST_SEED}})


if __name__ == "__main__":
    main()
