"""Report of `crop check`: proofs, regions and answers on drawn scenes, costs. Knows nothing of how they are measured.

Proofs pass or fail. Regions, answers and costs inform: no figure of theirs fails a check.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any

from crop_core.records.base import Record, RecordError
from crop_core.records.formatting import truncated_repr
from crop_core.records.results import Cost

PASSED, FAILED, NOT_APPLICABLE = "passed", "failed", "not applicable"
SCENES, MAX_SCENES = 50, 1000  # that are drawn by default, and at most
REPETITIONS = 5  # of the runs that are timed
BASELINE = "baseline"  # the run of a scene that the others are compared with
Cells = tuple[int, int, int, int]  # inclusive grid cells x0, y0, x1, y1


class CheckError(RecordError):
    """A check that cannot be run, or a file that holds none; the message is one sentence."""


def check_scenes(number: Any) -> int:
    """The number of scenes to draw; CheckError for one that is not possible."""
    if type(number) is not int or not 1 <= number <= MAX_SCENES:
        raise CheckError(f"A check of {truncated_repr(number)} scenes is not possible; give 1 to {MAX_SCENES}.")
    return number


class Proof(Record):
    """One proof. measured, tolerance: in the unit that `detail` names; None where nothing was measured or where it is
    not finite. seconds: wall time.
    """

    name: str
    status: str
    measured: float | None
    tolerance: float | None
    seconds: float
    detail: str


class Share(Record):
    """A share or mean in 0..1 with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


class RegionRow(Record):
    """Regions of one localizer, named as `--localizer` names it. iou: mean overlap with the needed cells. coverage:
    share of regions that hold all of them. area: mean share of the image. seconds: median of a region. missing: why
    scenes are missing.
    """

    localizer: str
    scenes: int
    iou: Share | None = None
    coverage: Share | None = None
    area: float | None = None
    seconds: float | None = None
    missing: str = ""


class AnswerRow(Record):
    """Answers at one budget. method: of METHODS, or BASELINE. kept: share of answers that are the baseline's.
    right: share that hold the right one. tokens: mean visual tokens per layer. missing: as in RegionRow.
    """

    method: str
    budget: str
    scenes: int
    kept: Share | None = None
    right: Share | None = None
    tokens: float | None = None
    missing: str = ""


class Spread(Record):
    """Median, minimum and maximum of several runs."""

    median: float
    low: float
    high: float


class CostRow(Record):
    """One figure of an answer, with the localizer's part in CROP's. unit: "s", "bytes" or "tokens". how: it is
    measured.
    """

    figure: str
    unit: str
    baseline: Spread
    crop: Spread
    how: str = ""


class LocatedScene(Record):
    """The region that a localizer predicted, and its seconds."""

    grid: Cells
    seconds: float


class SceneReply(Record):
    """Reply of one run. right: whether it holds the right answer. tokens: mean visual tokens per layer."""

    text: str
    right: bool
    tokens: float


class SceneResult(Record):
    """One question about one drawn scene. needed: cells that hold its answer. regions: by localizer. replies: by run
    (`run_name`). missing: localizer or run -> why there is none.
    """

    seed: int
    kind: str
    question: str
    answer: str
    needed: Cells
    regions: dict[str, LocatedScene] = field(default_factory=dict)
    replies: dict[str, SceneReply] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


class Repetition(Record):
    """Costs of one answer by the baseline and one by CROP, run one after the other."""

    baseline: Cost
    crop: Cost


class CheckReport(
    Record,
    error=CheckError,
    keys="environment passed finished proofs regions answers costs scenes repetitions missing",
):
    """What a check has done so far. environment: what is checked, where and with which versions. regions, answers,
    costs: the figures of `scenes` and `repetitions`. missing: part of the check -> why it could not be measured.
    """

    environment: dict[str, Any]
    finished: bool = False
    proofs: list[Proof] = field(default_factory=list)
    regions: list[RegionRow] = field(default_factory=list)
    answers: list[AnswerRow] = field(default_factory=list)
    costs: list[CostRow] = field(default_factory=list)
    scenes: list[SceneResult] = field(default_factory=list)
    repetitions: list[Repetition] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> list[str]:
        """Names of the proofs that failed."""
        return self.named(FAILED)

    @property
    def passed(self) -> bool:
        """Whether it is finished and no proof failed."""
        return self.finished and not self.failed

    def named(self, status: str) -> list[str]:
        """Names of the proofs with this status."""
        return [proof.name for proof in self.proofs if proof.status == status]


def run_name(method: str, budget: str) -> str:
    """Key of a run in `SceneResult.replies`: "crop 33.3 %"."""
    return f"{method} {budget}"
