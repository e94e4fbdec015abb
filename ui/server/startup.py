"""What is settled before Gradio and the models are loaded: numbers, folders and certificates that they would stumble
over, the address, and no proxy for what stays on this machine. Each wrong one is one sentence.
"""

from __future__ import annotations

import os
import ssl
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

from crop_core.records.formatting import format_seconds
from ui.server.address import Address
from ui.server.manual import unknown_settings
from ui.server.setting_errors import GRADIO, SettingsError
from ui.server.settings import Settings

NUMBERS = {  # variables that Gradio reads without a check: lowest and highest value
    "GRADIO_NUM_PORTS": (1, 2**16),
    "GRADIO_ANALYTICS_MAX_EVENTS": (0, 10**12),
    "GRADIO_ANALYTICS_CACHE_FREQUENCY": (1, 10**12),
}
# Hidden from Gradio: what `Settings` reads, what means nothing here, what loads the program again when it changes, and
# workers that would serve files beside our middleware.
HIDDEN = (
    *GRADIO.values(),
    *("GRADIO_NUM_PORTS", "GRADIO_NODE_NUM_PORTS", "GRADIO_DEFAULT_CONCURRENCY_LIMIT"),
    *("GRADIO_WATCH_DIRS", "GRADIO_VIBE_MODE", "GRADIO_NUM_WORKERS", "GRADIO_DEBUG"),
)
NO_PROXY = {"NO_PROXY": "*", "no_proxy": "*"}  # for every address, whatever the other variables say


def settle(settings: Settings) -> Address:
    """Check what is around the settings, and return the address; SettingsError with one sentence. Names that look like
    settings and are none are told on standard error.
    """
    for sentence in unknown_settings():
        tell(sentence)
    for name, (low, high) in NUMBERS.items():
        _check_number(name, low, high)
    _check_folders()
    _check_certificates()
    address = Address.of(settings, int(os.environ.get("GRADIO_NUM_PORTS", 100)))
    address.free_port()
    for name in HIDDEN:
        os.environ.pop(name, None)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # Gradio writes emoji, whatever the terminal knows
    os.environ.setdefault("FORWARDED_ALLOW_IPS", "127.0.0.1,::1")  # a proxy on this machine is trusted in IPv6 too
    return address


def tell(text: str) -> None:
    """A line of the start, on standard error."""
    sys.stderr.write(f"CROP Explorer: {text}\n")
    sys.stderr.flush()


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Tell that something is loaded, and how long that took."""
    tell(f"loading {what} ...")
    began = time.monotonic()
    yield
    tell(f"loaded {what} in {format_seconds(time.monotonic() - began)}")


@contextmanager
def direct() -> Iterator[None]:
    """No proxy for what is asked for inside. Gradio asks itself, and makes its clients when it is imported."""
    before = {name: os.environ.get(name) for name in NO_PROXY}
    os.environ.update(NO_PROXY)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _check_number(name: str, low: int, high: int) -> None:
    """An empty variable counts as not set."""
    value = os.environ.get(name, "").strip()
    if not value:
        os.environ.pop(name, None)
    elif not (value.isascii() and value.isdecimal() and low <= int(value) <= high):
        raise SettingsError(f"{name} is {value!r}, and must be a whole number from {low} to {high}.")


def _check_folders() -> None:
    """Where uploads are put, and what is offered; the system's temporary folder too, which libraries write to."""
    try:
        system = tempfile.gettempdir()
    except OSError:
        tried = ", ".join(filter(None, (os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")))) or "/tmp"
        raise SettingsError(f"No temporary folder can be written to ({tried}); let TMPDIR name one that can.") from None
    given = os.environ.pop("GRADIO_TEMP_DIR", "").strip()
    folder = Path(given or Path(system) / "gradio").absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"0")
    except OSError as error:
        reason = "Not a directory" if isinstance(error, FileExistsError) else error.strerror
        raise SettingsError(
            f"The folder '{folder}' for uploaded images cannot be written to ({reason}); let GRADIO_TEMP_DIR name one "
            "that can."
        ) from None
    if given:
        os.environ["GRADIO_TEMP_DIR"] = str(folder)


def _check_certificates() -> None:
    """The file of certificates that every client of HTTPS reads, needed or not."""
    file = os.environ.get("SSL_CERT_FILE")
    try:
        if file:
            ssl.create_default_context(cafile=file)
    except OSError as error:
        reason = "it holds no certificates" if isinstance(error, ssl.SSLError) else error.strerror
        raise SettingsError(
            f"SSL_CERT_FILE is {file!r}, which cannot be read ({reason}); let it name a file of certificates (PEM), or "
            "unset it."
        ) from None
