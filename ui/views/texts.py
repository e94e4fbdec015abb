"""Texts of the app: verdict, notices, readouts, queue status. Knows records only, no Gradio, no torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from crop_core.records.formatting import format_bytes, format_flops, format_number, format_probability, format_seconds
from crop_core.records.methods import method_of

if TYPE_CHECKING:
    from crop_core.records.request import QueueStatus
    from crop_core.records.results import Answer, Comparison, TokenProb

BASELINE = method_of("none").title
SAME_WITHIN = 0.005  # relative; counts and bytes closer than this are called the same
SAME_TIME_WITHIN = 0.03  # relative; times closer than this are noise
SHORT_ANSWER = 4  # tokens; longer answers are compared per token
QUOTED = 48  # characters of an answer in a sentence
KL_WORDS = ((0.001, "not moved"), (0.02, "hardly moved"), (0.15, "slightly moved"), (0.7, "clearly moved"))
INTRO = (
    "Ask a question about an image and see contextual-region pruning of visual tokens at work: "
    "which region is selected, which tokens are pooled, and which are dropped at which layer."
)
WORLD = (
    "The bundled models know synthetic scenes only: emoji, coloured shapes and signs on loose layouts, in streets, "
    "rooms and crowds of up to twenty; bar charts and price lists; in several drawing styles, noisy, tilted or "
    "compressed like a phone's photo. They answer in one to three words ten kinds of question: what is beside, "
    "between or nearest to things, in a corner or the center; colors; words and numbers; how many; whether there is "
    "one; which is higher or cheaper; values and prices; the sign under the dog; what the whole image shows. On "
    "photographs and anything else their answers are guesses."
)


def change(base: float, crop: float, kind: str = "amount") -> tuple[str, str]:
    """Change from `base` to `crop` in words, and its tone: "gain", "loss" or "same" (less is always better)."""
    if base <= 0 or crop <= 0:
        return ("no change", "same") if base == crop else ("", "same")
    ratio = crop / base
    if abs(ratio - 1) < (SAME_TIME_WITHIN if kind == "time" else SAME_WITHIN):
        return ("about the same" if kind == "time" else "no change"), "same"
    if kind == "time":
        return (f"{1 / ratio:.2f}× faster", "gain") if ratio < 1 else (f"{ratio:.2f}× slower", "loss")
    return (f"{100 * (1 - ratio):.0f} % less", "gain") if ratio < 1 else (f"{100 * (ratio - 1):.0f} % more", "loss")


@dataclass(frozen=True)
class Readout:
    """One cost of both runs, ready to be drawn; `bars` are lengths in 0..1, `localizer` a sentence or ''."""

    key: str
    label: str
    baseline: str
    crop: str
    change: str
    tone: str
    explain: str
    localizer: str
    bars: dict[str, float]


def readout(
    key: str,
    label: str,
    base: float,
    crop: float,
    fmt: Callable[[float], str],
    explain: str,
    localizer: float = 0.0,
    kind: str = "amount",
) -> Readout:
    """`Readout` from two raw values; localizer: the localizer's share of `crop`."""
    words, tone = change(base, crop, kind)
    largest = max(base, crop, 1e-12)
    bars = {"baseline": base / largest, "crop": crop / largest, "localizer": min(localizer, crop) / largest}
    share = f"{fmt(localizer)} of it is the localizer" if localizer > 0 else ""
    return Readout(key, label, fmt(base), fmt(crop), words, tone, explain, share, bars)


def token_readouts(result: Comparison) -> list[Readout]:
    """Readouts of the mean tokens per layer and of the tokens after the last cut."""
    total, left = result.baseline.total("visual_tokens"), result.crop.total
    return [
        readout(
            "mean_tokens",
            "Visual tokens per layer",
            total,
            left("mean_tokens"),
            format_number,
            f"Mean over all {result.crop.trace.layers} layers of the LLM; layers before a cut hold more.",
        ),
        readout(
            "final_tokens",
            "After the last cut",
            total,
            left("final_tokens"),
            format_number,
            "Visual tokens that the deepest layers still attend to.",
        ),
    ]


def cost_readouts(result: Comparison) -> list[Readout]:
    """Readouts of times, memory and work, the localizer always included in CROP's."""
    b, c = result.baseline.cost, result.crop.cost
    localizer_s = c.localizer_s if c.localizer_flops else 0.0  # a drawn region takes no model
    return [
        readout(
            "ttft",
            "Time to first token",
            b.ttft_s,
            c.ttft_s,
            format_seconds,
            "From the image to the first token: localizer, image encoder, compression and prefill.",
            localizer_s,
            "time",
        ),
        readout(
            "total",
            "Total time",
            b.total_s,
            c.total_s,
            format_seconds,
            "Until the last token of the answer.",
            localizer_s,
            "time",
        ),
        readout(
            "kv",
            "KV cache",
            b.kv_bytes,
            c.kv_bytes,
            format_bytes,
            "Keys and values of all tokens after the answer, counted exactly.",
        ),
        readout(
            "peak",
            "Peak memory",
            b.peak_bytes,
            c.peak_bytes,
            format_bytes,
            f"Activations and KV cache above the weights ({c.peak_method}).",
        ),
        readout(
            "flops",
            "Work",
            b.flops,
            c.flops + c.localizer_flops,
            format_flops,
            "Floating point operations up to the first token, image encoder included.",
            c.localizer_flops,
        ),
        readout(
            "weights",
            "Weights",
            b.weights_bytes,
            c.weights_bytes + c.localizer_weights_bytes,
            format_bytes,
            "Pruning never shrinks the model; the localizer adds its own.",
            c.localizer_weights_bytes,
        ),
    ]


def readouts(result: Comparison) -> list[dict]:
    """All readouts as plain dicts, in display order."""
    return [asdict(one) for one in (*token_readouts(result), *cost_readouts(result))]


def joint(tokens: list[TokenProb], field: str) -> float:
    """Joint probability of an answer's tokens; 0 when a log-probability is missing."""
    values = [getattr(token, field) for token in tokens]
    return math.exp(sum(values)) if values and None not in values else 0.0


def per_token(tokens: list[TokenProb], field: str) -> float:
    """Geometric mean of the tokens' probabilities, comparable for answers of any length."""
    values = [getattr(token, field) for token in tokens]
    return math.exp(sum(values) / len(values)) if values and None not in values else 0.0


def shift_line(answer: Answer, own: str, other: str) -> str:
    """Probability of an answer in its own run and in the other one, with the difference in points."""
    long = len(answer.tokens) > SHORT_ANSWER
    own_p, other_p = ((per_token if long else joint)(answer.tokens, name) for name in ("logprob", "other_logprob"))
    points = 100 * (other_p - own_p)
    word = "the same" if abs(points) < 0.05 else f"{abs(points):.1f} points {'more' if points > 0 else 'less'}"
    unit = "probability per token" if long else "probability"
    return (
        f"“{quoted(answer.text)}”: {unit} {format_probability(own_p)} {own}, "
        f"{format_probability(other_p)} {other} ({word})."
    )


def quoted(text: str) -> str:
    """An answer in a sentence, cut to QUOTED characters."""
    return text if len(text) <= QUOTED else f"{text[:QUOTED].rstrip()}…"


def kl_line(value: float) -> str:
    """KL divergence of the first token's distribution, in a word and a number."""
    word = next((words for limit, words in KL_WORDS if value < limit), "strongly moved")
    return f"First-token distribution {word}: KL {value:.4f} nats."


def method_name(method: str) -> str:
    """Display name of a method's pruned run: CROP, or the method that CROP is compared with."""
    return method_of(method).title


def verdict(result: Comparison) -> dict:
    """Verdict: title, tone and lines (same or changed, probability shift, KL)."""
    name = method_name(result.method)
    lines = [shift_line(result.baseline, "in the baseline", f"with {name}")]
    if not result.same:
        lines.append(shift_line(result.crop, f"with {name}", "in the baseline"))
    title = "Same answer" if result.same else f"{name} changed the answer"
    return {"tone": "same" if result.same else "changed", "title": title, "lines": [*lines, kl_line(result.kl_first)]}


def reduces_nothing(result: Comparison) -> bool:
    """Whether every visual token went through every layer."""
    return result.crop.total("mean_tokens") >= result.crop.total("visual_tokens") - 1e-9


def notices(result: Comparison) -> list[str]:
    """Notices for the user: the engine's own, unknown words, a slower run."""
    lines = list(result.notices)
    if result.unknown_words:
        listed = ", ".join(f"“{word}”" for word in result.unknown_words)
        lines.append(f"Unknown to the model: {listed}. It answers all the same, and that answer is a guess.")
    if (
        not reduces_nothing(result)
        and change(result.baseline.cost.total_s, result.crop.cost.total_s, "time")[1] == "loss"
    ):
        paid = "the localizer and the pruning" if method_of(result.method).needs_region else "the pruning"
        name = method_name(result.method)
        lines.append(f"{name} was slower here: what it saves in the LLM is less than the cost of {paid}.")
    return list(dict.fromkeys(lines))


def run_notes(result: Comparison) -> dict[str, str]:
    """Line under each answer: the tokens of all images and the total time."""
    base, crop = result.baseline, result.crop
    of = f" of {len(crop.traces)} images" if len(crop.traces) > 1 else ""
    localizer = " with the localizer" if method_of(result.method).needs_region else ""
    return {
        "baseline": f"{format_number(base.total('visual_tokens'))} visual tokens{of} in every layer · "
        f"{format_seconds(base.cost.total_s)}",
        "crop": f"{format_number(crop.total('mean_tokens'))} visual tokens{of} per layer on average, "
        f"{format_number(crop.total('final_tokens'))} after the last cut · "
        f"{format_seconds(crop.cost.total_s)}{localizer}",
    }


def footer(result: Comparison) -> str:
    """Model, settings and device of the measurements."""
    return (
        f"Model {result.model}, method {result.method}, budget {result.budget}; measured on {result.device} in "
        f"{result.dtype}, both runs after a warm-up. One request is not a benchmark: small time differences are noise."
    )


def token_chips(tokens: list[TokenProb], own: str, other: str) -> list[dict]:
    """Each generated token with its probability in both runs."""
    rows = []
    for token in tokens:
        own_p, other_p = (joint([token], name) for name in ("logprob", "other_logprob"))
        title = f"probability {format_probability(own_p)} {own}, {format_probability(other_p)} {other}"
        text = token.text.strip() if token.text.strip(" </s>") else "(end)"
        rows.append({"text": text, "own": own_p, "other": other_p, "title": title})
    return rows


def queue_message(status: QueueStatus) -> str:
    """Queue status in one sentence."""
    first = "1 request is ahead of yours" if status.ahead == 1 else f"{status.ahead} requests are ahead of yours"
    return f"{first}." if status.seconds is None else f"{first}; about {duration_in_words(status.seconds)} to wait."


def duration_in_words(seconds: float) -> str:
    """Rounded duration: 3 seconds, 25 seconds, 4 minutes."""
    if seconds < 90:
        whole = max(1, round(seconds)) if seconds < 10 else 5 * round(seconds / 5)
        return f"{whole} second{'s' * (whole > 1)}"
    return f"{round(seconds / 60)} minutes"
