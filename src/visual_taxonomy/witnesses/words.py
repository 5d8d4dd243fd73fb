"""What the words of a product say of its attributes: titles, brands, descriptions.

Free text counts as TF-IDF of character n-grams, (1 + log count) * idf with
idf = 1 + log((1 + n) / (1 + texts with it)), scaled to length 1; a column of few values counts as
one feature a value. Prediction needs NumPy alone.

Shapes: N rows, X text columns, A slots, C classes of the widest task, V n-grams, F features.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.witnesses.linear import LinearHeads, SparseRows, class_parts
from visual_taxonomy.witnesses.ngrams import NgramCounter, normalised

_LOOKED_AT = 200
"""Features of a class among which its loudest are found: behind these each says next to nothing."""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Which features texts have.

    Args:
        columns: [X] names of the text columns.
        tokens: Column -> values that are one feature each; columns that are not here are free text.
        ngrams: [V] n-grams, sorted.
        idf: [V] float32.
    """

    columns: tuple[str, ...]
    tokens: Mapping[str, tuple[str, ...]]
    ngrams: tuple[str, ...]
    idf: np.ndarray

    @property
    def size(self) -> int:
        """F: the n-grams, then the tokens of each column."""
        return len(self.ngrams) + sum(map(len, self.tokens.values()))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """[F] for people: the n-gram, or column=value."""
        values = (f"{column}={value}" for column, each in self.tokens.items() for value in each)
        return self.ngrams + tuple(values)

    @cached_property
    def _counter(self) -> NgramCounter:
        return NgramCounter(self.ngrams)

    @cached_property
    def _token_places(self) -> dict[tuple[str, str], int]:
        pairs = [(column, value) for column, each in self.tokens.items() for value in each]
        return {pair: len(self.ngrams) + place for place, pair in enumerate(pairs)}

    def encode(self, texts: np.ndarray) -> SparseRows:
        """Features of rows.

        Args:
            texts: [N, X] str, "" for none.
        """
        parts = [self._row(row) for row in texts.tolist()]
        sizes = [len(columns) for columns, _ in parts]
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        empty = (np.zeros(0, np.int64), np.zeros(0, np.float32))
        columns, values = (
            np.concatenate([part[i] for part in parts] or [empty[i]]) for i in range(2)
        )
        return SparseRows(starts, columns, values)

    def _row(self, cells: list[str]) -> tuple[np.ndarray, np.ndarray]:
        free, places = [], []
        for column, cell in zip(self.columns, cells, strict=True):
            text = normalised(cell)
            if column not in self.tokens:
                free.append(text)
            elif (column, text) in self._token_places:
                places.append(self._token_places[column, text])
        columns, counts = self._counter.count(" ".join(free))
        values = (1.0 + np.log(counts)) * self.idf[columns]
        length = np.sqrt((values**2).sum())
        values = np.concatenate([values / length if length else values, np.ones(len(places))])
        return np.concatenate([columns, sorted(places)]).astype(np.int64), values.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Words:
    """The linear models of all heads on words; made by `fit_words`.

    Args:
        vocabulary: F features.
        heads: Weights [F, S] of each category.
    """

    vocabulary: Vocabulary
    heads: LinearHeads

    def probabilities(self, texts: np.ndarray, categories: np.ndarray) -> np.ndarray:
        """[N, A, C] float32; 0 for rows without a word that is known, and heads without a model.

        Args:
            texts: [N, X] str, "" for none.
            categories: [N] category indices.
        """
        taxonomy = self.heads.taxonomy
        found = np.zeros((len(texts), taxonomy.num_slots, self.heads.most_classes), np.float32)
        encoded = self.vocabulary.encode(texts)
        for row, category in enumerate(categories.tolist()):
            columns, values = encoded.row(row)
            if len(columns):
                # Row by row: in a product of the whole batch the last digits would depend on it.
                scores = values @ self.heads.weights[category][columns]
                scores = scores + self.heads.biases[category]
                found[row] = self.heads.probabilities(scores, category)
        return found

    def loudest(self, category: int, slot: int, count: int = 5) -> list[list[str]]:
        """For each class of a head the features that say most for it, without parts of others.

        That is weight * size * sqrt(share of the texts): what a weight does over all texts. By
        weight alone n-grams of two texts would come first.
        """
        part = class_parts(self.heads.taxonomy, category)[slot]
        vocabulary = self.vocabulary
        # Of the idf: the share of the texts is exp(1 - idf).
        sizes = [vocabulary.idf * np.exp((1.0 - vocabulary.idf) / 2)]
        sizes += [np.full(len(each), len(each) ** -0.5) for each in vocabulary.tokens.values()]
        loud = self.heads.weights[category][:, part].T * np.concatenate(sizes)
        return [_loudest(vocabulary.names, row, count) for row in loud]

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Name -> array of numbers or text, for a file; nothing needs to be pickled."""
        plain = {
            "columns": self.vocabulary.columns,
            "tokens": self.vocabulary.tokens,
            "ngrams": self.vocabulary.ngrams,
        }
        text = np.frombuffer(json.dumps(plain).encode(), np.uint8)
        return {"vocabulary": text, "idf": self.vocabulary.idf, **self.heads.to_arrays()}

    @classmethod
    def from_arrays(cls, taxonomy: Taxonomy, arrays: Mapping[str, np.ndarray]) -> "Words":
        """The inverse of `to_arrays`.

        Raises:
            InputError: The arrays do not fit the taxonomy or each other.
            KeyError: One is missing.
        """
        plain = json.loads(arrays["vocabulary"].tobytes())
        tokens = {column: tuple(values) for column, values in plain["tokens"].items()}
        vocabulary = Vocabulary(
            tuple(plain["columns"]), tokens, tuple(plain["ngrams"]), arrays["idf"]
        )
        heads = LinearHeads.from_arrays(taxonomy, arrays)
        heights = {len(weights) for weights in heads.weights}
        if heights != {vocabulary.size} or len(vocabulary.idf) != len(vocabulary.ngrams):
            raise InputError("the weights of the words do not fit their vocabulary")
        return cls(vocabulary, heads)


def _loudest(names: Sequence[str], loud: np.ndarray, count: int) -> list[str]:
    """The loudest names, without those that lie in an earlier one or around it."""
    order = [place for place in np.argsort(-loud)[:_LOOKED_AT].tolist() if loud[place] > 0]
    found: list[str] = []
    for place in order:
        if any(_is_within(names[place], each) for each in found):
            continue
        # People read "blue" better than "lu", which says a little more because it is in more texts.
        around = [
            names[other]
            for other in order
            if names[place] in names[other] and 2 * loud[other] >= loud[place]
        ]
        longest = max(around, key=len)
        if not any(_is_within(longest, each) for each in found):
            found.append(longest)
        if len(found) == count:
            break
    return found


def _is_within(one: str, other: str) -> bool:
    return one.strip() in other or other.strip() in one
