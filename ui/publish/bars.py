"""Where the time goes, as shapes: a stacked bar of each run. Hatch and lightness tell stages apart as well as hue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ui import palette, words
from ui.figures import STAGE_NAMES
from ui.publish import fonts
from ui.publish.axes import SMALL, Axes, nice, quarters
from ui.publish.keys import Key
from ui.publish.shapes import Shape, Words

if TYPE_CHECKING:
    from crop_core.measure.cost import Cost
    from crop_core.records import Comparison
    from ui.publish.sheet import Drawn

LOOKS = {  # alpha and hatch
    "localizer_s": (0.38, "x"),
    "encode_s": (0.55, ""),
    "compression_s": (0.38, "/"),
    "scoring_s": (0.38, "\\"),
    "prefill_s": (1.0, ""),
    "decode_s": (0.12, ""),
}
BAR, ROW = 15.0, 34.0  # points of a bar, and from one to the next
LEFT, BELOW = 8.0, 24.0  # points beside and below the bars


def times(result: Comparison, x: float, y: float, width: float) -> Drawn:
    """Milliseconds of every stage, with every token above and pruned below; a title over each bar."""
    runs = {"every token": result.baseline.cost, words.method_name(result.method): result.crop.cost}
    stages = [stage for stage in STAGE_NAMES if any(getattr(cost, stage) > 0 for cost in runs.values())]
    most = nice(max(float(_ends(cost)[-1]) for cost in runs.values()))
    axes = Axes(x + LEFT, y, x + width - 2 * LEFT, y + ROW * len(runs) + 4, (0, most), (0, 1))
    keys = {stage: _key(stage, *runs.values()) for stage in stages}
    shapes: list[Shape] = axes.shapes(quarters(most), [], "milliseconds")
    for place, (name, cost) in enumerate(runs.items()):
        bottom = y + ROW * (place + 1)
        told = fonts.shortened(f"{name}: {1000 * cost.total_s:.1f} ms", width - 3 * LEFT, SMALL)
        shapes += [Words(axes.left + 3, bottom - BAR - 3, told, SMALL), *_bar(cost, keys, axes, bottom)]
    return shapes, list(keys.values()), axes.bottom + BELOW - y


def _key(stage: str, *costs: Cost) -> Key:
    """The paint of a stage, with its milliseconds in the order of the bars."""
    told = " / ".join(f"{1000 * getattr(cost, stage):.1f}" for cost in costs)
    return Key(f"{STAGE_NAMES[stage]}: {told} ms", palette.STAGES[stage], *LOOKS[stage])


def _ends(cost: Cost) -> NDArray[np.float64]:
    """Milliseconds at which the stages begin, and the last one ends."""
    return np.cumsum([0.0, *(1000 * getattr(cost, stage) for stage in STAGE_NAMES)])


def _bar(cost: Cost, keys: dict[str, Key], axes: Axes, bottom: float) -> list[Shape]:
    """Each stage where the one before it ends."""
    ends = axes.x(_ends(cost))
    shapes: list[Shape] = []
    for stage, left, right in zip(STAGE_NAMES, ends[:-1], ends[1:], strict=True):
        if right > left:
            shapes += keys[stage].swatch(np.array([left, bottom - BAR, right, bottom]))
    return shapes
