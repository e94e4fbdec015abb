"""Drawn scenes, whose regions and answers are known exactly: where each localizer looks, what is left of the answers.

Each scene has one question of its own, so that all are independent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property, partial
from itertools import islice
from typing import Any

from crop_core.engine.engine import CropEngine
from crop_core.engine.out_of_memory import translate_oom
from crop_core.engine.run import Run
from crop_core.engine.session import Session
from crop_core.evaluate.datasets.bundled_world import example
from crop_core.evaluate.metrics.text_match import Contains
from crop_core.localize import Localizer, WholeImage, localizer_for, named_localizer
from crop_core.localize.decoding.answer_formats import format_of
from crop_core.models import ModelError
from crop_core.records.check import BASELINE, LocatedScene, SceneReply, SceneResult, run_name
from crop_core.records.config import PRESETS, Budget, CropConfig
from crop_core.records.formatting import first_line
from crop_core.records.localizers import named_localizers
from crop_core.records.methods import load_class
from crop_core.records.region import Region
from crop_core.train.world import splits
from crop_core.train.world.held_out import Item, one_question_each

MAX_NEW_TOKENS = 16  # of an answer
RUNS = [(method, budget) for budget in PRESETS.values() for method in ("crop", "random", "downsample")]


class Scenes:
    """Runs scenes on one loaded engine. localizers: at hand, by the name that `--localizer` has for them, or why one
    of them cannot be made.
    """

    def __init__(self, engine: CropEngine) -> None:
        self.engine, self.adapter = engine, engine.adapter

    def run(self, count: int, done: int = 0) -> Iterator[SceneResult]:
        """Results of `count` scenes without the first that are done."""
        for item in islice(one_question_each(splits.CHECK), done, count):
            yield _Scene(self, item).result()

    @cached_property
    def loaded(self) -> str:
        """Name of the localizer that CROP's regions come from: the engine's, the whole image without one."""
        localizer = self.engine.localizer or WholeImage()
        named = (name for name, row in named_localizers().items() if row.factory and _made_by(row.factory, localizer))
        model = getattr(localizer, "adapter", None) or getattr(localizer, "detector", None)
        return next(named, None) or str(getattr(model, "name", type(localizer).__name__))

    @cached_property
    def localizers(self) -> dict[str, Localizer | str]:
        """The loaded one, those of the registry that need neither a download nor further packages, and the model itself
        if it answers with boxes.
        """
        found: dict[str, Localizer | str] = {}
        if self.engine.localizer is not None:
            found[self.loaded] = self.engine.localizer
        for name, row in named_localizers().items():
            if row.factory and not (row.downloads or row.packages) and name not in found:
                found[name] = _made(partial(named_localizer, name, self.adapter))
        own = _made(self._by_its_boxes)
        if not isinstance(own, str):
            found.setdefault(self.adapter.name, own)
        return found

    def _by_its_boxes(self) -> Localizer | None:
        """The model as a localizer, where its config or its family has a format of boxes."""
        form = format_of(self.adapter.model.config, self.adapter.name)
        return None if form is None else localizer_for(self.adapter)


class _Scene:
    """One question about one scene, encoded once."""

    def __init__(self, scenes: Scenes, item: Item) -> None:
        self.scenes, self.item, self.image = scenes, item, item.scene.image
        self.session = Session(scenes.adapter, self.image, item.question.text, MAX_NEW_TOKENS, short_answer=True)
        self.example = example(item)
        self.missing: dict[str, str] = {}

    def result(self) -> SceneResult:
        """Every region and every reply; what fails is missing with its reason, and the rest goes on."""
        regions = {name: self._tried(name, partial(self._located, name)) for name in self.scenes.localizers}
        located = {name: each for name, each in regions.items() if each is not None}
        ways: dict[str, Callable[[], SceneReply]] = {BASELINE: lambda: self._reply(self.session.baseline)}
        for method, budget in RUNS:
            ways[run_name(method, str(budget))] = partial(self._pruned, method, budget, located)
        replies = {name: self._tried(name, ask) for name, ask in ways.items()}
        return SceneResult(
            seed=self.item.seed,
            kind=self.item.question.kind,
            question=self.item.question.text,
            answer=self.item.question.answer,
            needed=self.item.region.grid,
            regions=located,
            replies={name: each for name, each in replies.items() if each is not None},
            missing=self.missing,
        )

    def _tried(self, name: str, work: Callable[[], Any]) -> Any:
        """The result, or None with a reason in `missing`."""
        try:
            with translate_oom(lambda: None):
                return work()
        except Exception as error:
            what = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
            self.missing[name] = f"{what}{first_line(error)}."
            return None

    def _located(self, name: str) -> LocatedScene:
        localizer = self.scenes.localizers[name]
        if isinstance(localizer, str):
            raise ModelError(localizer)
        found = self.session.localize(localizer)
        return LocatedScene(found.regions[0].grid, found.seconds)

    def _pruned(self, method: str, budget: Budget, located: dict[str, LocatedScene]) -> SceneReply:
        config = CropConfig(method=method, budget=budget, seed=self.item.seed)
        task = self.session.task(config)
        region = Region.whole(*self.image.size)
        if config.parts.needs_region:
            if self.scenes.loaded not in located:
                raise ModelError(self.missing[self.scenes.loaded])
            region = Region(*located[self.scenes.loaded].grid, *self.image.size, "predicted")
        return self._reply(self.session.run(task, region, keep_logits=False))

    def _reply(self, run: Run) -> SceneReply:
        text = self.scenes.adapter.decode(run.generated.ids)
        return SceneReply(text, bool(Contains().score(text, self.example)), run.mean_tokens)


def _made(make: Callable[[], Localizer | None]) -> Localizer | str:
    """A localizer, or why it cannot be made here."""
    try:
        return make() or "there is none"
    except ValueError as error:
        return str(error)


def _made_by(factory: str, localizer: Localizer) -> bool:
    return type(localizer) is load_class(factory)
