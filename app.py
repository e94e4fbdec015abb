"""Starts the app: settings, engine, interface, launch. `python app.py --help` lists the settings."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ui.server.settings import Settings, manual

EXAMPLES = Path(__file__).parent / "assets" / "examples"


def main() -> None:
    """Serve the app until it is stopped; a setting or model that cannot be is one sentence."""
    argparse.ArgumentParser(
        prog="app.py", description=__doc__, epilog=manual(), formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    try:
        serve(Settings.from_env())
    except ValueError as error:
        sys.exit(f"CROP Explorer: {error}")
    except KeyboardInterrupt:
        sys.stderr.write("CROP Explorer: Interrupted; files that were downloaded whole are kept.\n")
        sys.exit(130)


def serve(settings: Settings) -> None:
    """Load, build, launch; ValueError with one sentence for what cannot be."""
    sys.stderr.write(f"CROP Explorer: settings: {', '.join(settings.describe()) or 'none'}\n")
    from crop_core.models import DEFAULT_MODEL  # these bring torch and Gradio, which --help can do without
    from ui.page.layout import build, launch_options
    from ui.server.hosting import Hosting, limit_malloc
    from ui.server.zerogpu import load_engine
    from ui.views.examples import load_examples

    limit_malloc()
    hosting = Hosting(settings)
    engine = load_engine({**settings.engine_options(), **settings.limits()})
    bundled = settings.model in (None, DEFAULT_MODEL)
    app = build(hosting.wrap_engine(engine), load_examples(EXAMPLES), bundled, settings.keep_hours)
    options: dict[str, Any] = launch_options(EXAMPLES, settings.max_upload_mb) | hosting.launch_options()
    try:
        app.launch(**options)
    except OSError:  # Gradio found no port that is free
        taken = settings.port or "7860 and those after it"
        where = settings.host or "this address"
        raise ValueError(f"port {taken} cannot be used at {where}; set CROP_PORT.") from None


if __name__ == "__main__":
    main()
