"""A command is one file in the package; regions that no localizer is there to predict are one sentence."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import Image

from crop_core import cli
from crop_core.cli.main import main

COMMAND = """
def add_command(commands):
    commands.add_parser("dance", help="a new command").set_defaults(run=lambda arguments: print("danced"))
"""


def test_a_new_file_is_a_new_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dance.py").write_text(COMMAND)
    monkeypatch.setattr(cli, "__path__", [*cli.__path__, str(tmp_path)])
    try:
        assert main(["dance"]) == 0
        assert capsys.readouterr().out == "danced\n"
        with pytest.raises(SystemExit):
            main(["--help"])
    finally:
        sys.modules.pop("crop_core.cli.dance", None)
        vars(cli).pop("dance", None)
    words = capsys.readouterr().out.split()
    assert {"ask", "bench", "dance", "localizer", "models"} <= set(words) and "options" not in words


@pytest.mark.parametrize(("name", "prog"), [("/usr/bin/crop", "crop"), ("x/__main__.py", "python -m crop_core")])
def test_usage_says_how_it_was_run(
    name: str, prog: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [name])
    with pytest.raises(SystemExit) as end:
        main(["ask", "image.png"])
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith(f"{prog} ask: ")


def test_no_localizer_for_a_method_that_needs_a_region(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (80, 80)).save(tmp_path / "image.png")
    for command, word in (
        (["ask", str(tmp_path / "image.png"), "why?"], "--box"),
        (["bench", "--methods", "crop,random,ilp"], "crop, ilp need"),
    ):
        assert main([*command, "--localizer", "none"]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert err.startswith("crop_core: --localizer none predicts no region") and word in err
