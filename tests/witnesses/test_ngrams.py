import pytest
from sklearn.feature_extraction.text import CountVectorizer

from visual_taxonomy.witnesses.ngrams import (
    NgramCounter,
    choose_vocabulary,
    ngrams_of_word,
    normalised,
)

TEXTS = [
    "Nike Men Blue T-shirt",
    "a I ab abc abcd abcde abcdef  Blue blue",
    "साड़ी लाल",  # another script, with marks that combine
    "красное платье, красный",
    "赤い ドレス 👗",
]


@pytest.mark.parametrize("text", TEXTS)
def test_ngrams_are_those_of_scikit_learn(text):
    theirs = CountVectorizer(analyzer="char_wb", ngram_range=(2, 5), preprocessor=normalised)
    counts = theirs.fit_transform([text]).toarray()[0]
    vocabulary = theirs.get_feature_names_out().tolist()
    grams = {gram for word in normalised(text).split() for gram in ngrams_of_word(word)}
    assert grams == set(vocabulary)
    places, ours = NgramCounter(vocabulary).count(normalised(text))
    assert places.tolist() == list(range(len(vocabulary)))
    assert ours.tolist() == counts.tolist()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("STRASSE", "straße"),
        ("\uff2e\uff29\uff2b\uff25", "nike"),
        ("a\u00a0\n b", "A B"),
        ("e\u0301", "é"),
    ],
)
def test_texts_that_read_alike_are_one(one, other):
    assert normalised(one) == normalised(other)


def test_a_nul_is_white_space():
    assert normalised("a\0b\0") == "a b"


def test_the_vocabulary_is_bounded_and_keeps_what_most_texts_have():
    texts = ["aa", "aa bb", "aa bb", "cc"]
    assert choose_vocabulary(texts, most=6) == sorted(set(ngrams_of_word("aa")))
    assert "cc" not in choose_vocabulary(texts)  # of one text alone
    assert choose_vocabulary(["aa aa"]) == []  # twice, but in one text


def test_unknown_words_and_empty_texts_count_nothing():
    counter = NgramCounter(["aa"])
    assert counter.count("")[0].tolist() == []
    assert counter.count("zz")[0].tolist() == []


def test_the_words_at_hand_are_bounded(monkeypatch):
    monkeypatch.setattr("visual_taxonomy.witnesses.ngrams._REMEMBERED", 2)
    counter = NgramCounter(["aa", "bb", "cc"])
    for _ in range(2):
        assert counter.count("aa bb cc")[0].tolist() == [0, 1, 2]
        assert len(counter._of_word) <= 2
