"""Measurement of one request after its answers: both runs timed in turn, then the peak memory of each.

The baseline and the pruned run, its localizer included, alternate, so that what else the machine does meets both alike.
Memory takes one more run of each and of the localizer, untimed, since counting slows it down. Knows nothing of answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from crop_core.engine.compare import RequestRuns, Timed, answer, compare
from crop_core.engine.localizer_memory import localizer_peak, total_peak
from crop_core.measure.memory import peak_meter
from crop_core.records.results import Answer, Comparison
from crop_core.records.timing import Measured, Peak


def measure(runs: RequestRuns, with_baseline: bool = True) -> Iterator[Measured]:
    """All that is measured so far, after each pair of runs and after the peaks; without the baseline, the pruned run
    alone.

    At most `repeats` - 1 of each; none begins after `measure_s` seconds of them, but for the first.
    """
    config = runs.task.config
    measured = Measured([], [], config.repeats - 1)
    runs.localize()
    runs.task.encode()  # a thread's first work starts the libraries' own threads
    while len(measured.crop) < measured.planned and not (measured.crop and _seconds(measured) >= config.measure_s):
        baseline = [*measured.baseline, _timed(runs, runs.baseline).time] if with_baseline else []
        measured = replace(measured, baseline=baseline, crop=[*measured.crop, _timed(runs, runs.crop).time])
        yield measured
    if runs.memory:
        baseline_peak = Peak()
        if with_baseline:
            yield measured  # others may run before each
            baseline_peak = _peak(runs, runs.baseline)
        yield measured
        answering = _peak(runs, runs.crop)
        yield measured
        localizing = localizer_peak(runs.localize, runs.task.adapter.device)
        yield replace(measured, peaks=(baseline_peak, total_peak(localizing, answering), localizing))


def measured_answer(runs: RequestRuns) -> Answer:
    """`answer`, and all that is measured of it."""
    result = answer(runs)
    for measured in measure(runs, with_baseline=False):
        result = result.measured(measured)
    return result


def measured_comparison(runs: RequestRuns) -> Comparison:
    """`compare`, and all that is measured of it."""
    result = compare(runs)
    for measured in measure(runs):
        result = result.measured(measured)
    return result


def _seconds(measured: Measured) -> float:
    return sum(run.total_s for run in (*measured.baseline, *measured.crop))


def _timed(runs: RequestRuns, run: Callable[..., Timed]) -> Timed:
    return run(on_token=runs.tick, keep_logits=False)


def _peak(runs: RequestRuns, run: Callable[..., Timed]) -> Peak:
    """Peak above the weights of one more run."""
    meter, method = peak_meter(runs.task.adapter.device)
    with meter:
        _timed(runs, run)
    return Peak(meter.peak, method)
