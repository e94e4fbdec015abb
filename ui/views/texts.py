"""Texts of the app: verdict, notices, readouts, queue status. Knows records only, no Gradio, no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crop_core.records.comparison_table import unknown_words_notice
from crop_core.records.formatting import format_number, format_probability, format_seconds
from crop_core.records.methods import method_of
from crop_core.records.saving import localizer_notices
from crop_core.records.verdict import agreement, both_probabilities, is_long, joint, verdict
from ui.views.readouts import localizer_ran

if TYPE_CHECKING:
    from crop_core.records.request import QueueStatus
    from crop_core.records.results import Answer, Comparison, TokenProb
    from crop_core.records.timing import Measured

BASELINE = method_of("none").title
QUOTED = 48  # characters of an answer in a sentence
KL_WORDS = ((0.001, "not moved"), (0.02, "hardly moved"), (0.15, "slightly moved"), (0.7, "clearly moved"))
INTRO = (
    "Ask a question about an image and see contextual-region pruning of visual tokens at work: "
    "which region is selected, which tokens are pooled, and which are pruned at which layer."
)
WORLD = (
    "The bundled models know synthetic scenes only: emoji, colored shapes and signs on loose layouts, in streets, "
    "rooms and crowds of up to twenty; bar charts and price lists; in several drawing styles, noisy, tilted or "
    "compressed like a phone's photo. They answer in one to three words ten kinds of question: what is beside, "
    "between or nearest to things, in a corner or the center; colors; words and numbers; how many; whether there is "
    "one; which is higher or cheaper; values and prices; the sign under the dog; what the whole image shows. On "
    "photographs and anything else their answers are guesses."
)

TRY = (  # questions that the bundled model can read, about any scene
    "Is there a dog?",
    "How many cars are there?",
    "What color is the car?",
    "What does the sign say?",
    "What is left of the dog?",
    "Which bar is the tallest?",
)


def shift_line(answer: Answer, own: str, other: str) -> str:
    """Probability of an answer in its own run and in the other one, with the difference in points, if any is seen."""
    own_p, other_p = both_probabilities(answer)
    points = round(100 * other_p, 1) - round(100 * own_p, 1)  # of the numbers that are shown
    word = f" ({abs(points):.1f} points {'more' if points > 0 else 'less'})" if abs(points) >= 0.05 else ""
    unit = "probability per token" if is_long(answer) else "probability"
    return (
        f"“{quoted(answer.text)}”: {unit} {format_probability(own_p)} {own}, "
        f"{format_probability(other_p)} {other}{word}."
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


def run_name(method: str) -> str:
    """Name of a method's pruned run in a heading: "With CROP", "With ILP alone"."""
    parts = method_of(method)
    if not parts.prunes:
        return "The baseline again"
    return f"With {parts.title}{' alone' if parts.is_stage else ''}"


def heading(result: Comparison) -> str:
    """What ran beside the baseline: "With ILP alone, 128 of 576"."""
    name = run_name(result.method)
    if not method_of(result.method).prunes:
        return name
    budget = result.budget.removesuffix(" visual tokens per layer").replace(" visual tokens left", " left")
    return f"{name}, {budget}"


def verdict_lines(result: Comparison) -> dict:
    """Verdict: title, tone and lines (same or changed, probability shift, KL)."""
    name = method_name(result.method)
    lines = [shift_line(result.baseline, "in the baseline", f"with {name}")]
    if not result.same:
        lines.append(shift_line(result.crop, f"with {name}", "in the baseline"))
    how_far = agreement(result)
    title = how_far[0].upper() + how_far[1:]
    if not result.same:
        title = how_far.replace("answer changed", f"{name} changed the answer")
    return {"tone": verdict(result), "title": title, "lines": [*lines, kl_line(result.kl_first)]}


def notices(result: Comparison) -> list[str]:
    """Notices for the user: the engine's own, unknown words, a localizer that eats the saving."""
    lines = [*result.notices, *unknown_words_notice(result.unknown_words), *localizer_notices(result)]
    return list(dict.fromkeys(lines))


def run_notes(result: Comparison) -> dict[str, str]:
    """Line under each answer: the tokens of all images and the total time."""
    base, crop = result.baseline, result.crop
    of = f" of {len(crop.traces)} images" if len(crop.traces) > 1 else ""
    localizer = " with the localizer" if localizer_ran(result) else ""
    return {
        "baseline": f"{format_number(base.total('visual_tokens'))} visual tokens{of} in every layer · "
        f"{format_seconds(base.cost.total_s)}",
        "crop": f"{format_number(crop.total('mean_tokens'))} visual tokens{of} per layer on average, "
        f"{format_number(crop.total('final_tokens'))} after the last cut · "
        f"{format_seconds(crop.cost.total_s)}{localizer}",
    }


def footer(result: Comparison) -> str:
    """Model, settings and device."""
    settings = f"method {result.method}, budget {result.budget}"
    return f"Model {result.model}, {settings}; run on {result.device} in {result.dtype}."


def answered_before(result: Comparison) -> str:
    """When and where a result was made that was kept, to be shown in place of a run."""
    time = result.made["date"][11:19]
    return f"The same was asked here before: these answers are of {time} UTC. Measure again times them now."


def measuring(measured: Measured | None) -> str:
    """Progress of a measurement; None before its first pair of runs."""
    done = len(measured.crop) if measured else 0
    if measured and done >= measured.planned:
        return "Measuring peak memory …"
    return f"Measuring: {done} of {measured.planned} runs of each …" if measured else "Measuring …"


def token_chips(tokens: list[TokenProb], own: str, other: str) -> list[dict]:
    """Each generated token with its probability in both runs, the other one's where it is seen to differ. folded: the
    end token, which is no word of the answer.
    """
    rows = []
    for token in tokens:
        own_p, other_p = (format_probability(joint([token], name)) for name in ("logprob", "other_logprob"))
        title = f"probability {own_p} {own}, {other_p} {other}"
        is_end = not token.text.strip(" </s>")
        text, differs = "(end)" if is_end else token.text.strip(), other_p if other_p != own_p else ""
        rows.append({"text": text, "own": own_p, "other": differs, "title": title, "folded": is_end})
    return rows


def queue_message(status: QueueStatus) -> str:
    """Queue status in one sentence."""
    if not status.ahead:
        return "The model is being loaded; then your question runs."
    first = "1 request is ahead of yours" if status.ahead == 1 else f"{status.ahead} requests are ahead of yours"
    return f"{first}." if status.seconds is None else f"{first}; about {duration_in_words(status.seconds)} to wait."


def duration_in_words(seconds: float) -> str:
    """Rounded duration: 3 seconds, 25 seconds, 4 minutes."""
    if seconds < 90:
        whole = max(1, round(seconds)) if seconds < 10 else 5 * round(seconds / 5)
        return f"{whole} second{'s' * (whole > 1)}"
    return f"{round(seconds / 60)} minutes"
