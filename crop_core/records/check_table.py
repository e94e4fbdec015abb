"""A check as text that can be pasted into an issue, and the tables that its page has too. Reads records only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from textwrap import fill

from crop_core.records import formatting
from crop_core.records.check import (
    BASELINE,
    NOT_APPLICABLE,
    PASSED,
    REPETITIONS,
    AnswerRow,
    CheckReport,
    CostRow,
    Proof,
    RegionRow,
    Share,
    Spread,
)
from crop_core.records.comparison_table import Row, columns
from crop_core.records.methods import METHODS

PROOFS = ("proof", "status", "measured", "tolerance", "seconds", "detail")
REGIONS = ("localizer", "scenes", "mean IoU", "holds the answer", "of the image", "median time", "")
ANSWERS = ("method", "budget", "tokens", "scenes", "kept", "right", "")
COSTS = ("", "baseline", METHODS["crop"].title)
NONE = "-"
WIDTH = 120  # characters of a line of a note
INTERVALS = "In brackets 95 % intervals (Wilson's) over the scenes."
REGION_NOTE = (
    f"IoU with the grid cells that hold the answer, and the share of regions that hold all of them. {INTERVALS}"
)
ANSWER_NOTE = (
    "Kept: the baseline's reply, to the letter. Right: the reply holds the answer that was drawn. Tokens: mean per "
    f"layer. {INTERVALS}"
)
COST_NOTE = "Medians of {count} runs each, in turn, with minimum and maximum in brackets; CROP's with its localizer."


@dataclass(frozen=True)
class Section:
    """A table of the check below the proofs, with a note; where it has no rows, the note says why."""

    title: str
    head: Row
    rows: list[Row]
    note: str


def check_head(report: CheckReport) -> str:
    """What is checked, and the head of the proofs' table; `proof_line` comes next."""
    facts = [f"{name:<15} {value}" for name, value in report.environment.items()]
    return "\n".join([*facts, "", _fixed(*PROOFS)])


def proof_line(proof: Proof) -> str:
    """The row of a proof, whose columns do not depend on the other rows."""
    return _fixed(*proof_cells(proof))


def check_rest(report: CheckReport) -> str:
    """The tables after the proofs, and the verdict."""
    parts = [
        "\n".join([each.title, *(columns([each.head, *each.rows]) if each.rows else []), fill(each.note, WIDTH)])
        for each in sections(report)
    ]
    return "\n" + "\n\n".join([*parts, verdict(report)])


def check_text(report: CheckReport) -> str:
    """The whole page; several lines, no line end."""
    return "\n".join([check_head(report), *map(proof_line, report.proofs), check_rest(report)])


def proof_cells(proof: Proof) -> Row:
    """The cells of a proof, under PROOFS."""
    measured, tolerance = (NONE if value is None else f"{value:.3g}" for value in (proof.measured, proof.tolerance))
    return (proof.name, proof.status, measured, tolerance, f"{proof.seconds:.2f}", proof.detail)


def sections(report: CheckReport) -> list[Section]:
    """Regions, answers and costs."""
    return [
        _section("Regions on drawn scenes", REGIONS, [*map(_region, report.regions)], REGION_NOTE),
        _section("Answers on drawn scenes", ANSWERS, [*map(_answer, report.answers)], ANSWER_NOTE),
        _section("Cost of an answer", COSTS, [*map(_cost, report.costs)], _cost_note(report)),
    ]


def verdict(report: CheckReport) -> str:
    """Whether the check passed, in one sentence."""
    if report.failed:
        return f"Failed: {', '.join(report.failed)}."
    passed = f"{len(report.named(PASSED))} of {formatting.counted(len(report.proofs), 'proof')}"
    unproved = len(report.named(NOT_APPLICABLE))
    rest = f"; {unproved} not applicable" if unproved else ""
    return f"Passed: {passed}{rest}." if report.finished else f"Not finished: {passed} passed so far{rest}."


def what_to_report(report: CheckReport) -> str:
    """Which proofs failed, and what a report of that needs; empty where none did."""
    if not report.failed:
        return ""
    facts = report.environment
    versions = ", ".join(f"{name} {facts[name]}" for name in ("crop-explorer", "transformers", "torch", "python"))
    return (
        f"Failed: {', '.join(report.failed)}; pruning is not known to be exact for {facts['model']} on this machine. "
        f"Please report it with the output of --json ({versions}, {facts['device']}, {facts['dtype']})."
    )


def progress(report: CheckReport) -> str:
    """What is done so far, in one line."""
    proofs, scenes, timed = (len(each) for each in (report.proofs, report.scenes, report.repetitions))
    wanted = report.environment["scenes"]
    return f"{formatting.counted(proofs, 'proof')}, {scenes} of {wanted} scenes, {timed} of {REPETITIONS} timed runs"


def _section(title: str, head: Row, rows: list[Row], note: str) -> Section:
    """A section without a last column that is empty."""
    width = len(head) - (not head[-1] and not any(row[-1] for row in rows))
    return Section(title, head[:width], [row[:width] for row in rows], note)


def _fixed(*cells: str) -> str:
    return "{:<21}  {:<14}  {:>9}  {:>9}  {:>7}  {}".format(*cells)


def _region(row: RegionRow) -> Row:
    area, seconds = _or_none(row.area, _percent), _or_none(row.seconds, formatting.format_seconds)
    iou = NONE if row.iou is None else f"{row.iou.value:.2f} ({row.iou.low:.2f} to {row.iou.high:.2f})"
    return (row.localizer, str(row.scenes), iou, _share(row.coverage), area, seconds, row.missing)


def _answer(row: AnswerRow) -> Row:
    title = METHODS["none" if row.method == BASELINE else row.method].title
    tokens = _or_none(row.tokens, formatting.format_number)
    return (title, row.budget or NONE, tokens, str(row.scenes), _share(row.kept), _share(row.right), row.missing)


def _cost(row: CostRow) -> Row:
    units = {"s": formatting.format_seconds, "bytes": formatting.format_bytes}
    unit = units.get(row.unit, formatting.format_number)
    return (row.figure, _spread(row.baseline, unit), _spread(row.crop, unit))


def _cost_note(report: CheckReport) -> str:
    if "costs" in report.missing:
        return f"Not measured: {report.missing['costs']}"
    how = [f" {row.figure.capitalize()}: {row.how}." for row in report.costs if row.how]
    return "".join([COST_NOTE.format(count=len(report.repetitions)), *how])


def _spread(spread: Spread, unit: Callable[[float], str]) -> str:
    median, low, high = map(unit, (spread.median, spread.low, spread.high))
    return median if low == high else f"{median} ({low} to {high})"


def _share(share: Share | None) -> str:
    return NONE if share is None else f"{_percent(share.value)} ({_percent(share.low)} to {_percent(share.high)})"


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def _or_none(value: float | None, unit: Callable[[float], str]) -> str:
    return NONE if value is None else unit(value)
