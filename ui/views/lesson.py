"""Guided lesson: its steps, each a prepared example with one thing to try and one question, and the glossary.

Texts and settings only; `ui.page.tabs.learn` puts them on the page.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """Step of the lesson. image: the example's file name. method, budget: settings of its run.

    right: index of the right choice. why: explanation after a choice.
    """

    title: str
    text: str
    look: str
    question: str
    choices: tuple[str, ...]
    right: int
    why: str
    image: str
    method: str = "crop"
    budget: str = "192"

    @property
    def settings(self) -> dict[str, str]:
        """Settings that its run brings along."""
        return {"method": self.method, "budget": self.budget}

    def verdict(self, chosen: str | None) -> str:
        """Response to a choice; empty for an invalid one."""
        if chosen not in self.choices:
            return ""
        return f"{'**Right.**' if self.choices.index(chosen) == self.right else '**Not quite.**'} {self.why}"


STEPS = (
    Step(
        "Why prune?",
        "A vision-language model cuts an image into small squares and turns each into a **visual token**: 576 of them "
        "here. The language model then processes all of them in each of its layers, although the question is about a "
        "few.",
        "Compare the two answers, then the cards under *What it costs*. Two thirds of the tokens are gone on average.",
        "What happened to the answer with two thirds of the visual tokens pruned?",
        (
            "It is another one",
            "It stayed, and is about as likely as before",
            "It stayed, but is hardly likely any more",
        ),
        1,
        "Most of the image does not matter for this question. Each token of an answer is shown with its probability.",
        "01.jpg",
    ),
    Step(
        "Localize",
        "CROP first **localizes**: a small model reads image and question and predicts the cells of an 8×8 grid that "
        "hold the answer. Tokens inside are kept longest in the stages that follow.",
        "Drag the box in panel 1 onto another part of the image, and press *Run with this region*.",
        "The box is far from the sign that the question is about. What protects the sign now?",
        ("Nothing: it is compressed and pruned like everything outside", "The localizer, which runs again", "The LLM"),
        0,
        "The region that you draw is used as it is. A wrong region is the first possible cause of a failure; both runs "
        "are listed under *Runs so far*.",
        "03.jpg",
        budget="64",
    ),
    Step(
        "Before the LLM",
        "**Pre-LLM compression (PLC)** keeps the region's tokens and pools those outside, more strongly "
        "with the distance from the region.",
        "Hover over the cells in panel 2, and click the rings in its legend.",
        "Why is anything outside the region left at all?",
        (
            "The model would fail without a full row of tokens",
            "The question may need a rough idea of the rest: where things are, how many there are",
            "To save memory",
        ),
        1,
        "A coarse view of the rest is cheap and covers what the localizer missed.",
        "11.jpg",
        method="plc",
        budget="64",
    ),
    Step(
        "Inside the LLM",
        "**Inner-LLM pruning (ILP)** lets all tokens into the first layers, and then prunes those to which the "
        "question pays least attention, outside the region first.",
        "Press play in panel 3, then *Compare two layers*.",
        "When are tokens of the region pruned?",
        ("Never", "First of all", "Only when none is left outside it, to meet the budget"),
        2,
        "The budget is always met exactly. If the region alone is larger, its least attended tokens go as well.",
        "08.jpg",
        method="ilp",
        budget="128",
    ),
    Step(
        "What it costs",
        "Fewer tokens mean fewer FLOPs, a smaller **KV cache** and an earlier first token. But the localizer takes "
        "time and memory too, and the **weights** of the model never shrink.",
        "Read the eight cards. The light part of a bar is the localizer.",
        "Which of these can pruning never reduce?",
        ("The KV cache", "The FLOPs up to the first token", "The weights"),
        2,
        "Reports of total memory hide this: with 7 billion parameters the weights are most of it.",
        "06.jpg",
        budget="64",
    ),
    Step(
        "Where it fails",
        "Pruning has a price. Questions about the whole image need all tokens, counts need every object, small text "
        "needs fine detail.",
        "The baseline counts right here. Open the tab *Budget* and sweep it: from which budget on is CROP right?",
        "Which question is the safest to prune?",
        ("How many things are there in all?", "Which color is the diamond?", "Is anything unusual in this image?"),
        1,
        "One small region holds its answer. The failure gallery in the tab *Learn* has more failures.",
        "20.jpg",
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
