"""Likelihood of one run's answer under another run: KL of the first token, log-probabilities of a whole answer.

Knows nothing of regions, costs and questions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from crop_core.engine.run import Run


def logits_of(run: Run) -> torch.Tensor:
    """(T, V) logits of a run that kept them."""
    logits = run.generated.logits
    assert logits is not None  # noqa: S101  the caller's own runs
    return logits


def logits_for(ids: Sequence[int], run: Run, rerun: Callable[..., Run]) -> torch.Tensor:
    """(T, V) logits of `run` for the answer `ids`: its own where it generated these, else those of a forced run.

    rerun: `Task.crop` or `Task.baseline` with the arguments of `run`.
    """
    return logits_of(run if run.generated.ids == list(ids) else rerun(forced=ids))


def logprobs(logits: torch.Tensor, ids: Sequence[int]) -> list[float]:
    """Log-probability in nats of each of the T tokens `ids` under logits (T, V)."""
    table = logits.double().log_softmax(-1)
    return table[torch.arange(len(ids)), torch.tensor(ids)].tolist()


def first_token_kl(baseline: torch.Tensor, crop: torch.Tensor) -> float:
    """KL(baseline || crop) in nats of the first token's distribution, from logits (T, V)."""
    log_p, log_q = (logits[0].double().log_softmax(-1) for logits in (baseline, crop))
    return max(0.0, float((log_p.exp() * (log_p - log_q)).nan_to_num(0.0, torch.inf).sum()))
