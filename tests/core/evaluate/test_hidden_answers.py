"""Questions whose answers nobody has: told before anything runs, and replies in each benchmark's own format."""

import json
import math

import pytest
from PIL import Image

from crop_core.evaluate.datasets.protocol import DatasetError, texts
from crop_core.evaluate.datasets.registry import SOURCES, dataset
from crop_core.evaluate.metrics.unscored import UNSCORED
from crop_core.evaluate.runner import store
from crop_core.evaluate.runner.plan import ALL, Trial
from crop_core.evaluate.runner.work import SweepError
from crop_core.evaluate.submission import FOLDER, write_replies
from tests.support.bench_records import record

HIDDEN = {  # name: the answers that a question may have in place of any
    "gqa": (None, "", "missing"),
    "vqav2": ([], [{"answer": ""}] * 10, "missing"),
    "textvqa": ([""] * 10, [], None, "", "missing"),
    "docvqa": ([], None, "", "missing"),
    "pope": (None, "", "missing"),
    "scienceqa": (None, "", "missing"),
    "mme": ("",),
}


def write(file, content):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def image(file):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6)).save(file)


def answered(name, answer):
    return {} if answer == "missing" else {name: answer}


def gqa(folder, answer):
    row = {"imageId": "n1", "question": "Is it?", **answered("answer", answer)}
    write(folder / "testdev_balanced_questions.json", {"07": {**row, "types": {"structural": "verify"}}})
    write(folder / "test_balanced_questions.json", {"07": row})
    image(folder / "images/n1.jpg")


def vqav2(folder, answer):
    questions = {"questions": [{"image_id": 42, "question": "What?", "question_id": 42000}]}
    row = {"question_id": 42000, "answer_type": "other", **answered("answers", answer)}
    write(folder / "v2_OpenEnded_mscoco_val2014_questions.json", questions)
    write(folder / "v2_mscoco_val2014_annotations.json", {"annotations": [row]})
    for split, year in (("test2015", "test2015"), ("test-dev2015", "test2015"), ("val2014", "val2014")):
        write(folder / f"v2_OpenEnded_mscoco_{split}_questions.json", questions)
        image(folder / year / f"COCO_{year}_000000000042.jpg")


def textvqa(folder, answer):
    row = {"question_id": 7, "image_id": "i1", "question": "what?", **answered("answers", answer)}
    for split, images in (("val", "train_images"), ("test", "test_images")):
        write(folder / f"TextVQA_0.5.1_{split}.json", {"data": [row]})
        image(folder / images / "i1.jpg")


def docvqa(folder, answer):
    row = {"questionId": 9, "question": "What?", "image": "documents/d.png", **answered("answers", answer)}
    for split in ("val", "test"):
        write(folder / f"{split}_v1.0.json", {"data": [row]})
    image(folder / "documents/d.png")


def pope(folder, answer):
    row = {"question_id": 1, "image": "x.jpg", "text": "Is there a car?", **answered("label", answer)}
    for kind in ("random", "popular", "adversarial"):
        write(folder / f"coco_pope_{kind}.json", row)
    image(folder / "val2014/x.jpg")


def scienceqa(folder, answer):
    row = {"question": "Which?", "choices": ["l", "r"], "hint": "", "image": "image.png", "subject": "s"}
    write(folder / "problems.json", {"5": {**row, **answered("answer", answer)}})
    write(folder / "pid_splits.json", {"test": ["5"]})
    image(folder / "images/test/5/image.png")


def mme(folder, answer):
    for kind in ("existence", "count"):
        write(folder / kind / "0001.txt", f"Is it? Please answer yes or no.\t{answer}\n")
        image(folder / kind / "0001.jpg")


MAKERS = {"gqa": gqa, "vqav2": vqav2, "textvqa": textvqa, "docvqa": docvqa, "pope": pope, "scienceqa": scienceqa,
          "mme": mme}  # fmt: skip
SPLIT = {"mme": "existence"}


@pytest.mark.parametrize(("name", "answer"), [(name, answer) for name, given in HIDDEN.items() for answer in given])
def test_hidden_answers_are_told_before_anything_runs(tmp_path, name, answer):
    MAKERS[name](tmp_path, answer)
    with pytest.raises(DatasetError) as told:
        dataset(name, tmp_path, split=SPLIT.get(name))
    assert not dataset(name, tmp_path, split=SPLIT.get(name), score=False).examples[0].answers
    split = SPLIT.get(name, SOURCES[name].splits[0])
    assert str(told.value) == (
        f"The questions of the split '{split}' in '{tmp_path}' have no answers to score; use the validation split or "
        "other files with answers, or --no-score to keep the replies."
    )


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("gqa", "test_balanced"),
        ("vqav2", "test2015"),
        ("vqav2", "test-dev2015"),
        ("textvqa", "test"),
        ("docvqa", "test"),
    ],
)
def test_test_splits_are_read_without_annotations(tmp_path, name, split):
    MAKERS[name](tmp_path, "missing")
    found = dataset(name, tmp_path, split=split, score=False)
    assert (found.metric, found.scored, found.examples[0].answers) == (UNSCORED, False, ())
    assert found.examples[0].open().size == (8, 6)
    with pytest.raises(DatasetError, match=f"The questions of the split '{split}' in .* have no answers to score"):
        dataset(name, tmp_path, split=split)


def test_questions_of_which_some_have_answers(tmp_path):
    rows = [
        {"question_id": n, "image_id": "i1", "question": "?", "answers": a} for n, a in enumerate([["x"], [], None])
    ]
    write(tmp_path / "TextVQA_0.5.1_val.json", {"data": rows})
    image(tmp_path / "train_images/i1.jpg")
    found = dataset("textvqa", tmp_path)
    assert [each.id for each in found.examples] == ["0"]
    assert found.skipped == "2 skipped (1: it has no answer that is a text; 2: it has no answer that is a text)"
    assert len(dataset("textvqa", tmp_path, score=False).examples) == 3


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("17", ("17",)), (17, ("17",)), (0, ("0",)), (2.5, ("2.5",)), (["a", "b"], ("a", "b")), (["a", ""], ("a", "")),
        (["a", None], ("a", "")), ([{"answer": "a", "answer_id": 1}], ("a",)), ([1, "a"], ("1", "a")),
        (None, ()), ("", ()), (" ", ()), ([], ()), (["", " "], ()), ([None], ()), ([{"answer": ""}], ()), ({}, ()),
    ],
)  # fmt: skip
def test_answers_of_any_type_are_texts(given, read):
    assert texts(given) == read


@pytest.mark.parametrize("name", ["textvqa", "docvqa"])
def test_one_text_is_one_answer_and_not_its_letters(tmp_path, name):
    MAKERS[name](tmp_path, "17")
    assert dataset(name, tmp_path).examples[0].answers == ("17",)


TRIALS = (ALL, Trial("crop", "25%"))
REPLIES = ("(B) a car", "no\tcar,\n“none”")


def replied(folder, data):
    """Records of both trials of every example."""
    folder.mkdir()
    records = [
        record(
            each.id, trial, reply=reply, score=math.nan, visual_tokens=64, mean_tokens=16.0 if trial.budget else 64.0
        )
        for each in data.examples
        for trial, reply in zip(TRIALS, REPLIES, strict=True)
    ]
    store.claim(folder, {})
    store.write_part(folder, records)


FORMATS = {
    "gqa": {"answers.json": [{"questionId": "07", "prediction": REPLIES[1]}]},
    "vqav2": {"answers.json": [{"question_id": 42000, "answer": REPLIES[1]}]},
    "textvqa": {"answers.json": [{"question_id": 7, "answer": REPLIES[1]}]},
    "docvqa": {"answers.json": [{"questionId": 9, "answer": REPLIES[1]}]},
    "pope": {
        f"coco_pope_{kind}_answers.json": {"question": "Is there a car?", "answer": REPLIES[1]}
        for kind in ("random", "popular", "adversarial")
    },
    "scienceqa": {"answers.json": {"results": {"5": -1}, "outputs": {"5": REPLIES[1]}}},
    "mme": {"existence.txt": "0001.jpg\tIs it?\t\tno car, “none”\n"},
}


@pytest.mark.parametrize("name", FORMATS)
def test_replies_are_kept_in_the_benchmark_s_own_format(tmp_path, name):
    MAKERS[name](tmp_path, HIDDEN[name][-1])
    data = dataset(name, tmp_path, split=SPLIT.get(name), score=False)
    replied(tmp_path / "out", data)
    told = write_replies(tmp_path / "out", data, TRIALS, set())
    folder = tmp_path / "out" / FOLDER
    assert sorted(each.name for each in folder.iterdir()) == ["baseline", "crop-25-percent"]
    written = {each.name: each.read_text(encoding="utf-8") for each in (folder / "crop-25-percent").iterdir()}
    expected = FORMATS[name]
    assert {key: text if key.endswith("txt") else json.loads(text) for key, text in written.items()} == expected
    assert f"Not scored; the replies are in {folder}, a folder a run." in told
    assert "| crop 25% |" in told
    if name == "scienceqa":
        assert json.loads((folder / "baseline/answers.json").read_text())["results"] == {"5": 1}


def test_other_data_gets_ids_and_answers(tmp_path):
    image(tmp_path / "a.png")
    write(tmp_path / "rows.jsonl", {"id": "q1", "image": "a.png", "question": "?"})
    data = dataset("files", tmp_path, score=False)
    replied(tmp_path / "out", data)
    write_replies(tmp_path / "out", data, TRIALS, set())
    written = json.loads((tmp_path / "out" / FOLDER / "baseline/answers.json").read_text())
    assert written == [{"id": "q1", "answer": REPLIES[0]}]


def test_records_that_are_not_complete_are_refused(tmp_path):
    image(tmp_path / "a.png")
    write(tmp_path / "rows.jsonl", {"id": "q1", "image": "a.png", "question": "?"})
    data = dataset("files", tmp_path, score=False)
    (tmp_path / "out").mkdir()
    with pytest.raises(SweepError, match="no records"):
        write_replies(tmp_path / "out", data, TRIALS, set())
