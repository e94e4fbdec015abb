"""The chat template of a checkpoint: found wherever it stands, tried before the weights are read, and rendered.

It stands in the processor's files (chat_template.jinja, chat_template.json, processor_config.json,
additional_chat_templates/) or, as older libraries and most fine-tunes save it, in tokenizer_config.json.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from crop_core.models.adapter import ModelError
from crop_core.records.formatting import first_line

DEFAULT = "default"
TRIAL = "What is in the image?"
_CONTROL = re.compile(r"<[^<>\s]+>")  # a control token in a published template


_TURNS = """{{ BEGIN }}{% for message in messages %}{% set asks = message['role'] == 'user' %}\
{% set images = message['content'] | selectattr('type', 'equalto', 'image') | list | length %}\
{{ USER if asks else ASSISTANT }}{{ IMAGE * images }}{{ GAP if images else ALONE }}\
{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}\
{{ END if asks else ANSWERED }}{% endfor %}{% if add_generation_prompt %}{{ ANSWER }}{% endif %}"""


@dataclass(frozen=True)
class PublishedChat:
    """user, assistant: the beginning of a turn; end, answered: their ends. image: of each image; gap, alone: between
    the images and the text, and before the text of a turn without images. answer: the beginning of the answer. begin:
    before the first turn.
    """

    user: str
    end: str
    assistant: str
    answered: str
    image: str
    answer: str
    begin: str = ""
    gap: str = ""
    alone: str = ""

    @property
    def template(self) -> str:
        """As a Jinja chat template."""
        names = "".join(f"{{% set {each.name.upper()} = {getattr(self, each.name)!r} %}}" for each in fields(self))
        return names + _TURNS


def settle(name: str, processor: Any, published: PublishedChat | None, title: str) -> tuple[str, ...]:
    """Give the processor the chat template of its checkpoint, tried on a question; return notices for the user.

    published: that of the family `title`, for checkpoints without one that takes images; None for a family whose
    prompt is none of a chat. Raises ModelError for a template that cannot be used, and where none is left.
    """
    lacks = "no chat template"
    for own in (processor.chat_template, processor.tokenizer.chat_template):
        if own:
            processor.chat_template = _default(name, own)
            if _takes_images(name, processor):
                return ()
            lacks = "only a chat template for text alone"
    processor.chat_template = published and published.template
    if published is None:
        return ()
    _check_tokens(processor.tokenizer, published, f"{name} has {lacks}", title)
    return (f"{name} has {lacks}, so that questions are put in the chat format that {title} was published with.",)


def render(name: str, processor: Any, texts: Sequence[str], images: int) -> str:
    """The prompt of turns that the user and the model take alternately, the images before the first text.

    Raises ModelError for a template that fails, or does not write each image once.
    """
    turns: list[dict[str, Any]] = [
        {"role": "assistant" if number % 2 else "user", "content": [{"type": "text", "text": text}]}
        for number, text in enumerate(texts)
    ]
    turns[0]["content"] = [{"type": "image"}] * images + turns[0]["content"]
    prompt = _rendered(name, processor, turns)
    written = prompt.count(processor.image_token)
    if written != images:
        raise ModelError(
            f"The chat template of {name} writes the image token {processor.image_token} {written} times for "
            f"{images} image(s); correct the template, or its tokenizer's image token."
        )
    return prompt


def _rendered(name: str, processor: Any, turns: list[dict[str, Any]]) -> str:
    try:
        return str(processor.apply_chat_template(turns, add_generation_prompt=True))
    except Exception as error:  # Jinja's errors, and those of any expression in a template
        raise ModelError(f"The chat template of {name} cannot be used ({first_line(error)}); correct it.") from error


def _takes_images(name: str, processor: Any) -> bool:
    """Whether the processor's template writes images; ModelError for one that cannot be used, even for text alone."""
    try:
        prompt = render(name, processor, (TRIAL,), 1)
    except ModelError:
        if _is_for_text(name, processor):
            return False
        raise
    if TRIAL not in prompt:
        raise ModelError(f"The chat template of {name} leaves out the question; correct it.")
    return True


def _is_for_text(name: str, processor: Any) -> bool:
    """Whether the template writes a question without its image, given as parts or as a text."""
    for content in ([{"type": "image"}, {"type": "text", "text": TRIAL}], TRIAL):
        try:
            prompt = _rendered(name, processor, [{"role": "user", "content": content}])
        except ModelError:
            continue
        return TRIAL in prompt and processor.image_token not in prompt
    return False


def _default(name: str, own: Any) -> str:
    """The template to use of one or several named ones."""
    named = {each["name"]: each["template"] for each in own} if isinstance(own, list) else own
    if not isinstance(named, dict):
        return str(named).lstrip("\ufeff")  # a byte order mark would begin the prompt
    if DEFAULT not in named and len(named) != 1:
        raise ModelError(
            f"{name} has the chat templates {', '.join(sorted(named))}, and none is called {DEFAULT!r}; call the one "
            "to use so."
        )
    return str(named.get(DEFAULT) or next(iter(named.values())))


def _check_tokens(tokenizer: Any, published: PublishedChat, lacks: str, title: str) -> None:
    """ModelError for a tokenizer that would spell the published template's control tokens as text."""
    vocabulary = tokenizer.get_vocab()
    unknown = [each for each in dict.fromkeys(_CONTROL.findall(published.template)) if each not in vocabulary]
    if unknown:
        raise ModelError(
            f"{lacks}, and its tokenizer does not know {unknown[0]}, which that of {title} writes; add the "
            "chat_template.jinja of the model that it was made from."
        )
