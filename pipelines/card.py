"""What an adapter is, how it was made, and who holds the rights: the card that travels with it.

In: plain values. Out: a frozen `Card`, to and from JSON. Does not read runs or datasets.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Intent = Literal["style", "character", "product"]


class Card(BaseModel):
    """Facts about one adapter. Empty values mean: not known, and are left out of files."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = "adapter"
    intent: Intent | None = None
    trigger: str = ""
    noun: str = ""
    base: str = ""  # hub id or file name, never a path
    base_family: Literal["sd1", "sd2", "sdxl"] = "sd1"
    base_fingerprint: str = ""
    prediction: Literal["epsilon", "v_prediction"] = "epsilon"
    resolution_px: int = 512
    pictures: int = 0
    steps: int = 0
    batch: int = 0
    seed: int = 0
    settings: dict[str, object] = {}  # the training settings, as trained; no paths
    recommended_strength: float = 1.0
    description: str = ""
    author: str = ""
    licence: str = ""
    rights: str = ""
    made_at: str = ""  # ISO 8601
    scores: dict[str, float] = {}
    warnings: tuple[str, ...] = ()

    @property
    def trigger_phrase(self) -> str:
        """What a prompt says: the trigger, and the noun behind it."""
        return " ".join(part for part in (self.trigger, self.noun) if part)
