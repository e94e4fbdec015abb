"""Numbers that are none end a run with one sentence, wherever they arise and whoever runs the model."""

import json
import re
from itertools import product

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers.utils import logging

from crop_core.cli.main import main
from crop_core.engine.engine import CropEngine
from crop_core.evaluate.runner import store
from crop_core.evaluate.runner.plan import ALL
from crop_core.evaluate.runner.trial_runner import TrialRunner
from crop_core.evaluate.runner.work import Skipped
from crop_core.localize import GridVlmLocalizer, SelfLocalizer, TextVlmLocalizer
from crop_core.localize.decoding.answer_formats import BRACKETS
from crop_core.models import load
from crop_core.models.finite import NotFiniteError
from crop_core.models.generation import generate
from crop_core.records.config import Budget, CropConfig
from crop_core.records.methods import METHODS
from crop_core.records.region import Region
from crop_core.records.results import RunError, RunSpec
from tests.support import checkpoints
from tests.support.families import FAMILIES, VARIANTS, build, sample_image
from tests.support.faults import TOWERS, change_weight, in_layer
from tests.support.learned import add_plc
from tests.support.sweeping import Exact, examples

NAN, INF = float("nan"), float("inf")
SIZE = (90, 160)
IMAGE, QUESTION = sample_image(SIZE), "what is left of the dog?"
CONFIG = CropConfig(budget=Budget(share=0.75), max_new_tokens=4, repeats=1)
REGION = Region(2, 2, 5, 5, *SIZE)
EVERY = [*FAMILIES, *VARIANTS]
TWO = ["llava", "qwen2_5_vl"]


def embeddings(name):
    return name.endswith("embed_tokens.weight")


def head(name):
    return name.endswith(("lm_head.weight", "embed_tokens.weight"))


def patches(name):
    return "patch" in name and name.endswith("weight")


def last_norm(name):
    return name.endswith("norm.weight") and "layers" not in name


PLACES = {  # of the values: where they are put, and how the sentence names the place
    "layer": ({"chosen": in_layer(2), "value": NAN}, "from decoder layer 2 of 4 on"),
    "one value": ({"chosen": in_layer(1), "value": INF, "everywhere": False}, "from decoder layer 1 of 4 on"),
    "embeddings": ({"chosen": embeddings, "value": NAN}, "in the embeddings"),
    "head": ({"chosen": head, "value": NAN, "everywhere": False}, "behind the last decoder layer"),
    "last norm": ({"chosen": last_norm, "value": NAN}, "behind the last decoder layer"),
    "tower": ({"chosen": patches, "value": NAN, "tower": True}, "in the vision tower or its projector"),
}


def engine_of(folder, **options):
    return CropEngine.from_pretrained(folder, None, warm_up=False, **options)


@pytest.mark.parametrize(
    ("family", "place"),
    sorted({*product(EVERY, ("layer", "tower")), *product(TWO, PLACES)}),
)
def test_damaged_weights_are_named_with_the_place(family, place, tmp_path):
    where, expected = PLACES[place]
    build(family, tmp_path)
    change_weight(tmp_path, **where)
    engine = engine_of(tmp_path)
    with pytest.raises(NotFiniteError) as caught:
        engine.compare(IMAGE, QUESTION, CONFIG, REGION, memory=False)
    message = str(caught.value)
    assert f"computes no numbers in float32 (NaN or infinity {expected}); its weights hold such values" in message
    (named,) = re.findall(r"first in (\S+): download or save it again\.$", message)
    assert not torch.isfinite(engine.adapter.model.get_parameter(named)).all()
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in engine.adapter.stack.layers)


@pytest.mark.parametrize("family", EVERY)
def test_weights_of_zeros_that_choose_no_word_are_told(family, tmp_path):
    build(family, tmp_path)
    own = {name for name in load_file(tmp_path / "model.safetensors") if name.endswith("lm_head.weight")}
    change_weight(tmp_path, (lambda name: name in own) if own else head, 0.0)
    with pytest.raises(NotFiniteError) as caught:
        engine_of(tmp_path).compare(IMAGE, QUESTION, CONFIG, REGION, memory=False)
    pattern = r"finds every word as likely as any other \((\S+) holds only zeros\): .* download or save it again\.$"
    (named,) = re.findall(pattern, str(caught.value))
    assert named.endswith(("lm_head.weight", "embed_tokens.weight"))


def overflowing(folder):
    """Values of layer 1 that float16 cannot hold and the wider types can."""
    file = folder / "model.safetensors"
    tensors = load_file(file)
    large = {
        name: 3000 * tensor
        for name, tensor in tensors.items()
        if "layers.1." in name and "mlp" in name and "down" not in name and not any(part in name for part in TOWERS)
    }
    save_file({**tensors, **large}, file, metadata={"format": "pt"})


@pytest.mark.parametrize("family", EVERY)
def test_too_few_bits_are_told_the_wider_types(family, tmp_path):
    build(family, tmp_path)
    overflowing(tmp_path)
    for dtype in ("float32", "bfloat16"):
        assert engine_of(tmp_path, dtype=dtype).answer(IMAGE, QUESTION, CONFIG, REGION, memory=False).tokens
    expected = (
        r"float16 \(NaN or infinity from decoder layer 1 of 4 on\); load it in float32 or bfloat16 \(--dtype\)\.$"
    )
    with pytest.raises(NotFiniteError, match=expected):
        engine_of(tmp_path, dtype="float16").answer(IMAGE, QUESTION, CONFIG, REGION, memory=False)


@pytest.mark.parametrize("family", TWO)
def test_values_that_arise_in_the_answer_are_found_there(family, tmp_path):
    """The embedding of the first token that is written: the prompt itself is computed well."""
    build(family, tmp_path)
    adapter = load(tmp_path)
    inputs = adapter.prepare(IMAGE, QUESTION)
    encoded = adapter.encode(inputs)
    first = generate(adapter, inputs.kwargs(encoded), 2).ids[0]
    assert first not in inputs.input_ids[0]
    with torch.no_grad():
        adapter.model.get_input_embeddings().weight[first] = NAN
    with pytest.raises(NotFiniteError, match=r"\(NaN or infinity later in the answer\)"):
        generate(adapter, inputs.kwargs(encoded), 4)
    with pytest.raises(NotFiniteError, match=r"\(NaN or infinity later in the answer\)"):
        generate(adapter, inputs.kwargs(encoded), 4, forced=[first, first], keep_logits=False)


@pytest.mark.parametrize("where", ["embeddings", "layer", "head", "tower"])
@pytest.mark.parametrize("family", TWO)
def test_every_method_tells_the_same(family, where, tmp_path):
    build(family, tmp_path)
    add_plc(tmp_path)
    change_weight(tmp_path, **PLACES[where][0])
    engine = engine_of(tmp_path)
    for method, row in METHODS.items():
        config = CropConfig(method=method, budget=Budget(share=0.75), max_new_tokens=2, repeats=1)
        if not row.reads_tower or family == "llava":
            with pytest.raises(NotFiniteError, match=re.escape(PLACES[where][1])):
                engine.answer(IMAGE, QUESTION, config, REGION, memory=False)


LOCALIZERS = {
    "slots": lambda adapter: GridVlmLocalizer(adapter),
    "constrained": lambda adapter: GridVlmLocalizer(adapter, BRACKETS),
    "text": lambda adapter: TextVlmLocalizer(adapter, BRACKETS),
    "self": SelfLocalizer,
}


@pytest.mark.parametrize("kind", LOCALIZERS)
def test_localizers_tell_it_too(kind, tmp_path):
    checkpoints.save(tmp_path, "squash", side=56)
    change_weight(tmp_path, in_layer(0), NAN)
    adapter = load(tmp_path)
    if kind == "slots":
        adapter = load("crop-tiny-locator")
        adapter.model.model.language_model.layers[0].mlp.up_proj.weight.data.fill_(NAN)
    with pytest.raises(NotFiniteError, match="from decoder layer 0 of"):
        LOCALIZERS[kind](adapter).localize(IMAGE, QUESTION)


@pytest.fixture
def damaged(tmp_path):
    """A folder whose model computes NaN."""
    checkpoints.save(tmp_path / "damaged", side=56)
    change_weight(tmp_path / "damaged", in_layer(0), NAN)
    return tmp_path / "damaged"


SENTENCE = "computes no numbers in float32 (NaN or infinity from decoder layer 0 of 4 on)"


@pytest.fixture
def progress_bars():
    """As before, whatever a command hides for its process."""
    yield
    logging.enable_progress_bar()


@pytest.mark.parametrize("command", ["ask", "bench", "localizer"])
def test_the_command_line_says_so_and_exits_with_2(command, damaged, tmp_path, capsys, progress_bars):
    IMAGE.save(tmp_path / "image.png")
    row = {"image": "image.png", "question": QUESTION, "boxes": [[1, 1, 9, 9]]}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    words = {
        "ask": ["ask", str(tmp_path / "image.png"), QUESTION, "--localizer", "whole"],
        "bench": ["bench", "--limit", "1", "--methods", "random", "--budgets", "8", "--out", str(tmp_path / "out")],
        "localizer": ["localizer", "eval", str(damaged), str(tmp_path / "rows.jsonl"), "--self"],
    }[command]
    assert main(words if command == "localizer" else [*words, "--model", str(damaged)]) == 2
    out, err = capsys.readouterr()
    assert SENTENCE in err and "same" not in out


def test_a_benchmark_records_the_reason_and_no_answer(damaged, tmp_path):
    (example, *_) = examples(tmp_path)
    runner = TrialRunner(load(damaged), None, "noise", Exact(), 4)
    outcome = runner(example, [ALL])
    assert isinstance(outcome, Skipped) and SENTENCE in outcome.reason


def test_a_sweep_goes_on_and_records_the_question_that_failed(tmp_path):
    """One word whose embedding is none: only the question that has it is left out."""
    checkpoints.save(tmp_path / "model", side=56)
    file = tmp_path / "model" / "model.safetensors"
    tensors = load_file(file)
    word = len(checkpoints.SPECIAL) + checkpoints.WORDS.index("cat")
    name = next(each for each in tensors if each.endswith("embed_tokens.weight"))
    tensors[name][word] = NAN
    save_file(tensors, file, metadata={"format": "pt"})
    IMAGE.save(tmp_path / "image.png")
    asked = {"sound": QUESTION, "spoilt": "what is the cat?"}
    rows = [{"image": "image.png", "id": id_, "question": each, "answer": "dog"} for id_, each in asked.items()]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = ["bench", "files", "--path", str(tmp_path / "rows.jsonl"), "--model", str(tmp_path / "model")]
    out = tmp_path / "out"
    assert main([*data, "--methods", "random", "--budgets", "8", "--out", str(out)]) == 0
    assert set(store.read(out)["example"]) == {"sound"}
    skipped = json.loads((out / "summary.json").read_text())["skipped"]
    assert list(skipped) == ["spoilt"]
    assert "computes no numbers in float32 (NaN or infinity in the embeddings)" in skipped["spoilt"]


def test_of_many_runs_only_the_one_that_fails_is_an_error(tmp_path, monkeypatch):
    """Where pruning alone leaves numbers that are none, the baseline stands."""
    checkpoints.save(tmp_path, side=56)
    engine = engine_of(tmp_path)
    monkeypatch.setattr("crop_core.compress.random_subset.RandomCompressor.plan", nothing_but_nan)
    baseline, failed = engine.run_many(IMAGE, QUESTION, [RunSpec("random", CropConfig(method="random"))])
    assert baseline.text and isinstance(failed, RunError)
    assert "computes no numbers in float32" in failed.why


def nothing_but_nan(self, image, count):
    """A plan whose pooled tokens have features of their own, which are none."""
    from crop_core.records.compression_plan import CompressionPlan

    plan = CompressionPlan.identity(image.layout.count)
    return CompressionPlan(plan.group, plan.ring, features=(torch.full_like(image.features(), NAN),))
