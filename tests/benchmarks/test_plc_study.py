"""What the learned PLC is worth: its figures by hand, and its parts one without the other."""

import pytest
import torch
from PIL import Image

from benchmarks import plc_study
from benchmarks.plc_study import Reply
from crop_core.compress.plc_checkpoint import load_plc
from crop_core.engine.run import Task
from crop_core.models import load
from crop_core.records.config import Budget, CropConfig
from crop_core.records.region import Region
from tests.support import checkpoints
from tests.support.learned import add_plc

RIGHT, WRONG = Reply(True, 0.25), Reply(False, 0.75)


def test_figures_by_hand():
    """One more of four than the other, in one of two scenes: of two scenes that are drawn both may have it, or none."""
    ours, other = [RIGHT, RIGHT, RIGHT, WRONG], [RIGHT, WRONG, RIGHT, WRONG]
    replies = {"baseline": ours, "pooling PLC 64": other, "learned PLC 64": ours}
    runs = plc_study.figures(replies, [7, 7, 9, 9])
    assert runs["learned PLC 64"]["exact"] == 0.75 and runs["learned PLC 64"]["kl"] == pytest.approx(0.375)
    assert runs["learned PLC 64"]["beyond_pooling"] == (0.25, 0, 0.5)
    assert "beyond_pooling" not in runs["baseline"]


def test_a_row_a_variant():
    runs = plc_study.figures(
        {f"{each.title} {at:g}": [RIGHT, WRONG] for each in plc_study.VARIANTS for at in plc_study.BUDGETS}, [1, 2]
    )
    lines = plc_study.table(runs).splitlines()
    assert len(lines) == 2 + len(plc_study.VARIANTS)
    assert [cell.strip() for cell in lines[2].split("|")[1:3]] == ["pooling PLC", "50.0% (9% to 91%)"]


def test_the_parts_are_what_they_say(tmp_path):
    """Neither part is pooling PLC, each moves the answer in its own way, and both are needed for the whole."""
    add_plc(checkpoints.save(tmp_path))
    adapter = load(tmp_path)
    whole = load_plc(adapter)
    image, region = Image.effect_noise((200, 120), 90).convert("RGB"), Region(2, 2, 4, 4, 200, 120)

    def logits(method, trained=None):
        config = CropConfig(method=method, budget=Budget(share=0.3), max_new_tokens=1)
        task = Task(adapter, image, "what is left of the dog?", config)
        task.trained = trained
        return task.crop(region).generated.logits

    pooling, both = logits("plc"), logits("learned", whole)
    alone = [logits("learned", part(whole)) for part in (plc_study.as_pooling, plc_study.unchanged)]
    neither = logits("learned", plc_study.unchanged(plc_study.as_pooling(whole)))
    assert torch.allclose(neither, pooling, atol=1e-5)
    assert all((one - other).abs().max() > 0.05 for one in alone for other in (pooling, both))
