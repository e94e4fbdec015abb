"""Stand-ins of published checkpoints run: every method, two images, a follow-up, their own localizer, a quiet stderr.

Their files, prompts and token counts are tested in test_published.py.
"""

import subprocess
import sys

import pytest

from crop_core.engine.engine import CropEngine
from crop_core.records.config import Budget, CropConfig
from crop_core.records.methods import METHODS, pruning_methods
from crop_core.records.region import Region
from crop_core.records.results import RunError, RunSpec
from tests.support.families import sample_image
from tests.support.published import CHECKPOINTS, build

pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")  # Mistral's template

QUESTION = "What is it?"
ONE_TOKEN_A_PATCH = ("llava", "llava_next", "llava_onevision", "paligemma")
WIDE, TALL = (400, 100), (100, 300)  # of few tiles
INSIDE, BEFORE = 0.8, 0.1  # budgets: inside the LLM the first three of four layers of Qwen3-VL stay whole
REFUSALS = {  # by the flag of the method that needs what the checkpoint lacks
    "needs_training": "has no learned PLC",
    "reads_tower": "merges several patches into each visual token",
}
ASK = """
import sys
from PIL import Image
from crop_core.engine.engine import CropEngine
from crop_core.records.config import Budget, CropConfig
for folder in sys.argv[1:]:
    engine = CropEngine.from_pretrained(folder, "self", warm_up=False)
    config = CropConfig(budget=Budget(share=0.8), max_new_tokens=3, repeats=1)
    engine.compare(Image.effect_noise((400, 100), 90).convert("RGB"), "What is it?", config, memory=False)
    print(len(engine.adapter.notices), flush=True)
"""


@pytest.fixture(scope="module", params=CHECKPOINTS)
def checkpoint(request):
    return CHECKPOINTS[request.param]


@pytest.fixture(scope="module")
def engine(checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    build(checkpoint.name, folder)
    return CropEngine.from_pretrained(folder, "self", "cpu", warm_up=False)


def share(method):
    return BEFORE if METHODS[method].compressor else INSIDE


def config(method="crop"):
    return CropConfig(method=method, budget=Budget(share=share(method)), max_new_tokens=2, repeats=1)


def refusal(checkpoint, method):
    """What a checkpoint says to a method that it cannot run; "" for one that runs."""
    if checkpoint.model_type in ONE_TOKEN_A_PATCH and METHODS[method].reads_tower:
        return ""
    return next((sentence for flag, sentence in REFUSALS.items() if getattr(METHODS[method], flag)), "")


def test_every_method_runs_within_its_budget_or_says_in_a_sentence_why_not(checkpoint, engine):
    specs = [RunSpec(name, config(name)) for name in pruning_methods()]
    baseline, *results = engine.run_many(sample_image(WIDE), QUESTION, specs, Region(2, 2, 5, 5, *WIDE), 2)
    total = engine.adapter.layout(WIDE).count
    assert baseline.trace.visual_tokens == total
    for spec, result in zip(specs, results, strict=True):
        expected = refusal(checkpoint, spec.name)
        assert isinstance(result, RunError) == bool(expected), (spec.name, result)
        if expected:
            assert expected in result.why and result.why.endswith(".")
        else:
            assert result.trace.final_tokens >= 1 and result.trace.mean_tokens <= share(spec.name) * total


def test_two_images_share_the_budget(engine):
    images = [sample_image(WIDE), sample_image(TALL)]
    counts = [engine.adapter.layout(image.size, 2).count for image in images]
    for method in ("crop", "ilp"):
        found = engine.answer(images, QUESTION, config(method), [Region(2, 2, 5, 5, *WIDE), None], memory=False)
        assert [trace.visual_tokens for trace in found.traces] == counts
        assert found.total("mean_tokens") <= share(method) * sum(counts)


def test_a_follow_up_reads_the_earlier_turn_or_says_that_it_does_not(checkpoint, engine):
    turns = [("Where?", "There.")]
    found = engine.answer(sample_image(WIDE), QUESTION, config(), Region(2, 2, 5, 5, *WIDE), False, turns)
    assert found.trace.visual_tokens == engine.adapter.layout(WIDE).count
    assert engine.keeps_history == (not checkpoint.name.startswith("paligemma"))


def test_the_checkpoint_finds_a_region_by_itself(engine):
    region = engine.localize(sample_image(WIDE), QUESTION)
    assert region.source == "predicted" and (region.width, region.height) == WIDE
    assert engine.answer(sample_image(WIDE), QUESTION, config(), memory=False).trace.region.source == "predicted"


def test_nothing_is_written_to_stderr_that_is_not_a_notice(tmp_path):
    folders = [tmp_path / str(number) for number in range(len(CHECKPOINTS))]
    for name, folder in zip(CHECKPOINTS, folders, strict=True):
        build(name, folder)
    done = subprocess.run([sys.executable, "-c", ASK, *map(str, folders)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    notices = [int(line) for line in done.stdout.splitlines()]
    assert len(notices) == len(folders) and sum(notices) == 1  # of the revision without a chat template
    assert [line for line in done.stderr.splitlines() if "has no chat template" not in line] == []
