"""Starts the app: settings, engine, interface, launch. `python app.py --help` lists the settings."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ui.server.manual import manual, variable_for
from ui.server.settings import BUNDLED, Settings
from ui.server.startup import direct, settle, tell, timed

if TYPE_CHECKING:
    from crop_core.records.request import Engine
    from ui.server.hosting import Hosting

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
    with timed("the page"), direct():
        from ui.page.layout import build, launch_options  # these bring Gradio, which --help can do without
        from ui.server.hosting import Hosting, limit_malloc
        from ui.server.loading_engine import LoadingEngine
        from ui.server.space import choose_model, on_zero
        from ui.views.examples import load_examples

    limit_malloc()
    hosting = Hosting(settings)
    settings = choose_model(settings)
    bundled = settings.model == BUNDLED[0]
    engine = LoadingEngine(partial(load, settings, hosting))
    if not bundled or on_zero():  # what the page offers depends on the model; ZeroGPU starts with it
        engine.load()
    app = build(engine, load_examples(EXAMPLES), bundled, **settings.page())
    options: dict[str, Any] = launch_options(EXAMPLES, settings.max_upload_mb) | hosting.launch_options(engine)
    options |= {"server_name": address.url_host, "server_port": address.free_port()}
    with direct():
        try:
            app.launch(prevent_thread_lock=True, quiet=True, **options)  # quiet: Gradio gives advice to edit code
        except OSError as error:  # such as a port that was taken between the look and the launch
            raise ValueError(f"The app cannot listen at {address.host} ({error}); start it again.") from None
    tell(f"running on {app.local_url} (Ctrl-C stops it)")
    try:
        engine.load()  # by a proxy, where one is set: a localizer may have to be downloaded
        with direct():
            app.block_thread()
    finally:
        app.close()


def load(settings: Settings, hosting: Hosting) -> Engine:
    """The model of the settings, behind its queue and limits; ValueError with one sentence where it cannot be."""
    with timed(str(settings.model)):
        from ui.server.queued_engine import PAUSE  # these bring torch, which takes as long as the page
        from ui.server.space import on_zero
        from ui.server.zerogpu import load_engine

        engine = load_engine({**settings.engine_options(), **settings.limits()}, settings.check)
    return hosting.wrap_engine(engine, pause=0 if on_zero() else PAUSE)


if __name__ == "__main__":
    main()
