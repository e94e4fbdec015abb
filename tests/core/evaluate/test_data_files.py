"""Questions of one's own in files: layouts, folders, what is said of rows that cannot be used, never a traceback."""

import csv
import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from crop_core.evaluate.datasets.protocol import DatasetError
from crop_core.evaluate.datasets.registry import dataset
from crop_core.records.region import Region

ROW = {"image": "a.png", "question": "what is red?", "answers": ["dog", "puppy"], "kind": "color", "id": "q1"}
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def folder(tmp_path):
    Image.new("RGB", (160, 80), "red").save(tmp_path / "a.png")
    (tmp_path / "page.jpg").write_text("<html>404")
    return tmp_path


def written(file, *rows):
    file.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return file


def table(file, *rows):
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, list(dict.fromkeys(key for row in rows for key in row)))
        writer.writeheader()
        writer.writerows(rows)
    return file


def test_a_row(folder):
    found = dataset("files", written(folder / "rows.jsonl", ROW))
    (example,) = found.examples
    assert (example.id, example.question, example.answers) == ("q1", "what is red?", ("dog", "puppy"))
    assert (example.kind, example.group, example.needed, example.everything) == ("color", "a.png", None, False)
    assert example.open().size == (160, 80)
    assert (found.metric.name, found.skipped) == ("exact", "")
    assert found.metric.score("Puppy", example) == 1


def test_the_least_that_a_row_needs(folder):
    rows = [{"file_name": "a.png", "question": "how many?", "answer": answer} for answer in ("two", 2, 2.5)]
    found = dataset("files", written(folder / "rows.jsonl", *rows))
    assert [each.answers for each in found.examples] == [("two",), ("2",), ("2.5",)]
    assert [each.id for each in found.examples] == ["line 1", "line 2", "line 3"]


def test_boxes_become_the_region_that_is_needed(folder):
    boxes = [[40, 20, 60, 30], [70, 25, 90, 40]]
    rows = [{**ROW, "boxes": boxes}, {**ROW, "id": "q2", "boxes": boxes, "width": 320, "height": 160}]
    found = dataset("files", written(folder / "rows.jsonl", *rows)).examples
    assert found[0].needed == Region.from_box((40, 20, 90, 40), 160, 80).grid
    assert found[1].needed == Region.from_box((40, 20, 90, 40), 320, 160).grid


def test_csv_and_a_json_list_say_the_same_as_json_lines(folder):
    plain = {**ROW, "boxes": [[40, 20, 60, 30]], "width": 160, "height": 80}
    cells = {key: json.dumps(value) if isinstance(value, list) else str(value) for key, value in plain.items()}
    expected = dataset("files", written(folder / "a.jsonl", plain)).examples
    assert dataset("files", table(folder / "a.csv", cells)).examples == expected
    assert dataset("files", written(folder / "a.json", [plain])).examples == expected


def test_texts_of_csv_stay_as_they_are(folder):
    answers = ["1.50", "007", "true", "a, b", "[red", "['a' 'b']"]
    rows = [{"image": "a.png", "question": "?", "answer": answer} for answer in answers]
    found = dataset("files", table(folder / "a.csv", *rows)).examples
    assert [each.answers for each in found] == [(answer,) for answer in answers]


def test_ten_answers_are_those_of_people(folder):
    rows = [{**ROW, "id": str(number), "answers": ["dog"] * 10} for number in range(2)]
    assert dataset("files", written(folder / "a.jsonl", *rows)).metric.name == "vqa"
    assert dataset("files", written(folder / "b.jsonl", *rows, ROW)).metric.name == "exact"
    assert dataset("files", folder / "a.jsonl", metric="anls").metric.name == "anls"


def test_a_folder_with_its_file(folder):
    written(folder / "one.jsonl", ROW)
    assert len(dataset("files", folder).examples) == 1
    written(folder / "two.json", [ROW])
    with pytest.raises(DatasetError, match=r"holds 'one\.jsonl' and 'two\.json'; give one"):
        dataset("files", folder)
    table(folder / "metadata.csv", {"file_name": "a.png", "question": "?", "answer": "x"})
    assert dataset("files", folder).examples[0].answers == ("x",)
    (folder / "empty").mkdir()
    with pytest.raises(DatasetError, match=r"empty' holds no file of questions; give one"):
        dataset("files", folder / "empty")


def test_images_elsewhere(folder):
    (folder / "rows").mkdir()
    file = written(folder / "rows/a.jsonl", ROW)
    assert dataset("files", file, images=folder).examples[0].image == folder / "a.png"
    with pytest.raises(DatasetError, match=r"Nothing of .* can be used: 1 skipped \(q1: there is no image"):
        dataset("files", file)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("{oops", "line 2: '{oops' is no JSON"),
        ('"text"', "a row is an object, not 'text'"),
        ({**ROW, "image": None}, "image None is not the path"),
        ({**ROW, "image": "none.png"}, "no image"),
        ({**ROW, "question": ""}, "question is empty"),
        ({**ROW, "question": 7}, "not int"),
        ({**ROW, "answers": []}, "q2: it has no answer that is a text"),
        ({**ROW, "answers": [""]}, "q2: it has no answer that is a text"),
        ({**ROW, "answers": None}, "q2: it has no answer that is a text"),
        ({**ROW, "answers": float("nan")}, "q2: it has no answer that is a text"),
        ({**ROW, "answers": ["dog", ""]}, r"answers \['dog', ''\] are not texts"),
        ({**ROW, "image": "https://example.org/a.png"}, "is an address; save the image first and give its path"),
        ({**ROW, "image": "page.jpg"}, r"q2: 'page\.jpg' is not an image that can be read here"),
        ({**ROW, "image": ["a.png", "b.png"]}, "it has 2 images, and a question is asked about one"),
        ({"id": "q2", "picture": "a.png", "text": "?"}, "it has no image and no question, but 'id', 'picture', 'text'"),
        ({**ROW, "boxes": [[0.1, 0.2, 0.5, 0.6]]}, r"box \[0.1, 0.2, 0.5, 0.6\] in 160 x 80 is less than a pixel"),
        ({**ROW, "boxes": [[1, 2, 3, 4]], "width": 80, "height": 160}, "80 x 160, and the upright image is 160 x 80"),
        ({**ROW, "answers": [True]}, "are not texts"),
        ({**ROW, "answers": {"a": 1}}, "are not texts"),
        ({**ROW, "boxes": [[1, 2, 3]]}, "not four numbers"),
        ({**ROW, "boxes": "[[1, 2"}, "are not a list of at least one"),
        ({**ROW, "boxes": [[1, 2, 3, 4]], "width": "x"}, "width 'x'"),
        ({**ROW, "answers": ["\ud800"]}, "q2: it holds half a character"),
        ({**ROW, "image": "\udcff.png"}, "q2: it holds half a character"),
        ({**ROW, "id": "q0"}, "q0: another question has this id"),
    ],
)
def test_a_bad_row_is_skipped_and_told(folder, row, words):
    row = {**row, "id": row["id"] if row["id"] == "q0" else "q2"} if isinstance(row, dict) else row
    found = dataset("files", written(folder / "rows.jsonl", {**ROW, "id": "q0"}, row, ROW))
    assert [each.id for each in found.examples] == ["q0", "q1"]
    assert found.skipped.startswith("1 skipped (")
    assert re.search(words, found.skipped)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", b"", "it is empty"),
        ("a.json", b"[1,", "no JSON list"),
        ("a.json", b"[" * 100_000, "no JSON list"),
        ("a.jsonl", b"\xff\xfe{", "UTF-8"),
        ("a.csv", b"", "it is empty"),
        ("a.csv", b"image,question\n" + b'"' + b"x" * 200_000, "a quote opens in it and never closes"),
        ("a.csv", b"picture\na.png", "the columns are 'picture', and none of them is image or question"),
        ("a.xlsx", b"PK\3\4", r"it is a workbook \(.xlsx, .ods, .numbers\) or a ZIP archive; save the sheet as CSV"),
    ],
)
def test_files_that_are_no_data(folder, name, content, words):
    (folder / name).write_bytes(content)
    with pytest.raises(DatasetError, match=words):
        dataset("files", folder / name)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from(
    ["image", "file_name", "question", "answer", "answers", "id", "kind", "boxes", "width", "height"]
)


@QUICK
@given(changes=st.dictionaries(fields, json_values, max_size=4))
def test_no_row_ends_the_reading(folder, changes):
    found = dataset("files", written(folder / "rows.jsonl", {**ROW, **changes}, {**ROW, "id": "good"}))
    assert found.examples[-1].id == "good"
    for each in found.examples:
        assert each.answers
        assert all(isinstance(answer, str) for answer in each.answers)
        assert 0 <= found.metric.score("dog", each) <= 1


@QUICK
@given(content=st.binary(max_size=80), ending=st.sampled_from(["jsonl", "json", "csv"]))
def test_no_file_is_answered_by_anything_but_a_sentence(folder, content, ending):
    file = folder / f"noise.{ending}"
    file.write_bytes(content)
    with pytest.raises(DatasetError, match=r"\.$"):
        dataset("files", file)
