"""Texts as counts of character n-grams, by the rule of scikit-learn's `char_wb`.

Shapes: V n-grams of the vocabulary.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

SHORTEST, LONGEST = 2, 5
"""Characters of an n-gram: single letters say nothing, and longer ones than 5 are whole words."""

MOST = 20_000
"""N-grams of a vocabulary. A weight matrix has a row for each: with the 235 classes of a catalogue
of five categories these are 19 MB. Titles of 2,900 products have 5,900 that occur twice."""

_FEWEST = 2
"""Texts an n-gram must occur in: what one text alone has says nothing of another."""

_REMEMBERED = 50_000
"""Words whose n-grams are kept at hand; without a bound a large file would fill the memory."""


def normalised(text: str) -> str:
    r"""One form for texts that read alike: compatibility forms, case and white space are folded.

    Example:
        >>> normalised("\uff2eike  T-SHIRT")
        'nike t-shirt'
    """
    # NUL too: NumPy cuts it off at the end of a text, and the n-gram would be another.
    return " ".join(unicodedata.normalize("NFKC", text.replace("\0", " ")).casefold().split())


def ngrams_of_word(word: str) -> Iterator[str]:
    """N-grams of 2 to 5 characters of a word with a space on either side.

    A word shorter than n is one n-gram as a whole, and only once.

    Example:
        >>> list(ngrams_of_word("ab"))
        [' a', 'ab', 'b ', ' ab', 'ab ', ' ab ']
    """
    spaced = f" {word} "
    for size in range(SHORTEST, LONGEST + 1):
        for start in range(max(len(spaced) - size, 0) + 1):
            yield spaced[start : start + size]
        if len(spaced) <= size:
            return


def choose_vocabulary(texts: Iterable[str], most: int = MOST) -> list[str]:
    """The n-grams of two or more texts, sorted; of too many, those of the most texts.

    Args:
        texts: Normalised.
        most: N-grams at most.

    Example:
        >>> choose_vocabulary(["ab", "ab c"])
        [' a', ' ab', ' ab ', 'ab', 'ab ', 'b ']
    """
    words = [set(text.split()) for text in texts]
    of_word = {word: tuple(set(ngrams_of_word(word))) for word in set().union(*words)}
    counts: Counter[str] = Counter()
    for each in words:
        # A set: an n-gram of two words of one text counts once.
        counts.update({gram for word in each for gram in of_word[word]})
    found = [(-count, gram) for gram, count in counts.items() if count >= _FEWEST]
    return sorted(gram for _, gram in sorted(found)[:most])


class NgramCounter:
    """Counts the n-grams of a vocabulary in texts.

    Args:
        vocabulary: [V] n-grams.

    Example:
        >>> NgramCounter([" a", "ab", "b "]).count("ab  abc")
        (array([0, 1, 2]), array([2, 2, 1]))
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self._places = {gram: place for place, gram in enumerate(vocabulary)}
        self._of_word: dict[str, np.ndarray] = {}

    def count(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """Places in the vocabulary, rising, and how often each of them occurs in a text."""
        parts = [self._of(word) for word in text.split()]
        if not parts:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        return np.unique(np.concatenate(parts), return_counts=True)

    def _of(self, word: str) -> np.ndarray:
        found = self._of_word.get(word)
        if found is None:
            grams = ngrams_of_word(word)
            places = [self._places[gram] for gram in grams if gram in self._places]
            found = np.array(places, dtype=np.int64)
            if len(self._of_word) >= _REMEMBERED:
                self._of_word.clear()
            self._of_word[word] = found
        return found
