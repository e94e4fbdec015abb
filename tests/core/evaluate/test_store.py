"""The folder of a sweep: what is read is what was written, whatever happened in between."""

import math
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest

from crop_core.evaluate.runner import store
from crop_core.evaluate.runner.plan import ALL, Trial
from crop_core.evaluate.runner.work import SweepError
from tests.support.sweeping import RECORD, record, toys

CROP = Trial("crop", "64")


def test_what_was_written_is_read(tmp_path):
    told = replace(RECORD, reply='a|b\n"ü" <b>', kl_first=math.inf, flops=2**40, score=0.3, mean_tokens=63.9285714)
    store.write_part(tmp_path, [told, replace(RECORD, example="1")])
    frame = store.read(tmp_path)
    first = frame.iloc[0].to_dict()
    for name, value in asdict(told).items():
        wanted = value if isinstance(value, str) else pytest.approx(value, rel=1e-6, nan_ok=True)
        assert first[name] == wanted, name
    assert first["score"] == 0.3 and first["mean_tokens"] == 63.9285714, "judged to the last digit"
    assert list(frame.columns) == list(asdict(told))
    assert store.done(tmp_path) == {("0", "baseline"), ("1", "baseline")}


def test_an_empty_folder_has_nothing_done_and_nothing_to_read(tmp_path):
    store.write_part(tmp_path, [])
    assert store.done(tmp_path) == store.done(tmp_path / "none") == set()
    with pytest.raises(SweepError, match="no records"):
        store.read(tmp_path)


def test_compaction_keeps_every_record_once_and_in_order(tmp_path):
    first, second, third = toys(3)
    store.write_part(tmp_path, [record(third, CROP), record(first, CROP)])
    store.compact(tmp_path, "0", [ALL.name, CROP.name])
    store.write_part(tmp_path, [record(second, CROP), record(first), record(third), record(third, CROP)])
    store.write_part(tmp_path, [record(second), record(second, reply="twice")])
    store.compact(tmp_path, ["2", "0"], [ALL.name, CROP.name])
    assert [file.name for file in tmp_path.iterdir()] == [store.WHOLE]
    frame = store.read(tmp_path)
    pairs = list(zip(frame["example"], frame["trial"], strict=True))
    assert pairs == [(each, trial) for each in "201" for trial in (ALL.name, CROP.name)]
    assert "twice" not in set(frame["reply"])


def test_methods_are_dropped_as_published_and_joined_and_all_others_stay(tmp_path):
    (toy,) = toys(1)
    names = ["crop", "fastv", "fastv@paper", "plc+fastv", "plc", "distinct+ilp"]
    store.write_part(tmp_path, [record(toy), *(record(toy, Trial(name, "64")) for name in names)])
    assert store.drop(tmp_path, ["fastv", "ilp", "dart"]) == 4
    assert set(store.read(tmp_path)["trial"]) == {"baseline", "crop 64", "plc 64"}
    assert [file.name for file in tmp_path.iterdir()] == [store.WHOLE]


def test_a_crash_between_the_whole_file_and_its_parts_doubles_nothing(tmp_path, monkeypatch):
    store.write_part(tmp_path, [record(each) for each in toys(3)])
    monkeypatch.setattr("pathlib.Path.unlink", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        store.compact(tmp_path, [], [])
    assert len(list(tmp_path.iterdir())) == 2
    assert len(store.read(tmp_path)) == 3


def test_a_torn_and_a_foreign_part_are_told_in_one_sentence(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    store.write_part(tmp_path, [RECORD])
    (part,) = tmp_path.glob("part-*")
    whole = part.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"PAR1"):
        part.write_bytes(content)
        with pytest.raises(SweepError, match=f"{part.name}.*cannot be read .*delete it") as error:
            store.done(tmp_path)
        assert "\n" not in str(error.value)
    pq.write_table(pa.table({"example": ["0"], "trial": ["x"]}), part)
    with pytest.raises(SweepError, match="no records of this version"):
        store.read(tmp_path)


def test_what_was_being_written_when_the_process_ended_is_as_if_it_never_was(tmp_path):
    (tmp_path / "part-1.parquet.writing").write_bytes(b"PAR1 half of it")
    store.claim(tmp_path, {"model": "a"})
    assert store.done(tmp_path) == set()
    store.begin(tmp_path, {})
    assert [file.name for file in tmp_path.iterdir()] == [store.FACTS]


def test_a_folder_is_of_one_sweep(tmp_path):
    folder = tmp_path / "new" / "sweep"
    store.claim(folder, {"model": "typo", "localizer": None})
    store.claim(folder, {"model": "a", "localizer": None})  # nothing was recorded of the other
    store.begin(folder, {"command": "one"})
    store.write_part(folder, [RECORD])
    store.claim(folder, {"model": "a", "localizer": None})
    store.begin(folder, {"command": "two"})
    told = store.facts(folder)
    assert (told["model"], told["localizer"]) == ("a", None)
    assert [each["command"] for each in told["sessions"]] == ["one", "two"]
    with pytest.raises(SweepError, match="of the localizer None, not 'self'; give another folder"):
        store.claim(folder, {"model": "a", "localizer": "self"})
    assert store.facts(folder) == told


@pytest.mark.parametrize("content", ["", "[1]", "{", "\udcff"])
def test_facts_that_cannot_be_read_are_one_sentence(tmp_path, content):
    store.write_part(tmp_path, [RECORD])
    (tmp_path / store.FACTS).write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(SweepError, match="cannot be read"):
        store.claim(tmp_path, {"model": "a"})


def test_records_of_nobody_knows_what_are_not_gone_on_with(tmp_path):
    store.write_part(tmp_path, [RECORD])
    with pytest.raises(SweepError, match=r"sweep\.json' cannot be read"):
        store.claim(tmp_path, {"model": "a"})


def test_a_folder_that_cannot_be_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SweepError, match="cannot be written"):
        store.claim(tmp_path / "file" / "sweep", {})


def test_without_a_package_it_says_what_to_install(monkeypatch, tmp_path):
    for name in ("pyarrow", "scipy"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SweepError, match=r"pip install 'pyarrow>=17' 'scipy>=1\.13'"):
        store.done(tmp_path)


def test_a_benchmark_of_28_000_records_is_small_and_quickly_read(tmp_path):
    draw = np.random.default_rng(0)
    noisy = ("ttft_s", "total_s", "encode_s", "compression_s", "scoring_s", "logprob", "kl_first")
    trials = [Trial("crop", str(budget)) for budget in range(1, 48)]
    for start in range(0, 600, 100):
        asked = [(each, trial) for each in toys(600)[start : start + 100] for trial in trials]
        store.write_part(tmp_path, [record(*each, **{name: draw.gamma(2) for name in noisy}) for each in asked])
    store.compact(tmp_path, map(str, range(600)), [each.name for each in trials])
    assert len(store.read(tmp_path)) == 28_200
    assert (tmp_path / store.WHOLE).stat().st_size < 1_000_000
