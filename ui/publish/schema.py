"""What a recorded run has to look like before it is believed: kinds, lengths and limits of every field (pydantic).

Limits are far above what any model gives, and low enough that drawing what they let in takes neither minutes nor
gigabytes. Whether the fields fit together is for `TokenTrace` and `Region` to say.
"""

from __future__ import annotations

from typing import Annotated, Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, create_model

from crop_core.measure.cost import Cost

MOST_TOKENS, MOST_LAYERS, MOST_IMAGES, MOST_CUTS = 20_000, 512, 8, 64
MOST_SIDE = 100_000  # pixels
Word = Annotated[str, StringConstraints(max_length=300)]
Prose = Annotated[str, StringConstraints(max_length=20_000)]
Side = Annotated[int, Field(ge=1, le=MOST_SIDE)]
Pixel = Annotated[float, Field(ge=-MOST_SIDE, le=2 * MOST_SIDE)]
LogProb = Annotated[float, Field(ge=-1e6, le=1e-3)]  # nats; rounding may lift a sure thing above 0
Index = Annotated[int, Field(ge=-1, lt=MOST_TOKENS)]
Layer = Annotated[int, Field(ge=0, le=MOST_LAYERS)]
Score = Annotated[float, Field(ge=-1e9, le=1e9)]
Box = Annotated[list[Pixel], Field(min_length=4, max_length=4)]
Ring = Annotated[int, Field(ge=0, le=64)]
View = Annotated[int, Field(ge=-1, le=8)]
Turn = Annotated[list[Prose], Field(min_length=2, max_length=2)]
Divergence = Annotated[float, Field(ge=-1e-3, le=1e9)]  # nats
Amount = Annotated[float, Field(ge=0, le=1e24)]
Count = Annotated[int, Field(ge=0, le=10**24)]
COST = {"float": Amount, "int": Count, "str": Word}


class Strict(BaseModel):
    """No guessing: "1" is no number, and there is no infinity."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class RegionFile(Strict):
    """`Region.to_json`."""

    grid: list[int] = Field(min_length=4, max_length=4)
    source: Word
    confidence: float | None
    width: Side
    height: Side


class StepFile(Strict):
    """`PruneStep.to_json`."""

    layer: Layer
    kept: list[Index] = Field(min_length=1, max_length=MOST_TOKENS)
    scores: list[Score | None] = Field(max_length=MOST_TOKENS)


class TraceFile(Strict):
    """`TokenTrace.to_json`."""

    image_size: list[Side] = Field(min_length=2, max_length=2)
    visible: Box
    region: RegionFile
    boxes: list[Box | None] = Field(min_length=1, max_length=MOST_TOKENS)
    in_region: list[bool] = Field(min_length=1, max_length=MOST_TOKENS)
    group: list[Index] = Field(min_length=1, max_length=MOST_TOKENS)
    ring: list[Ring] = Field(min_length=1, max_length=MOST_TOKENS)
    layers: Annotated[int, Field(ge=1, le=MOST_LAYERS)]
    steps: list[StepFile] = Field(max_length=MOST_CUTS)
    view: list[View] | None = Field(None, max_length=MOST_TOKENS)


class TokenFile(Strict):
    """`TokenProb.to_json`."""

    text: Prose
    logprob: LogProb | None
    other_logprob: LogProb | None


_fields: Any = {name: (COST[kind.__name__], ...) for name, kind in get_type_hints(Cost).items()}
CostFile: Any = create_model("CostFile", __base__=Strict, **_fields)  # `Cost.to_json`


class AnswerFile(Strict):
    """`Answer.to_json` without its traces."""

    answer: Prose
    tokens: list[TokenFile] = Field(max_length=10_000)
    cost: CostFile


class RunFile(Strict):
    """`Comparison.to_json`, and the embedded pictures."""

    question: Prose
    model: Word
    device: Word
    dtype: Word
    method: Word
    budget: Word
    region: RegionFile
    baseline: AnswerFile
    crop: AnswerFile
    kl_first: Divergence | None
    unknown_words: list[Word] = Field(max_length=500)
    notices: list[Prose] = Field(max_length=50)
    trace: TraceFile
    others: list[TraceFile] = Field([], max_length=MOST_IMAGES)
    history: list[Turn] = Field([], max_length=100)
    made: Annotated[dict[Word, Word], Field(max_length=20)] = {}
    pictures: list[str] = Field([], max_length=MOST_IMAGES + 1)
