"""Judgements made to order: a grader that is as good as it is told to be."""

from __future__ import annotations

import numpy as np

from models.evaluate import Judgements


def made_judgements(
    rows: int = 300, *, separation: tuple[float, ...] = (1.0, 1.5, 2.0), seed: int = 0, noise: int = 0
) -> Judgements:
    """One proposition a ``separation``: the distance between the mean logits of yes and no, in standard deviations.

    The same ``seed`` gives the same truth, whatever the separation; ``noise`` draws the scores anew.
    """
    truth_S_P = (np.random.default_rng(seed).random((rows, len(separation))) < 0.3).astype(np.float64)
    noise_S_P = np.random.default_rng([seed, noise]).normal(size=truth_S_P.shape)
    logits_S_P = (truth_S_P - 0.5) * np.array(separation) * 2 + noise_S_P
    names = tuple(f"proposition_{i}" for i in range(len(separation)))
    return Judgements(names, truth_S_P, logits_S_P, np.arange(rows))
