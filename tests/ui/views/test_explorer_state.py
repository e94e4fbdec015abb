import base64
import io
import json

import numpy as np
from PIL import Image

from crop_core.io.data_url import MAX_SIDE_PX, data_url
from crop_core.records.region import Region
from crop_core.records.results import StreamEvent
from crop_core.records.trace import TokenTrace
from tests.support.fake_records import FakeEngine, comparison, request, sample_image, trace
from ui.views.examples import Example, load_examples, strip_html
from ui.views.explorer_state import ExplorerState


def decoded(url: str) -> Image.Image:
    kind, data = url.split(";base64,")
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert kind == f"data:image/{image.format.lower()}"
    return image


def test_a_small_image_is_sent_as_it_is() -> None:
    image = sample_image()
    assert np.array_equal(np.asarray(decoded(data_url(image)).convert("RGB")), np.asarray(image))


def test_a_large_noisy_image_is_scaled_and_compressed() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (900, 2000, 3), dtype=np.uint8))
    sent = decoded(data_url(noise))
    assert max(sent.size) == MAX_SIDE_PX
    assert sent.format == "JPEG"
    assert abs(sent.width / sent.height - 2000 / 900) < 0.01


def test_a_stream_becomes_ever_fuller_views() -> None:
    view, stages = ExplorerState.of(sample_image(), "what is left of the dog?"), []
    for event in FakeEngine().stream(request(question="what is left of the dog?")):
        view = view.event(event)
        stages.append(view.stage)
    data = json.loads(view.to_json()["data"])
    assert stages[0] == "localize"
    assert stages[-1] == "done"
    assert data["answers"] == {"baseline": "rabbit", "crop": "rabbit"}
    assert data["region"] == {"grid": [2, 1, 4, 3], "source": "predicted", "confidence": 0.83}
    assert {"verdict", "readouts", "notices", "tokens", "trace"} <= set(data["result"])


def test_the_explorer_is_told_what_the_pruned_run_is_called() -> None:
    view = ExplorerState.of(sample_image(), "is there a dog?", "fastv").event(
        StreamEvent("done", comparison=comparison(method="fastv"))
    )
    data = json.loads(view.to_json()["data"])
    assert data["method"] == "FastV"
    assert "with FastV" in data["result"]["tokens"]["crop"][0]["title"]
    assert json.loads(ExplorerState.of(sample_image()).to_json()["data"])["method"] == "CROP"


def test_an_event_leaves_the_view_it_came_from_alone() -> None:
    first = ExplorerState.of(sample_image())
    second = first.event(StreamEvent("baseline", "rab"))
    assert first.answers == {}
    assert second.answers == {"baseline": "rab"}
    assert second.key == first.key != ExplorerState.of(sample_image()).key


def test_the_explorer_gets_the_trace_that_a_file_would_hold() -> None:
    result = comparison()
    data = json.loads(ExplorerState.of(sample_image()).event(StreamEvent("done", comparison=result)).to_json()["data"])
    back = TokenTrace.from_json(data["result"]["trace"])
    assert np.array_equal(back.died_at, result.crop.trace.died_at)
    assert np.array_equal(back.alive_counts, result.crop.trace.alive_counts)


def test_tokens_without_a_place_are_valid_json() -> None:
    placed = trace(Region(2, 1, 4, 3, 336, 336, "predicted", 0.83))
    placed.boxes[3] = np.nan
    view = ExplorerState.of(sample_image()).event(
        StreamEvent("done", comparison=comparison(trace=placed, kl_first=float("inf")))
    )
    assert json.loads(view.to_json()["data"])["result"]["trace"]["boxes"][3] is None


def test_examples_are_read_from_their_folder(tmp_path) -> None:
    assert load_examples(tmp_path) == []
    sample_image().save(tmp_path / "01.png")
    row = {"image": "01.png", "question": "what is <left>?", "answer": "cat", "kind": "relation"}
    (tmp_path / "examples.json").write_text(json.dumps([row]))
    examples = load_examples(tmp_path)
    assert examples == [Example(tmp_path / "01.png", "what is <left>?", "cat", "relation")]
    strip = strip_html(examples)
    assert "what is &lt;left&gt;?" in strip
    assert strip.count("<button") == 1
