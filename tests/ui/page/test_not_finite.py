"""A model that computes no numbers: the page and the API say so, and no verdict is shown."""

import json
import re

import gradio as gr
import pytest

from crop_core.engine.engine import CropEngine
from crop_core.localize import WholeImage
from crop_core.models import load
from tests.support import checkpoints
from tests.support.families import sample_image
from tests.support.faults import change_weight, in_layer
from tests.support.panel import SETTINGS
from ui.page.api import Endpoints
from ui.page.handlers import Handlers
from ui.views.history import History

SENTENCE = "computes no numbers in float32 (NaN or infinity from decoder layer 2 of 4 on)"
QUESTION = "what is left of the dog?"


@pytest.fixture
def engine(tmp_path):
    checkpoints.save(tmp_path / "damaged", side=56)
    change_weight(tmp_path / "damaged", in_layer(2), float("nan"))
    return CropEngine(load(tmp_path / "damaged"), WholeImage(), warm_up=False)


@pytest.fixture
def scene(tmp_path):
    sample_image((90, 160)).save(tmp_path / "scene.png")
    return str(tmp_path / "scene.png")


def test_the_page_shows_the_sentence_and_no_verdict(engine, scene):
    moments = list(Handlers(engine, []).ask(History(), scene, QUESTION, None, *SETTINGS, ""))
    view, message, history, stop = moments[-1]
    assert SENTENCE in message and 'role="alert"' in message
    assert history == gr.skip() and not stop.interactive
    shown = json.loads(view["data"])
    assert "comparison" not in shown and shown.get("stage") not in ("done", "compare", "measure")


def test_the_api_raises_the_sentence(engine, scene):
    for endpoint in (Endpoints(engine).compare, Endpoints(engine).ask):
        with pytest.raises(gr.Error, match=re.escape(SENTENCE)):
            endpoint(scene, QUESTION, "crop", "50%", "2,2,5,5")
