import checkpoints

from crop_core.bench import eviction
from crop_core.engine import CropEngine
from crop_core.localize import WholeImage
from crop_core.models import load


def test_eviction_shrinks_the_cache_and_says_what_changed(tmp_path, monkeypatch):
    adapter = load(checkpoints.save(tmp_path / "model", "pad", layers=6))
    monkeypatch.setattr(eviction, "BUDGETS", (24.0, 40.0))
    rows = eviction.measure(CropEngine(adapter, WholeImage(), warm_up=False), per_kind=1)
    for method in eviction.METHODS:
        for budget in (24, 40):
            plain, evicting = rows[f"{method} {budget}"], rows[f"{method} {budget}{eviction.EVICTING}"]
            assert evicting["kv_bytes"] <= plain["kv_bytes"] < rows["all tokens"]["kv_bytes"]
            assert 0 <= evicting["as_without"] <= plain["as_without"] == 1
    assert rows["ilp 24, evicting"]["kv_bytes"] < rows["ilp 24"]["kv_bytes"]
    lines = eviction.table(rows).splitlines()
    assert len(lines) == 2 + len(rows)
    assert all(("%" in line.split("|")[4]) == (eviction.EVICTING in line) for line in lines[2:])
