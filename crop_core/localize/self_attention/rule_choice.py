"""Which attention rule a model is read by: the user's profile, the checkpoint's own, a paper's, else the plain one."""

from __future__ import annotations

from typing import NamedTuple

from crop_core.localize.self_attention.attention_rule import KEY, AttentionRule
from crop_core.localize.self_attention.profiles import Profile, ProfileError, find_profile
from crop_core.localize.self_attention.published_heads import published_heads
from crop_core.models.adapter import Adapter
from crop_core.records.formatting import counted

UNCALIBRATED = (
    "The region is a guess: {name} localized it itself using uncalibrated attention heads; to be surer, draw the "
    "region, calibrate the heads (python -m crop_core localizer calibrate) or choose another localizer."
)
CALIBRATED = (
    "{name}'s own attention was read, calibrated on this machine by the profile {file}: mean IoU {iou:.2f} on "
    "{questions} about {source} that it was not fitted to."
)
PAPER = (
    "The region is by attention heads of {name} from {source}, not measured here; to measure them, calibrate "
    "(python -m crop_core localizer calibrate)."
)


OWN, PLAIN, PROFILE = "the checkpoint's own rule", "the plain rule", "a profile of this machine"


class ChosenRule(NamedTuple):
    """source: PROFILE, OWN, the place in a paper, or PLAIN."""

    rule: AttentionRule
    notices: tuple[str, ...]
    source: str


def choose_rule(adapter: Adapter) -> ChosenRule:
    """The rule, and notices about it. A profile that cannot be used is told, and the next best rule taken.

    Raises ModelError for an invalid rule in the checkpoint's config.
    """
    refused: tuple[str, ...] = ()
    try:
        if found := find_profile(adapter):
            profile, file = found
            return ChosenRule(profile.rule, (_calibrated(adapter.name, profile, file.name),), PROFILE)
    except ProfileError as error:
        refused = (str(error),)
    name = adapter.name
    source, rule = shipped_rule(adapter)
    if source == OWN:
        return ChosenRule(rule, refused, source)
    notice = UNCALIBRATED if source == PLAIN else PAPER
    return ChosenRule(rule, (*refused, notice.format(name=name, source=source)), source)


def shipped_rule(adapter: Adapter) -> tuple[str, AttentionRule]:
    """The rule of a model without a profile, after its source: OWN, the place in a paper, or PLAIN.

    Raises ModelError for an invalid rule in the checkpoint's config.
    """
    config = adapter.model.config
    if getattr(config, KEY, None) is not None:
        return OWN, AttentionRule.of(config, adapter.name)
    if heads := published_heads(adapter):
        return heads.source, heads.rule
    return PLAIN, AttentionRule.of(config, adapter.name)


def _calibrated(name: str, profile: Profile, file: str) -> str:
    questions = counted(profile.questions, "question")
    return CALIBRATED.format(name=name, file=file, iou=profile.iou, questions=questions, source=profile.source)
