"""Users' own words are mapped to those that the bundled models learned, by the shipped tokenizers themselves."""

import random

import pytest
from tokenizers import normalizers
from transformers import AutoTokenizer

from crop_core.evaluate.datasets.registry import dataset
from crop_core.models import load
from crop_core.train.world import phrasings, splits
from crop_core.train.world.held_out import user_questions
from crop_core.train.world.questions import all_questions
from crop_core.train.world.scenes import make_scene
from crop_core.train.world.user_phrasings import USERS
from tests.support import ROOT

MODEL = ROOT / "assets" / "models" / "crop-tiny"


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(MODEL)


def words(tokenizer, question):
    """What the model reads of a question in its prompt."""
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(f"USER: <image>\n{question} ASSISTANT:")["input_ids"])
    return " ".join(tokens[4:-2]).replace(" ##", "")


@pytest.mark.parametrize(
    ("asked", "read"),
    [
        ("What colour is the star?", "what color is the star ?"),
        ("What color is the star shape", "what color is the star ?"),
        ("Is there a key in this image?", "is there a key in the picture ?"),
        ("Is there a key in the photo", "is there a key in the picture ?"),
        ("Is there a key here?", "is there a key in the picture ?"),
        ("Are there any keys?", "is there a key ?"),
        ("WHAT’S LEFT OF THE DOG", "what is left of the dog ?"),
        ("Which animal is on the left side of the pizza?", "which thing is to the left of the pizza ?"),
        ("Please tell me what is directly above the bunny.", "what is above the rabbit ?"),
        ("Could you tell me what's in the upper-left corner", "what is in the top left corner ?"),
        ("what is next to the hamburgers?", "what is nearest to the burgers ?"),
        ("How many foxes can you count?", "how many foxes can you see ?"),
        ("Count the dogs.", "what is the number of dogs ?"),
        ("how many objects are in the photo in total", "how many objects are in the picture ?"),
        ("What does it say on the red sign?", "what is written on the red sign ?"),
        ("Can you read the red sign?", "what is written on the red sign ?"),
        ("How expensive is the pizza?", "how much is the pizza ?"),
        ("Which one is the priciest?", "which is the most expensive ?"),
        ("What is in the centre of this photograph?", "what is in the center of the picture ?"),
    ],
)
def test_users_words_become_the_worlds(tokenizer, asked, read):
    assert words(tokenizer, asked) == read


def test_the_worlds_own_phrasings_stay_as_they_are(tokenizer):
    plain = AutoTokenizer.from_pretrained(MODEL)
    plain.backend_tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    for held_out, seeds in ((False, splits.TRAINING[:20]), (True, splits.BENCHMARK[:20])):
        for seed in seeds:
            questions = all_questions(random.Random(seed), make_scene(seed, held_out=held_out), held_out)
            texts = [question.text for own in questions.values() for question in own]
            for end in ("ASSISTANT", "REGION"):
                prompts = [f"USER: <image>\n{text} {end}:" for text in texts]
                assert tokenizer(prompts)["input_ids"] == plain(prompts)["input_ids"]


def test_questions_of_users_are_in_no_phrasing_of_the_world():
    ours = {text for table in (phrasings.TRAINING, phrasings.HELD_OUT) for own in table.values() for text in own}
    assert set(USERS) == set(phrasings.HELD_OUT)
    assert not {text for own in USERS.values() for text in own} & ours
    before = dict(phrasings.HELD_OUT)
    items = user_questions(2)
    assert before == phrasings.HELD_OUT
    assert all(item.seed in splits.USER_QUESTIONS for item in items)
    assert [each.question for each in dataset("world_users", limit=20).examples] == [i.question.text for i in items]


def test_words_that_are_mapped_are_known_and_others_are_named():
    adapter = load("crop-tiny", "cpu")
    assert adapter.unknown_words("What's the colour of this star here, please?") == []
    assert adapter.unknown_words("Is this a zebra's xylophone, or a zebra's dog?") == ["zebra's", "xylophone"]
