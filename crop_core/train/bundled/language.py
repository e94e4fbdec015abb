"""Training stage 2: projector and language model on the frozen tower's features, many questions behind each image."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import LlavaForConditionalGeneration
from transformers import PreTrainedTokenizerFast as Tokenizer

from crop_core.train.bundled.batches import TrainingBatches, stack
from crop_core.train.bundled.checkpoint import Recipe
from crop_core.train.bundled.dense import BACKGROUND, CATEGORY, COLOR, TEXT, QuantityHead, Sample, encode_patches
from crop_core.train.bundled.packed_attention import ATTENTION, Context, Pruning, barred, read, register
from crop_core.train.bundled.packing import IGNORED, Look, Pack, Packer
from crop_core.train.bundled.token_selection import Selection, salience
from crop_core.train.bundled.training_loop import Stats, TrainingRun
from crop_core.train.bundled.warm_start import Imitation
from crop_core.train.bundled.workers import PendingResult, Workers
from crop_core.train.world.vocabulary import BACKGROUNDS, CATEGORIES, COLORS, TEXTS

_SHARPNESS = 12.0
_POOLED = (64, 96, 128, 192)  # tokens that PLC leaves
_MIN_LEFT, _MAX_LEFT = 16, 180  # tokens that ILP leaves


@dataclass(frozen=True)
class LanguagePlan:
    """Schedule of stage 2.

    `align` steps only align the projector's output with the words' embeddings, or with the teacher's tokens if there is
    one; then a step reads from 0.7 `kept` visual tokens to all of them, mostly few, and in a share `pooled` of the
    steps as few pooled ones as PLC leaves, for robustness to pruning; all of them in the last `full` share of the
    steps. In a share `pruned` of the steps all layers but the first see the tokens that ILP keeps, and with `salience`
    the first one learns which are worth keeping. The look losses supervise the attention of the named layers, and fade
    out by `look_share` of the steps.
    """

    steps: int
    reference_layers: tuple[int, ...]
    target_layers: tuple[int, ...]
    winner_layers: tuple[int, ...] = ()
    batch: int = 8
    fresh: int = 4
    questions: int = 20
    chunks: int = 5
    kept: int = 180
    align: int = 60
    pooled: float = 0.0
    pruned: float = 0.0
    salience: float = 0.0
    full: float = 0.06
    look_share: float = 0.7
    rate: float = 2e-3

    def unpruned(self, tokens: int) -> LanguagePlan:
        """The same schedule with all `tokens` of every image in every step and layer: nothing pruned, pooled or left
        out, and no layer taught what is worth keeping.
        """
        return replace(self, kept=2 * tokens, pooled=0.0, pruned=0.0, salience=0.0)


@dataclass(frozen=True)
class TokenDropout:
    """Visual tokens of each image in a step: `count` patches, or pooled tokens with the seed `pooled`; left: tokens
    that each question keeps after the first layer, None for all.
    """

    count: int
    pooled: str | None = None
    left: int | None = None

    def selection(self, samples: list[Sample], labels: Tensor, recipe: Recipe) -> Selection | None:
        """The tokens, by the patches' labels (B, N, LABELS); None for all."""
        if self.pooled is None:
            return Selection.of_objects(labels, self.count)
        sizes = [sample.scene.image.size for sample in samples]
        return Selection.pooled(sizes, recipe, self.count, random.Random(self.pooled))


class Language:
    """Loss of one packed batch through the model's own projector, decoder layers and head."""

    def __init__(self, model: LlavaForConditionalGeneration, recipe: Recipe, tokenizer: Tokenizer, plan: LanguagePlan):
        self.model, self.recipe, self.plan, self.device = model, recipe, plan, model.device
        self.packer = Packer(recipe, tokenizer, plan.questions, plan.chunks)
        self.quantities = QuantityHead(recipe.language["hidden_size"], recipe.bins).to(self.device)
        ids = tokenizer.convert_tokens_to_ids
        self.words = [
            (column, torch.tensor(ids(list(names)), device=self.device), share)
            for column, names, share in (
                (CATEGORY, CATEGORIES, 1.0),
                (COLOR, COLORS, 0.5),
                (TEXT, TEXTS, 0.5),
                (BACKGROUND, BACKGROUNDS, 0.3),
            )
        ]

    def align_loss(self, visual: Tensor, labels: Tensor) -> tuple[Tensor, float]:
        """Distance of projected tokens (B, N, d) from the words of their content; share with the right category
        nearest.
        """
        words = F.normalize(self.model.model.language_model.embed_tokens.weight.float(), dim=-1)
        direction = F.normalize(visual.float(), dim=-1)
        total, nearest = visual.new_zeros(()).float(), 0.0
        for column, ids, share in self.words:
            has = (labels[..., column] > 0) & (labels[..., column] <= len(ids))
            if has.any():
                logits = _SHARPNESS * direction[has] @ words[ids].T
                target = labels[has][:, column] - 1
                total = total + share * F.cross_entropy(logits, target)
                nearest = (logits.argmax(-1) == target).float().mean().item() if column == CATEGORY else nearest
        return total + 0.5 * self.quantities(visual, labels)[0], nearest

    def __call__(
        self,
        features: Tensor,
        labels: Tensor,
        selection: Selection | None,
        pack: Pack | None,
        look: float,
        left: int | None = None,
    ) -> tuple[Tensor, Stats]:
        """The whole loss; features (B, N, d_vision), labels (B, N, LABELS), None selects all and leaves all; all on one
        device."""
        visual = self.model.model.multi_modal_projector(features)
        align, nearest = self.align_loss(visual, labels)
        if pack is None:
            return 2 * align, {"align": nearest}
        worth = salience(labels) if selection is None else selection(salience(labels)[..., None])[..., 0]
        hidden, context = self._read(visual, selection, pack, worth, left)
        rows = pack.label != IGNORED
        logits = self.model.lm_head(hidden[rows]).float()
        target, weight = pack.label[rows], pack.weight[rows]
        loss = (F.cross_entropy(logits, target, reduction="none") * weight).sum() / weight.sum()
        answer = weight > 0.2  # not the end token
        hit = (logits.argmax(-1) == target)[answer].float().mean().item()
        look_loss = torch.stack(context.losses).mean() if context.losses else loss.new_zeros(())
        salience_loss = loss.new_zeros(()) if context.salience is None else context.salience
        stats = {
            "answer": hit,
            "loss": loss.item(),
            "look": look_loss.item(),
            "salience": salience_loss.item(),
            "align": nearest,
        }
        return loss + 0.3 * align + 0.3 * look * look_loss + self.plan.salience * salience_loss, stats

    def _read(
        self,
        visual: Tensor,
        selection: Selection | None,
        pack: Pack,
        worth: Tensor | None = None,
        left: int | None = None,
    ) -> tuple[Tensor, Context]:
        """The last hidden states of the questions' columns (B, T, d); visual (B, N, d), worth (B, M)."""
        visual = visual if selection is None else selection(visual)
        batch, kept = visual.shape[:2]
        first, image = len(self.packer.prefix), self.recipe.grid**2
        places = torch.arange(image, device=self.device).expand(batch, -1) if selection is None else selection.places
        looks: dict[int, Look] = {}
        for layers, look in (
            (self.plan.reference_layers, pack.reference),
            (self.plan.target_layers, pack.target),
            (self.plan.winner_layers, pack.winner),
        ):
            looks |= dict.fromkeys(layers, look if selection is None else look.among(selection))
        context = Context(first + kept, first, pack.chunks, barred(pack), looks)
        if worth is not None and self.plan.salience:
            context.asking, context.worth = pack.asking, (worth + 1e-3) / (worth + 1e-3).sum(-1, keepdim=True)
        if left is not None:
            needed = pack.needed if selection is None else pack.needed.float() @ selection.weights.mT > 0.5
            context.pruning = Pruning(left, needed, pack.asking, pack.segment)
        language = self.model.model.language_model
        return read(language, self.packer.prefix, visual, places, image, pack, context), context


class Packs:
    """Packs of questions and token dropout of every step, prepared as many steps ahead as there are workers."""

    def __init__(self, batches: TrainingBatches, packer: Packer, plan: LanguagePlan):
        self.batches, self.packer, self.plan = batches, packer, plan
        self._ahead: dict[int, tuple[TokenDropout, PendingResult[Pack] | None]] = {}

    def __call__(self, step: int) -> tuple[TokenDropout, Pack | None]:
        """The token dropout of a step, and its questions: None while the projector is only aligned."""
        for later in range(step, min(step + self.batches.workers.count + 1, self.plan.steps)):
            if later not in self._ahead:
                self._ahead[later] = self._start(later)
        dropout, pack = self._ahead.pop(step)
        return dropout, pack.result() if pack else None

    def _start(self, step: int) -> tuple[TokenDropout, PendingResult[Pack] | None]:
        scenes, rng = self.batches.scenes(step)
        early = step / self.plan.steps < 1 - self.plan.full
        fewest, full = int(0.7 * self.plan.kept), self.batches.recipe.grid**2
        dropout = TokenDropout(fewest + int((full - fewest) * rng.random() ** 2) if early and fewest < full else full)
        if rng.random() < self.plan.pooled:
            dropout = TokenDropout(rng.choice(_POOLED), f"regions {step}")
        if rng.random() < self.plan.pruned:
            dropout = replace(dropout, left=rng.randint(_MIN_LEFT, _MAX_LEFT))
        return dropout, None if step < self.plan.align else self.batches.workers.start(self.packer, scenes, rng)


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

    Resumes from `file` if it exists. With `imitation` the first `plan.align` steps only train the projector towards the
    teacher's.
    """
    register()
    tower, device = model.model.vision_tower.requires_grad_(False), model.device
    model.model.language_model.config._attn_implementation = ATTENTION
    language = Language(model, recipe, tokenizer, plan)
    modules = nn.ModuleDict(
        {
            "projector": model.model.multi_modal_projector,
            "language": model.model.language_model,
            "heads": language.quantities,
        }
    )
    run = TrainingRun(modules, file, plan.steps, plan.rate)

    @torch.no_grad()
    def encode(squares: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            return encode_patches(tower, squares.to(device)).bfloat16()

    images = plan.align if imitation else 0
    batches = TrainingBatches(
        recipe, plan.batch, plan.fresh, memory=6_000, encode=encode, images=images, workers=workers
    )
    packs = Packs(batches, language.packer, plan)

    def loss(step: int) -> tuple[Tensor, Stats]:
        samples, _ = batches(step)
        dropout, pack = packs(step)
        features, labels = stack(samples)
        if imitation is not None and step < plan.align:
            with torch.autocast(device.type, torch.bfloat16):
                visual = model.model.multi_modal_projector(features.float())
                imitated = imitation.loss(visual, labels.to(device), [sample.scene for sample in samples])
            return imitated, {"imitated": imitated.item()}
        selection = dropout.selection(samples, labels, recipe)
        selection = selection and selection.to(device)
        pack = pack.to(device) if pack else None
        look = max(0.0, 1 - run.done / plan.look_share)
        with torch.autocast(device.type, torch.bfloat16):
            return language(features.float(), labels.to(device), selection, pack, look, dropout.left)

    model.train()
    return run.train(loss)
