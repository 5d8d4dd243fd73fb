"""The vote of the neighbours against scikit-learn."""

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.probing.encoded import Encoded
from visual_taxonomy.training.probing.nearest import neighbour_votes


def test_shares_are_those_of_scikit_learn(probed, encoded):
    training, asked = encoded.take(np.arange(128) % 2 == 0), encoded.take(np.arange(128) % 2 == 1)
    votes = neighbour_votes(probed, training, asked, neighbours=5)
    rows, of_asked = training.of_category(0), asked.of_category(0)
    labels = training.targets[rows, 0]
    model = KNeighborsClassifier(5, metric="cosine", algorithm="brute")
    model.fit(training.features[rows[labels >= 0]], labels[labels >= 0])
    expected = model.predict_proba(asked.features[of_asked])
    np.testing.assert_allclose(votes[0][:, :3], expected, atol=1e-3)
    assert not votes[0][:, 3].any()


def test_of_equal_votes_the_more_alike_win():
    taxonomy = Taxonomy.from_dict({"Sarees": {"border": ["zari", "no"]}})
    zeros = np.zeros(2, np.int64)
    training = Encoded(np.array([[1.0, 0.5], [1.0, 0.0]], np.float32), zeros, np.array([[0], [1]]))
    asked = Encoded(np.array([[1.0, 0.1]], np.float32), zeros[:1], np.array([[-1]]))
    votes = neighbour_votes(taxonomy, training, asked, neighbours=9)[0]
    assert votes.argmax(axis=1).tolist() == [1]
    np.testing.assert_allclose(votes, [[0.5, 0.5]], atol=1e-3)


def test_a_head_without_labels_has_no_vote_and_a_dark_image_is_like_nothing(probed, encoded):
    dark = encoded._replace(features=np.zeros_like(encoded.features))
    votes = neighbour_votes(probed, encoded, dark, neighbours=3)
    assert not votes[3].any()
    np.testing.assert_allclose(votes[4].sum(axis=1), 1, atol=1e-6)
