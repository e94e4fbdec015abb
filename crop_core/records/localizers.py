"""The one table of localizers: a new localizer is one file in `crop_core/localize/`, and one row here.

Command line, app, benchmark and docs read its row. Knows nothing of torch: classes are named, and imported when run.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

READER = ("onnxruntime", "rapidocr_onnxruntime")  # of text
AUTO, SELF, TEXT, WHOLE, NONE = "auto", "self", "text", "whole", "none"


@dataclass(frozen=True)
class LocalizerInfo:
    """A way to find the region. label: what it is, for help and docs. factory: "module:Class", None where there is no
    localizer.

    needs_model: whether it is made with the answering model's adapter. checkpoint: whether it is a kind of checkpoint,
    which is named like a model; its class has `from_checkpoint(adapter)`, None for a checkpoint of another kind. The
    first kind that takes a checkpoint has it. downloads: whether its own weights come from the hub on first use.
    packages: that its regions depend on, and that may be missing.
    """

    label: str
    factory: str | None = None
    needs_model: bool = False
    checkpoint: bool = False
    downloads: bool = False
    packages: tuple[str, ...] = ()

    @property
    def installed(self) -> bool:
        """Whether its packages are there; none is imported."""
        return all(map(find_spec, self.packages))


_LOCALIZE = "crop_core.localize"

LOCALIZERS = {
    AUTO: LocalizerInfo(
        f"the text for a question about text, where its reader is installed; else {SELF}, or a detector that is on "
        f"this machine where {SELF} would guess",
        f"{_LOCALIZE}.auto:AutoLocalizer",
        needs_model=True,
        packages=READER,
    ),
    SELF: LocalizerInfo(
        "the answering model itself, by its attention to the image",
        f"{_LOCALIZE}.self_attention.localizer:SelfLocalizer",
        needs_model=True,
    ),
    TEXT: LocalizerInfo(
        "the text in the image, read and matched with the question",
        f"{_LOCALIZE}.text.localizer:TextLocalizer",
        packages=READER,
    ),
    NONE: LocalizerInfo("no localizer, regions are drawn"),
    WHOLE: LocalizerInfo("the whole image, no region", f"{_LOCALIZE}.fixed_regions:WholeImage"),
    "detector": LocalizerInfo(
        "MM-Grounding-DINO tiny (690 MB) looks for what the question names",
        f"{_LOCALIZE}.detector:detector",
        needs_model=True,
        downloads=True,
    ),
    "clipseg": LocalizerInfo(
        "CLIPSeg (600 MB) does so on a coarse map",
        f"{_LOCALIZE}.detector:clipseg",
        needs_model=True,
        downloads=True,
    ),
    "grid": LocalizerInfo(
        "a checkpoint that answers with numbers, which are read from its probabilities",
        f"{_LOCALIZE}.grid_vlm:GridVlmLocalizer",
        checkpoint=True,
    ),
    "written": LocalizerInfo(
        "a checkpoint that writes its answer, in which the box is found",
        f"{_LOCALIZE}.text_vlm:TextVlmLocalizer",
        checkpoint=True,
    ),
}


def named_localizers() -> dict[str, LocalizerInfo]:
    """Those that are chosen by their own name; all others are checkpoints, named like a model."""
    return {name: row for name, row in LOCALIZERS.items() if not row.checkpoint}


def comparable_localizers() -> dict[str, LocalizerInfo]:
    """Those that can be tried beside another one at once: none that chooses among them, and none that downloads."""
    rows = named_localizers().items()
    return {name: row for name, row in rows if name != AUTO and row.factory and not row.downloads}


def localizer_help() -> str:
    """The choices in one line, for a command line or a setting."""
    return "; ".join(
        ["a checkpoint, named like the model", *(f"{k}: {v.label}" for k, v in named_localizers().items())]
    )
