"""Whether a localizer costs more time than pruning saves, in a sentence. Reads costs only."""

from __future__ import annotations

from crop_core.records.formatting import format_seconds
from crop_core.records.results import Comparison
from crop_core.records.timing import Spread, time_change

EATEN = (
    "The localizer eats the saving here: it takes {localizer}, and pruning saves {saved} of {whole}; draw the region, "
    "ask several questions about one region, or choose another localizer."
)


def localizer_notices(result: Comparison) -> list[str]:
    """Notice of a localizer without which pruning is measurably faster, and with which it is measurably slower: in the
    whole answer, or in the time to the first token where the answers differ in length. Figures are medians.
    """
    base, crop = result.baseline.cost, result.crop.cost
    name = "total_s" if base.new_tokens == crop.new_tokens else "ttft_s"
    whole, total = base.ranges[name], crop.ranges[name]
    alone = Spread.of([getattr(run, name) - run.localizer_s for run in crop.runs], 0.0)
    if (time_change(whole, alone)[1], time_change(whole, total)[1]) != ("gain", "loss"):
        return []
    localizer = Spread.of([run.localizer_s for run in crop.runs], 0.0)
    times = {"localizer": localizer.median, "saved": whole.median - alone.median, "whole": whole.median}
    return [EATEN.format(**{key: format_seconds(value) for key, value in times.items()})]
