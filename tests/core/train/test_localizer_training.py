"""Fine-tuning on tiny random models: the answer's forward pass, LoRA, a loop that goes on, and the saved localizer."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from tokenizers import pre_tokenizers
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from crop_core.localize import GridVlmLocalizer, localizer_for
from crop_core.localize.decoding.answer_formats import BRACKETS
from crop_core.models import load
from crop_core.records.region import Region
from crop_core.train.localizer import evaluate, finetune
from crop_core.train.localizer.data import Example
from crop_core.train.localizer.lora import Lora
from crop_core.train.localizer.settings import Settings, TuneError
from crop_core.train.localizer.trainer import Trainer, logits, spell
from tests.support import checkpoints
from tests.support.families import FAMILIES, VARIANTS, build

pytestmark = pytest.mark.training

IMAGE = Image.effect_noise((200, 120), 90).convert("RGB")
ANSWER = [27, 34, 41, 48, 55, 32]
QUARTERS = [(0, 0, 3, 3), (4, 0, 7, 3), (0, 4, 3, 7), (4, 4, 7, 7)]
QUICK = Settings(steps=50, batch=8, rate=1e-2, dropout=0.0, held_out=0.25, seed=1)


def red_square(folder, number):
    """A gray image with one quarter in red, and where that is."""
    grid = QUARTERS[number * 7 % 4]
    image = Image.new("RGB", (64, 64), "gray")
    ImageDraw.Draw(image).rectangle((grid[0] * 8, grid[1] * 8, grid[2] * 8 + 7, grid[3] * 8 + 7), fill="red")
    image.save(folder / f"{number}.png")
    return Example(folder / f"{number}.png", "where is red?", grid)


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    return [red_square(folder, number) for number in range(48)]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return checkpoints.save(tmp_path_factory.mktemp("base"), "squash", side=56, layers=2)


@pytest.fixture(scope="module")
def trained(base, examples, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "localizer"
    return finetune.train(load(base), examples, QUICK, out), out


def stepwise(adapter, inputs, answer):
    """The same logits by prefill and one cached step after another, as generation goes."""
    first = {} if inputs.positions is None else {"position_ids": inputs.positions}
    first |= {"mm_encoder_outputs": {"image": adapter.encode(inputs)}, **inputs.tokens}
    with torch.no_grad():
        out = adapter.model(input_ids=inputs.input_ids, use_cache=True, **first)
        rows = [out.logits[0, -1]]
        for step, token in enumerate(answer[:-1]):
            place = {} if inputs.positions is None else {"position_ids": inputs.positions[..., -1:] + 1 + step}
            cache = {"past_key_values": out.past_key_values, "use_cache": True}
            out = adapter.model(input_ids=torch.tensor([[token]]), **cache, **place)
            rows.append(out.logits[0, -1])
    return torch.stack(rows)


@pytest.mark.parametrize("family", [*FAMILIES, *VARIANTS])
def test_teacher_forcing_is_what_generation_would_think(family, tmp_path):
    build(family, tmp_path)
    adapter = load(tmp_path)
    inputs = adapter.prepare(IMAGE, "where is the red cat?")
    with torch.no_grad():
        forced = logits(adapter, inputs, ANSWER)
    assert forced.shape == (len(ANSWER), adapter.model.config.get_text_config().vocab_size)
    reference = stepwise(adapter, inputs, ANSWER)
    assert float((forced - reference).abs().max()) <= 1e-5 * float(reference.abs().max())
    assert float((forced - forced.roll(1, 0)).abs().max()) > 0.1


@pytest.mark.parametrize("family", [*FAMILIES, *VARIANTS])
def test_a_localizer_reads_what_training_teaches(family, tmp_path):
    """Its probabilities are those of the numbers where training puts them, along the most likely ones; PyTorch counts
    the same work.
    """
    build(family, tmp_path)
    adapter = load(tmp_path)
    adapter.processor.video_token_id = 90  # some take the tiny tokenizer's unknown token for a video's
    finder = GridVlmLocalizer(adapter, BRACKETS)
    thought = finder.probabilities(IMAGE, "where is the dog?")
    numbers = [int(row.argmax()) for row in thought]
    inputs = adapter.prepare(IMAGE, BRACKETS.ask("where is the dog?"))
    with torch.no_grad():
        forced = logits(adapter, inputs, spell(adapter.tokenizer, numbers)).double()
    digits = adapter.tokenizer.convert_tokens_to_ids([str(number) for number in range(8)])
    for index, row in enumerate(forced[1::2, digits].softmax(-1).numpy()):  # of [ x , y , x , y ]
        if index >= 2:
            row[: numbers[index - 2]] = 0
        assert thought[index] == pytest.approx(row / row.sum(), abs=1e-5)
    adapter.vision_flops(inputs)  # which counts by encoding, the first time
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        finding = finder.localize(IMAGE, "where is the dog?")
    assert finding.flops == counter.get_total_flops()


def test_a_tokenizer_that_merges_numbers_is_refused(base, examples, tmp_path):
    merging = load(base)
    merging.tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    with pytest.raises(TuneError, match=r"cannot be fed answers such as \[0, 1, 2, 3\]; choose"):
        finetune.train(merging, examples, QUICK, tmp_path / "out")


def test_training_makes_a_localizer(base, examples, trained):
    result, out = trained
    fresh = GridVlmLocalizer(load(base), BRACKETS)
    before = evaluate.LocalizerFigures.of(evaluate.localize_all(fresh, examples[:16], fresh.adapter.device))
    assert before.iou < 0.3
    assert result.losses[-1] < 0.3 * result.losses[0]
    assert result.figures["all"].iou > 0.8
    again = load(out)
    after = evaluate.LocalizerFigures.of(evaluate.localize_all(localizer_for(again), examples[:16], again.device))
    assert after.iou > 0.8
    assert after.coverage >= 0.8


def test_the_folder_says_how_it_answers_and_what_was_done(trained):
    result, out = trained
    config = json.loads((out / "config.json").read_text())
    assert config["crop_region"] == {"format": "brackets", **result.calibration.to_json()}
    record = json.loads((out / "training.json").read_text())
    assert record["losses"] == result.losses
    assert record["settings"]["rate"] == QUICK.rate
    assert record["questions"] == {"trained on": 36, "held out": 12}
    assert record["held_out"]["all"]["questions"] == 6
    assert sorted(path.name for path in out.parent.iterdir()) == ["localizer"]


def test_only_the_decoder_layers_have_changed(base, trained):
    before, after = load(base).model.state_dict(), load(trained[1]).model.state_dict()
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if "language_model.layers" in name and "proj" in name}


@pytest.fixture
def started(base, examples, tmp_path):
    """A trainer of few steps with dropout, in a folder of its own; called again, it goes on."""

    def start(questions=48, **how):
        adapter = load(base)
        torch.manual_seed(0)
        settings = Settings(**{"steps": 6, "batch": 3, "rate": 1e-2, "dropout": 0.2, "save_every": 2, **how})
        lora = Lora(adapter, settings.rank, settings.alpha, settings.dropout)
        if settings.checkpointing:
            lora.checkpoint()
        return Trainer(adapter, lora, examples[:questions], settings, tmp_path / "state.pt")

    return start


def killed(trainer, steps):
    """Stop like a killed process after so many steps."""
    update = trainer._update

    def dying():
        if trainer.step == steps:
            raise KeyboardInterrupt
        update()

    trainer._update = dying
    with pytest.raises(KeyboardInterrupt):
        trainer.run()


def test_a_run_that_goes_on_is_one_that_was_never_stopped(started):
    whole = started()
    whole.run()
    whole.file.unlink()
    killed(started(), 5)
    second = started()
    assert second.step == 4
    second.run()
    assert second.losses == whole.losses
    for name, parameter in whole.lora.parameters.items():
        assert torch.equal(parameter, second.lora.parameters[name])
    assert started().step == 6


def test_other_settings_cannot_go_on(started):
    killed(started(), 3)
    started(save_every=1, checkpointing=True)
    with pytest.raises(TuneError, match=r"was begun with rate 0\.01, not 0\.5"):
        started(rate=0.5)
    with pytest.raises(TuneError, match="was begun with steps 6, not 7"):
        started(steps=7)
    with pytest.raises(TuneError, match=r"was begun with data \w+, not"):
        started(questions=40)
    started().file.write_text("{}")
    with pytest.raises(TuneError, match=r"state\.pt' holds no state"):
        started()


def test_checkpointing_changes_memory_alone(started):
    plain, saving, passes = started(), started(checkpointing=True), {}
    for trainer in (plain, saving):
        passes[trainer.settings.checkpointing] = counted = []
        first = trainer.adapter.stack.layers[0].self_attn.q_proj
        first.register_forward_pre_hook(lambda *_, counted=counted: counted.append(1))
        trainer.lora.train()
        trainer._update()
        trainer._update()
    assert saving.losses == pytest.approx(plain.losses, rel=1e-5)
    assert len(passes[True]) == 2 * len(passes[False])


def test_a_model_in_bfloat16_learns_in_float32_matrices(base, examples, tmp_path):
    settings = Settings(steps=20, batch=4, rate=1e-2, dropout=0.0, held_out=0.1)
    adapter = load(base, dtype="bfloat16")
    assert {each.dtype for each in Lora(load(base, dtype="bfloat16"), 4, 8, 0.0).parameters.values()} == {torch.float32}
    result = finetune.train(adapter, examples, settings, tmp_path / "out")
    assert result.losses[-1] < 0.5 * result.losses[0]
    saved = load(tmp_path / "out", dtype="bfloat16").model
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "bfloat16"
    assert {each.dtype for each in saved.parameters()} == {torch.bfloat16}


def test_a_loss_that_is_not_finite_stops_with_a_sentence(started):
    trainer = started()
    killed(trainer, 2)
    trainer = started()
    trainer.adapter.model.lm_head.weight.data.fill_(torch.nan)
    with pytest.raises(TuneError, match=r"loss of step 3 is nan.* lower --rate"):
        trainer.run()
    assert started().step == 2


def test_too_little_memory_is_one_sentence(started, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError

    trainer = started()
    monkeypatch.setattr(trainer.adapter.model, "forward", full)
    with pytest.raises(TuneError, match=r"does not fit into the memory of cpu .*--checkpointing"):
        trainer.run()


def test_looks_at_held_out_questions_change_nothing(started, capsys):
    plain, watched = started(), started(eval_every=2)
    plain.run()
    plain.file.unlink()
    watched.run(lambda: f"seen in training mode: {watched.adapter.stack.layers[0].training}")
    assert watched.losses == plain.losses
    assert capsys.readouterr().err.count("seen in training mode: False") == 3


def test_a_broken_image_is_skipped(started, examples, tmp_path):
    (tmp_path / "broken.png").write_bytes(Path(examples[0].image).read_bytes()[:60])
    trainer = started(steps=1)
    trainer.examples = [examples[0], Example(tmp_path / "broken.png", "where is red?", (0, 0, 3, 3)), examples[1]]
    trainer.run()
    assert trainer.skipped.count == 1
    assert "broken.png" in str(trainer.skipped)


@pytest.mark.parametrize("family", ["qwen2_5_vl", "gemma3"])
def test_other_families_learn_and_merge_exactly(family, tmp_path, examples):
    build(family, tmp_path)
    adapter = load(tmp_path)
    adapter.processor.video_token_id = 90  # it takes the tiny tokenizer's unknown token for a video's
    torch.manual_seed(0)
    lora = Lora(adapter, 8, 16, 0.0)
    inputs = adapter.prepare(IMAGE, "where is the red cat?")
    fresh = logits(adapter, inputs, ANSWER).detach()
    settings = Settings(steps=6, batch=2, rate=1e-2, dropout=0.0, warmup=0.0)
    trainer = Trainer(adapter, lora, examples[:2], settings, tmp_path / "state.pt")
    trainer.run()
    assert trainer.losses[-1] < 0.9 * trainer.losses[0]
    adapted = logits(adapter, inputs, ANSWER).detach()
    assert lora.merge() is adapter.model
    assert not [name for name, _ in adapter.model.named_parameters() if "lora" in name]
    merged = logits(adapter, inputs, ANSWER).detach()
    assert float((merged - adapted).abs().max()) <= 1e-5 * float(adapted.abs().max())
    assert float((adapted - fresh).abs().max()) > 0.1


def test_a_failed_end_leaves_no_half_a_folder(base, examples, tmp_path, monkeypatch):
    settings = Settings(steps=2, batch=2, rate=1e-3, held_out=0.1)
    out = tmp_path / "out"

    def fails(adapter, folder):
        folder.mkdir()
        raise OSError("No space left on device")

    monkeypatch.setattr("crop_core.models.base_adapter.BaseAdapter.save", fails)
    with pytest.raises(OSError, match="space"):
        finetune.train(load(base), examples, settings, out)
    assert not out.exists()
    monkeypatch.undo()
    trained = finetune.train(load(base), examples, settings, out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    assert len(trained.losses) == 2
    with pytest.raises(TuneError, match="exists already"):
        finetune.train(load(base), examples, settings, out)


def test_figures_by_kind():
    def measured(grid, needed, kind, seconds):
        return evaluate.EvaluatedExample(Example(Path("x"), "?", needed, kind), Region(*grid, 80, 80), seconds)

    seen = [measured((0, 0, 3, 3), (0, 0, 1, 3), "a", 0.5), measured((0, 0, 0, 0), (0, 0, 7, 7), "", 0.1)]
    figures = evaluate.by_kind(seen)
    assert figures["a"] == evaluate.LocalizerFigures(1, 0.5, 1.0, 0.25, 0.5)
    assert figures["other"] == evaluate.LocalizerFigures(1, 1 / 64, 0.0, 1 / 64, 0.1)
    assert figures["all"].iou == pytest.approx(np.mean([0.5, 1 / 64]))
    assert list(figures) == ["all", "a", "other"]
    assert list(evaluate.by_kind(seen[1:])) == ["all"]
    assert evaluate.table(figures).splitlines()[2].split() == ["a", "1", "0.500", "100.0%", "25.0%", "500", "ms"]
