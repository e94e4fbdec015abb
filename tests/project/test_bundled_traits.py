"""What the page takes for granted of the bundled model while it is being loaded."""

from __future__ import annotations

from crop_core.engine.engine import CropEngine
from ui.server.loading_engine import BundledTraits


def test_it_is_true_of_the_model() -> None:
    engine = CropEngine.from_pretrained(warm_up=False)
    known = {name: value for name, value in vars(BundledTraits).items() if not name.startswith("_")}
    assert len(known) == 3
    assert {name: getattr(engine, name) for name in known} == known
