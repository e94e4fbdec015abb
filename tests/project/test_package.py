"""`pip install .` gives a package that works without the repository: bundled models, script, figures, report."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.pdf_fonts import pdf_fonts

NEEDED = ("crop_core", "ui", "assets", "pyproject.toml", "setup.py", "README.md", "LICENSE", "requirements.txt")
Run = Callable[..., str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs a program of an environment that has our package, and the packages of this one, in an empty folder."""
    folder = tmp_path_factory.mktemp("package")
    source, home = folder / "source", folder / "home"
    for place in (source, home):
        place.mkdir()
    for name in NEEDED:  # a copy, since setuptools builds beside the sources
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    venv.create(folder / "env", with_pip=False, symlinks=True)
    python = folder / "env" / "bin" / "python"
    (packages,) = (folder / "env" / "lib").glob("python*/site-packages")
    (packages / "parent.pth").write_text("\n".join(site.getsitepackages()))
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--disable-pip-version-check")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", *options, str(source)]
    done = subprocess.run(pip, env=plain, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(source)

    def program(name: str, *arguments: str) -> str:
        command = [str(python.with_name(name)), *arguments]
        done = subprocess.run(command, cwd=home, env=plain, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return program


def test_the_installed_package_is_the_one_that_is_run(run: Run) -> None:
    where = Path(run("python", "-c", "import crop_core; print(crop_core.__file__)").strip())
    assert where.parent.parent.name == "site-packages" and "package" in str(where)
    assert not where.is_relative_to(ROOT)


def test_the_script_lists_the_bundled_models(run: Run) -> None:
    assert {"crop-tiny", "crop-tiny-locator"} <= {line.split()[0] for line in run("crop", "models").splitlines()}


def test_the_script_answers_by_the_bundled_model_and_writes_figure_table_and_report(run: Run) -> None:
    home = Path(run("python", "-c", "import os; print(os.getcwd())").strip())
    image = shutil.copy(ROOT / "assets" / "examples" / "01.jpg", home)
    files = {name: home / f"a.{name}" for name in ("pdf", "csv", "html")}
    options = ("--figure", str(files["pdf"]), "--csv", str(files["csv"]), "--html", str(files["html"]))
    question = "which thing is between the car and the blue sign?"
    out = run("crop", "ask", str(image), question, "--repeats", "1", "--max-new-tokens", "4", *options)
    assert "crop-tiny on cpu" in out
    assert all(pdf_fonts(files["pdf"].read_bytes()).values())
    assert files["csv"].read_text().splitlines()[0].startswith("question,run,method,budget,answer,")
    assert question in files["html"].read_text() and "<script" in files["html"].read_text()


def test_the_scenes_of_the_bundled_world_are_drawn(run: Run) -> None:
    code = (
        "from crop_core.evaluate.datasets.registry import dataset\nprint(dataset('world', limit=1).examples[0].open())"
    )
    assert "mode=RGB" in run("python", "-c", code)
