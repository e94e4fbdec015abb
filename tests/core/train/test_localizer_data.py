"""Rows of training data in all layouts: which cells they mean, and what is said of rows that cannot be used."""

import json
import re

import pytest
from PIL import Image

from crop_core.records.region import Region
from crop_core.train.localizer import data
from crop_core.train.localizer.data import Example, batches, read, split
from crop_core.train.localizer.row_layouts import parse_row
from crop_core.train.localizer.settings import Settings, TuneError

ROW = {"image": "a.png", "question": "what is red?", "boxes": [[40, 20, 60, 30], [70, 25, 90, 40]]}
META = {  # a row of viscot_dataset/vsr_cot_train.jsonl, its image another
    "question": "Does the suitcase contain the teddy bear?", "answer": "Yes", "image": "a.png", "width": 640,
    "height": 480, "bboxs": [[151.59, 278.39, 277.23, 384.36]], "dataset": "vsr", "split": "train",
}  # fmt: skip
TALK = {  # a row of viscot_benchmark/benchmark/vsr.json, its image another
    "dataset": "vsr", "split": "val", "question_id": 0,
    "image": ["cot/vsr/a.png", "cot/vsr/a.png###[392, 316, 467, 414]"],
    "conversations": [
        {"from": "human", "value": "<image>\nWhat does the cake consist of? Please provide the bounding box coordinate "
            "of the region that can help you answer the question better."},
        {"from": "gpt", "value": "[0.614, 0.619, 0.731, 0.773]"},
        {"from": "human", "value": "<image>"},
        {"from": "gpt", "value": "dog"},
    ],
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    sizes = {"a.png": (160, 80), "c.png": (160, 120), "vsr/b.png": (640, 480), "cot/vsr/a.png": (640, 512)}
    for name, size in sizes.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size).save(tmp_path / name)
    return tmp_path


def written(folder, *rows, name="data.jsonl"):
    file = folder / name
    file.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return file


def test_the_cells_are_those_of_the_box_around_all_boxes(folder):
    (result,), skipped = read(written(folder, ROW))
    assert result == Example(folder / "a.png", "what is red?", Region.from_box((40, 20, 90, 40), 160, 80).grid, "")
    assert result.grid == (2, 2, 4, 3)
    assert result.open().size == (160, 80)
    assert skipped.count == 0


def test_a_size_in_the_row_counts_and_a_turned_photo_is_upright(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (80, 160)).save(folder / "turned.jpg", exif=exif)
    rows = [{**ROW, "width": 320, "height": 160}, {**ROW, "image": "turned.jpg"}]
    (small, turned), _ = read(written(folder, *rows))
    assert small.grid == Region.from_box((40, 20, 90, 40), 320, 160).grid
    assert turned.grid == (2, 2, 4, 3)
    assert turned.open().size == (160, 80)


def test_visual_cot_metadata_and_its_folders(folder):
    rows = [{**META, "image": "c.png"}, {**META, "image": "b.png"}]
    (first, second), _ = read(written(folder, *rows))
    assert first.grid == Region.from_box(META["bboxs"][0], 640, 480).grid
    assert (first.question, first.kind) == (META["question"], "vsr")
    assert second.image == folder / "vsr" / "b.png"
    assert parse_row({**META, "dataset": "textcap"}).images == ("a.png", "textvqa/a.png")


@pytest.mark.parametrize("as_list", [True, False])
def test_visual_cot_conversations(folder, as_list):
    file = written(folder, json.dumps([TALK], indent=4) if as_list else TALK)
    (result,), _ = read(file)
    assert result.image == folder / "cot/vsr/a.png"
    assert result.question == "What does the cake consist of?"
    assert result.grid == Region.from_box((392, 316, 467, 414), 640, 512).grid
    assert result.kind == "vsr"


def test_images_lie_beside_the_data_or_where_one_says(folder):
    (folder / "rows").mkdir()
    file = written(folder / "rows", ROW)
    with pytest.raises(TuneError, match=r"no image .*rows.a\.png"):
        read(file)
    assert read(file, folder)[0][0].image == folder / "a.png"


def test_boxes_beyond_the_image_are_cut_off(folder):
    (result,), _ = read(written(folder, {**ROW, "boxes": [[-20, 70, 400, 90]]}))
    assert result.grid == (0, 7, 7, 7)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("{oops", "'{oops' is no JSON"),
        ('"text"', "a row is an object, not 'text'"),
        ({**ROW, "image": None}, "image None"),
        ({**ROW, "image": "none.png"}, "no image"),
        ({**ROW, "question": " "}, "question is empty"),
        ({**ROW, "question": 7}, "not int"),
        ({**ROW, "boxes": []}, r"boxes \[\] are not a list"),
        ({**ROW, "boxes": [[1, 2, 3]]}, r"box \[1, 2, 3\] is not four numbers"),
        ({**ROW, "boxes": [[1, 2, 3, "4"]]}, "not four numbers"),
        ({**ROW, "boxes": [[1, 2, 3, True]]}, "not four numbers"),
        ('{"image": "a.png", "question": "?", "boxes": [[NaN, 2, 3, 4]]}', "not four numbers"),
        ({**ROW, "boxes": [[9, 2, 3, 4]]}, "upside down"),
        ({**ROW, "boxes": [[586, 443, 1083, 451]]}, "outside the image, which is 160 x 80"),
        ({**ROW, "width": 0, "height": 5}, "width 0 and height 5"),
        ({**ROW, "width": 100}, "height None"),
        ({**TALK, "image": "a.png"}, "not a list of a path"),
        ({**TALK, "image": ["a.png"]}, "holds no ###"),
        ({**TALK, "image": ["a.png", "a.png###[1, b, 2, 3]"]}, "not four numbers"),
        ({**TALK, "conversations": [{"from": "gpt"}]}, "hold no question"),
        ({**TALK, "conversations": 3}, "conversations 3"),
    ],
)
def test_a_bad_row_is_skipped_and_told_with_its_line(folder, row, words):
    result, skipped = read(written(folder, ROW, "", row, ROW))
    assert len(result) == 2
    assert skipped.count == 1
    assert re.search(f"line 3: .*{words}", str(skipped))
    with pytest.raises(TuneError, match=r"^No row of .* can be used: 1 skipped"):
        read(written(folder, row, name="bad.jsonl"))


def test_many_bad_rows_are_counted_and_a_few_told(folder):
    _, skipped = read(written(folder, *[{**ROW, "boxes": []}] * 9, ROW))
    assert str(skipped).startswith("9 skipped (line 1: ")
    assert "line 3" in str(skipped)
    assert "line 4" not in str(skipped)


def test_a_limit_ends_reading_and_images_are_not_decoded(folder, monkeypatch):
    monkeypatch.setattr("crop_core.io.images.decode", lambda *_: pytest.fail("decoded"))
    result, skipped = read(written(folder, ROW, ROW, "{oops"), limit=2)
    assert (len(result), skipped.count) == (2, 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [(b"", "there is none"), (b"[1,", "no JSON list"), (b"\xff\xfe{", "UTF-8"), (None, "No such file")],
)
def test_files_that_are_no_data(folder, text, words):
    file = folder / "bad"
    if text is not None:
        file.write_bytes(text)
    with pytest.raises(TuneError, match=words):
        read(file)


def examples(questions, images):
    return [Example(f"{number % images}.png", str(number), (0, 0, 0, 0)) for number in range(questions)]


def test_no_image_is_both_trained_on_and_held_out():
    kept, held = split(examples(100, 30), 0.2, seed=1)
    assert {each.image for each in kept}.isdisjoint({each.image for each in held})
    assert len(kept) + len(held) == 100
    assert 20 <= len(held) <= 23
    assert split(examples(100, 30), 0.2, seed=1) == (kept, held)
    assert split(examples(100, 30), 0.2, seed=2) != (kept, held)
    assert len(split(examples(9000, 9000), 0.5, seed=0)[1]) == data.MAX_HELD_OUT


@pytest.mark.parametrize(("questions", "images"), [(1, 1), (2, 2), (50, 1)])
def test_too_little_to_hold_out(questions, images):
    with pytest.raises(TuneError, match=f"{questions} usable questions about {images} images are too few"):
        split(examples(questions, images), 0.1, seed=0)


def test_every_epoch_holds_every_question_once():
    drawn = [index for step in range(15) for index in batches(10, 4, step, seed=3)]
    for epoch in range(6):
        assert sorted(drawn[10 * epoch : 10 * epoch + 10]) == list(range(10))
    assert drawn[:10] != drawn[10:20]
    assert batches(10, 4, 7, seed=3) == drawn[28:32]
    assert batches(10, 4, 7, seed=4) != drawn[28:32]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"steps": 0}, "--steps is 0"),
        ({"epochs": 0.0}, "--epochs is 0"),
        ({"rate": float("nan")}, "--rate is nan"),
        ({"rank": 0}, "--rank is 0"),
        ({"held_out": 1.0}, "--held-out is 1"),
        ({"dropout": -0.1}, "--dropout is -0.1"),
        ({"save_every": -1}, "--save-every is -1"),
    ],
)
def test_settings_that_cannot_be(fields, words):
    with pytest.raises(TuneError, match=words):
        Settings(**fields)


def test_steps_follow_from_epochs():
    assert Settings(batch=16).updates(33) == 3
    assert Settings(batch=16, epochs=0.5).updates(64) == 2
    assert Settings(batch=16, steps=7).updates(64) == 7
