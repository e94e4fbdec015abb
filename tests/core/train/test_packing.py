"""What a training step reads: packed questions keep apart, look where they should, see what is selected and left."""

import random
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch

from crop_core.models.decoder import DecoderStack
from crop_core.prune import LayerPruning, VisualTokens
from crop_core.prune.ilp import IlpPruner
from crop_core.records.region import Region
from crop_core.train.bundled import packing
from crop_core.train.bundled import train as training
from crop_core.train.bundled.batches import TrainingBatches, stack
from crop_core.train.bundled.checkpoint import ANSWERER, LOCATOR, RECIPES, build_model, build_processor, build_tokenizer
from crop_core.train.bundled.dense import CATEGORY, MIDDLE, TEXT, cells, middles_of, patches_of
from crop_core.train.bundled.language import Language
from crop_core.train.bundled.packed_attention import ATTENTION, register, salience_loss
from crop_core.train.bundled.packing import IGNORED, Look, Packer
from crop_core.train.bundled.token_selection import Selection, left_by_pruning, patches_to_keep, salience
from crop_core.train.world import splits
from crop_core.train.world.questions import all_questions
from crop_core.train.world.scenes import make_scene
from tests.support.packs import packed, rows_of, shrink

BOTH = pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


@pytest.fixture
def small(monkeypatch):
    shrink(monkeypatch)


def test_kept_patches_are_those_of_things_first():
    _, labels = stack(TrainingBatches(ANSWERER, batch=3, fresh=1, memory=8)(0)[0])
    things = labels[..., CATEGORY] > 0
    middles = labels[..., MIDDLE] == 1
    covered = things.sum(1)
    for kept in (int(covered.max()) + 20, int(covered.min()) - 5):
        keep = patches_to_keep(labels, kept)
        seen_patches = torch.zeros(labels.shape[:2], dtype=torch.bool).scatter(1, keep, True)
        assert keep.shape == (3, kept) and (keep.diff(dim=1) > 0).all()
        assert torch.equal((seen_patches & things).sum(1), covered.clamp(max=kept))  # things may cover more than that
        assert seen_patches[things & middles].all()
    assert patches_to_keep(labels, 576) is None


def test_words_and_middles_are_worth_most_and_background_nothing():
    _, labels = stack(TrainingBatches(ANSWERER, batch=4, fresh=1, memory=8)(0)[0])
    worth, things = salience(labels), labels[..., CATEGORY] > 0
    assert worth[~things].eq(0).all() and worth[things].gt(0).all()
    essential = (labels[..., MIDDLE] == 1) | (labels[..., TEXT] > 0)
    assert worth[essential].min() > worth[things & ~essential].max()


def test_what_pruning_leaves_is_of_the_region_first_then_by_attention():
    needed = torch.zeros(1, 3, 30, dtype=torch.bool)
    needed[0, 0, :10] = needed[0, 1, 20:] = needed[0, 2] = True
    attention = torch.zeros(1, 30)
    attention[0, 5:15] = torch.arange(1, 11) / 500
    few, many = (left_by_pruning(needed, attention, left)[0] for left in (4, 15))
    assert few[0].nonzero()[:, 0].tolist() == [6, 7, 8, 9]
    assert few[1, 20:].sum() == few[1].sum() == 4
    assert few[2].nonzero()[:, 0].tolist() == [11, 12, 13, 14]
    assert many[0].nonzero()[:, 0].tolist() == list(range(15))
    assert many[1].nonzero()[:, 0].tolist() == [*range(10, 15), *range(20, 30)]
    assert left_by_pruning(needed, attention, 40).all()


def test_salience_is_lost_by_attention_elsewhere():
    worth = torch.tensor([[0.5, 0.5, 0, 0], [0, 0, 0, 1.0]])
    queries, asking = torch.ones(2, 1, 3, 1), torch.tensor([[0, 1], [1, 2]])
    keys = (worth + 1e-6).log()[:, None, :, None]
    assert salience_loss(asking, worth, queries, keys).item() == pytest.approx(0, abs=1e-4)
    assert salience_loss(asking, worth, queries, -keys) > 5
    assert salience_loss(asking[:1], worth, queries, torch.zeros_like(keys)).item() == pytest.approx(np.log(2))


def test_pooled_tokens_are_means_of_patches_at_their_mean_place():
    selection = Selection.pooled([(336, 168), (336, 336)], ANSWERER, 64, random.Random(0))
    assert selection.count == 64 and torch.allclose(selection.weights.sum(2), torch.ones(2, 64))
    assert torch.allclose(selection.weights.gt(0).sum(1).float(), torch.ones(2, 576))  # every patch in one token
    tokens = torch.randn(2, 576, 8)
    for scene, token in ((0, 3), (1, 40)):
        members = selection.weights[scene, token].nonzero()[:, 0]
        assert torch.allclose(selection(tokens)[scene, token], tokens[scene, members].mean(0), atol=1e-5)
        assert selection.places[scene, token] == pytest.approx(members.float().mean().item())


def test_looks_at_pooled_tokens_are_at_those_mostly_made_of_the_patches():
    patches = torch.zeros(2, 4, dtype=torch.bool)
    patches[0, :2] = patches[1, 3] = True
    look = Look(torch.tensor([[0, 5], [0, 6]]), patches)
    halves = Selection(torch.tensor([[[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]]))
    part = look.among(halves)
    assert part.rows.tolist() == [[0, 5]] and part.patches.tolist() == [[True, False]]


def test_a_cut_out_scene_without_questions_makes_an_empty_row(tokenizer):
    scene = make_scene(splits.TRAINING.start)
    nothing = replace(scene, shown=((0, 0, 1, 1),))
    pack = Packer(ANSWERER, tokenizer, questions=4, chunks=2)([nothing, scene], random.Random(0))
    assert (pack.segment[0] == -1).all() and (pack.label[0] == IGNORED).all()
    assert (pack.segment[1] >= 0).any()


@BOTH
def test_a_packed_question_is_the_prompt_and_what_is_to_be_said(recipe, tokenizer, monkeypatch):
    pack, samples, questions_of = packed(recipe, tokenizer, monkeypatch)
    processor = build_processor(recipe, tokenizer)
    for scene, (sample, questions) in enumerate(zip(samples, questions_of, strict=True)):
        for number, question in enumerate(questions):
            rows = rows_of(pack, scene, number)
            assert pack.position[scene, rows].tolist() == list(range(len(rows)))
            ids, labels, weights = (column[scene, rows] for column in (pack.ids, pack.label, pack.weight))
            answered, content = labels != IGNORED, [{"type": "image"}, {"type": "text", "text": question.text}]
            chat = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
            prompt = tokenizer(chat.replace("<image>", ""))["input_ids"][3:]
            without = [token for token in prompt if token != tokenizer.convert_tokens_to_ids("?")]
            if recipe is LOCATOR:
                wanted = [str(cell) for cell in cells(question.box(*sample.scene.image.size), sample.scene, recipe, 8)]
                assert ids.tolist() in (prompt, without)
                assert answered.tolist() == [False] * (len(rows) - 4) + [True] * 4
            else:
                wanted = [*question.answer.split(), "</s>"]
                assert ids[: len(rows) - len(wanted) + 1].tolist() in (prompt, without)
                assert (
                    ids[1:][answered[:-1]].tolist() == labels[answered][:-1].tolist()
                )  # each word follows what predicts it
            box, size = question.box(*sample.scene.image.size), sample.scene.image.size
            region = Region.from_box(box, *size)
            assert np.array_equal(pack.needed[scene, number], patches_of((region.box,), sample.scene, recipe))
            asking = set(tokenizer.convert_tokens_to_ids(["?", recipe.says.lower(), ":"]))
            places = {place for at, place in pack.asking.tolist() if at == scene} & set(rows.tolist())
            assert places == {int(row) for row in rows if int(pack.ids[scene, row]) in asking}
            assert len(places) in (2, 3)
            assert labels[answered].tolist() == tokenizer.convert_tokens_to_ids(wanted)
            assert weights[~answered].eq(0).all()
            assert weights[labels != tokenizer.eos_token_id].sum() == pytest.approx(1)
    assert (pack.segment >= 0).sum() == sum(
        len(rows_of(pack, scene, number)) for scene, own in enumerate(questions_of) for number in range(len(own))
    )


@contextmanager
def after_the_first(layers, **changed):
    """Inside it, all decoder layers but the first are called with other arguments."""
    hooks = [
        layer.register_forward_pre_hook(lambda _, args, kwargs: (args, {**kwargs, **changed}), with_kwargs=True)
        for layer in layers[1:]
    ]
    yield
    for hook in hooks:
        hook.remove()


@BOTH
@pytest.mark.parametrize(("kept", "left"), [(None, None), (50, None), (50, 7)])
def test_packed_questions_read_as_if_each_were_alone(recipe, kept, left, tokenizer, monkeypatch, small):
    recipe = RECIPES[recipe.name]
    pack, samples, questions_of = packed(recipe, tokenizer, monkeypatch)
    model = build_model(recipe, tokenizer).eval()
    language = Language(model, recipe, tokenizer, training.LANGUAGE[recipe.name])
    _, labels = stack(samples)
    selection = Selection.of_objects(labels, kept) if kept else None
    visual = torch.randn(2, recipe.grid**2, 32, generator=torch.Generator().manual_seed(0))
    places = torch.arange(recipe.grid**2).expand(2, -1) if selection is None else selection.places
    seen = visual if selection is None else visual.gather(1, places.long()[..., None].expand(-1, -1, 32))
    plain, embed = model.model.language_model, model.model.language_model.embed_tokens
    register()
    with torch.no_grad():
        monkeypatch.setattr(plain.config, "_attn_implementation", ATTENTION)
        hidden, context = language._read(visual, selection, pack, left=left)
        monkeypatch.setattr(plain.config, "_attn_implementation", "sdpa")
        for scene in range(2):
            for number in range(len(questions_of[scene])):
                rows = rows_of(pack, scene, number)
                head, ids = torch.tensor(language.packer.prefix), pack.ids[scene, rows]
                inputs = torch.cat([embed(head), seen[scene], embed(ids)])[None]
                after = 3 + recipe.grid**2 + torch.arange(len(rows))
                position = torch.cat([torch.arange(3), 3 + places[scene], after])[None]
                causal = torch.full((1, 1, *[inputs.shape[1]] * 2), -torch.inf).triu(1)  # not guessed from positions
                pruned, before = causal.clone(), 3 + len(seen[0])
                if left:
                    pruned[..., :before, :before] += context.pruning.image[scene]
                    pruned[..., before:, :before] += context.pruning.text[scene, :, rows]
                with after_the_first(plain.layers, attention_mask=pruned):
                    alone = plain(inputs_embeds=inputs, attention_mask=causal, position_ids=position).last_hidden_state
                assert torch.allclose(hidden[scene, rows], alone[0, -len(rows) :], atol=1e-4)


@pytest.mark.parametrize("left", [5, 40])
def test_a_question_about_the_whole_image_is_pruned_as_by_ilp(left, tokenizer, monkeypatch, small):
    recipe, scene = RECIPES["crop-tiny"], make_scene(splits.TRAINING.start, setting="street")
    whole = all_questions(random.Random(0), scene)["whole"]
    monkeypatch.setattr(packing, "sample_questions", lambda rng, scene, n: whole[:1])
    pack = Packer(recipe, tokenizer, questions=1, chunks=1)([scene], random.Random(1))
    model = build_model(recipe, tokenizer).eval()
    plain, visual = model.model.language_model, torch.randn(1, recipe.grid**2, 32)
    rows = rows_of(pack, 0, 0)
    asked_rows = rows[: int(pack.asking[-1, 1]) + 1]
    language = Language(model, recipe, tokenizer, training.LANGUAGE[recipe.name])
    register()
    with torch.no_grad():
        monkeypatch.setattr(plain.config, "_attn_implementation", ATTENTION)
        packed_hidden, context = language._read(visual, None, pack, left=left)
        monkeypatch.setattr(plain.config, "_attn_implementation", "sdpa")
        ids = torch.cat([torch.tensor(language.packer.prefix), pack.ids[0, asked_rows]])
        embedded = plain.embed_tokens(ids)[None]
        inputs = torch.cat([embedded[:, :3], visual, embedded[:, 3:]], 1)
        chosen = torch.zeros(inputs.shape[:2], dtype=torch.bool)
        chosen[:, 3 : 3 + recipe.grid**2] = True
        tokens = VisualTokens.of_one_image(torch.ones(recipe.grid**2, dtype=torch.bool))
        pruner = IlpPruner(((1, left),), [tokens], query_rows=len(pack.asking))
        with LayerPruning(DecoderStack.of(plain), pruner, chosen) as pruning:
            alone = plain(inputs_embeds=inputs, use_cache=True).last_hidden_state
    seen = context.pruning.text[0, 0, 0, 3:] == 0
    assert seen.nonzero()[:, 0].tolist() == pruning.steps[0][0].kept.tolist()
    assert torch.allclose(packed_hidden[0, asked_rows], alone[0, -len(asked_rows) :], atol=1e-4)


@BOTH
def test_looks_are_at_what_a_question_names_and_where_the_answer_is(recipe, tokenizer, monkeypatch):
    pack, samples, questions_of = packed(recipe, tokenizer, monkeypatch, questions=12, batch=6)
    looks = [
        {(int(scene), int(row)): patches.numpy() for (scene, row), patches in zip(look.rows, look.patches, strict=True)}
        for look in (pack.reference, pack.target, pack.winner)
    ]
    apart = picked = several = counted = 0
    for scene, (sample, questions) in enumerate(zip(samples, questions_of, strict=True)):

        def patches(boxes, scene=sample.scene):
            return patches_of(boxes, scene, recipe)

        def seen(look, rows, scene=scene):
            return {row: looks[look][scene, row] for row in rows if (scene, row) in looks[look]}

        for number, question in enumerate(questions):
            rows = rows_of(pack, scene, number).tolist()
            answers = [row for row in rows if pack.weight[scene, row] > 0.2]
            at = seen(0, rows)
            assert bool(at) == patches(question.reference).any(), question
            if len(question.reference) == len(at) == 2:  # each name at its own thing, in the order of the words
                for target, box in zip(at.values(), question.reference, strict=True):
                    assert np.array_equal(target, patches((box,))), question
                apart += 1
            else:
                assert all(np.array_equal(target, patches(question.reference)) for target in at.values()), question
            if question.kind == "two_hop":
                assert len(at) == 1  # the one that it names, not the sign or shape beside that
            if question.kind == "compare":
                assert len(at) == len(question.reference)  # no "bar", before or after a name
            targets = seen(1, answers)
            if recipe is LOCATOR:
                everything = patches(question.reference + question.target)
                assert all(np.array_equal(target, everything) for target in targets.values())
                assert len(targets) == (len(answers) if everything.any() else 0)
            elif question.counted:
                middles = middles_of(question.counted, sample.scene, recipe)
                assert middles.sum() == int(question.answer) and len(targets) == len(answers)
                assert all(np.array_equal(target, middles) for target in targets.values())
                counted += 1
            elif len(question.target) == len(answers):
                for row, box in zip(answers, question.target, strict=True):
                    assert (row in targets) == patches((box,)).any()
                    assert row not in targets or np.array_equal(targets[row], patches((box,)))
                several += len(answers) > 1
            else:
                wanted = patches(question.target or question.winner[:1])
                assert all(np.array_equal(target, wanted) for target in targets.values())
                assert len(targets) == (len(answers) if wanted.any() else 0)
            amounts = {row: target for row, target in seen(1, rows).items() if row not in answers}
            last = seen(2, rows)
            if recipe is ANSWERER and question.kind == "compare":
                for target, box in zip(amounts.values(), question.amounts, strict=bool(amounts)):
                    assert np.array_equal(target, patches((box,)))
                assert set(last) <= set(answers)
                assert all(np.array_equal(target, patches(question.winner[1:])) for target in last.values())
                picked += bool(last)
            else:
                assert not amounts and not last
    assert apart and ((picked and several and counted) or recipe is LOCATOR)


def test_a_look_whose_patches_were_all_dropped_does_not_count(tokenizer, monkeypatch, small):
    recipe = RECIPES["crop-tiny"]
    pack, samples, _ = packed(recipe, tokenizer, monkeypatch)
    model = build_model(recipe, tokenizer)
    monkeypatch.setattr(model.model.language_model.config, "_attn_implementation", ATTENTION)
    register()
    _, labels = stack(samples)
    keep = (labels[..., CATEGORY] == 0).float().topk(30, 1).indices.sort(1).values
    keep[:, -1] = labels[..., CATEGORY].argmax(1)  # nothing but background and one patch of one thing
    selection = Selection(torch.nn.functional.one_hot(keep, 576).float())
    language = Language(model, recipe, tokenizer, training.LANGUAGE["crop-tiny"])
    loss, stats = language(torch.randn(2, 576, 32), labels, selection, pack, look=1.0)
    assert loss.isfinite() and stats["look"] < 100
