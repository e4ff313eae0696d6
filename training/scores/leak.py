"""What the adapter does where it was not called: does the bare noun turn into the subject, and do unrelated prompts change? Pure numpy.

In: features of pictures by the base and by the adapter, at the same prompts and seeds. Out: two shares. Draws nothing.
"""

from __future__ import annotations

import numpy as np

from training.scores.closeness import Features

SMALLEST_GAIN = 0.03  # of similarity: with less the subject was not learnt, and there is nothing that could leak


def leak_of(*, bare_noun: Features, bare_noun_by_base: Features, called: Features, subject: Features) -> float:
    """How far the noun without trigger goes towards the subject: 0 as in the base, 1 as far as with the trigger.

    bare_noun, bare_noun_by_base: the same prompts and seeds; called: pictures with the trigger; subject: real pictures.
    """
    centre = subject.mean(axis=0)
    before, after, full = (float((features @ centre).mean()) for features in (bare_noun_by_base, bare_noun, called))
    if full - before < SMALLEST_GAIN:
        return 0.0
    return float(np.clip((after - before) / (full - before), 0, 1.5))


def drift_of(*, unrelated: Features, unrelated_by_base: Features, other_seeds: Features) -> float:
    """How much unrelated prompts change, over how much they change with the seed: 0 not at all, 1 as much as another seed.

    All three: the same prompts, row by row; other_seeds: the base's with different seeds.
    """
    moved = float(np.mean(1 - np.einsum("nd,nd->n", unrelated, unrelated_by_base)))
    natural = float(np.mean(1 - np.einsum("nd,nd->n", other_seeds, unrelated_by_base)))
    return moved / max(natural, 0.02)
