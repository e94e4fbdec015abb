"""Where the time goes: a stacked bar of each run, with a hatch and lightness of its own for each stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ui.export.figure_style import CROSSED, FALLING, RISING, Paint, lines
from ui.export.page_layout import Drawn, Page, Panel, nice, quarters
from ui.views import palette, texts
from ui.views.figures import STAGE_NAMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from crop_core.records.results import Cost
    from ui.export.figure import ShownRun

LOOKS = {  # alpha and hatch
    "localizer_s": (0.38, CROSSED),
    "encode_s": (0.55, ""),
    "compression_s": (0.38, RISING),
    "scoring_s": (0.38, FALLING),
    "prefill_s": (1.0, ""),
    "decode_s": (0.12, ""),
}
BAR, ROW = 15.0, 34.0  # points: height of a bar, and of a row
LEFT, NARROW = 8.0, 120.0  # points: beside the axis, and the width below which there are fewer ticks


def times(run: ShownRun) -> Panel:
    """Milliseconds of every stage, the baseline above and the pruned run below; a title over each bar."""
    runs = {texts.BASELINE: run.result.baseline.cost, texts.method_name(run.result.method): run.result.crop.cost}
    paints = {stage: _paint(stage, *runs.values()) for stage in STAGE_NAMES}
    stages = [stage for stage in STAGE_NAMES if any(getattr(cost, stage) > 0 for cost in runs.values())]
    end = nice(max(sum(_milliseconds(cost).values()) for cost in runs.values()))

    def draw(page: Page, x: float, y: float, room: float) -> Drawn:
        height = ROW * len(runs) + 4
        axes, bottom = page.chart(x, y, room - LEFT, height, "milliseconds", LEFT)
        ticks = quarters(end, 5 if room > NARROW else 3)
        axes.set(xlim=(0, end), ylim=(height, 0), xticks=ticks, yticks=[])
        for place, (name, cost) in enumerate(runs.items()):
            middle = ROW * (place + 1) - BAR / 2
            total = "\n".join(lines(f"{name}: {1000 * cost.total_s:.1f} ms", room - LEFT - 3))
            axes.annotate(total, (0, middle), (3, BAR / 2 + 2), textcoords="offset points", annotation_clip=False)
            _bar(axes, middle, _milliseconds(cost), paints)
        return [paints[stage].handle for stage in stages], bottom - y

    return Panel("Where the time goes", draw)


def _milliseconds(cost: Cost) -> dict[str, float]:
    return {stage: 1000 * getattr(cost, stage) for stage in STAGE_NAMES}


def _paint(stage: str, *costs: Cost) -> Paint:
    """Paint of a stage, with its milliseconds in the order of the bars."""
    values = " / ".join(f"{_milliseconds(cost)[stage]:.1f}" for cost in costs)
    return Paint(f"{STAGE_NAMES[stage]}: {values} ms", palette.STAGES[stage], *LOOKS[stage])


def _bar(axes: Axes, middle: float, took: dict[str, float], paints: dict[str, Paint]) -> None:
    """Draw the stages end to end."""
    start = 0.0
    for stage, milliseconds in took.items():
        if milliseconds > 0:
            axes.barh(middle, milliseconds, BAR, start, label=STAGE_NAMES[stage], **paints[stage].look)
        start += milliseconds
