"""Where a model looked: one more run of a request, whose attention to the image is read beside it.

Its time is told with it, and is in no other figure.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from crop_core.engine.compare import RequestRuns
from crop_core.measure.timing import now
from crop_core.records.attention import MAX_STEPS, Attention


def attention(runs: RequestRuns) -> list[Attention]:
    """Attention of the request's run to each of its images, at the first MAX_STEPS tokens of its answer."""
    adapter = runs.task.adapter
    start = now(adapter.device)
    run = runs.crop(on_token=runs.tick, attention_steps=MAX_STEPS).run
    seconds = now(adapter.device) - start
    assert run.attention is not None  # noqa: S101  as asked for
    words = [adapter.token_text(token) for token in run.generated.ids[: len(run.attention)]]
    ends = np.cumsum([0, *(trace.input_tokens for trace in run.traces)])
    parts = [run.attention[..., first:end] for first, end in pairwise(ends)]
    method = runs.task.config.method
    return [Attention.of(method, number, words, part, seconds) for number, part in enumerate(parts)]
