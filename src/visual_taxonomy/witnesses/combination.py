"""Which witnesses speak of a cell, and what they say together.

Shapes: N rows, A slots, C classes of the widest task, T tasks, W witnesses, P = W + 1 powers.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from visual_taxonomy.decision.decision import Answers, Decision
from visual_taxonomy.decision.tables import Tables
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.witnesses.known_labels import KnownLabels
from visual_taxonomy.witnesses.words import Words

IMAGE, WORDS, KNOWN_LABELS = 1, 2, 4
"""Bits of the witnesses of a cell."""

NAMES = {IMAGE: "image", WORDS: "words", KNOWN_LABELS: "known labels"}
"""For people, and in held-out files."""

COMBINATIONS = (
    IMAGE | WORDS | KNOWN_LABELS,
    IMAGE | WORDS,
    WORDS,
    IMAGE | KNOWN_LABELS,
)
"""What is fitted, the fullest first: a cell is answered by the first of which all witnesses speak.
Known labels alone answer nothing."""

Said = Mapping[int, np.ndarray]
"""Bit of a witness -> [N, A, C] its probabilities, 0 where it says nothing."""

Answer = Callable[[np.ndarray, np.ndarray, Decision], Answers]
"""(probabilities, categories, decision) -> answers."""


def bits_of(combination: int) -> list[int]:
    """The witnesses of a combination.

    Example:
        >>> bits_of(WORDS | KNOWN_LABELS)
        [2, 4]
    """
    return [bit for bit in NAMES if combination & bit]


def speaking(said: Said) -> np.ndarray:
    """[N, A] int64 bits of the witnesses that speak of each cell."""
    # A model may give NaN, which is no answer.
    spoken = (
        bit * (np.isfinite(each).all(axis=2) & each.any(axis=2)) for bit, each in said.items()
    )
    return np.asarray(sum(spoken), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Combination:
    """How some witnesses answer together.

    Args:
        powers: [T, P] of `fusion`.
        decision: From the fused probabilities to answers.
    """

    powers: np.ndarray
    decision: Decision


@dataclass(frozen=True, eq=False)
class Witnesses:
    """All that a model carries beside its classifier; made by `fit_witnesses`.

    Args:
        taxonomy: That of the model.
        log_prior: [T, C] logarithms of the shares of the training labels; 0 beyond the classes.
        combinations: Those of `COMBINATIONS` that could be fitted.
        words: None without text columns.
        known_labels: None where it was not fitted.
    """

    taxonomy: Taxonomy
    log_prior: np.ndarray
    combinations: Mapping[int, Combination]
    words: Words | None = None
    known_labels: KnownLabels | None = None

    def say(
        self, texts: np.ndarray | None, targets: np.ndarray | None, categories: np.ndarray
    ) -> dict[int, np.ndarray]:
        """What the witnesses beside the image say of N rows.

        Args:
            texts: [N, X] words, "" for none; None is not asked.
            targets: [N, A] the labels that are known, -1 for unknown; None is not asked.
            categories: [N] category indices.
        """
        said = {}
        if self.words is not None and texts is not None:
            said[WORDS] = self.words.probabilities(texts, categories)
        if self.known_labels is not None and targets is not None:
            said[KNOWN_LABELS] = self.known_labels.probabilities(targets, categories)
        return said

    def choose(self, said: Said) -> np.ndarray:
        """[N, A] int64 the combination that answers each cell; `IMAGE` or 0 where none does."""
        spoken = speaking(said)
        chosen = spoken & IMAGE
        # The fullest last, so that it wins.
        for combination in reversed(COMBINATIONS):
            if combination in self.combinations:
                chosen[spoken & combination == combination] = combination
        return chosen

    def fuse(self, said: Said, categories: np.ndarray, combination: int) -> np.ndarray:
        """[N, A, C] float64 what a combination says; 0 where one of its witnesses says nothing."""
        powers = self._tables.by_slot(self.combinations[combination].powers)[categories]
        return product(self._tables, said, categories, combination, powers, self._prior[categories])

    def answer(self, image: Answers, said: Said, categories: np.ndarray, answer: Answer) -> Answers:
        """The image's answers, with those of combinations where other witnesses speak.

        Args:
            image: What the image alone answers; its cells stay as they are, bit for bit.
            said: What all witnesses say.
            categories: [N] category indices, of rows without an image, too.
            answer: How probabilities become answers.
        """
        chosen = self.choose(said)
        whole = Answers(*(array.copy() for array in image))
        for combination, fitted in self.combinations.items():
            cells = chosen == combination
            rows = np.flatnonzero(cells.any(axis=1))
            if not len(rows):
                continue
            of_rows = {bit: each[rows] for bit, each in said.items()}
            fused = self.fuse(of_rows, categories[rows], combination)
            part = answer(fused, categories[rows], fitted.decision)
            places = np.nonzero(cells[rows])
            for array, values in zip(whole, part, strict=True):
                array[rows[places[0]], places[1]] = values[places]
        return whole

    @cached_property
    def _tables(self) -> Tables:
        return Tables(self.taxonomy)

    @cached_property
    def _prior(self) -> np.ndarray:
        return self._tables.by_slot(self.log_prior)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Name -> array of numbers, for a file; nothing needs to be pickled."""
        arrays = {"log_prior": self.log_prior}
        decisions = {str(bits): each.decision.to_dict() for bits, each in self.combinations.items()}
        arrays["decisions"] = np.frombuffer(json.dumps(decisions).encode(), np.uint8)
        for bits, each in self.combinations.items():
            arrays[f"powers {bits}"] = each.powers
        for name, part in (("words", self.words), ("known labels", self.known_labels)):
            if part is not None:
                arrays |= {f"{name} {key}": array for key, array in part.to_arrays().items()}
        return arrays

    @classmethod
    def from_arrays(cls, taxonomy: Taxonomy, arrays: Mapping[str, np.ndarray]) -> "Witnesses":
        """The inverse of `to_arrays`.

        Raises:
            InputError: The arrays are damaged, or of another taxonomy.
        """
        words, known = _under("words ", arrays), _under("known labels ", arrays)
        try:
            return cls(
                taxonomy,
                arrays["log_prior"],
                _combinations(taxonomy, arrays),
                Words.from_arrays(taxonomy, words) if words else None,
                KnownLabels.from_arrays(taxonomy, known) if known else None,
            )
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise InputError(f"the words of the model are damaged ({error!r})") from None


def answers_from_words(witnesses: Witnesses | None) -> bool:
    """Whether words change any answer of a model."""
    return witnesses is not None and any(each & WORDS for each in witnesses.combinations)


def product(
    tables: Tables,
    said: Said,
    categories: np.ndarray,
    combination: int,
    powers: np.ndarray,
    log_prior: np.ndarray,
) -> np.ndarray:
    """[N, A, C] float64 fused probabilities; 0 where a witness of the combination says nothing.

    Args:
        tables: Of the taxonomy.
        said: What at least the witnesses of the combination say.
        categories: [N] category indices.
        combination: Bits of the witnesses, in the order of the powers.
        powers: [N, A, P] of each cell.
        log_prior: [N, A, C] of each cell.
    """
    batches = [tables.batch(said[bit], categories) for bit in bits_of(combination)]
    scores = powers[..., -1, None] * log_prior
    for place, batch in enumerate(batches):
        scores += powers[..., place, None] * batch.logs
    is_usable = np.logical_and.reduce([batch.is_usable for batch in batches])
    # Of the first batch only `is_usable` counts here, which the softmax masks by.
    shares: np.ndarray = batches[0].softmax(scores) * is_usable
    return shares


def _combinations(taxonomy: Taxonomy, arrays: Mapping[str, np.ndarray]) -> dict[int, Combination]:
    decisions: dict[str, Any] = json.loads(arrays["decisions"].tobytes())
    found = {}
    for name, plain in decisions.items():
        powers = arrays[f"powers {name}"]
        shape = (len(taxonomy.tasks), len(bits_of(int(name))) + 1)
        if int(name) not in COMBINATIONS or powers.shape != shape or not np.isfinite(powers).all():
            raise InputError("the words of the model are damaged (powers of their fusion)")
        found[int(name)] = Combination(powers, Decision.from_dict(taxonomy, plain))
    return found


def _under(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        key.removeprefix(prefix): each for key, each in arrays.items() if key.startswith(prefix)
    }
