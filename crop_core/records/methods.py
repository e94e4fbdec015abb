"""The one table of methods: a new method is one file in `crop_core/prune/` or `crop_core/compress/`, and one row here.

Command line, app, benchmark and docs read its row. Knows nothing of torch: classes are named, and imported when run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

from crop_core.records.formatting import truncated_repr

JOINT = "+"
PAPER = "@paper"  # behind a name: the method as published, where that differs from its best setting here
BASELINE = "none"  # the method that prunes nothing


class ConfigError(ValueError):
    """A setting that cannot be; the message is one sentence with the value, what is allowed and what to do."""


@dataclass(frozen=True)
class Method:
    """A way to save visual tokens: a compressor before the LLM, a pruner inside it, either may be missing.

    title: what its answers and figures are called. label: what it does. compressor, pruner: "module:Class" of a
    `Compressor` and of a `ScheduledPruner`. needs_region: False where no region is read, so that none is looked for.
    uses_seed: whether the seed decides what is kept. overshoot: with a pruner after it, the compressor leaves this many
    times the budget. reads_tower: whether the compressor needs the vision tower's attention. needs_training: whether
    the model must have a learned PLC. positions_only: whether the compressor reads positions alone, at no FLOPs.
    reads_rings: whether the compressor reads PLC's rings. published: "module:Class" of its compressor or pruner in the
    published setting; None where that is the best one here too. paper: its arXiv number, "" for none.
    """

    title: str
    label: str
    compressor: str | None = None
    pruner: str | None = None
    needs_region: bool = True
    uses_seed: bool = False
    overshoot: float = 2.0
    reads_tower: bool = False
    needs_training: bool = False
    positions_only: bool = False
    reads_rings: bool = False
    published: str | None = None
    paper: str = ""

    @property
    def reads_schedule(self) -> bool:
        """Whether the pruner makes ILP's cuts, not cuts of its own."""
        return self.pruner == _ILP.pruner

    @property
    def no_region(self) -> str:
        """Sentence for a method that reads no region; empty for the others."""
        return "" if self.needs_region else f"{self.title} reads no region."

    @property
    def is_stage(self) -> bool:
        """Whether it is one of CROP's two stages by itself."""
        return self in (_PLC, _ILP)

    @property
    def prunes(self) -> bool:
        """False for the baseline."""
        return bool(self.compressor or self.pruner)

    @property
    def in_paper(self) -> Method:
        """This method in its published setting."""
        title, label = f"{self.title} as published", f"{self.label}, as published"
        row = replace(self, title=title, label=label, published=None)
        return replace(row, compressor=self.published) if self.compressor else replace(row, pruner=self.published)

    def then(self, inside: Method) -> Method:
        """This one's compressor before the LLM, and the other's pruner inside it."""
        return replace(
            self,
            title=f"{self.title} {JOINT} {inside.title}",
            label=f"{self.label}; then {inside.label}",
            pruner=inside.pruner,
            needs_region=self.needs_region or inside.needs_region,
            uses_seed=self.uses_seed or inside.uses_seed,
        )


_COMPRESS, _PRUNE = "crop_core.compress", "crop_core.prune"
_CROP = "2505.21233"
_PLC = Method(
    "PLC",
    "PLC alone: pool outside the region before the LLM",
    f"{_COMPRESS}.pooling:PoolingCompressor",
    reads_rings=True,
    paper=_CROP,
)
_ILP = Method("ILP", "ILP alone: prune inside the LLM", None, f"{_PRUNE}.ilp:IlpPruner", paper=_CROP)

METHODS = {
    "crop": replace(_PLC.then(_ILP), title="CROP", label="CROP: PLC before the LLM, then ILP inside it"),
    "plc": _PLC,
    "ilp": _ILP,
    "fastv": Method(
        "FastV",
        "FastV: prune inside the LLM by attention alone, no region",
        pruner=f"{_PRUNE}.fastv:FastvPruner",
        needs_region=False,
        published=f"{_PRUNE}.fastv:PublishedFastv",
        paper="2403.06764",
    ),
    "pyramiddrop": Method(
        "PyramidDrop",
        "PyramidDrop: prune inside the LLM three times, no region",
        pruner=f"{_PRUNE}.pyramiddrop:PyramidDropPruner",
        needs_region=False,
        published=f"{_PRUNE}.pyramiddrop:PublishedPyramidDrop",
        paper="2410.17247",
    ),
    "sparsevlm": Method(
        "SparseVLM",
        "SparseVLM: prune inside the LLM by the text that matters, no region",
        pruner=f"{_PRUNE}.sparsevlm:SparseVlmPruner",
        needs_region=False,
        published=f"{_PRUNE}.sparsevlm:PublishedSparseVlm",
        paper="2410.04417",
    ),
    "dart": Method(
        "DART",
        "DART: keep what is least alike inside the LLM, no region",
        pruner=f"{_PRUNE}.dart:DartPruner",
        needs_region=False,
        published=f"{_PRUNE}.dart:PublishedDart",
        paper="2502.11494",
    ),
    "random": Method(
        "Random",
        "Random: drop tokens at random before the LLM, no region",
        f"{_COMPRESS}.random_subset:RandomCompressor",
        needs_region=False,
        uses_seed=True,
        positions_only=True,
    ),
    "distinct": Method(
        "Distinct",
        "Distinct: keep what differs, most of it in the region",
        f"{_COMPRESS}.distinct:DistinctCompressor",
        reads_rings=True,
        overshoot=1.2,  # found by `benchmarks.search`, as that twice is right for pooling
    ),
    "learned": Method(
        "Learned PLC",
        "Learned PLC: queries read the region and the rest apart, anchors stay",
        f"{_COMPRESS}.learned:LearnedCompressor",
        needs_training=True,
        reads_rings=True,
        paper=_CROP,
    ),
    "queries": Method(
        "Queries alone",
        "Learned PLC without anchors: queries alone",
        f"{_COMPRESS}.learned:QueriesCompressor",
        needs_training=True,
        reads_rings=True,
        paper=_CROP,
    ),
    "region": Method(
        "Region only",
        "Region only: keep the region or the tokens nearest to it",
        f"{_COMPRESS}.region_only:RegionCompressor",
        positions_only=True,
    ),
    "visionzip": Method(
        "VisionZip",
        "VisionZip: pool what the vision tower ignores, no region",
        f"{_COMPRESS}.visionzip:VisionZipCompressor",
        needs_region=False,
        reads_tower=True,
        published=f"{_COMPRESS}.visionzip:PublishedVisionZip",
        paper="2412.04467",
    ),
    "divprune": Method(
        "DivPrune",
        "DivPrune: keep the least alike tokens, no region",
        f"{_COMPRESS}.divprune:DivPruneCompressor",
        needs_region=False,
        paper="2503.02175",
    ),
    "cdpruner": Method(
        "CDPruner",
        "CDPruner: relevant, unlike tokens by LLM embeddings, no region",
        f"{_COMPRESS}.cdpruner:CdPrunerCompressor",
        needs_region=False,
        published=f"{_COMPRESS}.cdpruner:PublishedCdPruner",
        paper="2506.10967",
    ),
    "vispruner": Method(
        "VisPruner",
        "VisPruner: keep attended tokens and unlike ones, no region",
        f"{_COMPRESS}.vispruner:VisPrunerCompressor",
        needs_region=False,
        reads_tower=True,
        published=f"{_COMPRESS}.vispruner:PublishedVisPruner",
        paper="2412.01818",
    ),
    "scope": Method(
        "SCOPE",
        "SCOPE: keep attended tokens that cover the others, no region",
        f"{_COMPRESS}.scope:ScopeCompressor",
        needs_region=False,
        reads_tower=True,
        paper="2510.24214",
    ),
    "mmtok": Method(
        "MMTok",
        "MMTok: keep tokens that cover question and image, no region",
        f"{_COMPRESS}.mmtok:MmTokCompressor",
        needs_region=False,
        paper="2508.18264",
    ),
    "holov": Method(
        "HoloV",
        "HoloV: keep attended tokens of every part of the image, no region",
        f"{_COMPRESS}.holov:HoloVCompressor",
        needs_region=False,
        reads_tower=True,
        paper="2510.02912",
    ),
    "downsample": Method(
        "Downsample",
        "Downsample: average the token grid evenly, no region",
        f"{_COMPRESS}.downsample:DownsampleCompressor",
        needs_region=False,
        positions_only=True,
        paper="2510.07143",
    ),
    BASELINE: Method("Baseline", "Baseline: every visual token in every layer", needs_region=False),
}


CHOSEN = "chosen"  # not in METHODS: what it keeps is no rule's choice, but the user's (`CropConfig.tokens`)
_CHOSEN = Method(
    "Tokens by hand",
    "Tokens by hand: exactly those that you choose enter the LLM",
    f"{_COMPRESS}.chosen:ChosenCompressor",
    needs_region=False,
    positions_only=True,
)


def method_of(name: str) -> Method:
    """The method of a key of METHODS, with PAPER behind it as published; or of two joined as "plc+fastv": one that only
    compresses before the LLM, then one that only prunes inside it; or CHOSEN. ConfigError for any other name.
    """
    rows = METHODS | {key + PAPER: METHODS[key].in_paper for key in published_methods()}
    if name in rows:
        return rows[name]
    if name == CHOSEN:
        return _CHOSEN
    before = {key: one for key, one in rows.items() if one.compressor and not one.pruner}
    inside = {key: one for key, one in rows.items() if one.pruner and not one.compressor}
    left, _, right = name.partition(JOINT)
    if left not in before or right not in inside:
        raise ConfigError(
            f"The method {truncated_repr(name)} is not known; choose one of {', '.join(METHODS)} (as published: "
            f"{', '.join(key + PAPER for key in published_methods())}), or join one before the LLM and one inside it, "
            "as in plc+fastv."
        )
    return before[left].then(inside[right])


def with_nothing_outside(name: str) -> str:
    """The method for regions that are the whole image: ILP prunes what lies outside, which is nothing there, so that a
    compressor before it meets the budget alone.
    """
    parts = method_of(name)
    if not parts.compressor or not parts.reads_schedule:
        return name
    return next(key for key, one in METHODS.items() if one.compressor == parts.compressor and not one.pruner)


def pruning_methods() -> list[str]:
    """The names of METHODS without the baseline."""
    return [name for name in METHODS if name != BASELINE]


def papers() -> dict[str, Method]:
    """arXiv number -> the first method that comes from this paper."""
    found: dict[str, Method] = {}
    for one in METHODS.values():
        if one.paper:
            found.setdefault(one.paper, one)
    return found


def published_methods() -> list[str]:
    """The names of METHODS that have a published setting of their own."""
    return [name for name, one in METHODS.items() if one.published]


def as_published(name: str) -> str:
    """The name of a method, joined or not, with its parts in their published settings where they have one."""
    return JOINT.join(part + PAPER if part in published_methods() else part for part in name.split(JOINT))


def load_class(path: str) -> Any:
    """The class at "module:Class", imported; ConfigError where there is none."""
    module, _, name = path.partition(":")
    try:
        return getattr(import_module(module), name)
    except (ModuleNotFoundError, AttributeError, ValueError) as error:
        raise ConfigError(f"There is no class {truncated_repr(path)} ({error}); name one as module:Class.") from error
