"""Sweeps by workers that die, refuse and are interrupted: every record once, none missing."""

import os
import signal
import subprocess
import sys
import time

import pytest

from crop_core.evaluate.runner import pool, store
from crop_core.evaluate.runner.plan import ALL, BLIND, Trial, trials
from crop_core.evaluate.runner.run import missing, sweep
from crop_core.evaluate.runner.work import Skipped, SweepError
from tests.support import ROOT
from tests.support.sweeping import Toy, toys

PLAN = trials(["crop", "fastv"], ["64"])
TWO = pool.pool_of(2)


@pytest.fixture
def log(tmp_path):
    folder = tmp_path / "log"
    folder.mkdir()
    return folder


def pairs(folder):
    frame = store.read(folder)
    return sorted(zip(frame["example"], frame["trial"], strict=True))


def complete(examples, plan=PLAN):
    return sorted((each.id, trial.name) for each in examples for trial in plan)


@pytest.mark.parametrize("ask", [pool.in_process, TWO], ids=["alone", "two"])
def test_every_example_is_asked_once_and_what_is_there_is_not_asked_again(tmp_path, log, ask):
    examples, out = toys(7), tmp_path / "out"
    store.claim(out, {})
    assert sweep(Toy(log), examples, PLAN, out, ask) == []
    assert pairs(out) == complete(examples)
    assert len(list(log.iterdir())) == 7
    assert sweep(Toy(log), examples, PLAN, out, ask) == []
    assert len(list(log.iterdir())) == 7, "nothing was missing"
    more = [*PLAN, Trial("crop", "32")]
    assert sweep(Toy(log), examples, more, out, ask) == []
    assert pairs(out) == complete(examples, more)


def test_only_what_is_missing_is_asked():
    first, second, third = toys(3)
    done = {("0", "baseline"), ("0", "blind"), ("2", "blind")}
    assert missing([first, second, third], [ALL, BLIND], done) == [(second, (ALL, BLIND)), (third, (ALL,))]


def test_a_killed_worker_is_replaced_and_its_example_asked_again(tmp_path, log):
    examples, out = toys(9), tmp_path / "out"
    store.claim(out, {})
    assert sweep(Toy(log, kills=(("3", 1), ("5", 1))), examples, PLAN, out, TWO) == []
    assert pairs(out) == complete(examples)
    assert len(list(log.glob("3.*"))) == len(list(log.glob("5.*"))) == 2


def test_an_example_that_always_kills_is_skipped_and_told(tmp_path, log):
    examples, out = toys(6), tmp_path / "out"
    store.claim(out, {})
    skipped = sweep(Toy(log, kills=(("2", 99),)), examples, PLAN, out, TWO)
    assert skipped == [Skipped("2", "2 workers were killed while they answered it")]
    assert pairs(out) == complete([each for each in examples if each.id != "2"])
    assert len(list(log.glob("2.*"))) == 2


@pytest.mark.parametrize("ask", [pool.in_process, TWO], ids=["alone", "two"])
def test_what_cannot_be_asked_is_skipped_and_told(tmp_path, log, ask):
    examples, out = toys(4), tmp_path / "out"
    store.claim(out, {})
    assert sweep(Toy(log, refuses="1"), examples, PLAN, out, ask) == [Skipped("1", "it cannot be read")]
    assert pairs(out) == complete([examples[0], *examples[2:]])
    with pytest.raises(
        SweepError, match=r"None of the first 1 questions could be asked; the first: it cannot be read\."
    ):
        sweep(Toy(log, refuses="1"), examples, PLAN, out, ask)


class Broken:
    """Equipment that cannot be loaded."""

    def trial_runner(self):
        raise SweepError("There is no such model.")


def test_what_a_worker_raises_is_raised_here(tmp_path):
    with pytest.raises(SweepError, match="no such model"):
        list(TWO(Broken(), [(each, (ALL,)) for each in toys(5)]))


def test_an_interrupted_sweep_goes_on_where_it_was(tmp_path, log):
    """SIGINT in the middle, as Ctrl-C sends it: what was answered stays, no worker is left, the rest follows."""
    out = tmp_path / "out"
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"  # also where ours is ignored (nohup)
        "from pathlib import Path; from tests.support.sweeping import Toy, toys;"
        "from crop_core.evaluate.runner import pool, run, store;"
        "from crop_core.evaluate.runner.plan import trials;"
        f"store.claim(Path({str(out)!r}), {{}});"
        f"run.sweep(Toy(Path({str(log)!r}), pause=0.1), toys(60), trials(['crop', 'fastv'], ['64']),"
        f" Path({str(out)!r}), pool.pool_of(2))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while len(list(log.iterdir())) < 8 and process.poll() is None:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=30)[1]
    assert process.returncode not in (0, None)
    assert said.count("Traceback") == 1 and "KeyboardInterrupt" in said, said
    before = pairs(out)
    assert 0 < len(before) < 60 * len(PLAN)
    asked = len(list(log.iterdir()))
    assert asked * len(PLAN) - len(before) <= 2 * len(PLAN), "only what the two workers were at is lost"
    assert sweep(Toy(log), toys(60), PLAN, out, pool.in_process) == []
    assert pairs(out) == complete(toys(60))
    assert len(list(log.iterdir())) == asked + 60 - len(before) // len(PLAN)
