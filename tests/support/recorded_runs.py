"""Recorded runs, as files and in a history, for tests of what opens and exports them."""

import json
from dataclasses import replace
from pathlib import Path

from crop_core.io.data_url import data_url
from crop_core.records.region import Region
from tests.support.fake_records import about_several, comparison, sample_image
from ui.views.explorer_state import ExplorerState
from ui.views.history import FinishedRun, History

RUN = comparison(made={"date": "2026-11-26T20:00:00+00:00"})
TEXT = json.dumps(RUN.to_json())
SECOND = Region(5, 5, 6, 7, 90, 120, "drawn")  # in a second image
TWO = json.dumps(about_several(replace(RUN, history=[("what?", "cat")]), [SECOND]).to_json())


def write(folder, name, **changes):
    """A recorded run as a file, with its image inside unless told otherwise."""
    data = {**json.loads(TEXT), "pictures": [data_url(sample_image())], **changes}
    path = folder / name
    path.write_text(json.dumps({key: value for key, value in data.items() if value is not None}))
    return str(path)


def shown(question="what?"):
    """A finished run on screen, as History."""
    image = sample_image()
    result = comparison(question)
    view = replace(ExplorerState.of(image, question), stage="done", region=result.region, result=result)
    return History().add(FinishedRun((image,), result, view))


def about_two(question="where?"):
    """A run about two images after another question, as History."""
    images = sample_image(), sample_image(90, 120)
    result = about_several(comparison(question, history=[("what?", "cat")]), [SECOND])
    view = replace(ExplorerState.of(images, question), stage="done", region=result.region, result=result)
    return History().add(FinishedRun(images, result, view))


OPTIONS = ("row", "", 1, "PNG", 17.5, "sans", 7, False, 300, 1, False, True)  # of the panel of downloads


def content(button):
    """The file of a download button."""
    return Path(button.value["path"]).read_bytes()
