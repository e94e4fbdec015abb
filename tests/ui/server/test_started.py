"""The app started as a user starts it, over an engine without a model, in surroundings of all kinds: it serves and
writes no traceback, or it ends with one sentence before anything is loaded.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.support import ROOT
from tests.support.browser import running
from tests.support.container import command

STAND_IN = (sys.executable, "-m", "tests.support.app_without_models")
DEAD = "http://127.0.0.1:9"  # a proxy that nobody answers for
START = "CROP Explorer: "
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


SURROUNDINGS: dict[str, dict[str, str]] = {  # several at once, where they cannot hide each other
    "proxies": {**dict.fromkeys(PROXIES, DEAD), "CROP_MCP": "1", "PYTHONIOENCODING": "ascii"},
    "lower-case": {"http_proxy": DEAD, "no_proxy": "example.org", "ALL_PROXY": "socks5://127.0.0.1:9"},
    "space": {"SYSTEM": "spaces", "SPACE_ID": "ann/demo", "GRADIO_SERVER_NAME": "0.0.0.0", "HTTP_PROXY": "what://ever"},
    "gradio": {
        "GRADIO_WATCH_DIRS": ".",
        "GRADIO_NUM_WORKERS": "2",
        "GRADIO_ALLOWED_PATHS": "/",
        "GRADIO_SHARE": "true",
        "GRADIO_DEBUG": "1",
    },
    "nothing": {"GRADIO_SERVER_PORT": "", "GRADIO_NUM_PORTS": " ", "GRADIO_DEBUG": "", "GRADIO_ROOT_PATH": ""}
    | dict.fromkeys(("HOME", "HF_HOME", "MPLCONFIGDIR"), "/proc/nope"),
}
IPV6 = {
    "::1": {"CROP_HOST": "::1", **dict.fromkeys(PROXIES, DEAD)},
    "all": {"CROP_HOST": "[::]"},
    "gradio": {"GRADIO_SERVER_NAME": "::1"},
}


def written(log: Path, text: str) -> None:
    """Wait until a text is in the log."""
    end = time.monotonic() + 60
    while text not in log.read_text():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)


def serves(variables: dict[str, str], folder: Path, host: str = "127.0.0.1") -> None:
    """Start it, and look at what it answers and writes."""
    with running(variables, folder, STAND_IN, host=host) as address:
        client = httpx.Client(base_url=address, trust_env=False, timeout=60)
        assert client.get("readyz").json() == {"ready": True, "under_way": 0}
        assert client.get("gradio_api/file=/etc/hostname").status_code == 403
        written(folder / "log.txt", "loaded crop-tiny")
    log = (folder / "log.txt").read_text()
    *_, page, loaded, running_on, model, ready = [line for line in log.splitlines() if line.startswith(START)]
    assert (page, model) == (f"{START}loading the page ...", f"{START}loading crop-tiny ...")
    assert re.fullmatch(rf"{START}loaded the page in [\d.]+ m?s", loaded)
    assert re.fullmatch(rf"{START}loaded crop-tiny in [\d.]+ m?s", ready)
    assert re.fullmatch(rf"{START}running on http://\S+:\d+/ \(Ctrl-C stops it\)", running_on)
    assert "Error" not in log and "reload" not in log.lower() and "share" not in log


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_it_serves(name: str, tmp_path: Path) -> None:
    serves(SURROUNDINGS[name], tmp_path)


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="this machine has no IPv6")
@pytest.mark.parametrize("name", IPV6)
def test_it_serves_ipv6(name: str, tmp_path: Path) -> None:
    serves(IPV6[name], tmp_path, "[::1]")


def ended(start: tuple[str, ...] = STAND_IN, **variables: str) -> str:
    """What an app says that does not start."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CROP_")} | variables
    told = subprocess.run(start, cwd=ROOT, env=environment, capture_output=True, text=True)
    *settings, sentence = told.stderr.splitlines()
    assert (told.returncode, told.stdout) == (1, "")
    assert [line.startswith("CROP Explorer: settings: ") for line in settings] in ([], [True])
    assert re.fullmatch(r"CROP Explorer: .*\.", sentence)
    return sentence.removeprefix("CROP Explorer: ")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("GRADIO_TEMP_DIR", "/proc/nope", "The folder '/proc/nope' for uploaded images cannot be written to ("),
        ("CROP_HOST", "nope.invalid", "The app cannot listen at 'nope.invalid' ("),
        ("CROP_HOST", "203.0.113.5", "The app cannot listen at '203.0.113.5' (it is no address of this machine); "),
        ("CROP_HOST", "http://localhost", "CROP_HOST is 'http://localhost', and must be a name or a number of "),
        ("CROP_PORT", "0", "CROP_PORT is '0', and must be a whole number from 1 to 65535."),
        ("CROP_ROOT_PATH", "crop", "CROP_ROOT_PATH is 'crop', and must be a path that starts with /, or "),
        ("CROP_LOGIN", "hunter2", "CROP_LOGIN is '***', and must be user:password, "),
        ("GRADIO_SERVER_PORT", "http", "GRADIO_SERVER_PORT is 'http', and must be a whole number from 1 to 65535."),
        ("GRADIO_NUM_PORTS", "x", "GRADIO_NUM_PORTS is 'x', and must be a whole number from 1 to 65536."),
        ("SSL_CERT_FILE", "/nope", "SSL_CERT_FILE is '/nope', which cannot be read (No such file or directory); "),
    ],
)
def test_it_ends_with_one_sentence(name: str, value: str, said: str) -> None:
    assert ended(**{name: value}).startswith(said)


def test_a_port_that_somebody_has_is_told() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = ended(CROP_PORT=str(port))
    assert said.startswith(f"Port {port} is already in use; set CROP_PORT ")


def test_a_name_that_is_no_setting_is_told_with_the_nearest(tmp_path: Path) -> None:
    with running({"CROP_PROT": "7911", "CROP_NONSENSE_AT_ALL": "1"}, tmp_path, STAND_IN):
        pass
    log = (tmp_path / "log.txt").read_text()
    assert f"{START}CROP_PROT is not a setting and is ignored; did you mean CROP_PORT?\n" in log
    assert f"{START}CROP_NONSENSE_AT_ALL is not a setting and is ignored; python app.py --help lists" in log
    assert log.count("is not a setting") == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "7911"], "--port is not an option; set CROP_PORT=7911 in the environment."),
        (["--max-queue=3"], "--max-queue is not an option; set CROP_MAX_QUEUE=3 in the environment."),
        (["--mcp"], "--mcp is not an option; set CROP_MCP=... in the environment."),
        (["--login", "ann:hunter2"], "--login is not an option; set CROP_LOGIN=*** in the environment."),
        (["--nonsense", "1"], "--nonsense is not an option; settings are variables, which --help lists."),
    ],
)
def test_an_option_is_told_as_the_setting_that_it_is(arguments: list[str], said: str) -> None:
    told = subprocess.run([sys.executable, "app.py", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert (told.returncode, told.stdout, told.stderr) == (2, "", f"CROP Explorer: {said}\n")


def test_a_folder_of_somebody_else_is_told(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o555)
    said = ended(tuple(command(list(STAND_IN))), GRADIO_TEMP_DIR=str(theirs))
    assert said.startswith(f"The folder '{theirs}' for uploaded images cannot be written to (Permission denied); ")
