"""What the lesson says of its examples comes true with the shipped models."""

import pytest

from crop_core.engine.engine import CropEngine
from crop_core.io.images import open_image
from crop_core.records.config import PRESETS, CropConfig
from crop_core.records.region import Region
from tests.support import ROOT
from ui.views.examples import load_examples
from ui.views.lesson import STEPS, outcome_of

EXAMPLES = {one.image.name: one for one in load_examples(ROOT / "assets" / "examples")}
SAME, _, ANOTHER = range(3)


@pytest.fixture(scope="module")
def engine():
    return CropEngine.from_pretrained()


def run(engine, step, region=None):
    example = EXAMPLES[step.image]
    image = open_image(example.image)
    drawn = region and Region(*region, *image.size)
    config = CropConfig(method=step.method, budget=PRESETS[step.budget], repeats=1)
    return engine.compare(image, example.question, config, drawn, memory=False)


@pytest.mark.parametrize(
    ("title", "wanted"), [("Why prune?", SAME), ("A wrong region", ANOTHER), ("Where it fails", ANOTHER)]
)
def test_the_outcome_is_as_the_step_explains_it(engine, title, wanted):
    step = next(each for each in STEPS if each.title == title)
    result = run(engine, step, step.region)
    assert result.baseline.text == EXAMPLES[step.image].answer
    assert outcome_of(result) == wanted


def test_only_the_wrong_region_changes_the_answer(engine):
    step = next(each for each in STEPS if each.region)
    assert outcome_of(run(engine, step)) == SAME
