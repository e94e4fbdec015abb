"""The benchmark at full size, on tiny models of the same classes: its figures fit together, and nothing is lost."""

import json
import re
from statistics import median
from types import SimpleNamespace

import pytest
import torch

from benchmarks import gpu as command
from benchmarks.full_size import batches, model_benchmark, variants
from benchmarks.full_size.batches import STEP, Batches, largest
from benchmarks.full_size.llm import Prefilled
from benchmarks.full_size.models import LOCATOR, MODELS, QUESTION, build, sample_image
from benchmarks.full_size.report import over_flops, overview, ratios, report
from benchmarks.full_size.runs import TIMES, Bench
from crop_core.engine.out_of_memory import is_out_of_memory
from crop_core.engine.run import Task
from crop_core.models import ModelError
from crop_core.records.config import Budget
from crop_core.records.region import Region
from tests.support import ROOT
from tests.support.other_device import OTHER, OtherDevice

NEW_TOKENS = 4  # each answer has many more on a GPU
CPU = torch.device("cpu")
FINDERS = ("free", "grid", "written", "self")
TINY = ["--tiny", "--device", "cpu", "--budget", "30%", "--localizers", *FINDERS, "--max-batch", "3"]
LLAMA = {"7b": (4096, 11008, 32), "13b": (5120, 13824, 40)}  # width, width of the MLP, layers
PUBLISHED = {"qwen2.5-vl-7b": 8_292_166_656, LOCATOR: 2_208_985_600}  # of the checkpoints' safetensors
TOKENS = {"llava-1.5": 576, "llava-next": 576 + 48 * 48 + 48, "qwen2.5-vl": 48 * 48, "qwen2-vl": 24 * 24}


@pytest.fixture(scope="module", autouse=True)
def short_answers():
    with pytest.MonkeyPatch.context() as patch:
        for module in (variants, batches):
            patch.setattr(module, "NEW_TOKENS", NEW_TOKENS)
        yield


def llava_parameters(name):
    """By arithmetic: Llama with 32064 words, CLIP ViT-L/14 of 336 px, a projector of two layers."""
    width, wide, layers = LLAMA[name.rsplit("-", 1)[1]]
    llama = 2 * 32064 * width + layers * (4 * width**2 + 3 * width * wide + 2 * width) + width
    block = 4 * (1024**2 + 1024) + 2 * 1024 * 4096 + 4096 + 1024 + 4 * 1024
    clip = 1024 + 577 * 1024 + 3 * 14 * 14 * 1024 + 24 * block + 4 * 1024
    projector = 1024 * width + width**2 + 2 * width
    return llama + clip + projector + (width if "next" in name else 0)  # the token at the end of a row


@pytest.mark.parametrize("name", MODELS)
def test_full_size_is_the_published_size(name):
    adapter = build(name, torch.device("meta"), torch.bfloat16)
    result = sum(weight.numel() for weight in adapter.model.parameters())
    assert result == (PUBLISHED[name] if name in PUBLISHED else llava_parameters(name))
    assert {weight.dtype for weight in adapter.model.parameters()} == {torch.bfloat16}
    assert {weight.device.type for weight in adapter.model.parameters()} == {"meta"}
    assert adapter.layout(sample_image(name).size).count == TOKENS[name.rsplit("-", 1)[0]]
    assert 40 <= len(adapter.tokenizer(adapter.prompt(QUESTION))["input_ids"]) <= 80
    assert adapter.unknown_words(QUESTION) == []


METHODS = ("fastv", "crop-evict")


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """All models once, then a second call that profiles one of them and finds its batches."""
    path = tmp_path_factory.mktemp("bench") / "gpu.json"
    assert command.main([*TINY, "--methods", *METHODS, "--rounds", "1", "--out", str(path)]) == 0
    before = json.loads(path.read_text())
    again = [
        "--models",
        "llava-next-7b",
        "--methods",
        *METHODS,
        "ilp",
        "crop",
        "--rounds",
        "0",
        "--profile",
        "--questions",
        "--batches",
    ]
    assert command.main([*TINY, *again, "--out", str(path)]) == 0
    return before, json.loads(path.read_text()), path


NAMES = {"none", "fastv", *(f"crop-evict {name}" for name in FINDERS)}


@pytest.mark.parametrize("name", command.ANSWERING)
def test_every_model_has_every_figure(out, name):
    row = out[0]["models"][name]
    assert set(row["runs"]["variants"]) == NAMES
    assert row["runs"]["refused"] == {}
    assert row["runs"]["circumstances"]["command"].startswith("python benchmarks/gpu.py --tiny --device cpu")
    facts = row["facts"]
    base = row["runs"]["variants"]["none"]
    for own in row["runs"]["variants"].values():
        assert own["rounds"] == 1
        assert own["new_tokens"] == NEW_TOKENS
        assert all(own[each]["min"] <= own[each]["median"] <= own[each]["max"] for each in TIMES)
        parts = sum(
            own[each]["median"] for each in ("localizer_s", "encode_s", "compression_s", "scoring_s", "prefill_s")
        )
        assert own["localizer_s"]["median"] < parts <= own["ttft_s"]["max"] * 1.5
        assert own["total_s"]["min"] > own["ttft_s"]["min"] > 0
        assert own["peak_bytes"] > own["kv_bytes"] > 0
        assert own["mean_tokens"] <= (1 if own is base else 0.3) * facts["visual_tokens"]
        assert {each: own[each] for each in ratios(own, base)} == ratios(own, base)
        assert (own["localizer_flops"] > 0) == (own["localizer"] in ("grid", "written", "self"))
        assert (own["localizer_weights_bytes"] > 0) == (own["localizer"] in ("grid", "written"))
    assert base["ttft_ratio"] == base["memory_ratio"] == base["prefill_over_flops"] == 1


@pytest.mark.parametrize("name", command.ANSWERING)
def test_cache_and_work_follow_from_the_tokens_of_every_layer(out, name):
    row = out[0]["models"][name]
    text = build(name, CPU, torch.float32, tiny=True).model.config.text_config
    size = 2 * text.num_key_value_heads * text.hidden_size // text.num_attention_heads * 4  # bytes a token and layer
    for own in row["runs"]["variants"].values():
        alive = [own["input_tokens"]] * row["facts"]["layers"]
        for layer, kept in own["cuts"]:
            alive[layer:] = [kept] * (len(alive) - layer)
        assert sum(alive) / len(alive) == pytest.approx(own["mean_tokens"])
        if own["method"].endswith("evict"):
            alive = [alive[-1]] * len(alive)
        others = row["facts"]["text_tokens"] + own["new_tokens"] - 1
        assert own["kv_bytes"] == size * sum(each + others for each in alive)
        assert own["prefill_flops"] < own["flops"]


def test_a_second_call_keeps_what_it_does_not_measure(out):
    before, after, path = out
    for name, row in before["models"].items():
        assert {key: after["models"][name][key] for key in ("facts", "runs")} == {
            key: row[key] for key in ("facts", "runs")
        }
    assert set(after["models"]["llava-next-7b"]) == {"facts", "runs", "profile", "questions", "batches"}
    text = path.with_suffix(".md").read_text()
    assert text == report(after)
    assert all(f"## {name}\n" in text for name in command.ANSWERING)
    assert all(f"| {name} " in text for name in NAMES)


def waits(profile):
    """How often the host waited for a GPU; on a CPU, how often it would have: reads of a tensor's values."""
    return sum((profile["waits"] or profile["reads"]).values())


def test_no_host_reads_inside_the_pruned_prefill(out):
    row = out[1]["models"]["llava-next-7b"]
    profiles = row["profile"]["variants"]
    assert set(profiles) == {"none", "ilp", "crop"}
    assert waits(profiles["none"]) > 0, "generate itself reads a few values"
    assert all(waits(each) == waits(profiles["none"]) and len(each["ops"]) > 3 for each in profiles.values())


def test_how_long_an_answer_and_a_comparison_keep_a_worker_is_in_the_report(out):
    question_times = out[1]["models"]["llava-next-7b"]["questions"]["asked"]
    report = out[2].with_suffix(".md").read_text()
    assert set(question_times) == {"answer", "compare"}
    for name, own in question_times.items():
        assert 0 < own["min"] <= own["median"] <= own["max"]
        assert re.search(rf"\| {name} +\| {own['median']:.2f} +\| {own['min']:.2f} +\| {own['max']:.2f} ", report)


def test_batches_of_every_method_up_to_what_may_be_tried(out):
    section = out[1]["models"]["llava-next-7b"]["batches"]
    assert set(section["variants"]) == {"none", "fastv", "ilp", "crop", "crop-evict"}
    for own in section["variants"].values():
        assert own["largest_batch"] == section["most"] == 3
        (rate,) = own["rates"]
        assert rate["batch"] == 3 and rate["total_s"] > rate["prefill_s"] > 0 and rate["decode_tokens_per_s"] > 0
    single = out[1]["models"]["llava-next-7b"]["runs"]["variants"]
    assert section["variants"]["crop-evict"]["rates"][0]["kv_bytes"] == 3 * single["crop-evict free"]["kv_bytes"]
    assert (
        section["variants"]["crop-evict"]["rates"][0]["prefill_flops"] == 3 * single["crop-evict free"]["prefill_flops"]
    )
    table = [line for line in out[2].with_suffix(".md").read_text().splitlines() if " 3 or more " in line]
    assert [line.split("|")[1].strip() for line in table] == list(section["variants"])
    assert all(float(line.split("|")[-2]) > 0 for line in table), "prefill/FLOPs"


@pytest.mark.parametrize("name", ["llava-next-7b", "qwen2.5-vl-7b"])
@pytest.mark.parametrize("method", ["none", "ilp", "plc", "crop-evict"])
def test_copies_of_a_prompt_are_answered_as_the_engine_answers_one(name, method):
    adapter, image = build(name, CPU, torch.float32, tiny=True), sample_image(name, tiny=True)
    for weight in adapter.model.parameters():
        if weight.dim() >= 2:
            torch.nn.init.normal_(weight, std=0.25)  # answers that depend on what is read
    count = adapter.layout(image.size).count
    chosen = {each.method: each for each in variants.variants(adapter, count, Budget(share=0.3), [method], ["free"])}
    task, region = Task(adapter, image, QUESTION, chosen[method].config), Region(2, 2, 5, 5, *image.size)
    run = task.crop(region)
    for copies in (1, 2):
        result = Prefilled.of(task, task.encode(), region, copies).generate(NEW_TOKENS)
        assert result.ids == [each for each in run.generated.ids for _ in range(copies)]
        assert result.kv_bytes == copies * run.generated.kv_bytes
    assert (
        not torch.equal(run.generated.logits, task.crop(Region(0, 6, 7, 7, *image.size)).generated.logits)
        or method == "none"
    )


def answers(name, device):
    """Of every method to two copies of a prompt; without inference mode, in which the other device cannot be."""
    adapter, image = build(name, CPU, torch.float32, tiny=True), sample_image(name, tiny=True)
    adapter.model.to(device)
    count, region = adapter.layout(image.size).count, Region(2, 2, 5, 5, *image.size)
    for variant in variants.variants(adapter, count, Budget(share=0.3), list(variants.METHODS), ["free"]):
        task = Task(adapter, image, QUESTION, variant.config)
        work = Prefilled.of.__wrapped__(Prefilled, task, task.encode(), region, 2)
        assert work.packed.input_ids.device == device
        yield Prefilled.generate.__wrapped__(work, 3).ids


@pytest.mark.parametrize("name", ["llava-1.5-7b", "llava-next-7b", "qwen2.5-vl-7b"])
def test_every_tensor_is_where_the_model_is(name, monkeypatch):
    wanted = list(answers(name, CPU))
    with torch.no_grad(), OtherDevice(monkeypatch):
        assert list(answers(name, OTHER)) == wanted


@pytest.mark.parametrize("limit", [0, 1, 2, 3, 7, 31, 100, 255, 256, 300])
def test_the_largest_batch_is_found_within_a_step(limit):
    tried = []

    def fits(copies):
        tried.append(copies)
        return copies <= limit

    result = largest(fits, 256)
    wanted = min(limit, 256)
    assert wanted - max(1, wanted * STEP) < result <= wanted
    assert result == wanted or wanted > 1 / STEP
    assert max(tried) <= 256 and len(tried) == len(set(tried)) <= 14


def test_running_out_of_memory_ends_a_search_and_nothing_else_does(monkeypatch):
    def work(batches, copies):
        if copies > 5:
            raise errors[copies % 2]
        return SimpleNamespace(generate=lambda tokens: None, flops=1)

    adapter, image = build("llava-1.5-7b", CPU, torch.float32, tiny=True), sample_image("llava-1.5-7b", tiny=True)
    batches = Batches(Task(adapter, image, QUESTION, variants.CropConfig("none")), None, None)
    monkeypatch.setattr(Batches, "_work", work)
    errors = [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("CUBLAS_STATUS_ALLOC_FAILED")]
    assert largest(batches.fits, 64) == 5
    errors = [RuntimeError("index out of range")] * 2
    assert not is_out_of_memory(errors[0])
    with pytest.raises(RuntimeError, match="index out of range"):
        largest(batches.fits, 64)


ONE = [*TINY, "--models", "llava-1.5-7b", "--methods"]


def test_a_run_that_is_broken_off_keeps_the_rounds_before(tmp_path, monkeypatch):
    repeat, path = Bench.repeat, tmp_path / "new" / "gpu.json"

    def broken(bench):
        if len(bench.rounds) == 2:
            raise KeyboardInterrupt
        repeat(bench)

    monkeypatch.setattr(Bench, "repeat", broken)
    with pytest.raises(KeyboardInterrupt):
        command.main([*ONE, "fastv", "--rounds", "5", "--out", str(path)])
    result = json.loads(path.read_text())["models"]["llava-1.5-7b"]["runs"]["variants"]
    assert {name: own["rounds"] for name, own in result.items()} == {"none": 2, "fastv": 2}
    assert not list(path.parent.glob("*.part"))


def test_what_cannot_run_is_left_out_and_said(tmp_path, monkeypatch, capsys):
    def broken(adapter, setting):
        raise ModelError("This localizer reads tea leaves.")

    monkeypatch.setitem(variants.LOCALIZERS, "grid", ("reads tea leaves", broken))
    path = tmp_path / "gpu.json"
    assert command.main([*ONE, "crop", "--rounds", "1", "--out", str(path)]) == 1
    runs = json.loads(path.read_text())["models"]["llava-1.5-7b"]["runs"]
    assert runs["refused"] == {"crop grid": "This localizer reads tea leaves."}
    assert set(runs["variants"]) == {"none", "crop free", "crop written", "crop self"}
    assert "This localizer reads tea leaves." in capsys.readouterr().out


def test_a_section_that_fails_does_not_end_the_others(tmp_path, monkeypatch, capsys):
    def broken(work):
        raise RuntimeError("no profiler here")

    monkeypatch.setattr(model_benchmark, "prefill_profile", broken)
    path = tmp_path / "gpu.json"
    assert command.main([*ONE, "ilp", "--rounds", "0", "--profile", "--batches", "--out", str(path)]) == 1
    assert set(json.loads(path.read_text())["models"]["llava-1.5-7b"]) == {"batches"}
    assert "profile ended: RuntimeError: no profiler here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--budget", "much"], "The budget 'much' is neither"), (["--device", "abacus"], "The device 'abacus' cannot")],
)
def test_bad_input_is_one_sentence(arguments, message, tmp_path, capsys):
    assert command.main([*TINY, *arguments, "--out", str(tmp_path / "gpu.json")]) == 2
    assert capsys.readouterr().err.startswith(message)


def test_other_files_are_not_overwritten(tmp_path, capsys):
    path = tmp_path / "mine.json"
    path.write_text('{"mine": 1}')
    assert command.main([*TINY, "--out", str(path)]) == 2
    assert "is no result of this benchmark" in capsys.readouterr().err
    assert path.read_text() == '{"mine": 1}'


def figures(method, **times):
    same = {each: {"median": times.get(each, 0.0)} for each in TIMES}
    sizes = {"peak_bytes": 100, "kv_bytes": 10, "flops": 1000, "localizer_flops": 0, "prefill_flops": 800}
    return {"method": method, **same, **{key: times.get(key, value) for key, value in sizes.items()}}


def test_ratios_by_hand():
    base = figures("none", ttft_s=1.0, total_s=2.0, prefill_s=0.8)
    own = figures(
        "ilp", ttft_s=0.4, total_s=1.0, prefill_s=0.194, scoring_s=0.006,
        peak_bytes=31, prefill_flops=160, localizer_flops=50, flops=250,
    )  # fmt: skip
    result = ratios(own, base)
    assert (result["ttft_ratio"], result["memory_ratio"], result["flops_ratio"]) == (0.4, 0.31, 0.3)
    assert result["prefill_over_flops"] == pytest.approx(0.2425 / 0.2)
    assert result["scoring_share"] == pytest.approx(0.03)
    rates = [{"prefill_s": seconds, "prefill_flops": flops} for seconds, flops in ((0.5, 20), (2.0, 100))]
    assert over_flops(*rates) == 1.25


def test_rounds_are_summed_up_by_their_medians():
    bench = Bench(variants.Variant("none", "-", variants.CropConfig("none")), None, None)
    bench.rounds = [{**dict.fromkeys(TIMES, value), "decode_tokens_per_s": 1 / value} for value in (3.0, 1.0, 8.0)]
    assert bench.figures()["ttft_s"] == {"median": median((3.0, 1.0, 8.0)), "min": 1.0, "max": 8.0}
    assert bench.figures()["decode_tokens_per_s"]["max"] == 1.0


def test_the_document_has_the_figures_that_were_measured():
    root = ROOT
    result = json.loads((root / "benchmarks" / "results" / "gpu.json").read_text())
    assert overview(result) in (root / "docs" / "full-size.md").read_text()
    assert (root / "benchmarks" / "results" / "gpu.md").read_text() == report(result)
