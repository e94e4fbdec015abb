"""Loaders of benchmarks' local copies, each on small files in the official layout."""

import json
import pickle
import re

import pytest
from PIL import Image

from crop_core.evaluate.datasets import mme, pope, registry
from crop_core.evaluate.datasets.protocol import MAX_QUESTION_CHARS, DatasetError, question_lines
from crop_core.evaluate.datasets.registry import dataset, dataset_names
from crop_core.evaluate.datasets.scienceqa import LETTER
from crop_core.io.images import QuestionError
from crop_core.records.region import Region
from crop_core.train.world.held_out import held_out
from crop_core.train.world.questions import KINDS


def sample_image(file, size=(8, 6)):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "red").save(file)


def write(file, content):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def gqa(folder):
    row = {"imageId": "n1", "question": "Is the sky dark?", "answer": "yes", "isBalanced": True,
           "types": {"structural": "verify", "semantic": "attr", "detailed": "verifyAttr"}}  # fmt: skip
    other = {**row, "question": "What is it?", "answer": "cup", "types": {**row["types"], "structural": "query"}}
    write(folder / "questions1.2/testdev_balanced_questions.json", {"07": row, "08": other})
    sample_image(folder / "images/n1.jpg")


PEOPLE = ["2", "two", "two", "2", "2", "3", "2", "2", "2", "2"]


def vqav2(folder):
    questions = [
        {"image_id": 42, "question": f"How many {what}?", "question_id": 42000 + n} for n, what in enumerate("ab")
    ]
    annotations = [
        {"question_id": 42001 - n, "image_id": 42, "answer_type": kind, "question_type": "how many",
         "multiple_choice_answer": "2", "answers": [
            {"answer": each, "answer_confidence": "yes", "answer_id": i} for i, each in enumerate(PEOPLE, 1)]}
        for n, kind in enumerate(("number", "other"))
    ]  # fmt: skip
    write(folder / "v2_OpenEnded_mscoco_val2014_questions.json", {"info": {}, "questions": questions})
    write(folder / "v2_mscoco_val2014_annotations.json", {"info": {}, "annotations": annotations})
    sample_image(folder / "val2014/COCO_val2014_000000000042.jpg")


def textvqa(folder):
    row = {"question_id": 34602, "image_id": "003a8ae2ef43b901", "question": "what is the brand of this camera?",
           "answers": ["nous les gosses", "dakota", *["dakota digital"] * 8], "set_name": "val"}  # fmt: skip
    write(folder / "TextVQA_0.5.1_val.json", {"dataset_type": "val", "data": [row]})
    sample_image(folder / "train_images/003a8ae2ef43b901.jpg")


def pope_files(folder):
    for kind in pope.KINDS:
        rows = [
            {"question_id": n, "image": "COCO_val2014_000000310196.jpg", "text": f"Is there a {what} in the image?",
             "label": "yes" if n % 2 else "no"} for n, what in enumerate(("snowboard", "car"), 1)
        ]  # fmt: skip
        write(folder / f"coco/coco_pope_{kind}.json", "\n".join(map(json.dumps, rows)))
    sample_image(folder / "val2014/COCO_val2014_000000310196.jpg")


def scienceqa(folder):
    row = {"question": "Which is it?", "choices": ["left", "right"], "answer": 1, "hint": "Look at\nthe map.",
           "image": "image.png", "task": "closed choice", "grade": "grade5", "subject": "social science"}  # fmt: skip
    problems = {
        "5": row,
        "6": {**row, "image": None},
        "7": {**row, "hint": "", "answer": 0, "subject": "natural science"},
    }
    write(folder / "problems.json", problems)
    write(folder / "pid_splits.json", {"train": [], "test": ["7", "5", "6"], "minitest": ["7"]})
    for key in ("5", "7"):
        sample_image(folder / f"images/test/{key}/image.png")


def mme_files(folder):
    release = folder / "MME_Benchmark_release_version"
    for kind in mme.KINDS:
        apart = kind in ("artwork", "celebrity", "landmark", "posters", "scene")
        for name in ("0001", "0002"):
            text = f"Is this {kind}? Please answer yes or no.\tYes\nIs it not?  Please answer yes or no.\tNo\n"
            write(release / kind / ("questions_answers_YN" if apart else "") / f"{name}.txt", text)
            sample_image(release / kind / ("images" if apart else "") / f"{name}.{'jpg' if apart else 'png'}")


def docvqa(folder):
    row = {"questionId": 49153, "question": "What is the ‘actual’ value?", "question_types": ["figure/diagram", "form"],
           "image": "documents/pybv0228_81.png", "answers": ["0.28", ".28"], "data_split": "val"}  # fmt: skip
    write(folder / "val_v1.0_withQT.json", {"dataset_name": "docvqa", "data": [row]})
    sample_image(folder / "documents/pybv0228_81.png")


def viscot(folder):
    talk = {"dataset": "vsr", "split": "val", "question_id": 0,
            "image": ["cot/vsr/a.jpg", "cot/vsr/a.jpg###[392, 316, 467, 414]"],
            "conversations": [
                {"from": "human", "value": "<image>\nWhat does the cake consist of? Please provide the bounding box "
                    "coordinate of the region that can help you answer the question better."},
                {"from": "gpt", "value": "[0.614, 0.619, 0.731, 0.773]"},
                {"from": "human", "value": "<image>"},
                {"from": "gpt", "value": "dog"}]}  # fmt: skip
    upside_down = {**talk, "image": ["cot/vsr/a.jpg", "cot/vsr/a.jpg###[9, 9, 2, 2]"]}
    write(folder / "viscot_benchmark/benchmark/vsr.json", [talk, upside_down, {**talk, "conversations": []}])
    sample_image(folder / "playground/data/cot/vsr/a.jpg", (640, 512))


MAKERS = {"gqa": gqa, "vqav2": vqav2, "textvqa": textvqa, "pope": pope_files, "scienceqa": scienceqa, "mme": mme_files,
          "docvqa": docvqa, "viscot": viscot}  # fmt: skip
FIRST = {  # question without the request, answers, kind, metric, how many there are
    "gqa": ("Is the sky dark?", ("yes",), "verify", "gqa", 2),
    "vqav2": ("How many a?", ("2",) * 7 + ("two",) * 2 + ("3",), "other", "vqa", 2),
    "textvqa": ("What is the brand of this camera?", ("dakota digital",) * 8 + ("nous les gosses", "dakota"), "",
                "textvqa", 1),
    "pope": ("Is there a snowboard in the image?", ("yes",), "random", "yesno", 6),
    "scienceqa": ("Which is it?\nA. left\nB. right", ("A",), "natural science", "choice", 2),
    "mme": ("Is this existence?", ("yes",), "existence", "mme", 56),
    "docvqa": ("What is the ‘actual’ value?", ("0.28", ".28"), "figure/diagram", "anls", 1),
    "viscot": ("What does the cake consist of?", ("dog",), "vsr", "contains", 1),
}  # fmt: skip


@pytest.fixture
def copies(tmp_path):
    """Makes the local copy of a dataset in a folder of its own."""

    def make(name):
        MAKERS[name](tmp_path / name)
        return tmp_path / name

    return make


def test_every_dataset_is_tested():
    assert {"world", "world_users", "world_independent", "files", *MAKERS} == set(dataset_names())


@pytest.mark.parametrize("name", MAKERS)
def test_a_local_copy_in_the_official_layout(copies, name):
    question, answers, kind, metric, count = FIRST[name]
    found = dataset(name, copies(name))
    first = found.examples[0]
    assert first.question == (f"{question}\n{LETTER}" if name == "scienceqa" else question)
    assert found.short_answer == (name != "scienceqa")
    assert (first.answers, first.kind, found.metric.name, len(found.examples)) == (answers, kind, metric, count)
    assert first.open().mode == "RGB"
    assert len({each.id for each in found.examples}) == count
    assert pickle.loads(pickle.dumps(found.examples)) == found.examples
    assert 0 <= found.metric.score(first.answers[0], first) <= 1
    assert bool(found.skipped) == (name == "viscot")


def test_questions_of_one_image_are_one_group(copies):
    for name, groups in (("gqa", {"n1"}), ("vqav2", {"42"}), ("pope", {"COCO_val2014_000000310196.jpg"})):
        assert {each.group for each in dataset(name, copies(name)).examples} == groups
    for each in dataset("mme", copies("mme")).examples:
        assert each.group == f"{each.kind}/{each.image.name}"
        assert each.image.parent.name in (each.kind, "images")


def test_the_region_of_visual_cot_is_that_of_its_box(copies):
    found = dataset("viscot", copies("viscot"))
    assert found.examples[0].needed == Region.from_box((392, 316, 467, 414), 640, 512).grid
    assert re.match(r"2 skipped \(row 2: .*upside down.*; row 3: .*no question", found.skipped)


def test_one_file_of_visual_cot_and_images_elsewhere(copies):
    folder = copies("viscot")
    file = folder / "viscot_benchmark/benchmark/vsr.json"
    assert len(dataset("viscot", file).examples) == 1
    alone = file.rename(folder.parent / "vsr.json")
    with pytest.raises(DatasetError, match=r"no folder 'cot' or .*--images"):
        dataset("viscot", alone)
    assert len(dataset("viscot", alone, images=folder / "playground/data").examples) == 1


def test_what_a_mac_leaves_is_no_part_of_a_copy(copies):
    """Its files begin as AppleDouble does, and are no text."""
    for name in ("mme", "viscot"):
        folder = copies(name)
        expected = dataset(name, folder).examples
        for file in [each for each in folder.rglob("*") if each.is_file()]:
            (file.parent / f"._{file.name}").write_bytes(b"\0\5\x16\7Mac OS X" + bytes(range(128, 256)))
            (file.parent / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
            (file.parent / "__MACOSX").mkdir(exist_ok=True)
            (file.parent / "__MACOSX" / f"._{file.name}").write_bytes(b"\0")
        assert dataset(name, folder).examples == expected


def test_texts_of_mme_that_windows_saved_again(copies):
    folder = copies("mme")
    expected = dataset("mme", folder).examples
    for number, file in enumerate(sorted(folder.rglob("*.txt"))):
        file.write_bytes(file.read_text().replace("\n", "\r\n").encode(("utf-8-sig", "utf-16")[number % 2]))
    assert dataset("mme", folder).examples == expected


def test_science_questions_have_context_and_their_splits(copies):
    folder = copies("scienceqa")
    second = dataset("scienceqa", folder).examples[1]
    assert second.question == f"Context: Look at\nthe map.\nWhich is it?\nA. left\nB. right\n{LETTER}"
    assert (second.id, second.answers) == ("5", ("B",))
    assert [each.id for each in dataset("scienceqa", folder, split="minitest").examples] == ["7"]


def test_splits(copies):
    assert {each.kind for each in dataset("pope", copies("pope"), split="popular").examples} == {"popular"}
    folder = copies("mme")
    assert {each.kind for each in dataset("mme", folder, split="cognition").examples} == set(mme.COGNITION)
    assert len(dataset("mme", folder / "MME_Benchmark_release_version", split="OCR").examples) == 4
    with pytest.raises(DatasetError, match=r"'pope' has no split 'easy'; choose one of all, random"):
        dataset("pope", copies("pope"), split="easy")
    with pytest.raises(DatasetError, match="'viscot' has no split 'val'; leave it out"):
        dataset("viscot", copies("viscot"), split="val")


def test_images_may_lie_elsewhere(copies, tmp_path):
    folder = copies("pope")
    (folder / "val2014").rename(tmp_path / "coco2014")
    with pytest.raises(DatasetError, match=r"no folder 'val2014' or 'coco/val2014' or 'images' in .*--images\.$"):
        dataset("pope", folder)
    assert len(dataset("pope", folder, images=tmp_path / "coco2014").examples) == 6


def test_a_limit_draws_the_same_ones_and_a_larger_limit_adds_to_them(copies):
    folder = copies("mme")
    every = [each.id for each in dataset("mme", folder).examples]
    drawn = {limit: [each.id for each in dataset("mme", folder, limit=limit).examples] for limit in (4, 10, 28, 99)}
    assert [len(ids) for ids in drawn.values()] == [4, 10, 28, 56]
    assert set(drawn[4]) < set(drawn[10]) < set(drawn[28])
    assert all([each for each in every if each in ids] == ids for ids in drawn.values())
    assert len({each.rpartition(" ")[0] for each in drawn[28]}) == 14  # images with both questions
    assert len({each.partition("/")[0] for each in drawn[28]}) > 5, "not the first ones"
    pairs = [dataset("pope", copies("pope"), limit=3).examples for _ in range(2)]
    assert len(pairs[0]) == 3
    assert pairs[0] == pairs[1]


@pytest.mark.parametrize("name", MAKERS)
def test_what_is_missing_is_told_in_one_sentence(copies, tmp_path, name):
    with pytest.raises(DatasetError, match=rf"'{name}' is read from this machine; give its folder with --path\."):
        dataset(name)
    with pytest.raises(DatasetError, match=r"There is no '.*nowhere'"):
        dataset(name, tmp_path / "nowhere")
    (tmp_path / "a/b").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"There is no (file|folder) '[^']+'.* in '.*b'; give the folder"):
        dataset(name, tmp_path / "a/b")


@pytest.mark.parametrize("name", [name for name in MAKERS if name != "viscot"])
@pytest.mark.parametrize(
    "content", ["", "{oops", "[1]", '{"data": 3}', '{"questions": [{}], "annotations": [{}]}', "7", "\x00"]
)
def test_files_in_another_layout_are_told_in_one_sentence(copies, name, content):
    folder = copies(name)
    for file in [each for each in folder.rglob("*") if each.suffix in (".json", ".txt")]:
        file.write_text(content)
    with pytest.raises(DatasetError) as told:
        dataset(name, folder)
    assert str(told.value).endswith(".")
    assert "\n" not in str(told.value)


def test_names_limits_and_metrics_that_cannot_be(copies):
    with pytest.raises(
        DatasetError,
        match=r"'coco' is not known; choose one of world, world_users, world_independent, files, .*viscot\.",
    ):
        dataset("coco", ".")
    with pytest.raises(DatasetError, match="limit of 0"):
        dataset("world", limit=0)
    with pytest.raises(DatasetError, match="The metric 'x'"):
        dataset("gqa", copies("gqa"), metric="x")
    with pytest.raises(DatasetError, match="is a file; give the folder"):
        dataset("docvqa", copies("docvqa") / "val_v1.0_withQT.json")
    assert dataset("gqa", copies("gqa"), metric="contains").metric.name == "contains"


def test_images_that_are_missing_are_skipped_and_told(copies):
    folder = copies("scienceqa")
    (folder / "images/test/5/image.png").unlink()
    found = dataset("scienceqa", folder)
    assert [each.id for each in found.examples] == ["7"]
    assert re.match(r"1 skipped \(5: there is no image '.*image\.png'\)", found.skipped)
    (folder / "images/test/7/image.png").unlink()
    with pytest.raises(DatasetError, match=r"Nothing of '.*' can be used: 2 skipped"):
        dataset("scienceqa", folder)


def test_the_bundled_world():
    found = dataset("world", limit=20)
    assert found.max_new_tokens == 8
    assert (found.metric.name, found.skipped) == ("exact", "")
    assert sorted(each.kind for each in found.examples) == sorted([*KINDS, *KINDS])
    assert len({each.id for each in found.examples}) == 20
    for each, item in zip(found.examples, held_out(2), strict=True):
        assert (each.id, each.group) == (f"{item.seed} {item.question.kind}", str(item.seed))
        assert (each.question, each.answers) == (item.question.text, (item.question.answer,))
        assert (each.needed, each.everything) == (item.region.grid, item.question.needs_everything)
    again = pickle.loads(pickle.dumps(found.examples[0]))
    assert again == found.examples[0]
    assert again.open().tobytes() == held_out(1)[0].scene.image.tobytes()
    assert {each.id for each in dataset("world", limit=10).examples} < {each.id for each in found.examples}
    with pytest.raises(DatasetError, match="drawn, not read"):
        dataset("world", "somewhere")


def test_prompts():
    assert question_lines("  what  is\tit?\n\n really? ") == "what is it?\nreally?"
    assert question_lines("x" * MAX_QUESTION_CHARS).startswith("xxx")
    for bad in ("", " \n ", None, 7, "x" * (MAX_QUESTION_CHARS + 1), "\n".join(["x" * 3000] * 3)):
        with pytest.raises(QuestionError):
            question_lines(bad)


def test_usual_splits_come_first():
    first = {name: source.splits[:1] for name, source in registry.SOURCES.items()}
    assert first["gqa"] == ("testdev_balanced",)
    assert first["vqav2"] == ("val2014",)
    assert first["scienceqa"] == ("test",)
