"""Files of the command line exist whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from crop_core.io.json_output import check_json_path, write_json
from crop_core.io.output_files import check_output, replace_file


def test_a_file_is_as_before_when_writing_breaks_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.json"
    write_json({"a": 1}, str(file))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ValueError, match=r"^The JSON file '.*a\.json' cannot be written: No space left on device\.$"):
        write_json({"a": 2}, str(file))
    assert file.read_text() == '{"a": 1}\n'


def test_a_link_stays_one_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    replace_file(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "new"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link", "real"]


def test_a_device_is_written_to() -> None:
    replace_file(Path(os.devnull), b"gone")
    assert not Path(os.devnull).is_file()


def test_what_cannot_be_written_is_said_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_json_path(None)
    check_json_path("-")
    check_json_path(str(tmp_path / "new.json"))
    with pytest.raises(ValueError, match="give a file in a folder that exists"):
        check_output(str(tmp_path), "HTML file")
    with pytest.raises(ValueError, match="give a file in a folder that exists"):
        check_json_path(str(tmp_path / "no" / "a.json"))
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(ValueError, match=r"^The HTML file '.*' cannot be written: allow it, or give another file\.$"):
        check_output(str(tmp_path / "a.html"), "HTML file")
