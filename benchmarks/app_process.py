"""Start app.py for a benchmark, wait until its model is loaded, and stop it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS, END_SECONDS = 300, 60


@contextmanager
def app_process(log: Path = Path(os.devnull), cwd: Path = ROOT, **environment: str) -> Iterator[tuple[str, int]]:
    """Start an app on a free port with the models that the environment names; yields its URL and process id.

    log: file for its output. cwd: its working directory. environment: more variables. Raises RuntimeError when the app
    ends or does not serve in time.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address, variables = f"http://127.0.0.1:{port}/", {"CROP_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False"}
    command = [sys.executable, str(ROOT / "app.py")]
    with log.open("wb") as output:
        own = os.environ | variables | environment
        process = subprocess.Popen(command, cwd=cwd, env=own, stdout=output, stderr=output)
    try:
        _wait_for(address, process, log)
        yield address, process.pid
    finally:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"The app ended with code {process.returncode} before it served: {_tail(log)}")
        try:
            urllib.request.urlopen(f"{address}readyz", timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"The app did not serve within {START_SECONDS} s: {_tail(log)}")


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]
