"""Fit what the words say on labelled rows; needs scikit-learn.

Shapes: N rows, X text columns, A slots.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix

from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.witnesses.fitting import fit_heads
from visual_taxonomy.witnesses.ngrams import NgramCounter, choose_vocabulary, normalised
from visual_taxonomy.witnesses.words import Vocabulary, Words

_INVERSE_PENALTY = 30.0
"""C of the logistic regressions. On 2,900 real titles 10 loses 0.01 of the HM of image and words,
and 100 takes twice the time for the same."""

_LENT_WEIGHT = 0.3
"""Of a row of another category whose attribute and class are called alike: "navy blue" in a title
says the same of a shirt and of a saree. On 2,900 real titles the HM of words is 0.687 without such
rows, 0.701 with this weight and 0.707 with 1; that of image and words 0.762, 0.771, 0.762."""

_ROWS_OF_TOKEN = 10
_MOST_TOKENS = 2000
"""A column is one of tokens where a value has so many rows on average, and there are no more of
them; else its values are free text."""


def fit_words(
    taxonomy: Taxonomy,
    columns: Sequence[str],
    texts: np.ndarray,
    categories: np.ndarray,
    targets: np.ndarray,
) -> Words | None:
    """Fit vocabulary and heads on the rows that have a text; None where none has.

    Args:
        taxonomy: What is predicted.
        columns: [X] names of the text columns.
        texts: [N, X] str, "" for none.
        categories: [N] category indices.
        targets: [N, A] class indices, -1 for unknown.
    """
    rows = np.flatnonzero((texts != "").any(axis=1))
    vocabulary = fit_vocabulary(columns, texts[rows])
    if not vocabulary.size:
        return None
    encoded = vocabulary.encode(texts[rows])
    shape = (len(rows), vocabulary.size)
    matrix = csr_matrix((encoded.values, encoded.columns, encoded.starts), shape, dtype=np.float64)
    heads = fit_heads(
        taxonomy,
        categories[rows],
        targets[rows],
        lambda category, slot, chosen: matrix[chosen],
        _INVERSE_PENALTY,
        _LENT_WEIGHT,
    )
    return Words(vocabulary, heads)


def fit_vocabulary(columns: Sequence[str], texts: np.ndarray) -> Vocabulary:
    """The features of texts [N, X]; a column of few values has tokens, all others n-grams."""
    tokens: dict[str, tuple[str, ...]] = {}
    free = [""] * len(texts)
    for name, cells in zip(columns, texts.T.tolist(), strict=True):
        values = [normalised(cell) for cell in cells]
        counts = Counter(value for value in values if value)
        if len(counts) <= _MOST_TOKENS and counts.total() >= _ROWS_OF_TOKEN * len(counts):
            # What one row alone has says nothing of another.
            tokens[name] = tuple(sorted(value for value, n in counts.items() if n > 1))
        else:
            free = [f"{text} {value}" for text, value in zip(free, values, strict=True)]
    ngrams = choose_vocabulary(free)
    return Vocabulary(tuple(columns), tokens, tuple(ngrams), _idf(ngrams, free))


def _idf(ngrams: Sequence[str], texts: Sequence[str]) -> np.ndarray:
    counter = NgramCounter(ngrams)
    with_it = np.zeros(len(ngrams))
    for text in texts:
        # Places are unique within a text, so each is raised by one.
        with_it[counter.count(text)[0]] += 1
    written = sum(bool(text.strip()) for text in texts)
    idf: np.ndarray = np.log((1.0 + written) / (1.0 + with_it)) + 1.0
    return idf.astype(np.float32)
