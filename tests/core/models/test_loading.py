"""What cannot be loaded is one sentence, and what was loaded stays as it was; what is too large says so beforehand."""

import errno
import gc
import json
import re
import shutil
from types import SimpleNamespace

import pytest
import torch
from huggingface_hub import errors
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, PreTrainedModel

from crop_core.cli.main import main
from crop_core.engine.engine import CropEngine
from crop_core.measure.memory import weights_bytes
from crop_core.models import ModelError, load
from crop_core.models.loading import hub, memory_check, registry
from crop_core.models.loading.checkpoint import revision, validate_checkpoint
from crop_core.records.config import Budget, CropConfig
from crop_core.records.formatting import format_bytes
from crop_core.records.region import Region
from tests.support.checkpoints import sharded

IMAGE = Image.linear_gradient("L").resize((200, 120)).convert("RGB")
QUESTION = "what is left of the dog?"
REPO = "somebody/some-model"
SHARD = "model-00002-of-00003.safetensors"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A checkpoint in three shards."""
    return sharded(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copy")


def remove(*patterns):
    def broken(folder):
        for path in [path for pattern in patterns for path in folder.glob(pattern)]:
            path.unlink()

    return broken


def cut(name):
    def broken(folder):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])

    return broken


def text_only(folder):
    LlamaConfig().save_pretrained(folder)


def pickled(folder):
    remove("*.safetensors*")(folder)
    torch.save({}, folder / "pytorch_model.bin")


def unknown(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "llava_of_tomorrow"}))


BROKEN = {
    "a missing shard": (remove(SHARD), rf"1 of its 3 weight files are missing, such as {SHARD}; download or copy"),
    "a shard cut off": (cut(SHARD), rf"^{SHARD} of .* is cut off or no weight file"),
    "an index cut off": (cut("model.safetensors.index.json"), r"^model\.safetensors\.index\.json of .* is cut off"),
    "a config cut off": (cut("config.json"), r"^config\.json of .* is cut off or no JSON"),
    "no config": (remove("config.json"), r"holds no model \(no config\.json\); supported are"),
    "no weights": (remove("*.safetensors*"), r"has a config\.json but no weights"),
    "pickled weights": (pickled, r"keeps its weights in pytorch_model\.bin, and only safetensors are read; convert it"),
    "no tokenizer": (remove("tokenizer*"), r"has no tokenizer \(no tokenizer\.json"),
    "no processor": (remove("*processor*"), r"no image processor \(no preprocessor_config\.json, nor one in"),
    "a tokenizer cut off": (cut("tokenizer.json"), r"^tokenizer\.json of .* is cut off"),
    "text alone": (text_only, r"is a 'llama' model, which has no part that reads images; supported are .*LLaVA-1\.5"),
    "another family": (unknown, r"is a 'llava_of_tomorrow' model, which is not supported; supported are .*LLaVA-1\.5"),
}


def answered(status):
    """What the hub's client raises its errors with."""
    return SimpleNamespace(headers={}, request=None, status_code=status)


def refused(kind, status, said="Client Error for url https://internal.host/secret"):
    return kind(said, response=answered(status))


HUB = {
    "gated": (refused(errors.GatedRepoError, 403), rf"gated: accept its terms at \S+/{REPO}, then log in"),
    "not there": (refused(errors.RepositoryNotFoundError, 404), rf"has no model '{REPO}', or a private one"),
    "no model in it": (refused(errors.RemoteEntryNotFoundError, 404), r"holds no model \(no config\.json\)"),
    "broken": (refused(errors.HfHubHTTPError, 503), r"The hub does not give .* now \(HTTP 503\); try again later"),
    "offline": (errors.OfflineModeIsEnabled("Cannot reach"), r"the hub cannot be reached; connect, or give a local"),
    "not in the cache": (errors.LocalEntryNotFoundError("no connection"), r"not on this machine and the hub cannot be"),
    "no network": (errors.HTTPError("[Errno -3] Temporary failure"), r"not on this machine and the hub cannot be"),
    "no answer": (TimeoutError("timed out"), r"not on this machine and the hub cannot be reached"),
    "a full disk": (OSError(errno.ENOSPC, "No space left on device"), r"disk is full.*HF_HOME"),
    "something else": (
        RuntimeError("Data processing error: x\nmore"),
        r"broke off \(Data processing error: x\); start",
    ),
}


@pytest.fixture
def no_hub(monkeypatch):
    """A hub that fails with an error, when it is looked up or only when a file is wanted."""

    def make(error, looked_up=False):
        def fail(*given, **how):
            raise error

        monkeypatch.setattr(hub, "hf_hub_download", fail)
        if looked_up:
            monkeypatch.setattr(hub, "HfApi", lambda: SimpleNamespace(model_info=fail))

    return make


def sentence(name, **how):
    with pytest.raises(ModelError) as caught:
        load(name, **how)
    message = str(caught.value)
    assert message.endswith(".") and "\n" not in message
    return message


@pytest.mark.parametrize("case", BROKEN)
def test_a_folder_that_is_not_whole(case, copy):
    breaks, expected = BROKEN[case]
    breaks(copy)
    assert re.search(expected, sentence(copy))


@pytest.mark.parametrize("looked_up", [True, False])
@pytest.mark.parametrize("case", HUB)
def test_a_hub_that_fails(case, looked_up, no_hub):
    error, expected = HUB[case]
    no_hub(error, looked_up)
    message = sentence(REPO)
    assert re.search(expected, message)
    assert "internal" not in message


def test_a_name_that_no_hub_allows():
    assert "cannot be a hub id" in sentence("some body/--")


def test_what_was_loaded_before_answers_as_before(whole, copy, tmp_path, no_hub):
    engine = CropEngine(load(whole))
    config = CropConfig(budget=Budget(share=0.5), max_new_tokens=3, repeats=1)

    def told():
        found = engine.compare(IMAGE, QUESTION, config, Region(2, 2, 5, 5, *IMAGE.size), memory=False)
        return found.baseline.tokens, found.crop.tokens, found.crop.trace.to_json()

    def alive():
        gc.collect()
        return sum(issubclass(type(each), PreTrainedModel) for each in gc.get_objects())

    before, models = told(), alive()
    for number, (breaks, _) in enumerate(BROKEN.values()):
        folder = shutil.copytree(whole, tmp_path / str(number))
        breaks(folder)
        sentence(folder)
        assert told() == before
    for error, _ in HUB.values():
        no_hub(error)
        sentence(REPO)
    sentence(lacking(copy))
    assert told() == before
    assert alive() == models
    assert not any(layer._forward_pre_hooks or layer._forward_hooks for layer in engine.adapter.stack.layers)


def lacking(folder):
    """A folder that fails only once the model is there: its weights lack a tensor."""
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    name = next(name for name in index["weight_map"] if name.endswith("linear_2.bias"))
    file = folder / index["weight_map"].pop(name)
    weights = load_file(file)
    del weights[name]
    save_file(weights, file, metadata={"format": "pt"})
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


class Hub:
    """Stands in for the hub's client: repositories are folders, snapshots lie in a cache."""

    def __init__(self, monkeypatch, source, cache):
        self.source, self.cache, self.asked, self.reached = source, cache / "commit", [], True
        self.cache.mkdir()
        self.fails_at = None
        monkeypatch.setattr(hub, "hf_hub_download", self.download)
        monkeypatch.setattr(hub, "HfApi", lambda: self)

    def model_info(self, repo, timeout, files_metadata):
        if not self.reached:
            raise errors.OfflineModeIsEnabled("offline")
        files = {path.name: path.stat().st_size for path in self.source.iterdir()}
        files |= {"modeling.py": 10**9, "original/model.safetensors": 10**9}
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename=k, size=v) for k, v in files.items()])

    def download(self, repo, name, revision="commit", local_files_only=False):
        assert (revision, local_files_only) == ("commit", not self.reached)
        self.asked.append(name)
        if name == self.fails_at:
            raise KeyboardInterrupt
        if not (self.cache / name).is_file():
            if local_files_only:
                raise errors.LocalEntryNotFoundError("not in the cache")
            shutil.copy(self.source / name, self.cache / name)
        return str(self.cache / name)

    def get_safetensors_metadata(self, repo, revision):
        return SimpleNamespace(files_metadata={"": SimpleNamespace(tensors=validate_checkpoint("", self.source))})


@pytest.fixture
def working(monkeypatch, whole, tmp_path):
    return Hub(monkeypatch, whole, tmp_path)


def test_a_hub_id_is_downloaded_whole_and_without_code(working, whole, caplog):
    adapter = load(REPO)
    missing = [path for path in whole.iterdir() if path.name != "config.json"]
    size = format_bytes(sum(path.stat().st_size for path in missing))
    assert caplog.messages == [f"{REPO} is not on this machine: downloading {size} in {len(missing)} files."]
    assert adapter.name == REPO
    assert {path.name for path in working.cache.iterdir()} == {path.name for path in whole.iterdir()}
    assert weights_bytes(adapter.model) == weights_bytes(load(whole).model)
    working.reached = False
    assert load(REPO).name == REPO, "without a connection from what is there"


def test_an_interrupted_download_keeps_what_came(working, capsys, tmp_path):
    IMAGE.save(tmp_path / "picture.png")
    working.fails_at = SHARD
    assert main(["ask", str(tmp_path / "picture.png"), QUESTION, "--model", REPO, "--localizer", "whole"]) == 130
    out, err = capsys.readouterr()
    assert out == "" and err.endswith("downloaded whole are kept.\n")
    working.reached = False
    assert "weight files are missing" in sentence(REPO)
    working.reached, working.fails_at = True, None
    assert load(REPO).name == REPO


def test_what_cannot_be_used_is_not_downloaded(working, monkeypatch, tmp_path):
    monkeypatch.setattr(memory_check, "free_bytes", lambda place: 1000)
    assert "1000 B are free" in sentence(REPO)
    assert working.asked == ["config.json"]
    working.source = tmp_path / "text"
    text_only(working.source)
    (working.cache / "config.json").unlink()
    assert "no part that reads images" in sentence(REPO)
    assert set(working.asked) == {"config.json"}


@pytest.mark.parametrize(("name", "large", "shown"), [("folder", 1, True), ("folder", 2**30, False), (REPO, 1, True)])
def test_progress_is_shown_where_it_takes_long(name, large, shown, working, whole, monkeypatch, capsys):
    monkeypatch.setattr(registry, "LARGE", large)
    load(whole if name == "folder" else name)
    out, err = capsys.readouterr()
    assert out == ""
    assert ("Loading weights" in err) == shown


def test_bundled_models_load_in_silence(capsys):
    load(registry.DEFAULT_MODEL)
    assert capsys.readouterr() == ("", "")


def test_nobody_who_asks_reads_where_a_model_lies(copy):
    engine = CropEngine.from_pretrained(copy, "self")
    told = engine.compare(IMAGE, QUESTION, CropConfig(budget=Budget(share=0.5), max_new_tokens=2))
    assert told.model == copy.name
    assert str(copy.parent) not in json.dumps(told.to_json())


def test_a_revision_is_the_hubs_commit_or_a_digest_of_the_files(whole, tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        shutil.copytree(whole, folder)
    assert revision(one) == revision(other) and re.fullmatch(r"files [0-9a-f]{12}", revision(one))
    (other / "notes.md").write_text("of no model")
    assert revision(one) == revision(other)
    (other / "config.json").write_text((one / "config.json").read_text() + " ")
    assert revision(one) != revision(other)
    assert revision(tmp_path / "snapshots" / "0a1b2c") == "0a1b2c"
