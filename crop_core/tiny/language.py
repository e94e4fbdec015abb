"""Training stage 2: projector and language model on the frozen tower's features, many questions behind each image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import LlavaForConditionalGeneration
from transformers import PreTrainedTokenizerFast as Tokenizer

from crop_core.tiny.checkpoint import Recipe
from crop_core.tiny.dense import EdgeHead, encode_patches
from crop_core.tiny.feed import Feed, patches_to_keep, stack
from crop_core.tiny.loop import Run, Stats
from crop_core.tiny.packing import ATTENTION, IGNORED, Context, Pack, Packer, barred, register
from crop_core.tiny.warm_start import Imitation
from crop_core.tiny.workers import Later, Workers
from crop_core.tiny.world import CATEGORIES, COLORS, TEXTS

_SHARPNESS = 12.0


@dataclass(frozen=True)
class LanguagePlan:
    """How long and how hard.

    `align` steps only turn the projector's output towards the words' embeddings, or towards the teacher's tokens where
    there is one; about `kept` visual tokens are read, more or fewer from step to step so that the model takes pruning
    lightly, and all of them in the last `full` share of the steps; the look losses teach the layers named where to
    look, and fade out by `looked` of the steps.
    """

    steps: int
    reference_layers: tuple[int, ...]
    target_layers: tuple[int, ...]
    batch: int = 8
    fresh: int = 4
    questions: int = 20
    chunks: int = 5
    kept: int = 180
    align: int = 60
    full: float = 0.06
    looked: float = 0.7
    rate: float = 2e-3


class Language:
    """The loss of one packed batch through the model's own projector, decoder layers and head."""

    def __init__(self, model: LlavaForConditionalGeneration, recipe: Recipe, tokenizer: Tokenizer, plan: LanguagePlan):
        self.model, self.recipe, self.plan, self.device = model, recipe, plan, model.device
        self.packer = Packer(recipe, tokenizer, plan.questions, plan.chunks)
        self.edges = EdgeHead(recipe.language["hidden_size"], recipe.bins).to(self.device)
        ids = tokenizer.convert_tokens_to_ids
        self.words = [
            (column, torch.tensor(ids(list(names)), device=self.device))
            for column, names in enumerate((CATEGORIES, COLORS, TEXTS))
        ]

    def align_loss(self, visual: Tensor, labels: Tensor) -> tuple[Tensor, float]:
        """How far projected tokens (B, K, d) are from the words for what they show; how often the thing is nearest."""
        words = F.normalize(self.model.model.language_model.embed_tokens.weight.float(), dim=-1)
        direction = F.normalize(visual.float(), dim=-1)
        total, nearest = visual.new_zeros(()).float(), 0.0
        for (column, ids), share in zip(self.words, (1.0, 0.5, 0.5), strict=True):
            has = (labels[..., column] > 0) & (labels[..., column] <= len(ids))
            if has.any():
                logits = _SHARPNESS * direction[has] @ words[ids].T
                wanted = labels[has][:, column] - 1
                total = total + share * F.cross_entropy(logits, wanted)
                nearest = (logits.argmax(-1) == wanted).float().mean().item() if column == 0 else nearest
        return total + 0.5 * self.edges(visual, labels)[0], nearest

    def __call__(
        self, features: Tensor, labels: Tensor, keep: Tensor | None, pack: Pack | None, look: float
    ) -> tuple[Tensor, Stats]:
        """The whole loss; features (B, K, d_vision), labels (B, K, 7), keep (B, K) or None; all on one device."""
        visual = self.model.model.multi_modal_projector(features)
        align, nearest = self.align_loss(visual, labels)
        if pack is None:
            return 2 * align, {"align": nearest}
        hidden, context = self._read(visual, keep, pack)
        rows = pack.label != IGNORED
        logits = self.model.lm_head(hidden[rows]).float()
        wanted, weight = pack.label[rows], pack.weight[rows]
        loss = (F.cross_entropy(logits, wanted, reduction="none") * weight).sum() / weight.sum()
        answer = weight > 0.2  # not the end token
        hit = (logits.argmax(-1) == wanted)[answer].float().mean().item()
        looked = torch.stack(context.losses).mean() if context.losses else loss.new_zeros(())
        stats = {"answer": hit, "loss": loss.item(), "look": looked.item(), "align": nearest}
        return loss + 0.3 * align + 0.3 * look * looked, stats

    def _read(self, visual: Tensor, keep: Tensor | None, pack: Pack) -> tuple[Tensor, Context]:
        """The last hidden states of the questions' columns (B, T, d)."""
        language = self.model.model.language_model
        batch, kept = visual.shape[:2]
        head = language.embed_tokens(torch.tensor(self.packer.prefix, device=self.device)).expand(batch, -1, -1)
        inputs = torch.cat([head.to(visual.dtype), visual, language.embed_tokens(pack.ids).to(visual.dtype)], 1)
        first, image = len(self.packer.prefix), self.recipe.grid**2
        places = torch.arange(image, device=self.device).expand(batch, -1) if keep is None else keep
        start = torch.arange(first, device=self.device).expand(batch, -1)
        positions = torch.cat([start, first + places, first + image + pack.position], 1)
        looks = dict.fromkeys(self.plan.reference_layers, pack.reference) | dict.fromkeys(
            self.plan.target_layers, pack.target
        )
        if keep is not None:
            looks = {layer: look.among(keep) for layer, look in looks.items()}
        context = Context(first + kept, first, pack.chunks, barred(pack), looks)
        unused = torch.zeros(1, 1, 1, 1, device=self.device)  # a ready-made mask: the packed attention has its own
        output = language(
            inputs_embeds=inputs, attention_mask=unused, position_ids=positions, use_cache=False, packing=context
        )
        return output.last_hidden_state[:, first + kept :], context


class Packs:
    """What is asked in every step and how many patches are kept, made as many steps ahead as there are workers."""

    def __init__(self, feed: Feed, packer: Packer, plan: LanguagePlan):
        self.feed, self.packer, self.plan = feed, packer, plan
        self._ahead: dict[int, tuple[int, Later[Pack] | None]] = {}

    def __call__(self, step: int) -> tuple[int, Pack | None]:
        """How many patches the step keeps, and its questions: none while the projector is only aligned."""
        for later in range(step, min(step + self.feed.workers.count + 1, self.plan.steps)):
            if later not in self._ahead:
                self._ahead[later] = self._start(later)
        kept, pack = self._ahead.pop(step)
        return kept, pack.result() if pack else None

    def _start(self, step: int) -> tuple[int, Later[Pack] | None]:
        scenes, rng = self.feed.scenes(step)
        early = step / self.plan.steps < 1 - self.plan.full
        kept = int(self.plan.kept * rng.uniform(0.7, 1.4)) if early else self.feed.recipe.grid**2
        return kept, None if step < self.plan.align else self.feed.workers.start(self.packer, scenes, rng)


def train_language(
    model: LlavaForConditionalGeneration,
    recipe: Recipe,
    tokenizer: Tokenizer,
    plan: LanguagePlan,
    file: Path,
    workers: Workers,
    imitation: Imitation | None = None,
) -> Stats:
    """Train projector and language model in place and on the model's device; the tower stays as it is.

    Resumes from `file` if it is there. With `imitation` the first `plan.align` steps only teach the projector what the
    teacher's says.
    """
    register()
    tower, device = model.model.vision_tower.requires_grad_(False), model.device
    model.model.language_model.config._attn_implementation = ATTENTION
    language = Language(model, recipe, tokenizer, plan)
    modules = nn.ModuleDict(
        {
            "projector": model.model.multi_modal_projector,
            "language": model.model.language_model,
            "heads": language.edges,
        }
    )
    run = Run(modules, file, plan.steps, plan.rate)

    @torch.no_grad()
    def encode(squares: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            return encode_patches(tower, squares.to(device)).bfloat16()

    pictures = plan.align if imitation else 0
    feed = Feed(recipe, plan.batch, plan.fresh, memory=6_000, encode=encode, pictures=pictures, workers=workers)
    packs = Packs(feed, language.packer, plan)

    def loss(step: int) -> tuple[Tensor, Stats]:
        samples, _ = feed(step)
        kept, pack = packs(step)
        features, labels = stack(samples)
        if imitation is not None and step < plan.align:
            with torch.autocast(device.type, torch.bfloat16):
                visual = model.model.multi_modal_projector(features.float())
                imitated = imitation.loss(visual, labels.to(device), [sample.scene for sample in samples])
            return imitated, {"imitated": imitated.item()}
        keep, labels = patches_to_keep(labels, kept), labels.to(device)
        if keep is not None:
            keep = keep.to(device)
            features, labels = (x.gather(1, keep[..., None].expand(-1, -1, x.shape[-1])) for x in (features, labels))
        pack = pack.to(device) if pack else None
        with torch.autocast(device.type, torch.bfloat16):
            return language(features.float(), labels, keep, pack, look=max(0.0, 1 - run.done / plan.looked))

    model.train()
    return run.train(loss)
