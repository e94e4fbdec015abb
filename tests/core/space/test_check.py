"""What a Space would refuse is found without the hub, each in one sentence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from crop_core.cli.main import main
from crop_core.space import files
from crop_core.space.requirements import TORCH, for_zero
from tests.support import ROOT
from tests.support.space_folder import replace_in


def found(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """The sentences of `space check`; none where it has nothing to say."""
    status = main(["space", "check", *arguments])
    lines = capsys.readouterr().out.splitlines()
    assert status == (0 if lines[0].startswith("Ready for") else 1)
    sentences = [] if status == 0 else lines
    assert all(re.fullmatch(r".*[.?]", line) for line in sentences)
    return sentences


def test_our_repository_is_ready(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["space", "check"]) == 0
    ready, large = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"Ready for zero-a10g: \d+ files, \d+\.\d MB\.", ready)
    assert large.endswith("git push needs Git LFS for: assets/models/crop-tiny/model.safetensors.")


REFUSED = {  # file -> (old, new, start of the sentence)
    "README.md": [
        ("sdk_version: 6.31.0", "sdk_version: 6.30", "sdk_version in README.md is 6.3, and must be a whole version"),
        ('python_version: "3.12"', "python_version: 3.10", "python_version in README.md is 3.1, and must be a version"),
        (
            'python_version: "3.12"',
            'python_version: "3.11"',
            "python_version in README.md is 3.11, and ZeroGPU has 3.10",
        ),
        ("sdk: gradio", "sdk: docker", "sdk in README.md is 'docker', and must be gradio"),
        ("colorTo: green", "colorTo: teal", "colorTo in README.md is 'teal', and must be one of red, "),
        ("emoji: ✂️", "emoji: scissors", "emoji in README.md is 'scissors', and must be an emoji."),
        ("hardware: zero-a10g", "hardware: gpu", "suggested_hardware in README.md is 'gpu', and must be one of cpu-"),
        (
            "app_file: app.py",
            "app_file: main.py",
            "The app_file 'main.py' of README.md is not among the files that go ",
        ),
        ("app_file: app.py\n", "", "README.md has no app_file in its front matter, which a Space needs; add it."),
        (
            "sdk_version:",
            "sdk_versoin:",
            "README.md has the key 'sdk_versoin', which Spaces does not know; did you mean",
        ),
        ("description: See", f"description: {'x' * 60}", "The short_description in README.md has "),
        ("timeout: 1h", "timeout: soon", "startup_duration_timeout in README.md is 'soon', and must be a duration"),
        ("---\ntitle", "title", "README.md does not start with a block between two lines ---"),
        (
            "license: apache-2.0",
            "license: a: b",
            "README.md is no YAML in line 11 (mapping values are not allowed here)",
        ),
    ],
    "requirements.txt": [
        ("torch>=2.8", "torch>=2.12", "requirements.txt asks for torch>=2.12, and ZeroGPU has 2.8.0, 2.9.1, 2.10.0, "),
        ("torch>=2.8", "torch==2.9.0", "requirements.txt asks for torch==2.9.0, and ZeroGPU has 2.8.0, 2.9.1, "),
        ("gradio>=6.20,<7", "gradio<6", "requirements.txt asks for gradio<6, and README.md for the sdk_version 6."),
        ("accelerate>=1.1", "accelerate >> 1", "Line 2 of requirements.txt is 'accelerate >> 1', which is no requirem"),
    ],
    "Spacefile": [
        ("hardware: zero-a10g", "hardware: zero-a100", "The hub has no hardware 'zero-a100'; did you mean zero-a10g?"),
        ("  - app.py\n", "  - app.pyy\n", "Spacefile names 'app.pyy' among its files, and there is none; "),
        ("  - app.py\n", "", "The app_file 'app.py' of README.md is not among the files that go up"),
        ("  - requirements.txt\n", "", "requirements.txt is not among the files that go up, and a Space needs it"),
        (
            'CROP_PUBLIC: "1"',
            "CROP_PUBLIK: 1",
            "CROP_PUBLIK is not a setting and is ignored; did you mean CROP_PUBLIC?",
        ),
        ('CROP_PUBLIC: "1"', "CROP_PUBLIC: 2", "CROP_PUBLIC is '2', and must be 0 or 1."),
        ('CROP_PUBLIC: "1"', "CROP_LOGIN: a:b", "CROP_LOGIN is a secret, and everybody can read the variables"),
        ('CROP_PUBLIC: "1"', "A-B: 1", "The variable 'A-B' in Spacefile is no name; use letters, digits and _."),
    ],
    "crop_core/a.py": [
        (
            "pass",
            "version https://git-lfs.github.com/spec/v1\noid",
            "crop_core/a.py is a pointer of Git LFS and not the",
        ),
    ],
}


@pytest.mark.parametrize(
    ("file", "old", "new", "said"), [(file, *case) for file, cases in REFUSED.items() for case in cases]
)
def test_what_a_space_would_refuse_is_one_sentence(
    file: str, old: str, new: str, said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert found(capsys) == []
    replace_in(folder / file, old, new)
    assert [sentence for sentence in found(capsys) if sentence.startswith(said)]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("hardware: ", "hardwear: ", "Spacefile has the unknown key 'hardwear'; did you mean hardware?"),
        ("hardware: zero-a10g", "", "Spacefile has no hardware; add a name such as zero-a10g."),
        ("sleep_time: 3600", "sleep_time: soon", "sleep_time in Spacefile is 'soon', and must be a whole number of s"),
        ('CROP_PUBLIC: "1"', "CROP_PUBLIC: [1]", "The variable CROP_PUBLIC in Spacefile is [1], and must be a text"),
        ("variables:", "variables: {", "Spacefile is no YAML in line "),
    ],
)  # fmt: skip
def test_a_spacefile_that_cannot_be_read_is_one_sentence(
    old: str, new: str, said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replace_in(folder / "Spacefile", old, new)
    assert main(["space", "check"]) == 2
    assert capsys.readouterr().err.startswith(f"crop_core: {said}")


def test_elsewhere_there_is_no_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["space", "check"]) == 2
    assert capsys.readouterr().err == (
        f"crop_core: There is no Spacefile in '{tmp_path}'; run this in a copy of the repository of CROP Explorer.\n"
    )


def test_what_zerogpu_lacks_other_hardware_may_have(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    replace_in(folder / "requirements.txt", "torch>=2.8", "torch>=2.12")
    replace_in(folder / "README.md", 'python_version: "3.12"', 'python_version: "3.11"')
    assert len(found(capsys)) == 2
    assert found(capsys, "--hardware", "l4x1") == []


def test_a_space_that_is_too_large_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(files, "MAX_TOTAL", 2 * files.MB)
    (folder / "assets" / "large.bin").write_bytes(bytes(3 * files.MB))
    assert found(capsys) == ["The files are 3 MB, and a Space holds 2 MB; take some out of Spacefile."]


def test_zerogpu_gets_no_torch_that_it_cannot_have() -> None:
    assert for_zero("torch>=2.8\n# torch\ntorchvision\n") == "torch>=2.8,<2.12\n# torch\ntorchvision\n"
    assert for_zero("torch") == "torch<2.12"
    assert max(int(version.split(".")[1]) for version in TORCH) == 11
