"""The app as it is served, over an engine without a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import httpx
import pytest

from tests.support.fake_records import FakeEngine, sample_image
from ui.page.layout import build, launch_options
from ui.server.hosting import Hosting
from ui.server.settings import Settings
from ui.views.examples import Example


@contextmanager
def served(
    folder: Path, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch, examples: Sequence[Example] = ()
) -> Iterator[str]:
    """Address of the app with these settings and examples."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder / "files"))
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    read = Settings.from_env()
    hosting = Hosting(read)
    app = build(hosting.wrap_engine(FakeEngine()), [*examples])
    options = launch_options(folder / "examples", read.max_upload_mb) | hosting.launch_options()
    app.launch(prevent_thread_lock=True, quiet=True, **options)
    try:
        yield app.local_url
    finally:
        app.close()


def ask(client: httpx.Client) -> str:
    """What /ask told about an uploaded image: the text of its events."""
    sent = client.post("gradio_api/upload", files={"files": ("a.png", png(), "image/png")}).json()
    image = {"path": sent[0], "meta": {"_type": "gradio.FileData"}}
    data = [image, "what is on my passport?", "crop", "64", ""]
    event = client.post("gradio_api/call/ask", json={"data": data}).json()["event_id"]
    return client.get(f"gradio_api/call/ask/{event}").text


def png() -> bytes:
    """An image file."""

    out = BytesIO()
    sample_image(40, 30).save(out, "PNG")
    return out.getvalue()
