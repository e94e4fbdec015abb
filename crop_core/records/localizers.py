"""The one table of localizers: a new localizer is one file in `crop_core/localize/`, and one row here.

Command line, app, benchmark and docs read its row. Knows nothing of torch: classes are named, and imported when run.
"""

from __future__ import annotations

from dataclasses import dataclass

SELF, WHOLE, NONE = "self", "whole", "none"


@dataclass(frozen=True)
class LocalizerInfo:
    """A way to find the region. label: what it is, for help and docs. factory: "module:Class", None where there is no
    localizer.

    needs_model: whether it is made with the answering model's adapter. checkpoint: whether it is a kind of checkpoint,
    which is named like a model; its class has `from_checkpoint(adapter)`, None for a checkpoint of another kind. The
    first kind that takes a checkpoint has it.
    """

    label: str
    factory: str | None = None
    needs_model: bool = False
    checkpoint: bool = False


_LOCALIZE = "crop_core.localize"

LOCALIZERS = {
    SELF: LocalizerInfo(
        "the answering model itself, by its attention to the image",
        f"{_LOCALIZE}.self_attention.localizer:SelfLocalizer",
        needs_model=True,
    ),
    NONE: LocalizerInfo("no localizer, regions are drawn"),
    WHOLE: LocalizerInfo("the whole image, no region", f"{_LOCALIZE}.fixed_regions:WholeImage"),
    "grid": LocalizerInfo(
        "a checkpoint that answers with numbers, which are read from its probabilities",
        f"{_LOCALIZE}.grid_vlm:GridVlmLocalizer",
        checkpoint=True,
    ),
    "text": LocalizerInfo(
        "a checkpoint that writes its answer, in which the box is found",
        f"{_LOCALIZE}.text_vlm:TextVlmLocalizer",
        checkpoint=True,
    ),
}


def named_localizers() -> dict[str, LocalizerInfo]:
    """Those that are chosen by their own name; all others are checkpoints, named like a model."""
    return {name: row for name, row in LOCALIZERS.items() if not row.checkpoint}


def localizer_help() -> str:
    """The choices in one line, for a command line or a setting."""
    return "; ".join(
        ["a checkpoint, named like the model", *(f"{k}: {v.label}" for k, v in named_localizers().items())]
    )
