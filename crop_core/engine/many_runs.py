"""Many runs of one question about an image: the baseline, then every spec, each with the model to itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from crop_core.engine.localized_regions import LocalizedRegions
from crop_core.engine.request_checks import Deadline, check_size
from crop_core.engine.session import BASELINE_SPEC, Session
from crop_core.localize import Localizer
from crop_core.models import as_list
from crop_core.records.config import CropConfig
from crop_core.records.results import RunError, RunResult, RunSpec


@dataclass(eq=False)
class ManyRuns:
    """session: of image and question. localizer_of: the localizer of a config. busy: holds the model for one run.

    deadline: of all runs together, from the first on. A localizer is asked once, however many specs read its region.
    """

    session: Session
    localizer_of: Callable[[CropConfig], Localizer]
    busy: Callable[[], AbstractContextManager[None]]
    deadline: Deadline
    _located: dict[Localizer, LocalizedRegions] = field(default_factory=dict)

    def results(self, specs: Sequence[RunSpec]) -> Iterator[RunResult | RunError]:
        """The baseline, then each spec's result, or a RunError for one that cannot be run."""
        with self.busy():
            self.deadline.check()
            baseline = self.session.run_spec(BASELINE_SPEC)
        yield baseline
        for spec in specs:
            self.deadline.check()
            try:
                check_size(as_list(self.session.images)[0], spec.region)
                with self.busy():
                    result: RunResult | RunError = self.session.run_spec(spec, self._regions(spec))
            except ValueError as error:
                result = RunError(spec.name, spec.config.method, str(error))
            yield result

    def _regions(self, spec: RunSpec) -> LocalizedRegions | None:
        """The region of a spec; None where it has its own or reads none."""
        if spec.region is not None or not spec.config.parts.needs_region:
            return None
        localizer = self.localizer_of(spec.config)
        if localizer not in self._located:
            self._located[localizer] = self.session.localize(localizer)
        return self._located[localizer]
