"""The trained model as it serves: TF-IDF of words and pairs of words, and one logistic regression for each intent.

It was trained with scikit-learn, which is heavy and not needed to answer: what it learnt are a few arrays. Training
ends only if these give the answers that scikit-learn gives.
"""

import json
import math
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .answer import BAD, GOOD, Answer

WORD = re.compile(r"(?u)\b\w\w+\b")
"""scikit-learn's own."""


class Model:
    """One version of the model."""

    def __init__(
        self,
        version: str,
        intents: list[str],
        terms: list[str],
        weights: NDArray[np.float32],
        intercepts: NDArray[np.float32],
        rarity: NDArray[np.float32],
    ) -> None:
        self.version = version
        self.intents = intents
        self.terms = {term: place for place, term in enumerate(terms)}
        self._weights, self._intercepts, self._rarity = weights, intercepts, rarity

    @property
    def vocabulary(self) -> list[str]:
        """The words it knows."""
        return [term for term in self.terms if " " not in term]

    def answer(self, question: str) -> Answer:
        """The likeliest intent."""
        shares = self.shares(question)
        best = int(shares.argmax())
        return Answer(self.intents[best], float(shares[best]))

    def shares(self, question: str) -> NDArray[np.float64]:
        """How likely each intent is; they add up to 1."""
        words: list[str] = WORD.findall(question.lower())
        counted = Counter(words + [f"{one} {other}" for one, other in pairwise(words)])
        found = [(self.terms[term], times) for term, times in counted.items() if term in self.terms]
        scores = self._intercepts.astype(np.float64)
        if found:
            places = np.array([place for place, _ in found])
            values = np.array([1 + math.log(times) for _, times in found]) * self._rarity[places]
            scores = scores + (values / np.linalg.norm(values)) @ self._weights[places]
        likely = 1 / (1 + np.exp(-scores))
        return likely / likely.sum()

    def save(self, folder: Path) -> None:
        """Into `model.npz` and `model.json`."""
        np.savez(folder / "model.npz", weights=self._weights, intercepts=self._intercepts, rarity=self._rarity)
        (folder / "model.json").write_text(json.dumps({"intents": self.intents, "terms": list(self.terms)}))

    @classmethod
    def load(cls, folder: Path, version: str = GOOD) -> "Model":
        """A version of what was saved there."""
        said: dict[str, Any] = json.loads((folder / "model.json").read_text())
        with np.load(folder / "model.npz") as kept:
            arrays = (kept["weights"], kept["intercepts"], kept["rarity"])
        names = sorted(said["intents"], key=str.lower) if version == BAD else said["intents"]
        return cls(version, names, said["terms"], *arrays)
