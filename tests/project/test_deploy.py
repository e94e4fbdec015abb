"""The places that tell a host how to run us agree: Spacefile, the README's front matter, settings, requirements."""

from __future__ import annotations

import ast
import itertools
import re
import subprocess
import sys

import pytest
import yaml

from tests.support import ROOT
from ui.server.settings import explained

README, USAGE, HOSTING = (
    (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/usage.md", "docs/hosting.md")
)
SPACES_COLORS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
SPACES_KEYS = {
    "title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version", "app_file", "pinned", "license",
    "suggested_hardware", "short_description", "tags", "header", "startup_duration_timeout",
}  # fmt: skip


@pytest.fixture(scope="module")
def front() -> dict[str, object]:
    found = re.match(r"---\n(.*?)\n---\n", README, re.DOTALL)
    assert found, "the README starts with the YAML block that Spaces reads"
    return yaml.safe_load(found[1])


@pytest.fixture(scope="module")
def micro() -> dict[str, object]:
    manifest = yaml.safe_load((ROOT / "Spacefile").read_text(encoding="utf-8"))
    assert manifest["v"] == 0
    (only,) = manifest["micros"]
    return only


def versions(file: str) -> dict[str, str]:
    """Package -> the rest of its line, of a requirements file."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    names = [re.match(r"([A-Za-z0-9_.-]+)(.*)", line) for line in lines if line and not line.startswith(("#", "-"))]
    return {found[1].lower(): found[2] for found in names if found}


def test_front_matter_is_what_spaces_accepts(front: dict[str, object]) -> None:
    assert set(front) <= SPACES_KEYS
    assert front["sdk"] == "gradio"
    assert {front["colorFrom"], front["colorTo"]} <= SPACES_COLORS
    assert len(str(front["short_description"])) <= 60
    assert (ROOT / str(front["app_file"])).is_file()
    assert front["license"] == "apache-2.0"


def test_spaces_installs_the_gradio_that_was_tested(front: dict[str, object]) -> None:
    assert versions("constraints.txt")["gradio"] == f"=={front['sdk_version']}"


def test_python_versions_agree(front: dict[str, object]) -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'requires-python = ">=3.10,<3.13"' in project
    assert str(front["python_version"]) in {"3.10", "3.11", "3.12"}


def test_the_micro_runs_the_same_file(front: dict[str, object], micro: dict[str, object]) -> None:
    assert {"name", "src", "engine", "primary", "run"} <= set(micro)
    assert str(front["app_file"]) in str(micro["run"])
    assert (ROOT / str(micro["src"]) / str(front["app_file"])).is_file()


def test_the_micro_presets_every_setting(micro: dict[str, dict[str, list[dict[str, str]]]]) -> None:
    presets = {each["name"]: (each["default"], each["description"]) for each in micro["presets"]["env"]}
    assert presets == explained()


def test_the_documentation_explains_every_setting() -> None:
    rows = dict(re.findall(r"^\| `(CROP_\w+)` \| (.*) \|$", USAGE, re.MULTILINE))
    assert rows == {name: f"{default or '–'} | {text}" for name, (default, text) in explained().items()}


PLUG_IN = ROOT / "crop_core" / "evaluate" / "lmms_eval" / "model.py"  # imported by lmms-eval, never by us
GIVEN = {"spaces"}  # by ZeroGPU, where alone it is imported
THROUGH_GRADIO = {"mcp"}  # imported by Gradio, where a setting asks for it
TOO_LARGE = {"lmms-eval"}  # for requirements-dev.txt: what needs it is tested where it is installed
PACKAGES = {
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "prometheus_client": "prometheus-client",
    "pydantic_settings": "pydantic-settings",
    "huggingface_hub": "huggingface-hub",
    "lmms_eval": "lmms-eval",
    "typing_extensions": "typing-extensions",
}


def imported(everywhere: bool = True) -> set[str]:
    """Packages that the app's own files import, or that merely importing these files imports."""
    found: set[str] = set()
    for path in [ROOT / "app.py", *(ROOT / "crop_core").rglob("*.py"), *(ROOT / "ui").rglob("*.py")]:
        if path == PLUG_IN and not everywhere:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree) if everywhere else tree.body:
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return {PACKAGES.get(name, name) for name in found}


def extras() -> dict[str, str]:
    """Package -> versions, of everything that pyproject.toml names as optional."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = re.search(r"^\[project\.optional-dependencies\]\n(.*?)\n\n", project, re.MULTILINE | re.DOTALL)
    assert section
    return dict(re.findall(r'"([A-Za-z0-9_.-]+)([^"]*)"', section[1]))


def test_everything_that_is_imported_is_required() -> None:
    for modules, allowed in (
        (imported(), {*versions("requirements.txt"), *extras()}),
        (imported(everywhere=False), set(versions("requirements.txt"))),
    ):
        foreign = modules - set(sys.stdlib_module_names) - {"crop_core", "ui"} - GIVEN
        assert "torch" in foreign
        assert foreign <= allowed


def test_what_is_optional_is_imported_and_tested() -> None:
    assert set(extras()) - THROUGH_GRADIO <= imported()
    wanted = {name: rest for name, rest in extras().items() if name not in TOO_LARGE}
    assert wanted.items() <= versions("requirements-dev.txt").items()


def test_every_requirement_is_pinned_for_the_tests() -> None:
    wanted = set(versions("requirements.txt")) | set(versions("requirements-dev.txt"))
    pinned = {name.replace("_", "-") for name in versions("constraints.txt")}
    assert wanted <= pinned


def test_every_file_that_is_no_python_is_installed_with_its_package() -> None:
    listed = re.search(r'^"\*" = \[(.*)\]$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert listed
    files = [path for name in ("crop_core", "ui") for path in (ROOT / name).rglob("*") if path.is_file()]
    packages = [path.parent for path in files if path.name == "__init__.py"]
    patterns = re.findall(r'"([^"]+)"', listed[1])
    installed = {path for package in packages for pattern in patterns for path in package.glob(pattern)}
    others = {path for path in files if path.suffix not in (".py", ".pyi", ".pyc")}
    assert any(path.suffix == ".html" for path in others) and others <= installed


def test_the_five_lines_that_make_a_space_are_commands_that_there_are() -> None:
    found = re.search(r"## A Space on Hugging Face\n.*?```sh\n(.*?)```", HOSTING, re.DOTALL)
    assert found
    lines = found[1].splitlines()
    assert len(lines) == 5
    for line in lines:
        words = line.split("#")[0].partition(".venv/bin/hf ")[2].split()
        command = list(itertools.takewhile(lambda word: word.islower() and "/" not in word and word[0] != "-", words))
        shown = subprocess.run(
            [sys.executable, "-m", "huggingface_hub.cli.hf", *command, "--help"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert shown.returncode == 0, shown.stderr
        assert f"hf {' '.join(command)} [OPTIONS]" in shown.stdout
        assert [word for word in words if word.startswith("--") and word not in shown.stdout] == []
        assert [word for word in words if word.startswith("zero-") and word not in shown.stdout] == []
