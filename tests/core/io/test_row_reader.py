"""Rows of files as people's programs write them: every dialect gives the same rows, and a file that is none is told."""

import csv
import io
import json

import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from crop_core.io import row_reader
from crop_core.io.row_reader import RowsError, Skipped, usable
from crop_core.io.tables import value_in

HEAD = ("image", "question", "answer")
ROWS = [
    ("a.png", 'what, exactly; is | "this"?', "dog"),
    ("b.png", "où est l’œuf à 5 €?", "Zoë"),
    ("c.png", "how\nmany?", "3"),
]
OBJECTS = [dict(zip(HEAD, row, strict=True)) for row in ROWS]
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
UNICODE = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be")


def read(file):
    """(the rows, what is told about them)."""
    skipped = Skipped()
    return list(usable(file, lambda where, row: row, skipped)), skipped


def cells(rows, names=HEAD):
    return [tuple(row[name].strip() for name in names) for row in rows]


def write(folder, name, text, encoding="utf-8"):
    (folder / name).write_bytes(text.encode(encoding))
    return folder / name


def table(rows, head=HEAD, ending="\n", **dialect):
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator=ending, **dialect).writerows([head, *rows])
    return out.getvalue()


def is_utf8(content):
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


TEXT = st.text(st.characters(codec="cp1252", exclude_categories=["C"]), max_size=12)
MARKS = st.sampled_from(['"', ";", "a,b", "x\ty", "|", "'", 'say "hi"', "one\ntwo", "[1]", "sep=;", "{", "image"])
CELL = (TEXT | MARKS).filter(str.strip)
HEADS = {
    HEAD: HEAD,
    ("Image", "QUESTION", "Answer"): HEAD,
    ("image ", "question ", "answer "): HEAD,
    ("File Name", "Query", "ANSWERS"): ("file_name", "question", "answers"),
    ("image_path", "Prompt", "Ground truth"): HEAD,
}


@QUICK
@given(
    rows=st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=4),
    head=st.sampled_from(list(HEADS)),
    delimiter=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from([*UNICODE, "cp1252"]),
    name=st.sampled_from(["a.csv", "a.tsv", "a.txt", "a.CSV"]),
)
def test_a_table_in_any_dialect_gives_the_same_rows(tmp_path, rows, head, delimiter, quoting, ending, encoding, name):
    assume(ending != "\r" or quoting == csv.QUOTE_ALL)  # csv.writer leaves a bare \n in a cell unquoted there
    text = table(rows, head, ending, delimiter=delimiter, quoting=quoting)
    assume(encoding != "cp1252" or text.isascii() or not is_utf8(text.encode(encoding)))
    found, skipped = read(write(tmp_path, name, text, encoding))
    assert skipped.count == 0
    assert cells(found, HEADS[head]) == [tuple(cell.strip() for cell in row) for row in rows]


VALUES = st.dictionaries(
    st.sampled_from([*HEAD, "id", "boxes", "note"]), st.text(max_size=9) | st.integers(), min_size=2
)
JSON_FORMS = {
    "list": json.dumps,
    "indented": lambda rows: "\n \n" + json.dumps(rows, indent=2),
    "lines": lambda rows: "\n".join(map(json.dumps, rows)),
    "lines apart": lambda rows: "\n\n" + "\r\n \r\n".join(map(json.dumps, rows)) + "\n",
    "indented objects": lambda rows: "\n".join(json.dumps(row, indent=4) for row in rows),
    "wrapped": lambda rows: json.dumps({"info": {"version": 1}, "data": rows}),
    "wrapped and indented": lambda rows: json.dumps({"data": rows, "more": [1]}, indent=1),
}


@QUICK
@given(
    rows=st.lists(VALUES.map(lambda row: {"image": "a.png", "question": "?", **row}), min_size=1, max_size=4),
    form=st.sampled_from(list(JSON_FORMS)),
    encoding=st.sampled_from(UNICODE),
    name=st.sampled_from(["a.json", "a.jsonl", "a.ndjson", "a.txt", "a"]),
)
def test_json_in_any_layout_gives_the_same_rows(tmp_path, rows, form, encoding, name):
    found, skipped = read(write(tmp_path, name, JSON_FORMS[form](rows), encoding))
    assert skipped.count == 0
    assert found == rows


@pytest.mark.parametrize("orient", ["columns", "split", "index", "records", "table", "list"])
def test_what_pandas_writes(tmp_path, orient):
    frame = pd.DataFrame(OBJECTS)
    text = json.dumps(frame.to_dict("list")) if orient == "list" else frame.to_json(orient=orient)
    assert cells(read(write(tmp_path, "a.json", text))[0]) == ROWS


def test_parquet_with_lists_and_objects(tmp_path, monkeypatch):
    rows = [{"image": {"bytes": b"\x89PNG", "path": None}, "question": "?", "answers": ["x", "y"]}]
    pd.DataFrame(rows).to_parquet(tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet")[0] == rows
    (tmp_path / "b.parquet").write_bytes(b"PAR1")
    with pytest.raises(RowsError, match=r"b\.parquet' cannot be used: it is no Parquet file \(.*\)\.$"):
        read(tmp_path / "b.parquet")
    monkeypatch.setattr(row_reader, "find_spec", lambda name: None)
    with pytest.raises(RowsError, match=r'Parquet file, which pyarrow reads; run pip install "pyarrow>=17"\.$'):
        read(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    "text",
    [
        table(ROWS, delimiter=";", quotechar="'", quoting=csv.QUOTE_ALL),
        table(ROWS, escapechar="\\", doublequote=False, quoting=csv.QUOTE_ALL),
        "sep=;\r\n" + table(ROWS, delimiter=";"),
        "\n\n" + table(ROWS, ending="\r\n"),
        table(ROWS, (" image", " question", " answer")).replace('"c.png"', "c.png"),
        table([(*row, "", "") for row in ROWS], (*HEAD, "", "")),
        table([*ROWS, ("", "", ""), (" ", "", "")]),
        table([("0", *row) for row in ROWS], ("", *HEAD)),
    ],
    ids=[
        "single quotes",
        "backslashes",
        "sep",
        "blank lines",
        "spaces",
        "separators at the end",
        "empty rows",
        "index",
    ],
)
def test_more_dialects(tmp_path, text):
    found, skipped = read(write(tmp_path, "a.csv", text))
    assert (cells(found), skipped.count) == (ROWS, 0)


def test_spaces_beside_the_separators(tmp_path):
    found, skipped = read(write(tmp_path, "a.csv", 'image | question | answer\na.png | "what | is it?" | a dog \n'))
    assert found == [{"image": "a.png", "question": "what | is it?", "answer": "a dog"}]
    assert skipped.how == " (columns 'image', 'question', 'answer' between bars)"


def test_what_was_read_is_told_once(tmp_path):
    skipped = read(write(tmp_path, "a.csv", table(ROWS, delimiter=";"), "cp1252"))[1]
    assert skipped.taken(3, 1, "a.csv") == (
        "3 questions about 1 image from 'a.csv' (letters as in Windows-1252, since it is not UTF-8; columns 'image', "
        "'question', 'answer' between semicolons)."
    )


def test_rows_that_do_not_fit_their_head_are_told(tmp_path):
    rows = ["a.png,what, is it?,dog", "b.png,what?,dog", "c.png,what?"]
    found, skipped = read(write(tmp_path, "a.csv", "\n".join([",".join(HEAD), *rows])))
    assert [row["answer"] for row in found] == ["dog", None]
    assert str(skipped) == (
        "1 skipped (row 1: it has 4 cells and the head 3; put texts that hold the separator in double quotes)"
    )


def test_a_quote_that_never_closes_is_told(tmp_path):
    found, skipped = read(write(tmp_path, "a.csv", 'image,question,answer\na.png,?,dog\nb.png,?,"cat\nc.png,?,x\n'))
    assert [row["answer"] for row in found] == ["dog"]
    assert str(skipped).startswith("1 skipped (row 2: a quote opens in it and never closes; close it, or double it")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('["a", "b"]', ["a", "b"]), ("['a', 'b']", ["a", "b"]), ("[1, 2]", [1, 2]), ("(1, 2)", (1, 2)),
        ("['a' 'b']", "['a' 'b']"), ("[red", "[red"), ("[red]", "[red]"), ("", ""), ("{'x': 1}", {"x": 1}),
    ],
)  # fmt: skip
def test_the_value_of_a_cell(text, value):
    assert value_in(text) == value


def test_json_named_csv_is_read(tmp_path):
    assert read(write(tmp_path, "a.csv", "\n".join(map(json.dumps, OBJECTS))))[0] == OBJECTS


def test_a_column_that_is_there_twice(tmp_path):
    rows = ["a.png,?,dog,cat,x,y", "b.png,?,,cat,x,y", "c.png,?,cat,cat,x,y"]
    found, skipped = read(write(tmp_path, "a.csv", "\n".join(["image,question,answer,answer,note,note", *rows])))
    assert [(row["answer"], row["note"]) for row in found] == [("cat", "y"), ("cat", "y")]
    assert "row 1: the column 'answer' is there twice, with 'dog' and 'cat'" in str(skipped)


def test_a_value_that_has_its_name_stays(tmp_path):
    row = {"Image": "b.png", "image": "a.png", "Question": "?", "Width": 3, "note": 1}
    (found,), _ = read(write(tmp_path, "a.jsonl", json.dumps(row)))
    assert found == {**row, "question": "?", "width": 3}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "Bild;Frage;Antwort\nx;y;z", "the columns are 'Bild', 'Frage', 'Antwort', and none of them is image"),
        ("a.csv", "a.png,what is red?,dog\n", "the columns are 'a.png', 'what is red?', 'dog', and none of them is"),
        ("a.csv", "image,text\n", "the columns are 'image', 'text', and none of them is question; name them in"),
        ("a.xlsx", b"PK\x03\x04" + bytes(9), "it is a workbook (.xlsx, .ods, .numbers) or a ZIP archive; save the"),
        ("a.csv", b"\xd0\xcf\x11\xe0" + bytes(9), "it is an Excel workbook (.xls); save the sheet as CSV"),
        ("a.jsonl", b"\x1f\x8b\x08", "it is a gzip archive; unpack it first"),
        ("a.csv", "\n<!DOCTYPE html>", "it is a web page or XML, not the data"),
        ("a.json", "version https://git-lfs.github.com/spec/v1\noid", "it is a Git LFS pointer, not the data"),
        ("a.csv", b"image\xff\0,", "it is not a text in UTF-8, UTF-16 or Windows-1252; save it as UTF-8"),
        ("a.csv", b"image,question\n\x81,\xff", "it is not a text in UTF-8, UTF-16 or Windows-1252"),
        ("a.json", '[\n {"image": 1},\n]', "is no JSON list (Expecting value: line 3 column 1"),
        ("a.json", '{\n "data": [\n {"image": 1},\n]}', "is no JSON list ("),
        ("a.json", '{"a": [{}], "b": [{}], "c": 3}', "it is an object of 'a', 'b', 'c'; give a list of rows"),
        ("a.json", '{"image": ["a"], "question": []}', "its columns 'image', 'question' are of different lengths"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_data_is_told_in_one_sentence(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(RowsError) as told:
        read(tmp_path / name)
    assert words in str(told.value)
    assert str(told.value).startswith(f"'{tmp_path / name}' ") and str(told.value).endswith(".")
