import json

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from visual_taxonomy.errors import InputError
from visual_taxonomy.witnesses.ngrams import normalised
from visual_taxonomy.witnesses.word_fitting import fit_vocabulary, fit_words
from visual_taxonomy.witnesses.words import Words

COLUMNS = ("title", "brand")


@pytest.fixture(scope="module")
def words(rows) -> Words:
    return fit_words(rows.taxonomy, COLUMNS, *rows[1:])


def dense(encoded, size):
    arrays = (encoded.values, encoded.columns, encoded.starts)
    return csr_matrix(arrays, (len(encoded.starts) - 1, size)).toarray()


def test_features_are_the_tf_idf_of_scikit_learn():
    texts = ["Nike blue shirt shirt shirt", "nike  red shirt", "Puma blue polo", "red polo red"]
    theirs = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(2, 5), min_df=2, sublinear_tf=True, preprocessor=normalised
    )
    expected = theirs.fit_transform(texts).toarray()
    cells = np.array(texts, dtype=object)[:, None]
    vocabulary = fit_vocabulary(["title"], cells)
    assert vocabulary.names == tuple(theirs.get_feature_names_out())
    found = dense(vocabulary.encode(cells), vocabulary.size)
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_a_column_of_few_values_has_a_feature_for_each():
    brands = ["Nike", "nike ", "PUMA", "puma"] * 8 + ["once"]
    cells = np.array([[f"title {i}", brand] for i, brand in enumerate(brands)], dtype=object)
    vocabulary = fit_vocabulary(COLUMNS, cells)
    assert vocabulary.tokens == {"brand": ("nike", "puma")}
    assert vocabulary.names[-2:] == ("brand=nike", "brand=puma")
    found = dense(vocabulary.encode(np.array([["", "Puma"], ["", "once"]])), vocabulary.size)
    assert found[0].tolist() == [0.0] * (vocabulary.size - 1) + [1.0]
    assert not found[1].any()


def test_probabilities_are_the_normalised_answers_of_one_regression_a_class(rows, words):
    """Kurtis/sleeve, of three classes, and Sarees/border; no other category has these."""
    encoded = words.vocabulary.encode(rows.texts)
    features = dense(encoded, words.vocabulary.size).astype(np.float64)
    has_text = (rows.texts != "").any(axis=1)
    found = words.probabilities(rows.texts, rows.categories)
    for category, slot in ((1, 1), (0, 0)):
        of_category = (rows.categories == category) & has_text
        fitted = of_category & (rows.targets[:, slot] >= 0)
        shares = []
        for label in range(3):
            model = LogisticRegression(C=30.0, solver="liblinear", tol=1e-2, random_state=0)
            model.fit(features[fitted], rows.targets[fitted, slot] == label)
            shares.append(model.predict_proba(features[of_category])[:, 1])
        expected = np.transpose(shares) / np.sum(shares, axis=0)[:, None]
        np.testing.assert_allclose(found[of_category, slot], expected, atol=1e-5)


def test_rows_of_other_categories_lend_classes_of_the_same_name(rows, words):
    """Sarees/color is red or blue, Kurtis/color red or green: red is lent to both."""
    features = dense(words.vocabulary.encode(rows.texts), words.vocabulary.size).astype(np.float64)
    has_text = (rows.texts != "").any(axis=1)
    own = has_text & (rows.categories == 0) & (rows.targets[:, 1] >= 0)
    lent = has_text & (rows.categories == 1) & (rows.targets[:, 0] == 0)
    is_red = np.where(rows.categories == 0, rows.targets[:, 1] == 0, True)
    fitted = own | lent
    model = LogisticRegression(C=30.0, solver="liblinear", tol=1e-2, random_state=0)
    model.fit(features[fitted], is_red[fitted], np.where(own, 1.0, 0.3)[fitted])
    asked = has_text & (rows.categories == 0)
    expected = model.predict_proba(features[asked])[:, 1]
    found = words.probabilities(rows.texts, rows.categories)[asked, 1]
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-5)
    assert not found[:, 2].any()


def test_words_know_what_titles_name(rows, words):
    found = words.probabilities(rows.texts, rows.categories)
    labelled = (rows.targets != -1) & found.any(axis=2)
    right = (found.argmax(axis=2) == rows.targets)[labelled]
    assert right.mean() > 0.75


def test_rows_without_a_known_word_have_no_answer(rows, words):
    texts = np.array([["", ""], ["漢字", ""], ["zari", ""]], dtype=object)
    found = words.probabilities(texts, np.zeros(3, int))
    assert not found[:2].any()
    np.testing.assert_allclose(found[2, :2].sum(axis=1), 1.0, rtol=1e-6)


def test_a_row_has_the_same_answer_in_any_batch(rows, words):
    whole = words.probabilities(rows.texts, rows.categories)
    for row in (1, 44, 299):
        one = words.probabilities(rows.texts[row : row + 1], rows.categories[row : row + 1])
        np.testing.assert_array_equal(one[0], whole[row])


def test_a_class_that_no_title_had_is_one_in_n_more(rows):
    targets = rows.targets.copy()
    targets[(rows.categories == 1) & (targets[:, 1] == 2), 1] = -1
    words = fit_words(rows.taxonomy, COLUMNS, rows.texts, rows.categories, targets)
    has_text = (rows.texts != "").any(axis=1)
    labels = ((rows.categories == 1) & (targets[:, 1] >= 0) & has_text).sum()
    part = words.heads.biases[1][2:5]  # behind the two classes of the color
    assert 1 / (1 + np.exp(-part[2])) == pytest.approx(1 / (labels + 1))
    assert not words.heads.weights[1][:, 4].any()


def test_a_head_of_one_class_is_sure_and_one_without_labels_silent(rows):
    targets = rows.targets.copy()
    targets[rows.categories == 0, 0] = -1
    words = fit_words(rows.taxonomy, COLUMNS, rows.texts, rows.categories, targets)
    found = words.probabilities(np.array([["zari", ""], ["short", ""]]), np.array([0, 1]))
    assert not found[0, 0].any()
    assert found[0, 1].any()
    assert found[1, 2].tolist() == [1.0, 0.0, 0.0]


def test_without_any_text_there_are_no_words(rows):
    empty = np.full_like(rows.texts, "")
    assert fit_words(rows.taxonomy, COLUMNS, empty, rows.categories, rows.targets) is None


def test_the_loudest_ngrams_are_those_of_the_name(words):
    loudest = words.loudest(0, 0)
    assert any(gram.strip() in "zari" for gram in loudest[0])
    assert any(gram.strip() in "woven" for gram in loudest[2])
    for grams in loudest:
        assert not any(a.strip() in b for a in grams for b in grams if a != b)


def test_words_come_back_from_their_arrays(rows, words):
    arrays = words.to_arrays()
    assert all(array.dtype != object for array in arrays.values())
    again = Words.from_arrays(rows.taxonomy, arrays)
    assert again.vocabulary.names == words.vocabulary.names
    np.testing.assert_array_equal(
        again.probabilities(rows.texts, rows.categories),
        words.probabilities(rows.texts, rows.categories),
    )


def test_arrays_that_do_not_fit_are_refused(rows, words):
    arrays = words.to_arrays()
    with pytest.raises(InputError, match="do not fit their vocabulary"):
        Words.from_arrays(rows.taxonomy, {**arrays, "idf": arrays["idf"][1:]})
    with pytest.raises(InputError, match="do not fit the taxonomy"):
        Words.from_arrays(rows.taxonomy, {**arrays, "biases_0": arrays["biases_0"][1:]})
    assert "ngrams" in json.loads(arrays["vocabulary"].tobytes())
