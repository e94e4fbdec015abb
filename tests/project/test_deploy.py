"""The places that tell a host how to run us agree: Spacefile, the README's front matter, settings, requirements."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
import sys
from typing import get_args

import pytest
from pydantic import SecretStr

from crop_core.cli import space as space_command
from crop_core.space.check import problems
from crop_core.space.files import files_of
from crop_core.space.front_matter import read_front_matter
from crop_core.space.spacefile import SpaceDescription, read_spacefile
from tests.support import ROOT
from ui.server.manual import variable_mistakes
from ui.server.setting_errors import variable
from ui.server.settings import Settings, explained

README, USAGE, HOSTING = (
    (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/usage.md", "docs/hosting.md")
)


@pytest.fixture(scope="module")
def front() -> dict[str, object]:
    return read_front_matter(ROOT)


@pytest.fixture(scope="module")
def space() -> SpaceDescription:
    return read_spacefile(ROOT)


def versions(file: str) -> dict[str, str]:
    """Package -> the rest of its line, of a requirements file."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    names = [re.match(r"([A-Za-z0-9_.-]+)(.*)", line) for line in lines if line and not line.startswith(("#", "-"))]
    return {match[1].lower(): match[2] for match in names if match}


def test_nothing_stands_between_this_repository_and_a_space(space: SpaceDescription) -> None:
    assert problems(ROOT, space, variable_mistakes) == []


def test_the_front_matter_suggests_the_gpu_that_spacefile_asks_for(
    front: dict[str, object], space: SpaceDescription
) -> None:
    assert front["suggested_hardware"] == space.hardware == "zero-a10g"
    assert front["license"] == "apache-2.0"


def test_secrets_of_spacefile_are_those_of_the_settings_and_no_variable_is_one(space: SpaceDescription) -> None:
    secret = {
        variable(name) for name, field in Settings.model_fields.items() if SecretStr in get_args(field.annotation)
    }
    assert secret == {name for name in space.secrets if name.startswith("CROP_")}
    assert {name for name in space.secrets if not name.startswith("CROP_")} == {"HF_TOKEN"}
    assert space.variables and set(space.variables) <= set(explained()) - secret


def test_what_a_space_installs_is_what_the_container_copies(space: SpaceDescription) -> None:
    """Beside its description; constraints.txt is for the torch that is tested, which a Space chooses itself."""
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    sent = {line[1:] for line in ignored if line.startswith("!")} - {"constraints.txt"}
    assert {name.split("/")[0] for name in files_of(ROOT, space.files)} == sent | {"README.md", "Spacefile"}


def test_spaces_installs_the_gradio_that_was_tested(front: dict[str, object]) -> None:
    assert versions("constraints.txt")["gradio"] == f"=={front['sdk_version']}"


def test_python_versions_agree(front: dict[str, object]) -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'requires-python = ">=3.10,<3.13"' in project
    assert str(front["python_version"]) in {"3.10", "3.11", "3.12"}


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
    "pillow_heif": "pillow-heif",
    "pydantic_settings": "pydantic-settings",
    "dotenv": "python-dotenv",
    "huggingface_hub": "huggingface-hub",
    "lmms_eval": "lmms-eval",
    "typing_extensions": "typing-extensions",
    "yaml": "pyyaml",
}


def imported(everywhere: bool = True) -> set[str]:
    """Packages that the app's own files import, or that merely importing these files imports."""
    result: set[str] = set()
    for path in [ROOT / "app.py", *(ROOT / "crop_core").rglob("*.py"), *(ROOT / "ui").rglob("*.py")]:
        if path == PLUG_IN and not everywhere:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree) if everywhere else tree.body:
            if isinstance(node, ast.Import):
                result |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                result.add(node.module.split(".")[0])
    return {PACKAGES.get(name, name) for name in result}


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


def test_the_lines_that_make_a_space_are_commands_that_there_are(space: SpaceDescription) -> None:
    result = re.search(r"## A Space on Hugging Face\n.*?```sh\n(.*?)```", HOSTING, re.DOTALL)
    assert result
    lines = [shlex.split(line, comments=True) for line in result[1].splitlines()]
    parser = argparse.ArgumentParser()
    space_command.add_command(parser.add_subparsers(required=True))
    ours = [words[words.index("space") :] for words in lines if "space" in words]
    assert [words[1] for words in ours] == ["check", "push", "push"]
    for words in ours:
        parser.parse_args(words)
    assert ["make", "setup"] in lines and [".venv/bin/hf", "auth", "login"] in lines
