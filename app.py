"""Starts the app: settings, engine, interface, launch."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from crop_core.engine import CropEngine
from crop_core.models import DEFAULT_MODEL
from crop_core.settings import Settings
from ui.examples import load_examples
from ui.layout import build, launch_options

EXAMPLES = Path(__file__).parent / "assets" / "examples"


def main() -> None:
    """Serve the app until it is stopped; a setting or model that cannot be is one sentence."""
    try:
        settings = Settings.from_env()
        if settings.mcp and find_spec("mcp") is None:
            raise ValueError("CROP_MCP needs a package that is missing; install it: pip install 'mcp>=1.21,<2'.")
        options: dict[str, Any] = settings.engine_options()
        engine = CropEngine.from_pretrained(**options)
    except ValueError as error:
        sys.exit(f"CROP Explorer: {error}")
    except KeyboardInterrupt:
        sys.stderr.write("CROP Explorer: Interrupted; files that were downloaded whole are kept.\n")
        sys.exit(130)
    bundled = settings.model in (None, DEFAULT_MODEL)
    app = build(engine, load_examples(EXAMPLES), bundled, settings.max_queue)
    options = launch_options(EXAMPLES, settings.max_upload_mb)
    options["mcp_server"] = settings.mcp
    try:
        app.launch(server_name=settings.host, server_port=settings.port, **options)
    except OSError:  # Gradio found no port that is free
        taken = settings.port or "7860 and those after it"
        sys.exit(f"CROP Explorer: port {taken} cannot be used at {settings.host or 'this address'}; set CROP_PORT.")


if __name__ == "__main__":
    main()
