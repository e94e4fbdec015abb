"""A trial: one way to answer every question of a dataset."""

from __future__ import annotations

from dataclasses import dataclass

REGIONS = ("found", "self", "needed", "elsewhere", "whole")


@dataclass(frozen=True)
class Trial:
    """method: as `method_of` names it, "none" for every visual token. budget: as `Budget.parse` reads it, "" for none.

    region: "found" by the localizer, by the answering model it"self", the one that is "needed", one of the found size
    "elsewhere", or the "whole" image. seed: of what is drawn. blind: a grey image instead of the example's.
    """

    method: str = "none"
    budget: str = ""
    seed: int = 0
    region: str = "found"
    evict: bool = False
    blind: bool = False

    @property
    def name(self) -> str:
        """Short, and unlike that of every other trial: "all tokens", "crop 64", "crop 64, needed region"."""
        if self.method == "none":
            return "blind" if self.blind else "all tokens"
        parts = [f"{self.method} {self.budget}"]
        parts += [f"{self.region} region"] if self.region != "found" else []
        parts += ["evicting"] if self.evict else []
        parts += [f"seed {self.seed}"] if self.seed else []
        return ", ".join(parts)


ALL = Trial()
BLIND = Trial(blind=True)
