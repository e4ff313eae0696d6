"""What the verdict is made of: the scores of one checkpoint at one strength, findings in words, near copies, and the verdict itself. Frozen, JSON.

In: plain values. Out: pydantic models that read back from verdict.json. Measures and decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

Severity = Literal["good", "note", "warn", "danger"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Score(_Frozen):
    """One checkpoint at one strength. Shares lie near 0..1; None: not measured.

    fidelity: 0 = as far from the held-out pictures as the base's, 1 = as near as the nearest training picture is. fidelity_samples: one per held-out picture.
    obedience: share of the way from chance (0) to always (1) that a picture belongs to its own caption rather than to another.
    unseen: of a style, how near things that the set does not show come to what they should look like in it; 0 = as the base's own pictures, units of fidelity.
    styled: of a style, how far all its pictures have gone from the base's way of drawing to the set's; 0 = the base's, 1 = the set's.
    variety: between seeds, over that of the base (1 = as varied). copying: share of pictures nearer to a training picture than the set's own limit, less the set's own share of such.
    memorised: how much nearer training captions come to their pictures than held-out captions to theirs, in units of fidelity.
    leak: 0 = the noun without the trigger looks as in the base, 1 = like the subject. drift: change of unrelated prompts over that between two seeds.
    consistency: likeness among the pictures over likeness within the set. delta_e: CIEDE2000 from the set's own colours. effect: |delta W| / |W|.
    """

    step: int
    strength: float = 1.0
    fidelity: float
    obedience: float
    fidelity_samples: tuple[float, ...] = ()
    obedience_samples: tuple[float, ...] = ()
    unseen: float | None = None
    unseen_samples: tuple[float, ...] = ()
    styled: float | None = None
    variety: float | None = None
    copying: float = 0.0
    memorised: float = 0.0
    leak: float | None = None
    drift: float | None = None
    consistency: float | None = None
    delta_e: float | None = None
    change: float = 1.0  # from the base at the same prompts and seeds, over that between two seeds
    effect: float | None = None
    broken: float = 0.0  # share of pictures that are no pictures: NaN, clipped, noise
    held_out_loss: float | None = None  # over the base's: below 1 is a gain


def primary_scores(scores: Sequence[Score]) -> list[Score]:
    """One score per checkpoint, at the strength nearest 1, oldest first."""
    nearest: dict[int, Score] = {}
    for score in sorted(scores, key=lambda score: (score.step, abs(score.strength - 1))):
        nearest.setdefault(score.step, score)
    return [nearest[step] for step in sorted(nearest)]


class Finding(_Frozen):
    """Something that a user should know, in a sentence, and what to do about it. code: stable, for buttons and tests."""

    code: str
    severity: Severity
    message: str
    fix: str = ""


class Nearest(_Frozen):
    """A drawn picture and the training picture that it comes nearest to. Paths and keys as in the run and the dataset."""

    picture: str
    training: str
    similarity: float
    hash_distance: int
    is_copy: bool


class Example(_Frozen):
    """The same prompt and seed by the base and by the picked checkpoint, and the real picture with that caption. Paths as in the run; a key of the dataset."""

    prompt: str
    seed: int
    base: str
    taught: str
    real: str


class Pick(_Frozen):
    """A checkpoint and the strength that it is best used at."""

    step: int
    strength: float
    utility: float


class Verdict(_Frozen):
    """Which checkpoint, at which strength, how surely, and why. base_closeness: how near the base alone comes, on fidelity's scale of similarities."""

    pick: Pick
    runner_up: Pick | None
    confidence: float  # 0..1, share of resampled verdicts that agree
    sentence: str
    findings: tuple[Finding, ...] = ()
    scores: tuple[Score, ...] = ()
    nearest: tuple[Nearest, ...] = ()
    examples: tuple[Example, ...] = ()
    copy_limit: float = 1.0  # similarity above which a picture counts as a copy
    closest: float = 0.0  # largest similarity of any drawn picture to a training picture
    base_closeness: float = 0.0
    palette: tuple[str, ...] = ()
    encoders: tuple[str, ...] = ()
    held_out: int = 0
    drawn: int = 0
    seconds: float = 0.0

    @property
    def confidence_words(self) -> str:
        return (
            "clearly the best of them"
            if self.confidence >= 0.75
            else "probably the best of them"
            if self.confidence >= 0.45
            else "a close call"
        )

    def score_of(self, step: int, strength: float) -> Score | None:
        """The scores of one checkpoint at one strength."""
        return next((score for score in self.scores if score.step == step and abs(score.strength - strength) < 1e-6), None)

    @property
    def picked(self) -> Score:
        score = self.score_of(self.pick.step, self.pick.strength)
        assert score is not None, "the pick is always among the scores"
        return score

    def has(self, code: str) -> bool:
        """True if a finding of this code was made."""
        return any(finding.code == code for finding in self.findings)
