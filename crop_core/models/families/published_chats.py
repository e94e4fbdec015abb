"""The chat prompts that the families publish, as chat templates for copies of their checkpoints that have none.

Written after the chat templates of the repositories named beside each; the system turn is the template's own default.
"""

from __future__ import annotations

from typing import Any

from crop_core.models.chat_template import PublishedChat


def chat_ml(
    image: str, begin: str = "", after_role: str = "\n", end: str = "<|im_end|>\n", gap: str = ""
) -> PublishedChat:
    """ChatML; `after_role` follows a turn's role, `gap` precedes its text."""
    user, assistant = (f"<|im_start|>{role}{after_role}" for role in ("user", "assistant"))
    return PublishedChat(user, end, assistant, end, image, "<|im_start|>assistant\n", begin, gap, gap)


def user_says(begin: str) -> PublishedChat:
    """The form of Idefics3 and SmolVLM."""
    end = "<end_of_utterance>\n"
    return PublishedChat("User:", end, "Assistant:", end, "<image>", "Assistant:", begin, alone=" ")


def of_llava(tokenizer: Any, default: PublishedChat) -> PublishedChat:
    """That of a LLaVA by its language model, which its vocabulary tells."""
    vocabulary = tokenizer.get_vocab()
    found = (chat for mark, chat in (("<|start_header_id|>", LLAMA3), ("<|im_start|>", YI)) if mark in vocabulary)
    return next(found, default)


VICUNA = PublishedChat("USER: ", " ", "ASSISTANT: ", " ", "<image>\n", "ASSISTANT:")  # llava-1.5-7b-hf
MISTRAL = PublishedChat("[INST] ", " [/INST]", " ", "</s>", "<image>\n", "")  # llava-v1.6-mistral-7b-hf
YI = chat_ml("<image>\n", end="<|im_end|>")  # llava-v1.6-34b-hf
LLAMA3 = PublishedChat(  # llama3-llava-next-8b-hf
    "<|start_header_id|>user<|end_header_id|>\n\n",
    "<|eot_id|>",
    "<|start_header_id|>assistant<|end_header_id|>\n\n",
    "<|eot_id|>",
    "<image>\n",
    "<|start_header_id|>assistant<|end_header_id|>\n\n",
    "<|start_header_id|>system<|end_header_id|>\n\nYou are a helpful language and vision assistant. You are able to "
    "understand the visual content that the user provides, and assist the user with a variety of tasks using natural "
    "language.<|eot_id|>",
)
ONEVISION = chat_ml("<image>", after_role=" ", end="<|im_end|>", gap="\n")  # llava-onevision-qwen2-7b-ov-hf
QWEN3 = chat_ml("<|vision_start|><|image_pad|><|vision_end|>")  # Qwen3-VL-8B-Instruct
QWEN2 = chat_ml(QWEN3.image, "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n")  # Qwen2.5-VL-7B-Instruct
INTERNVL = chat_ml("<IMG_CONTEXT>\n")  # InternVL3-8B-hf
SMOLVLM = user_says("<|im_start|>")  # SmolVLM2-2.2B-Instruct
IDEFICS = user_says("<|begin_of_text|>")  # Idefics3-8B-Llama3
GEMMA = PublishedChat(  # gemma-3-4b-it
    "<start_of_turn>user\n",
    "<end_of_turn>\n",
    "<start_of_turn>model\n",
    "<end_of_turn>\n",
    "<start_of_image>",
    "<start_of_turn>model\n",
    "<bos>",
)
