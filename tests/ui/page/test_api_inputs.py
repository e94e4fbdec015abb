"""What calls of the API may send: an image in each of the ways that are told, and one sentence for anything else."""

from __future__ import annotations

import base64
import io
import math
from pathlib import Path
from typing import Any

import pytest

from crop_core.io.images import open_image
from tests.support.fake_records import sample_image
from ui.page.api_inputs import (
    EXAMPLE,
    FILE,
    MALFORMED_CALL,
    MAX_PATH,
    NO_ROOM,
    TAKES,
    ApiImage,
    ApiRegion,
    ApiText,
    check_call,
)


def file_content(kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    sample_image(40, 30).save(out, kind)
    return out.getvalue()


@pytest.fixture
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of uploads."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    return folder


@pytest.fixture
def upload(uploads: Path) -> str:
    """Path of an image that was uploaded."""
    file = uploads / "a.png"
    file.write_bytes(file_content())
    return str(file)


@pytest.fixture
def image(uploads: Path) -> ApiImage:
    return ApiImage(label="image")


BARE = base64.b64encode(file_content()).decode()


@pytest.mark.parametrize(
    "value",
    [
        BARE,
        f" {BARE[:100]}\n{BARE[100:]} ",
        f"data:image/png;base64,{BARE}",
        f"DATA:image/png;BASE64,{BARE}",
        f"data:application/octet-stream;base64,{base64.b64encode(file_content('WEBP')).decode()}",
        base64.b64encode(file_content("JPEG")).decode(),  # which begins like a path: /9j/
        {"url": f"data:image/png;base64,{BARE}"},
        {"path": "scene.png", "url": f"data:image/png;base64,{BARE}"},
        {"path": None, "url": f"data:image/png;base64,{BARE}", "meta": FILE},
    ],
)
def test_an_image_inside_the_call_becomes_a_file(value: Any, image: ApiImage, uploads: Path) -> None:
    given = image.checked(value, math.inf)
    assert given["meta"] == FILE and Path(given["path"]).is_relative_to(uploads)
    assert open_image(image.preprocess(given)).size == (40, 30)
    assert image.checked(value, math.inf) == given, "the same again is the same file"


def test_an_upload_is_taken_by_its_path(image: ApiImage, upload: str) -> None:
    address = f"http://localhost/gradio_api/file={upload}"
    for value in (upload, {"path": upload}, {"path": upload, "meta": FILE}, {"path": upload, "url": address}):
        assert image.checked(value, math.inf) == {"path": upload, "meta": FILE}


NO_IMAGES = (
    "http://127.0.0.1/a.png",
    "HTTPS://a/b.png",
    "file:///etc/passwd",
    "/etc/passwd",
    "image.png",
    "a\0b",
    "!!!!",
)
NO_TEXTS = (5, True, [[]], ["a"], {"path": 5})


@pytest.mark.parametrize("value", [*NO_IMAGES, *NO_TEXTS, {"url": NO_IMAGES[0]}, {"path": NO_IMAGES[3], "meta": FILE}])
def test_anything_else_is_told_what_is_taken(value: Any, image: ApiImage) -> None:
    with pytest.raises(ValueError, match=r"^The image is ") as told:
        image.checked(value, math.inf)
    assert str(told.value).endswith(f", and must be {TAKES}.")


def test_nobody_leaves_the_folder_of_uploads(image: ApiImage, upload: str, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(file_content())
    (Path(upload).parent / "link.png").symlink_to(tmp_path / "secret.png")
    for way in ("/../../secret.png", "/../link.png"):
        with pytest.raises(ValueError, match="must be a data URL"):
            image.checked(upload + way, math.inf)


@pytest.mark.parametrize("value", [None, "", "  ", {}, {"path": None}, {"path": ""}])
def test_no_image_is_told_what_is_taken(value: Any, image: ApiImage) -> None:
    with pytest.raises(ValueError, match=r"^There is no image: give ") as told:
        image.checked(value, math.inf)
    assert TAKES in str(told.value)


def test_a_file_has_a_largest_size(image: ApiImage, uploads: Path) -> None:
    with pytest.raises(ValueError, match=r"^The image has 10 bytes, and at most 9 are allowed\.$"):
        image.checked(base64.b64encode(bytes(10)).decode(), 9)
    assert list(uploads.iterdir()) == []


def test_a_text_of_megabytes_is_no_path(image: ApiImage, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr("ui.page.api_inputs.is_in_or_equal", lambda *paths: asked.append(paths))
    image.checked("a/b/" * (MAX_PATH // 4), math.inf)
    assert len(asked) == 1
    image.checked("a/b/" * (MAX_PATH // 4 + 1), math.inf)
    assert len(asked) == 1


def test_a_full_disk_is_told_as_one(image: ApiImage, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "/srv/secret")

    monkeypatch.setattr("ui.page.api_inputs.save_file_to_cache", full)
    with pytest.raises(ValueError, match="disk is full") as told:
        image.checked(BARE, math.inf)
    assert str(told.value) == NO_ROOM


def test_what_is_described_is_taken(image: ApiImage) -> None:
    assert open_image(image.checked(image.example_inputs(), math.inf)["path"]).size == (32, 32)
    schema = image.api_info()
    assert schema["type"] == "string" and "addresses are not fetched" in schema["description"]
    assert "publicly" not in str(schema).lower() and EXAMPLE.startswith("data:image/png;base64,")


def test_values_left_out_at_the_end_become_their_defaults(image: ApiImage, upload: str) -> None:
    blocks = [image, ApiText(label="question"), ApiText("crop", label="method"), ApiText("", label="budget")]
    inputs = [upload, "what?", None, 64]
    check_call(inputs, blocks, math.inf)
    assert inputs == [{"path": upload, "meta": FILE}, "what?", None, 64]
    inputs = [upload, "what?"]
    check_call(inputs, blocks, math.inf)
    assert inputs[1:] == ["what?", "crop", ""]
    for wrong in ([], [upload], [upload, "what?", "crop", "", "more"]):
        with pytest.raises(ValueError, match="gradio_api/info") as told:
            check_call(wrong, blocks, math.inf)
        assert str(told.value).startswith(f"{MALFORMED_CALL} Here they are image, question, method, budget;")


@pytest.mark.parametrize(
    ("value", "text"),
    [("2,0,3,1", "2,0,3,1"), ([2, 0, 3, 1], "2,0,3,1"), ((2.0, 0, "3", 1), "2,0,3,1"), (None, None), ("", "")],
)
def test_a_region_is_a_text_or_a_list(value: Any, text: str | None) -> None:
    assert ApiRegion(label="region").checked(value, math.inf) == text


@pytest.mark.parametrize("value", [[], [1, 2, 3], [1, 2, 3, 4, 5], [True, 0, 1, 1], [[0], 0, 1, 1], [None] * 4])
def test_a_list_of_other_than_four_cells_is_told_what_is_taken(value: Any) -> None:
    with pytest.raises(
        ValueError, match=r"^The region is \[.*\], and must be four grid cells x0, y0, x1, y1 from 0 to 7"
    ):
        ApiRegion(label="region").checked(value, math.inf)


@pytest.mark.parametrize("value", [True, [], ["a"], {"a": 1}, [2, 2, 5, 5]])
def test_a_text_is_a_text_or_a_number(value: Any) -> None:
    with pytest.raises(ValueError) as told:
        ApiText(label="budget").checked(value, math.inf)
    assert str(told.value) == f"The budget is {value!r}, and must be a text."
