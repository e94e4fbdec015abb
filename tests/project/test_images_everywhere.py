"""An image file is the same upright pixels, of the same size, in app, API, command line, data sets and training."""

from __future__ import annotations

import csv
import io
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pillow_heif import register_heif_opener

from crop_core.cli import ask, check
from crop_core.cli.main import main
from crop_core.engine.engine import CropEngine
from crop_core.evaluate.datasets import files, local_copy
from crop_core.evaluate.lmms_eval.requests import request_images
from crop_core.io import images
from crop_core.io.images import image_notices, image_size, open_image
from crop_core.records.config import Budget, CropConfig
from crop_core.records.region import Region
from crop_core.train.localizer.data import read
from tests.support import ROOT, checkpoints
from tests.support.fake_records import FakeEngine, comparison
from tests.support.image_files import exif_block, file_bytes, png_chunk, stored, with_chunk, with_tags, xmp_packet
from tests.support.panel import SETTINGS
from ui.export.load_runs import open_files
from ui.page.api import Endpoints
from ui.page.handlers import Handlers
from ui.page.images import open_all
from ui.page.sweeps import SweepRequest

register_heif_opener()
SIZE, BOX = (336, 252), [200.0, 20.0, 320.0, 120.0]  # of the upright image
CELLS = (4, 0, 7, 3)
QUESTION = "which thing is between the car and the blue sign?"
EARLY = "'photo': the file ends early: 240 of 252 rows are there."
SHORT = "short.jpg"
WORKFLOW = png_chunk(b"zTXt", b"workflow\0\0" + zlib.compress(b"prompt " * 300_000))
FILES: dict[str, Callable[[Image.Image], bytes]] = {
    "plain.png": lambda image: file_bytes(image, "PNG"),
    "dim.jpg": lambda image: file_bytes(stored(image, 6), "JPEG", exif=exif_block(6, "a rational over 0")),
    "turned.png": lambda image: file_bytes(stored(image, 8), "PNG", exif=exif_block(8)),
    "turned.webp": lambda image: file_bytes(stored(image, 5), "WEBP", exif=exif_block(5)),
    "turned.tif": lambda image: with_tags(file_bytes(stored(image, 7), "TIFF"), [(274, 3, 1, 7)]),
    "xmp.tif": lambda image: file_bytes(stored(image, 6), "TIFF", tiffinfo={700: xmp_packet(6)}),
    "turned.avif": lambda image: file_bytes(stored(image, 6), "AVIF", exif=exif_block(6)),
    "phone.heic": lambda image: file_bytes(stored(image, 6), "HEIF", exif=exif_block(6)),
    "workflow.png": lambda image: with_chunk(file_bytes(image, "PNG"), WORKFLOW, b"IEND"),
    SHORT: lambda image: file_bytes(image, "JPEG", quality=97)[:-15],
    "palette.gif": lambda image: file_bytes(image, "GIF"),
    "grey.png": lambda image: file_bytes(image.convert("L"), "PNG"),
    "print.jpg": lambda image: file_bytes(image.convert("CMYK"), "JPEG"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files, each in a folder of its own under one name: what counts is the content."""
    example = Image.open(ROOT / "assets" / "examples" / "01.jpg").convert("RGB")
    folder = tmp_path_factory.mktemp("files")
    for name, write in FILES.items():
        (folder / name).mkdir()
        (folder / name / "photo").write_bytes(write(example))
    return folder


@pytest.fixture(params=FILES)
def path(request: pytest.FixtureRequest, folder: Path) -> Path:
    return folder / request.param / "photo"


@pytest.fixture
def short(folder: Path) -> Path:
    return folder / SHORT / "photo"


class Stopped(ValueError):
    """Ends a command where it would load a model."""


class Keeping(FakeEngine):
    """Keeps the images that it is asked about."""

    def call(self, request: Any) -> Any:
        self.images = request.images
        return super().call(request)


def of_data_set(path: Path, tmp_path: Path) -> Image.Image:
    row = {"image": str(path), "question": QUESTION, "answer": "tractor", "boxes": json.dumps([BOX])}
    with (tmp_path / "rows.csv").open("w", newline="") as out:
        writer = csv.DictWriter(out, row)
        writer.writeheader()
        writer.writerow(row)
    (example,) = files.load(local_copy.LocalCopy(tmp_path / "rows.csv"))
    assert example.needed == CELLS
    return example.open()


def of_training(path: Path, tmp_path: Path) -> Image.Image:
    row = {"image": str(path), "question": QUESTION, "boxes": [BOX]}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    (example,), skipped = read(tmp_path / "rows.jsonl")
    assert example.grid == CELLS and not skipped.count
    return example.open()


def of_command_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> Image.Image:
    seen: list[Image.Image] = []

    class Engine:
        def compare(self, given: list[Image.Image], *_: Any, **__: Any) -> None:
            seen.extend(given)
            raise Stopped("enough")

    monkeypatch.setattr(ask, "load_engine", lambda *_: Engine())
    assert main(["ask", str(path), QUESTION, "--box", ",".join(map(str, BOX))]) == 2
    return seen[0]


def of_api(path: Path) -> Image.Image:
    engine = Keeping()
    assert Endpoints(engine).localize(str(path), QUESTION)["grid"]
    return engine.images[0]


def of_lmms_eval(path: Path) -> Image.Image:
    with Image.open(path) as lazy:
        return request_images([lazy], "Question 1")[0]


def of_opened_run(path: Path, tmp_path: Path) -> Image.Image:
    (tmp_path / "run.json").write_text(json.dumps(comparison(size=SIZE).to_json()))
    (tmp_path / "run.png").write_bytes(path.read_bytes())
    loaded = open_files([str(tmp_path / "run.json"), str(tmp_path / "run.png")])
    assert [run.result.crop.trace.image_size for run in loaded.runs] == [SIZE]
    return loaded.runs[0].images[0]


@pytest.fixture
def everywhere(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[], Image.Image]]:
    """Ways to open the file, by entry point."""
    return {
        "bytes": lambda: open_image(path.read_bytes()),
        "an image opened by the caller": lambda: open_image(Image.open(io.BytesIO(path.read_bytes()))),
        "app": lambda: open_all(str(path), None)[0],
        "app, further image": lambda: open_all(str(ROOT / "assets" / "examples" / "02.jpg"), [str(path)])[1],
        "app, sweeps": lambda: SweepRequest.of(str(path), QUESTION, SETTINGS).image,
        "app, recorded runs": lambda: of_opened_run(path, tmp_path),
        "API": lambda: of_api(path),
        "command line": lambda: of_command_line(path, monkeypatch),
        "data set": lambda: of_data_set(path, tmp_path),
        "training": lambda: of_training(path, tmp_path),
        "lmms-eval": lambda: of_lmms_eval(path),
    }


def test_the_same_pixels_everywhere(path: Path, everywhere: dict[str, Callable[[], Image.Image]]) -> None:
    wanted = open_image(path)
    assert wanted.size == image_size(path) == SIZE
    for place, opened in everywhere.items():
        image = opened()
        assert (image.mode, image.size) == ("RGB", SIZE), place
        np.testing.assert_array_equal(np.asarray(image), np.asarray(wanted), err_msg=place)
        assert set(image.info) == ({images.NOTICES} if path.parent.name == SHORT else set()), place


# -- what is missing of a file is said everywhere --------------------------------------------------------------------


@pytest.fixture
def untold() -> Iterator[None]:
    """Logged sentences are logged again."""
    images._log_once.cache_clear()
    yield
    images._log_once.cache_clear()


def test_the_page_says_it_when_the_image_comes(short: Path) -> None:
    _, message, *_ = Handlers(FakeEngine(), []).preview(str(short), None, "predicted")
    assert EARLY.replace("'", "&#39;") in message


def test_a_sweep_says_it(short: Path) -> None:
    from ui.page.sweeps import SweepHandlers

    for *_, message, _ in SweepHandlers(FakeEngine()).methods(str(short), QUESTION, ["crop"], *SETTINGS):
        assert EARLY.replace("'", "&#39;") in message


def test_the_api_says_it(short: Path, folder: Path) -> None:
    endpoints = Endpoints(FakeEngine())
    assert endpoints.localize(str(short), QUESTION)["notices"][0] == EARLY
    assert endpoints.localize(str(folder / "plain.png" / "photo"), QUESTION)["notices"] == ["It read."]


def test_the_engine_says_it_with_both_answers(short: Path, tmp_path: Path) -> None:
    engine = CropEngine.from_pretrained(checkpoints.save(tmp_path / "model", "crop", layers=2), None)
    config = CropConfig(budget=Budget(mean_tokens=24), max_new_tokens=2, repeats=1)
    result = engine.compare(open_image(short), QUESTION, config, Region.whole(*SIZE), memory=False)
    assert EARLY in result.notices


def test_opened_runs_say_it(short: Path, tmp_path: Path) -> None:
    (tmp_path / "run.png").write_bytes(short.read_bytes())
    (tmp_path / "run.json").write_text(json.dumps(comparison(size=SIZE).to_json()))
    loaded = open_files([str(tmp_path / "run.json"), str(tmp_path / "run.png")])
    assert loaded.notices == ["'run.png': The file ends early: 240 of 252 rows are there."]


@pytest.mark.parametrize("opened", [of_data_set, of_training])
def test_data_sets_and_training_say_it_once(
    opened: Callable[[Path, Path], Image.Image],
    short: Path,
    untold: None,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for _ in range(2):
        assert image_notices([opened(short, tmp_path)]) == [EARLY]
    assert [record.getMessage() for record in caplog.records] == [EARLY]


def test_check_says_it(short: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stop(**_: Any) -> None:
        raise Stopped("enough")

    monkeypatch.setattr(CropEngine, "from_pretrained", stop)
    assert check.FAILED_PROOF != main(["check", "--image", str(short)]) == 2
    assert capsys.readouterr().err == f"crop_core: {EARLY}\ncrop_core: enough\n"
