"""Questions of one's own as people have them: tables of any program, JSON of any kit, chats, images inside."""

import base64
import json
import pickle

import pandas as pd
import pytest
from PIL import Image

from crop_core.evaluate.datasets.protocol import DatasetError
from crop_core.evaluate.datasets.registry import dataset

ROW = {"image": "a.png", "question": "what is red?", "answers": ["dog", "puppy"], "kind": "color", "id": "q1"}


@pytest.fixture
def folder(tmp_path):
    Image.new("RGB", (160, 80), "red").save(tmp_path / "a.png")
    return tmp_path


def written(file, *rows):
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return file


EXPECTED = [("what, is red; a | dog?", ("dog",), "a.png"), ("où?", ("17",), "a.png")]
PEOPLE_HAVE = {  # name: content of a file of these two questions
    "semicolons.csv": '\ufeffimage;question;answer\r\na.png;"what, is red; a | dog?";dog\r\na.png;où?;17\r\n'.encode(),
    "capitals.csv": 'Image,Question,Answer\na.png,"what, is red; a | dog?",dog\na.png,où?,17\n'.encode(),
    "windows.csv": 'image;question;answer\na.png;"what, is red; a | dog?";dog\na.png;où?;17\n'.encode("cp1252"),
    "excel.txt": "image\tquestion\tanswer\na.png\twhat, is red; a | dog?\tdog\na.png\toù?\t17\n".encode("utf-16"),
    "bars.tsv": 'image | question | answer\na.png | "what, is red; a | dog?" | dog\n.\\a.png | où? | 17\n'.encode(),
    "indented.json": b'\n  [\n {"image": "a.png", "question": "what, is red; a | dog?",\n "answer": "dog"},\n'
    b' {"Image": "./a.png", "Question": "o\\u00f9?", "Answer": 17.0}\n]',
    "data.json": b'{"version": 1, "data": [{"file_name": "a.png", "question": "what, is red; a | dog?",'
    b' "answer": "dog"}, {"image": "a.png", "question": "o\\u00f9?", "answers": [17]}]}',
    "messages.jsonl": b'{"messages": [{"role": "user", "content": "<image>what, is red; a | dog?"}, {"role": '
    b'"assistant", "content": "dog"}], "images": ["a.png"]}\n{"conversations": [{"from": "human",'
    b' "value": "o\\u00f9?\\n<image>"}, {"from": "gpt", "value": "17"}], "image": ["a.png"]}',
}  # fmt: skip


@pytest.mark.parametrize("name", PEOPLE_HAVE)
def test_tables_and_json_as_people_have_them(folder, name):
    (folder / "own").mkdir()
    (folder / "own" / name).write_bytes(PEOPLE_HAVE[name])
    found = dataset("files", folder / "own", images=folder)
    assert [(each.question, each.answers, each.group) for each in found.examples] == EXPECTED
    assert found.skipped == ""
    assert found.taken.startswith(f"2 questions about 1 image from '{folder / 'own'}'")


def test_what_a_reader_took_and_left_out(folder):
    (folder / "rows.csv").write_bytes("image;question;answer;note\na.png;où?;x;\nb.png;?;x;".encode("cp1252"))
    found = dataset("files", folder / "rows.csv")
    assert found.taken == (
        f"1 question about 1 image from '{folder / 'rows.csv'}' (letters as in Windows-1252, since it is not UTF-8; "
        "columns 'image', 'question', 'answer', 'note' between semicolons; not read: 'note')."
    )
    assert found.skipped == f"1 skipped (row 2: there is no image '{folder / 'b.png'}')"


def test_later_turns_of_a_conversation_are_left_out_and_told(folder):
    turns = [{"role": role, "content": role} for role in ("user", "assistant", "user", "assistant")]
    found = dataset("files", written(folder / "rows.jsonl", {"messages": turns, "images": ["a.png"]}))
    assert [(each.question, each.answers) for each in found.examples] == [("user", ("assistant",))]
    assert "(of conversations, the first question alone)" in found.taken


def test_images_inside_a_row(folder):
    content = (folder / "a.png").read_bytes()
    url = "data:image/png;base64," + base64.b64encode(content).decode()
    rows = [{**ROW, "image": url}, {**ROW, "image": url, "id": "q2", "boxes": [[40, 20, 60, 30]]}]
    first, second = dataset("files", written(folder / "rows.jsonl", *rows)).examples
    assert first.open().size == (160, 80) and first.group == second.group
    assert pickle.loads(pickle.dumps(first)) == first
    assert second.needed == (2, 2, 2, 2)
    pd.DataFrame([{**ROW, "image": {"bytes": content, "path": "x.png"}}]).to_parquet(folder / "rows.parquet")
    assert dataset("files", folder / "rows.parquet").examples[0].image == first.image


def test_what_systems_leave_in_a_folder_is_no_file_of_questions(folder):
    written(folder / "rows.jsonl", ROW)
    for name in ("._rows.jsonl", ".rows.csv", "~$rows.csv", "__MACOSX/._rows.jsonl", "Thumbs.db", "desktop.ini"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"\0\5\x16\7")
    assert len(dataset("files", folder).examples) == 1


def test_other_endings_count_where_there_is_none_of_the_usual(folder):
    (folder / "rows.tsv").write_text("image\tquestion\tanswer\na.png\t?\tx\n")
    assert dataset("files", folder).examples[0].answers == ("x",)
    written(folder / "usual.jsonl", ROW)
    assert dataset("files", folder).examples[0].answers == ("dog", "puppy")


def test_numbers_are_answers(folder):
    rows = [{**ROW, "id": str(n), "answers": answer} for n, answer in enumerate((0, 17, 17.0, 2.5, [1, 2.0], "3.0"))]
    found = dataset("files", written(folder / "rows.jsonl", *rows)).examples
    assert [each.answers for each in found] == [("0",), ("17",), ("17",), ("2.5",), ("1", "2"), ("3.0",)]


def test_boxes_in_another_convention_are_stated_or_refused(folder):
    rows = [{**ROW, "id": str(n), "boxes": [[80 - n, 40, 20, 10]]} for n in range(3)]
    file = written(folder / "rows.jsonl", *rows)
    with pytest.raises(
        DatasetError, match=r"3 of 3 rows of .* upside down, such as line 1: .*--boxes xywh \(left, top, w"
    ):
        dataset("files", file)
    assert [each.needed for each in dataset("files", file, boxes="xywh").examples] == [
        (4, 4, 4, 4),
        (3, 4, 4, 4),
        (3, 4, 4, 4),
    ]
    with pytest.raises(DatasetError, match="The boxes of 'viscot' are known; leave out --boxes"):
        dataset("viscot", folder, boxes="xywh")


@pytest.mark.parametrize("answer", [None, "", " ", [], [None], ["", ""], float("nan")])
def test_questions_without_answers_are_told_before_anything_runs(folder, answer):
    file = written(folder / "rows.jsonl", *[{**ROW, "id": str(n), "answers": answer} for n in range(2)])
    with pytest.raises(DatasetError) as told:
        dataset("files", file)
    assert str(told.value) == (
        f"The questions in '{file}' have no answers to score; give each row an 'answer', or --no-score to keep the "
        "replies."
    )
    found = dataset("files", file, score=False)
    assert [each.answers for each in found.examples] == [(), ()] and not found.scored
    with pytest.raises(DatasetError, match="The metric 'exact' needs scores; leave it out, or --no-score"):
        dataset("files", file, score=False, metric="exact")


def test_values_that_are_not_read_are_named(folder):
    row = {"image": "a.png", "question": "which?", "choices": ["red", "blue"], "answer": "red", "bbox": [8, 8, 80, 40]}
    file = written(folder / "rows.jsonl", row)
    assert dataset("files", file).taken.endswith("(not read: 'choices', 'bbox').")
    stated = dataset("files", file, boxes="pixels")
    assert stated.taken.endswith("(not read: 'choices').")
    assert stated.examples[0].needed == (0, 0, 3, 3)


def test_answers_of_ten_people_as_objects(folder):
    answers = [{"answer": "red", "answer_id": number, "answer_confidence": "yes"} for number in range(10)]
    file = written(folder / "rows.jsonl", {"image": "a.png", "question": "what?", "question_id": 7, "answers": answers})
    found = dataset("files", file)
    assert (found.metric.name, found.examples[0].answers, found.examples[0].id) == ("vqa", ("red",) * 10, "7")


def test_an_image_in_base64_in_a_table(folder):
    noise = Image.effect_noise((400, 400), 90)
    noise.save(folder / "noise.png")
    text = base64.b64encode((folder / "noise.png").read_bytes()).decode()
    assert len(text) > 131072  # the csv module's own limit
    (folder / "rows.tsv").write_text(f"index\timage\tquestion\tanswer\n0\t{text}\twhat?\tnoise\n")
    (example,) = dataset("files", folder / "rows.tsv").examples
    assert example.open().tobytes() == noise.convert("RGB").tobytes()
    (folder / "rows.tsv").write_text(f"image\tquestion\tanswer\n{'%' * 5000}\twhat?\tnoise\n")
    with pytest.raises(DatasetError, match="its base64 cannot be read") as raised:
        dataset("files", folder / "rows.tsv")
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("notes.txt", b"{\\rtf1\\ansi image,question}", r"a formatted text \(\.rtf\); save it as plain text"),
        ("rows.numbers", b"PK\3\4" + bytes(50), "a workbook"),
        ("rows.csv.gz", b"\x1f\x8b\x08" + bytes(50), "a gzip archive; unpack it first"),
    ],
)
def test_files_of_a_mac_that_hold_a_table_and_are_none(folder, name, content, said):
    (folder / name).write_bytes(content)
    with pytest.raises(DatasetError, match=said):
        dataset("files", folder)


def test_answers_are_written_as_a_metric_reads_them(folder):
    file = written(
        folder / "rows.jsonl", *({"image": "a.png", "question": "red?", "answer": each} for each in ("Yes", "No"))
    )
    assert [each.answers for each in dataset("files", file, metric="yesno").examples] == [("yes",), ("no",)]
    with pytest.raises(DatasetError, match="the letter of an option as answer, not 'Yes' of 'line 1'"):
        dataset("files", file, metric="choice")
