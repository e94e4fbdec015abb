"""Starts the app: settings, engine, interface, launch. `python app.py --help` lists the settings."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ui.server.manual import manual, variable_for
from ui.server.settings import Settings
from ui.server.startup import direct, settle, tell, timed

EXAMPLES = Path(__file__).parent / "assets" / "examples"
ABOUT = "CROP Explorer: visual token pruning, token by token, in a browser. It takes no options but the settings below."


def main() -> None:
    """Serve the app until it is stopped; a setting or model that cannot be is one sentence."""
    parser = argparse.ArgumentParser(
        prog="app.py", description=ABOUT, epilog=manual(), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    _, others = parser.parse_known_args()
    if others:
        parser.exit(2, f"CROP Explorer: {variable_for(others)}\n")
    try:
        serve(Settings.from_env())
    except ValueError as error:
        sys.exit(f"CROP Explorer: {error}")
    except KeyboardInterrupt:
        sys.stderr.write("CROP Explorer: Interrupted; files that were downloaded whole are kept.\n")
        sys.exit(130)


def serve(settings: Settings) -> None:
    """Load, build, launch; ValueError with one sentence for what cannot be."""
    tell(f"settings: {', '.join(settings.describe()) or 'none'}")
    address = settle(settings)
    with timed("the libraries"), direct():
        from crop_core.models import DEFAULT_MODEL  # these bring torch and Gradio, which --help can do without
        from ui.page.layout import build, launch_options
        from ui.server.hosting import Hosting, limit_malloc
        from ui.server.queued_engine import PAUSE
        from ui.server.space import choose_model, on_zero
        from ui.server.zerogpu import load_engine
        from ui.views.examples import load_examples

    limit_malloc()
    hosting = Hosting(settings)
    settings = choose_model(settings)
    with timed(str(settings.model)):
        engine = load_engine({**settings.engine_options(), **settings.limits()}, settings.check)
    wrapped = hosting.wrap_engine(engine, pause=0 if on_zero() else PAUSE)
    app = build(wrapped, load_examples(EXAMPLES), settings.model == DEFAULT_MODEL, **settings.page())
    options: dict[str, Any] = launch_options(EXAMPLES, settings.max_upload_mb) | hosting.launch_options()
    options |= {"server_name": address.url_host, "server_port": address.free_port()}
    with direct():
        try:
            app.launch(prevent_thread_lock=True, quiet=True, **options)  # quiet: Gradio gives advice to edit code
        except OSError as error:  # such as a port that was taken between the look and the launch
            raise ValueError(f"The app cannot listen at {address.host} ({error}); start it again.") from None
        tell(f"running on {app.local_url} (Ctrl-C stops it)")
        app.block_thread()


if __name__ == "__main__":
    main()
