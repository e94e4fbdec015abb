"""A sweep on a small Ray cluster of this machine: the records of a local one, whoever dies."""

import os
import socket
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from crop_core.evaluate.runner import pool, store
from crop_core.evaluate.runner import ray_pool as module
from crop_core.evaluate.runner.plan import ALL, trials
from crop_core.evaluate.runner.ray_pool import ray_pool
from crop_core.evaluate.runner.run import sweep
from crop_core.evaluate.runner.work import Skipped, SweepError
from crop_core.evaluate.runner.worker_config import WorkerConfig
from tests.support import ROOT
from tests.support.sweeping import Exact, Toy, examples, toys

pytestmark = pytest.mark.ray
PLAN = trials(["crop"], ["64"])
TIMES = ("localizer_s", "encode_s", "compression_s", "scoring_s", "ttft_s", "total_s")


def refusal(address, works=1):
    """What the pool says instead of asking."""
    with pytest.raises(SweepError) as error:
        list(ray_pool(address)(Toy(Path()), [(each, (ALL,)) for each in toys(works)]))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_without_ray_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SweepError, match=r'pip install "ray>=2\.40"'):
        ray_pool()


@pytest.mark.parametrize(
    "address", ["127.0.0.1:1", "cluster", "localhost:http", "localhost:99999", "nowhere.invalid:1"]
)
def test_where_nothing_listens_there_is_no_cluster(address):
    said = refusal(address)
    assert said.startswith(f"No Ray cluster at '{address}': ") and "`ray start` printed" in said


def test_what_listens_and_is_no_cluster_is_not_waited_for(monkeypatch):
    """Ray itself would try for many minutes."""
    monkeypatch.setattr(module, "JOIN_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert "does not answer as Ray within 1 s" in refusal(f"127.0.0.1:{server.getsockname()[1]}")


@pytest.fixture(scope="module")
def cluster():
    """Two cores and two GPUs that are but numbers: two workers with either. The cluster's address."""
    import ray

    size = {"num_cpus": 2, "num_gpus": 2, "object_store_memory": 80 * 2**20}
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", str(ROOT))
        ray.init("local", **size, **quiet)
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()


@pytest.fixture
def log(tmp_path):
    folder = tmp_path / "log"
    folder.mkdir()
    return folder


def swept(equipment, asked, out, ask):
    """What was skipped, and the records but for their times."""
    store.claim(out, {})
    skipped = sweep(equipment, asked, PLAN, out, ask)
    return skipped, store.read(out).drop(columns=list(TIMES))


def test_the_bundled_models_say_on_ray_what_they_say_here(cluster, tmp_path):
    from pandas.testing import assert_frame_equal

    asked = examples(tmp_path)[:3]
    equipment = WorkerConfig("noise", Exact(), 6, "crop-tiny", "crop-tiny-locator", "cpu", threads=1)
    skipped, here = swept(equipment, asked, tmp_path / "here", pool.in_process)
    skipped_there, there = swept(equipment, asked, tmp_path / "there", ray_pool(gpus=False))
    assert skipped == skipped_there == []
    assert len(here) == len(asked) * len(PLAN) and here["reply"].nunique() > 1
    assert_frame_equal(here, there, rtol=1e-4)
    files = [{file.name for file in (tmp_path / name).iterdir()} for name in ("here", "there")]
    assert files[0] == files[1]


@dataclass(frozen=True)
class OnGpu(Toy):
    """A toy whose replies are the GPUs that its process sees."""

    def trial_runner(self):
        examine = super().trial_runner()
        return lambda *work: [replace(each, reply=os.environ["CUDA_VISIBLE_DEVICES"]) for each in examine(*work)]


def test_killed_workers_lose_and_double_nothing_and_a_deadly_example_is_skipped(cluster, tmp_path, log):
    """Processes end by SIGKILL: two over one example in the middle, one at the last, when other workers have gone."""
    asked = toys(9)
    skipped, frame = swept(OnGpu(log, kills=(("4", 99), ("8", 1)), pause=0.2), asked, tmp_path / "out", ray_pool())
    assert skipped == [Skipped("4", "2 workers were killed while they answered it")]
    left = [each.id for each in asked if each.id != "4"]
    found = list(zip(frame["example"], frame["trial"], strict=True))
    assert sorted(found) == sorted((each, trial.name) for each in left for trial in PLAN)
    assert {each.id: len(list(log.glob(f"{each.id}.*"))) for each in asked} == {
        each.id: 2 if each.id in "48" else 1 for each in asked
    }
    assert set(frame["reply"]) == {"0", "1"}, "a GPU each"


class Broken:
    """Equipment that cannot be loaded."""

    def trial_runner(self):
        raise SweepError("There is no such model.")


def test_what_a_worker_raises_is_raised_here(cluster):
    with pytest.raises(SweepError, match=r"^There is no such model\.$"):
        list(ray_pool()(Broken(), [(each, (ALL,)) for each in toys(3)]))


def test_a_cluster_in_which_no_worker_starts_is_given_up(cluster, monkeypatch):
    class Stillborn(module._Worker):
        def start(self):
            os._exit(1)

    monkeypatch.setattr(module, "_Worker", Stillborn)
    assert refusal(None).startswith("Workers cannot be started in the Ray cluster, 3 failed: ")
    monkeypatch.setattr(module, "START_S", 0.001)
    assert refusal(None).startswith("No worker was started in 0.001 s; ")


def test_a_process_joins_a_cluster_and_its_workers_share_its_folder(cluster, tmp_path, log):
    """The log is named relative to the folder of the process that asks, which is not the cluster's."""
    code = (
        "from pathlib import Path; from tests.support.sweeping import Toy, toys;"
        "from crop_core.evaluate.runner.ray_pool import ray_pool;"
        "from crop_core.evaluate.runner.plan import ALL; works = [(each, (ALL,)) for each in toys(3)];"
        f"print(sorted(each[0].example for each in ray_pool({cluster!r})(Toy(Path('log')), works)))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout == "['0', '1', '2']\n" and run.stderr == ""
    assert len(list(log.iterdir())) == 3
