"""The guided lesson: its steps, each a prepared example with one thing to try and one question, and the glossary.

Words and settings only; `ui.page.tabs.learn` puts them on the page.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One step. image: the example's file name. method and budget: settings of the run that is shown.

    right: the place of the right one among the choices; why: what is said once one was chosen.
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

    def verdict(self, chosen: str | None) -> str:
        """What is said to a choice; nothing to one that is none."""
        if chosen not in self.choices:
            return ""
        return f"{'**Right.**' if self.choices.index(chosen) == self.right else '**Not quite.**'} {self.why}"


STEPS = (
    Step(
        "Why prune?",
        "A vision-language model cuts an image into small squares and turns each into a **visual token**: 576 of them "
        "here. The language model then reads all of them in every one of its layers, although the question is about a "
        "few.",
        "Compare the two answers, then the cards under *What it costs*. Two thirds of the tokens are gone on average.",
        "What became of the answer when two thirds of the visual tokens were gone?",
        (
            "It is another one",
            "It stayed, and is about as likely as before",
            "It stayed, but is hardly likely any more",
        ),
        1,
        "Most of the image does not matter for this question. How likely each word is stands below it, in both runs.",
        "01.jpg",
    ),
    Step(
        "Where to look",
        "CROP first **localizes**: a small model reads image and question and names the cells of an 8×8 grid that "
        "hold the answer. What lies inside is protected from everything that follows.",
        "Drag the box in image 1 onto another part of the image, and press *Ask with this region*.",
        "The box is far from the sign that the question is about. What protects the sign now?",
        ("Nothing: it is compressed and pruned like everything outside", "The localizer, which looks again", "The LLM"),
        0,
        "The region that you draw is taken as it is. A wrong region is the first thing that can go wrong; both runs "
        "stand under *Asked so far*.",
        "03.jpg",
        budget="64",
    ),
    Step(
        "Before the LLM",
        "**Pre-LLM compression (PLC)** keeps the region's tokens, and spends few tokens on all that is outside, fewer "
        "the farther away it is.",
        "Point at the cells of image 2, and click the rings in its legend.",
        "Why is anything outside the region left at all?",
        (
            "The model would fail without a full row of tokens",
            "The question may need a rough idea of the rest: where things are, how many there are",
            "To save memory",
        ),
        1,
        "A coarse view of the rest is cheap and catches what the localizer missed.",
        "11.jpg",
        method="plc",
        budget="64",
    ),
    Step(
        "Inside the LLM",
        "**Inner-LLM pruning (ILP)** lets all tokens into the first layers, and then drops those to which the question "
        "pays least attention, outside the region first.",
        "Press play under image 3, then *Compare two layers*.",
        "When are tokens of the region dropped?",
        ("Never", "First of all", "Only when none is left outside it, so that the budget is met"),
        2,
        "The budget is always met exactly. If the region alone is larger, its least attended tokens go as well.",
        "08.jpg",
        method="ilp",
        budget="128",
    ),
    Step(
        "What it costs",
        "Fewer tokens mean less work, a smaller **KV cache** and an earlier first word. But finding the region takes "
        "time and memory too, and the **weights** of the model never shrink.",
        "Read the eight cards. The light part of a bar is the localizer.",
        "Which figure can pruning never make smaller?",
        ("The KV cache", "The work up to the first token", "The weights"),
        2,
        "Papers that show total memory hide this: with 7 billion parameters the weights are most of it.",
        "06.jpg",
        budget="64",
    ),
    Step(
        "Where it fails",
        "Pruning is not free. Questions about the whole image need everything, counts need every single thing, small "
        "text needs its pixels.",
        "This count was right with every token. Open the tab *Budget* and sweep it: from which budget on is it right?",
        "Which question is the safest to prune?",
        ("How many things are there in all?", "Which color is the diamond?", "Is anything unusual in this image?"),
        1,
        "One small place holds its answer. The failure gallery in the tab *Learn* has more that went wrong.",
        "20.jpg",
        budget="64",
    ),
)

GLOSSARY = {
    "Visual token": "A small square of the image as the language model reads it: a vector, like a word's.",
    "Region": "The cells of an 8×8 grid over the image that hold the answer, by the localizer or by you.",
    "Localizer": "A small model that reads image and question and names the region.",
    "PLC": "Pre-LLM compression: fewer tokens enter the language model; the region is kept, the rest becomes coarse.",
    "Pooled": "Several tokens averaged into one, which stands in the middle of their places.",
    "Ring": "The tokens at a like distance from the region; far rings are compressed more.",
    "ILP": "Inner-LLM pruning: tokens are dropped in early layers of the language model, outside the region first.",
    "Attention score": "How much the question's last words look at a token in the layer before a cut.",
    "Budget": "The mean number of visual tokens per layer. Methods are compared at the same budget only.",
    "Prefill": "The language model reading image and question, before it writes.",
    "Decode": "Writing the answer, a token at a time.",
    "KV cache": "What the model keeps of every token read, for the tokens to come; it grows with their number.",
    "Time to first token": "From the image to the first word of the answer, the localizer's time included.",
    "KL": "How far the distribution of the first word moved by pruning, in nats; 0 is not at all.",
    "Baseline": "The same model with every visual token in every layer.",
}

WHY_FAILED = {
    "count": "A count needs every single thing, and cannot tell one from its neighbour once both are pooled.",
    "whole": "A question about everything: the region is the whole image, and no token is unimportant.",
    "compare": "Several places must be compared, each of them sharply, at a budget that is enough for one.",
    "value": "A small difference in height or in a digit decides, and few tokens show it.",
    "text": "Letters are the smallest things in an image: a few dropped tokens make another word.",
    "relation": "Where two things stand to each other is lost when one of them lies outside the region.",
    "two_hop": "The first of two steps is outside the region, so that the second starts in the wrong place.",
    "place": "What is in a place can be outside the region that was found.",
    "color": "The thing was outside the region, and its color was mixed with what is around it.",
    "exist": "That something is nowhere can only be seen everywhere.",
}
