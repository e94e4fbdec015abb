"""`ask --figure --csv --html` and `sheet`: the files that they write, and what is refused before a model loads."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from crop_core.cli.main import main
from tests.support import checkpoints
from tests.support.fake_records import sample_image
from tests.support.pdf_fonts import pdf_fonts

QUESTION = "what is left of the dog?"
Refused = Callable[..., str]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options that name a tiny random model, which finds the region by itself."""
    folder = checkpoints.save(tmp_path_factory.mktemp("llava"), layers=4)
    return ["--model", str(folder), "--max-new-tokens", "2"]


@pytest.fixture
def image(tmp_path: Path) -> str:
    sample_image(200, 120).save(tmp_path / "a.png")
    return str(tmp_path / "a.png")


@pytest.fixture
def rows(tmp_path: Path, image: str) -> str:
    """A file of two questions and one row that cannot be used."""
    sample_image(60, 60).save(tmp_path / "b.png")
    lines = [("image", "question"), ("a.png", QUESTION), ("b.png", "how many, and which?"), ("c.png", "?"), ("", "?")]
    with (tmp_path / "rows.csv").open("w", newline="") as out:
        csv.writer(out).writerows(lines[:3] + lines[4:])
    return str(tmp_path / "rows.csv")


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Refused:
    """Run a command line that is refused before a model is loaded, and return its one sentence."""

    def never(*_: Any) -> None:
        pytest.fail("a model was loaded")

    monkeypatch.setattr("crop_core.cli.ask.load_engine", never)
    monkeypatch.setattr("crop_core.cli.sheet.load_engine", never)

    def run(*arguments: str) -> str:
        assert main(arguments) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        return err

    return run


def test_ask_writes_figure_table_and_report(model: list[str], image: str, tmp_path: Path) -> None:
    options = ["--box", "0,0,100,60", "--budget", "32", "--repeats", "1", "--font", "serif", "--width", "8.5"]
    for ending in ("pdf", "svg", "png"):
        files = [
            "--figure",
            str(tmp_path / f"f.{ending}"),
            "--csv",
            str(tmp_path / "t.csv"),
            "--html",
            str(tmp_path / "r.html"),
        ]
        assert main(["ask", image, QUESTION, *model, *options, *files]) == 0
    assert all(
        name.endswith(("STIXGeneral-Regular", "STIXGeneral-Bold"))
        for name in pdf_fonts((tmp_path / "f.pdf").read_bytes())
    )
    assert re.search(r'width="240\.9', (tmp_path / "f.svg").read_text())
    assert Image.open(tmp_path / "f.png").size[0] == round(8.5 / 2.54 * 300)
    with (tmp_path / "t.csv").open() as lines:
        assert [row["run"] for row in csv.DictReader(lines)] == ["Baseline", "CROP"]
    assert QUESTION in (tmp_path / "r.html").read_text()


def test_a_sheet_of_a_file_is_printed_and_written(
    model: list[str], rows: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {name: str(tmp_path / name) for name in ("s.pdf", "s.csv", "s.tex", "reports")}
    write = ["--figure", files["s.pdf"], "--csv", files["s.csv"], "--latex", files["s.tex"], "--html", files["reports"]]
    methods = ["--methods", "fastv,random,plc+fastv", "--budget", "32", "--localizer", "whole"]
    assert main(["sheet", rows, *model, *methods, *write]) == 0
    out, err = capsys.readouterr()
    assert f"a.png: {QUESTION}" in out and "b.png: how many, and which?" in out
    assert out.count("PLC + FastV") == 2 and "1 skipped" in err
    with (tmp_path / "s.csv").open() as lines:
        table = list(csv.DictReader(lines))
    assert [row["run"] for row in table] == ["Baseline", "FastV", "Random", "PLC + FastV"] * 2
    assert [row["image"] for row in table] == ["a.png"] * 4 + ["b.png"] * 4
    assert r"\begin{tabular}" in (tmp_path / "s.tex").read_text()
    assert (tmp_path / "s.pdf").read_bytes().startswith(b"%PDF-")
    assert [each.name for each in sorted((tmp_path / "reports").iterdir())] == ["01.html", "02.html"]
    assert "how many, and which?" in (tmp_path / "reports" / "02.html").read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--figure", "f.jpg"], "has to end in .pdf, .svg, .png"),
        (["--figure", "nowhere/f.pdf"], "give a file in a folder that exists"),
        (["--csv", "t.txt"], "has to end in .csv"),
        (["--html", "nowhere/r.html"], "give a file in a folder that exists"),
        (["--figure", "f.pdf", "--width", "1"], "give a width from 3 to 40 cm"),
        (["--figure", "f.pdf", "--font", "comic"], "choose sans or serif"),
        (["--figure", "f.pdf", "--font-size", "20"], "give a size from 6 to 10 pt"),
    ],
)
def test_files_that_cannot_be_are_refused_by_ask(options: list[str], said: str, image: str, refused: Refused) -> None:
    assert said in refused("ask", image, QUESTION, *options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--methods", "magic"], "'magic' is not known"),
        (["--methods", "none"], "prunes nothing"),
        (["--budget", "x"], "neither a number of tokens"),
        (["--latex", "s.txt"], "has to end in .tex"),
        (["--figure", "s.gif"], "has to end in .pdf"),
        (["--localizer", "none"], "predicts no region"),
    ],
)
def test_what_cannot_be_is_refused_by_sheet(options: list[str], said: str, rows: str, refused: Refused) -> None:
    assert said in refused("sheet", rows, *options)


def test_a_file_that_is_not_there_is_refused(refused: Refused, tmp_path: Path) -> None:
    assert "There is no" in refused("sheet", str(tmp_path / "none.csv"))


def test_a_follow_up_is_refused_where_the_model_forgets(
    image: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Forgetful:
        keeps_history = False

    monkeypatch.setattr("crop_core.cli.ask.load_engine", lambda *_: Forgetful())
    assert main(["ask", image, QUESTION, "--then", "and right?"]) == 2
    assert "reads no earlier turns" in capsys.readouterr().err
