"""The Dockerfile: what it says agrees with the project, and its steps, taken by hand, start an app that is healthy."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support import ROOT
from tests.support.container import Step, command, copied, copies, environment, healthy, read, stages
from ui.server.health import health_routes
from ui.server.monitoring import ActiveRequests
from ui.server.settings import explained

STEPS = read((ROOT / "Dockerfile").read_text(encoding="utf-8"))
STAGES = stages(STEPS)
KNOWN = {"ARG", "FROM", "ENV", "WORKDIR", "COPY", "RUN", "USER", "EXPOSE", "HEALTHCHECK", "CMD"}
README = (ROOT / "README.md").read_text(encoding="utf-8")
START_SECONDS = 180


def last(name: str) -> Step:
    """The last step of a kind in the stage that is run."""
    return [step for step in STAGES["app"] if step.name == name][-1]


def test_there_is_a_stage_for_each_hardware() -> None:
    assert {step.name for step in STEPS} == KNOWN
    assert list(STAGES) == ["base", "cpu", "cuda", "app"]
    assert STAGES["app"][0].text == "${HARDWARE} AS app"
    defaults = dict(step.text.split("=") for step in STEPS if step.name == "ARG")
    assert defaults["HARDWARE"] in STAGES
    assert f'python_version: "{defaults["PYTHON"]}"' in README


def test_everything_that_is_copied_exists_and_is_sent() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    sent = {line[1:] for line in ignored if line.startswith("!")}
    sources = {source for stage in STAGES.values() for each, _ in copies(stage) for source in each}
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert sources == sent
    assert ignored[1] == "*"


def test_packages_are_the_pinned_ones_and_torch_comes_first() -> None:
    runs = [step.text for stage in STAGES.values() for step in stage if step.name == "RUN" and "pip" in step.text]
    assert len(runs) == 3
    assert all("-c constraints.txt" in run for run in runs)
    assert "whl/cpu torch" in runs[0] and runs[1].endswith("torch") and runs[2].endswith("-r requirements.txt")


def test_nobody_is_root_and_nothing_is_installed_after_that() -> None:
    names = [step.name for step in STAGES["app"]]
    assert last("USER").text == "1000"
    assert "--uid 1000" in " ".join(step.text for step in STAGES["app"] if step.name == "RUN")
    assert {"RUN", "COPY"}.isdisjoint(names[names.index("USER") :])


def test_its_variables_are_settings_and_places_that_can_be_written() -> None:
    variables = environment(STAGES["app"])
    assert {name for name in variables if name.startswith("CROP_")} <= set(explained())
    assert variables["CROP_HOST"] == "0.0.0.0"
    assert variables["CROP_PORT"] == last("EXPOSE").text
    assert variables["HF_HOME"].startswith(variables["HOME"])


def test_the_health_check_asks_for_a_page_that_is_served() -> None:
    paths = re.findall(r"\}(/\w+)'", last("HEALTHCHECK").text)
    assert paths == ["/readyz"]
    assert paths[0] in [route.path for route in health_routes(ActiveRequests(1))]


def test_it_starts_as_the_readme_does() -> None:
    front = yaml.safe_load(README.split("---\n")[1])
    assert last("CMD").command == ["python", front["app_file"]]


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The container's environment, with a port that is free and its places in a temporary folder."""
    own = environment([step for name in ("base", "cpu", "app") for step in STAGES[name]])
    home = tmp_path_factory.mktemp("home")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        own["CROP_PORT"] = str(probe.getsockname()[1])
    places = {"HOME": str(home), "HF_HOME": str(home / "hub"), "GRADIO_TEMP_DIR": str(home / "gradio")}
    kept = {name: os.environ[name] for name in ("PATH", "OMP_NUM_THREADS", "HF_HUB_OFFLINE") if name in os.environ}
    return {**own, **places, **kept, "CROP_LOGIN": "ann:hunter2"}  # which closes the page, and not the health check


@pytest.fixture(scope="module")
def folder(variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of an app that was started by the container's command, and is healthy."""
    folder = tmp_path_factory.mktemp("container") / "app"
    copied([step for name in ("base", "app") for step in STAGES[name]], folder)
    log = folder.parent / "log.txt"
    with log.open("wb") as out:
        run = subprocess.Popen(command(last("CMD").command), cwd=folder, env=variables, stdout=out, stderr=out)
    try:
        end = time.monotonic() + START_SECONDS
        while not healthy(last("HEALTHCHECK"), variables):
            assert run.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(1)
        yield folder
    finally:
        run.terminate()
        run.wait(timeout=20)
        for path in [folder, *folder.rglob("*")]:
            if path.is_dir():
                path.chmod(0o755)  # so that pytest can take it away


@pytest.mark.skipif(not (ROOT / "assets/models/crop-tiny/config.json").is_file(), reason="no bundled models")
def test_what_is_copied_is_enough_and_is_not_written_to(folder: Path, variables: dict[str, str]) -> None:
    port = variables["CROP_PORT"]
    sources = {source for name in ("base", "app") for each, _ in copies(STAGES[name]) for source in each}
    assert {path.name for path in folder.iterdir()} == sources
    assert list(folder.rglob("*.pyi")) + list(folder.rglob("__pycache__")) == []
    log = (folder.parent / "log.txt").read_text()
    assert log.startswith(f"CROP Explorer: settings: CROP_HOST=0.0.0.0, CROP_PORT={port}, CROP_LOGIN=***\n")
    assert "hunter2" not in log
    assert "Traceback" not in log


@pytest.mark.skipif(not (ROOT / "assets/models/crop-tiny/config.json").is_file(), reason="no bundled models")
def test_the_health_check_fails_where_nothing_listens(folder: Path, variables: dict[str, str]) -> None:
    assert healthy(last("HEALTHCHECK"), {**variables, "HTTP_PROXY": "http://127.0.0.1:9"}), "past every proxy"
    assert not healthy(last("HEALTHCHECK"), {**variables, "CROP_PORT": "1"})
