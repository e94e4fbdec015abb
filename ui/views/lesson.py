"""Guided lesson: its steps, each a prepared example with a prediction that the visitor makes before its run; glossary.

Texts, settings and how a prediction is judged; `ui.views.lesson_progress` leads through them, `ui.page.lesson_bar` puts
them on the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crop_core.records.verdict import both_probabilities, is_less_sure
from ui.views.texts import method_name, quoted

if TYPE_CHECKING:
    from crop_core.records.region import Region
    from crop_core.records.results import Comparison

OUTCOMES = ("The same answer, about as sure", "The same answer, but much less sure", "Another answer")
HIT_IOU = 1 / 3  # from which on a drawn region agrees with the predicted one


@dataclass(frozen=True)
class Outcome:
    """What came of a prediction. predicted, came: in words. hit: whether it was right. verdict: Markdown, of ours.

    right: the right choice, "" where a region was drawn.
    """

    predicted: str
    came: str
    hit: bool
    verdict: str
    right: str = ""


@dataclass(frozen=True)
class Step:
    """Step of the lesson. image: the example's file name. method, budget, region: settings of its run.

    text: before the run. question, choices: the prediction; without choices a region is drawn. right: index of the
    right choice, None where the run decides among OUTCOMES. why, look: after the run. part: of the explorer that it is
    about (ui/static/js/explorer.js). region: four grid cells that are given, None where they are predicted.
    """

    title: str
    text: str
    question: str
    why: str
    look: str
    image: str
    part: str
    choices: tuple[str, ...] = OUTCOMES
    right: int | None = None
    method: str = "crop"
    budget: str = "192"
    region: tuple[int, int, int, int] | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """Settings that its run brings along."""
        settings = {"method": self.method, "budget": self.budget}
        if self.region is None:
            return settings
        return settings | {"mode": "drawn"} | dict(zip(("x0", "y0", "x1", "y1"), self.region, strict=True))

    @property
    def draws(self) -> bool:
        """Whether the prediction is a region."""
        return not self.choices

    def judge(self, prediction: str | Region, result: Comparison) -> Outcome:
        """What came of a prediction: one of the choices, or a drawn region (that of a step that `draws`)."""
        if not isinstance(prediction, str):
            return judge_region(prediction, result.region, self.why)
        right = self.choices[outcome_of(result) if self.right is None else self.right]
        hit, came = prediction == right, right if self.right is not None else f"{right}: {answers(result)}"
        verdict = f"**Right.** {self.why}" if hit else f"**Not quite:** “{right}” is right. {self.why}"
        return Outcome(prediction, came, hit, verdict, right)


def outcome_of(result: Comparison) -> int:
    """Index in OUTCOMES."""
    return int(is_less_sure(*both_probabilities(result.baseline))) if result.same else 2


def answers(result: Comparison) -> str:
    """Both answers."""
    name = method_name(result.method)
    return f"“{quoted(result.baseline.text)}” in the baseline, “{quoted(result.crop.text)}” with {name}"


def judge_region(drawn: Region, predicted: Region, why: str) -> Outcome:
    """How far a drawn region agrees with the predicted one, in cells."""
    own, other, both = cells(drawn.grid), cells(predicted.grid), cells(common(drawn.grid, predicted.grid))
    iou = both / (own + other - both)
    words = "They agree." if iou >= HIT_IOU else "They hardly agree." if both else "They do not meet."
    counts = f"You drew {own} of 64 cells, the localizer predicted {other}; {both or 'none'} are in both."
    came = f"{other} cells, {both or 'none'} of them yours"
    return Outcome(f"{own} cells", came, iou >= HIT_IOU, f"**{words}** {counts} {why}")


def common(one: Sequence[int], other: Sequence[int]) -> tuple[int, int, int, int]:
    """Inclusive cells (x0, y0, x1, y1) that two regions share; reversed where there are none."""
    return max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])


def cells(grid: Sequence[int]) -> int:
    """Number of cells of a region (x0, y0, x1, y1), all inclusive; 0 for a reversed one."""
    return max(grid[2] - grid[0] + 1, 0) * max(grid[3] - grid[1] + 1, 0)


STEPS = (
    Step(
        "Why prune?",
        "A vision-language model cuts an image into small squares and turns each into a **visual token**: 576 of them "
        "here. The language model processes all of them in each of its layers, although the question is about a few. "
        "The next run prunes two thirds of them, on average over the layers.",
        "What happens to the answer?",
        "Most of the image does not matter for this question.",
        "Each token of an answer is shown with its probability, in this run and in the other one.",
        "09.jpg",
        "answers",
    ),
    Step(
        "Localize",
        "CROP first **localizes**: a small model reads image and question and predicts the cells of an 8×8 grid that "
        "hold the answer. Tokens inside are kept longest in the stages that follow.",
        "Which cells does this question need? Draw them in panel 1: drag over the image, or use the arrow keys.",
        "A localizer is a trained model too: on images unlike those of its training it is often wrong.",
        "Panel 1 has both regions: the predicted one, and yours dashed.",
        "03.jpg",
        "region",
        choices=(),
        budget="64",
    ),
    Step(
        "A wrong region",
        "The region may be wrong. Here we drew it at the right edge, far from the red sign: see panel 1. It is used as "
        "it is, and everything outside it is compressed and pruned.",
        "What happens to the answer with this region?",
        "A wrong region is the first possible cause of a failure: what the question needs was pruned as unimportant.",
        "Drag the region back over the red sign, and press *Run with this region*: both runs are listed under "
        "*Runs so far*.",
        "03.jpg",
        "answers",
        budget="64",
        region=(6, 0, 7, 7),
    ),
    Step(
        "Before the LLM",
        "**Pre-LLM compression (PLC)** keeps the region's tokens and pools those outside: it averages neighbors into "
        "one token.",
        "Which tokens are pooled most strongly?",
        "A coarse view of what is far is cheap, and covers what the localizer missed: where things are, how many.",
        "Hover over or tap the cells in panel 2, and press the rings in its legend.",
        "13.jpg",
        "compression",
        choices=("Those in the region", "Those next to the region", "Those far from the region"),
        right=2,
        method="plc",
        budget="64",
    ),
    Step(
        "Inside the LLM",
        "**Inner-LLM pruning (ILP)** lets all tokens into the first layers, and then prunes those to which the "
        "question pays least attention, outside the region first. The budget of 128 tokens is always met.",
        "When are tokens of the region pruned?",
        "If the region alone is larger than the budget allows, its least attended tokens go as well.",
        "Press play in panel 3, then *Compare two layers*.",
        "08.jpg",
        "pruning",
        choices=("Never", "First of all", "Only when none is left outside it"),
        right=2,
        method="ilp",
        budget="128",
    ),
    Step(
        "What it costs",
        "Fewer tokens mean less to compute and less to remember. But the localizer takes time and memory too.",
        "Which of these can pruning never reduce?",
        "Reports of total memory hide this: with 7 billion parameters the weights are most of it.",
        "Read the eight cards. The light part of a bar is the localizer.",
        "06.jpg",
        "costs",
        choices=("The KV cache", "The FLOPs up to the first token", "The weights"),
        right=2,
        budget="64",
    ),
    Step(
        "Where it fails",
        "Pruning has a price. Small text needs fine detail, questions about the whole image need all tokens, and a "
        "count needs every object. Here the signs are to be counted, with a ninth of the tokens.",
        "What happens to the answer?",
        "Neighbors that are pooled cannot be told apart. One small region holds the answer to most other questions.",
        "Open the tab *Budget* and sweep it: from which budget on is CROP right? *Back to the step* leads back here.",
        "22.jpg",
        "answers",
        budget="64",
    ),
)

GLOSSARY = {
    "Visual token": "A small square of the image as input to the language model: a vector, like that of a word.",
    "Region": "The cells of an 8×8 grid over the image that hold the answer, by the localizer or drawn by you.",
    "Localizer": "A small model that predicts the region from image and question.",
    "PLC": "Pre-LLM compression: fewer tokens enter the language model; the region is kept, the rest is pooled.",
    "Pooled": "Several tokens averaged into one, at the center of their positions.",
    "Ring": "The tokens at a similar distance from the region; far rings are compressed more.",
    "Padding": "Tokens beside an image that is not square, for models that read squares: no pixel of it is in them.",
    "ILP": "Inner-LLM pruning: tokens are pruned in early layers of the language model, outside the region first.",
    "Attention score": "How much the question's last tokens attend to a visual token in the layer before a cut.",
    "Budget": "The mean number of visual tokens per layer. Methods are compared at the same budget only.",
    "Prefill": "Processing image and question in the language model, before the first token of the answer.",
    "Decode": "Generating the answer, a token at a time.",
    "KV cache": "The keys and values that the model keeps of every token for later tokens; grows with their number.",
    "Time to first token": "From the image to the first token of the answer, the localizer's time included.",
    "KL": "Kullback-Leibler divergence: how far pruning moved the first token's distribution, in nats; 0 is none.",
    "Baseline": "The run of the same model with every visual token in every layer.",
}

ON_HOVER = ("PLC", "ILP", "Prefill", "Decode", "KV cache", "KL")  # terms that are explained where they stand

WHY_FAILED = {
    "count": "A count needs every object, and neighbors that are pooled cannot be told apart.",
    "whole": "A question about the whole image: the region is all of it, and every token matters.",
    "compare": "Several regions must be compared in detail, at a budget that is enough for one.",
    "value": "A small difference in height or in a digit decides, and few tokens carry it.",
    "text": "Letters are the smallest details of an image: a few pruned tokens make another word.",
    "relation": "How two objects are placed is lost when one of them lies outside the region.",
    "two_hop": "The object of the first step is outside the region, so that the second step starts wrong.",
    "place": "What is at a position can be outside the predicted region.",
    "color": "The object was outside the region, and its color was mixed with its surroundings.",
    "exist": "That something is absent can only be seen from the whole image.",
}
