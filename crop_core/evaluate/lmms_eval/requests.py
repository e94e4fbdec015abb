"""Requests of lmms-eval as the engine takes them: images, a question, and the maximum length of the answer.

Reads plain values; knows nothing of lmms-eval's classes, models and methods.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from crop_core.evaluate.lmms_eval.settings import LmmsError
from crop_core.io.images import open_image

MAX_NEW_TOKENS = 1024  # the default of lmms-eval's own models
_LENGTHS = ("max_new_tokens", "max_gen_toks")
_ONE = ("num_beams", "n", "best_of", "num_return_sequences", "repetition_penalty")  # greedy decoding has them at 1
_OF_SAMPLING = ("temperature", "do_sample", "top_p", "top_k", "seed")  # without effect on a greedy answer
_READ = {"until", *_LENGTHS, *_ONE, *_OF_SAMPLING}


@dataclass(frozen=True)
class GenerationRequest:
    """max_new_tokens: of the answer, its end token included. until: stop texts, no part of the answer. ignored: names
    of settings without effect here, such as those of another model's image processor.
    """

    max_new_tokens: int = MAX_NEW_TOKENS
    until: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Mapping[str, Any], place: str) -> GenerationRequest:
        """From a request's generation settings; LmmsError for sampling. place: the start of the message.

        As in transformers, a temperature is ignored where `do_sample` is False.
        """
        sampling = settings.get("do_sample")
        temperature = settings.get("temperature", 1.0 if sampling else 0.0)
        if sampling is not False and temperature:
            raise LmmsError(
                f"{place} asks for sampling at temperature {temperature:g}, and answers here are greedy; add "
                "--gen_kwargs temperature=0,do_sample=False."
            )
        for name in _ONE:
            if settings.get(name) not in (None, 1):
                raise LmmsError(
                    f"{place} asks for {name}={settings[name]}, and answers here are greedy; add --gen_kwargs {name}=1."
                )
        ignored = tuple(sorted(set(settings) - _READ))
        return cls(_max_new_tokens(settings, place), _until(settings.get("until"), place), ignored)

    def cut(self, text: str) -> str:
        """The text up to the first stop text, which may be at its start."""
        return text[: min((text.index(stop) for stop in self.until if stop in text), default=len(text))]


def _max_new_tokens(settings: Mapping[str, Any], place: str) -> int:
    for name in _LENGTHS:
        value = settings.get(name)
        if value is not None:
            if not isinstance(value, int) or value < 1:
                raise LmmsError(f"{place} asks for {name}={value!r}; give a whole number of tokens from 1 on.")
            return value
    return MAX_NEW_TOKENS


def _until(value: Any, place: str) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value or []
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
        raise LmmsError(f"{place} asks for until={value!r}; give a text or a list of texts.")
    return tuple(text for text in texts if text)


def request_images(visuals: Any, place: str) -> tuple[Image.Image, ...]:
    """The images of a request, upright and RGB, in order; LmmsError for none, and for videos and sounds, ImageError for
    an image that cannot be used.
    """
    if not visuals:
        raise LmmsError(f"{place} has no image; choose a task in which every question has one.")
    others = [type(visual).__name__ for visual in visuals if not isinstance(visual, Image.Image)]
    if others:
        raise LmmsError(f"{place} holds a {others[0]} instead of an image; choose a task of images alone.")
    return tuple(open_image(visual) for visual in visuals)


def request_text(value: Any, what: str, place: str) -> str:
    """The value, if it is a non-empty text; else LmmsError. what: "question" or "continuation"."""
    if not isinstance(value, str) or not value.strip():
        raise LmmsError(f"{place} has the {what} {value!r:.40}, which is no text; choose another task.")
    return value


def continuation_ids(tokenizer: Any, prompt: str, continuation: str) -> list[int]:
    """The T tokens of a continuation at the place of the answer: after the prompt and a space, unless the prompt ends
    with white space. LmmsError where the tokenizer merges it with the prompt.
    """
    space = "" if prompt[-1:].isspace() else " "
    texts = (prompt, prompt + space + continuation.strip())
    before, whole = (tokenizer(each, add_special_tokens=False)["input_ids"] for each in texts)
    if whole[: len(before)] != before or len(whole) == len(before):
        raise LmmsError(
            f"The continuation {continuation!r} has no tokens of its own behind the prompt; use a task that has the "
            "model write its answer."
        )
    return whole[len(before) :]
