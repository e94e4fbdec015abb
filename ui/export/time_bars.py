"""Where the time goes: a stacked bar of each run, with a hatch and lightness of its own for each stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ui.export.figure_style import CROSSED, FALLING, INK, RISING, Paint, grown, lines
from ui.export.page_layout import Drawn, Page, Panel, nice, quarters
from ui.views import palette
from ui.views.chart_data import STAGE_NAMES, TIMES_TITLE, milliseconds, run_costs, stages_taken

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from crop_core.records.cost import Cost
    from crop_core.records.timing import Spread
    from ui.export.figure import ShownRun

LOOKS = {  # alpha and hatch
    "localizer_s": (0.38, CROSSED),
    "encode_s": (0.55, ""),
    "compression_s": (0.38, RISING),
    "scoring_s": (0.38, FALLING),
    "prefill_s": (1.0, ""),
    "decode_s": (0.12, ""),
}
RANGES = "Stages of the median run; the line is the range of the totals of {} runs each."
BAR, ABOVE = 15.0, 19.0  # points: height of a bar, and of the words above it, `grown`
LEFT, NARROW = 8.0, 120.0  # points: beside the axis, and the width below which there are fewer ticks, `grown`


def times(run: ShownRun) -> Panel:
    """Milliseconds of every stage, the baseline above and the pruned run below; a title over each bar."""
    runs = run_costs(run.result)
    paints = {stage: _paint(stage, *runs.values()) for stage in stages_taken(runs.values())}
    end = nice(max(1000 * cost.ranges["total_s"].high for cost in runs.values()))

    def draw(page: Page, x: float, y: float, room: float) -> Drawn:
        row = BAR + grown(ABOVE)
        height = row * len(runs) + 4
        axes, bottom = page.chart(x, y, room - LEFT, height, "milliseconds", LEFT)
        ticks = quarters(end, 5 if room > grown(NARROW) else 3)
        axes.set(xlim=(0, end), ylim=(height, 0), xticks=ticks, yticks=[])
        for place, (name, cost) in enumerate(runs.items()):
            middle = row * (place + 1) - BAR / 2
            total = "\n".join(lines(f"{name}: {1000 * cost.total_s:.1f} ms", room - LEFT - 3))
            axes.annotate(total, (0, middle), (3, BAR / 2 + 2), textcoords="offset points", annotation_clip=False)
            _bar(axes, middle, milliseconds(cost), paints)
            _whisker(axes, middle, cost.ranges["total_s"])
        count = min(len(cost.runs) for cost in runs.values())
        note = page.text(x, bottom + 4, RANGES.format(count), room) if count > 1 else bottom
        return [paint.handle for paint in paints.values()], note - y

    return Panel(TIMES_TITLE, draw)


def _paint(stage: str, *costs: Cost) -> Paint:
    """Paint of a stage, with its milliseconds in the order of the bars."""
    values = " / ".join(f"{milliseconds(cost)[stage]:.1f}" for cost in costs)
    return Paint(f"{STAGE_NAMES[stage]}: {values} ms", palette.STAGES[stage], *LOOKS[stage])


def _whisker(axes: Axes, middle: float, total: Spread) -> None:
    """Draw the range of a total time, if there is one."""
    if total.runs > 1:
        low, high = 1000 * total.low, 1000 * total.high
        axes.plot([low, high], [middle, middle], "|-", color=INK, linewidth=0.8, markersize=6, label="range")


def _bar(axes: Axes, middle: float, took: dict[str, float], paints: dict[str, Paint]) -> None:
    """Draw the stages end to end."""
    start = 0.0
    for stage, paint in paints.items():
        if took[stage] > 0:
            axes.barh(middle, took[stage], BAR, start, label=STAGE_NAMES[stage], **paint.look)
        start += took[stage]
