import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, precision_recall_fscore_support
from sklearn.metrics import confusion_matrix as sklearn_confusion

from sertk.core.errors import SertkError
from sertk.evaluation.metrics import class_metrics, confusion_matrix, grouped_confusions, scores

RANDOM = np.random.default_rng(5)
CASES = {
    "all classes": (RANDOM.integers(0, 5, 200), RANDOM.integers(0, 5, 200)),
    "class 1 not in the reference": (RANDOM.choice([0, 2, 3, 4], 80), RANDOM.integers(0, 5, 80)),
    "class 3 never predicted": (RANDOM.integers(0, 5, 80), RANDOM.choice([0, 1, 2, 4], 80)),
    "class 4 nowhere": (RANDOM.integers(0, 4, 80), RANDOM.integers(0, 4, 80)),
    "one prediction only": (RANDOM.integers(0, 5, 80), np.full(80, 2)),
    "everything wrong": (np.array([0, 0, 1]), np.array([1, 1, 0])),
}


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.parametrize("name", CASES)
def test_metrics_are_those_of_scikit_learn(name):
    reference, predicted = CASES[name]
    confusion = confusion_matrix(reference, predicted, 5)
    assert np.array_equal(confusion, sklearn_confusion(reference, predicted, labels=range(5)))
    found = scores(confusion)
    assert found["accuracy"] == pytest.approx(accuracy_score(reference, predicted))
    assert found["uar"] == pytest.approx(balanced_accuracy_score(reference, predicted))
    for average in ("macro", "weighted"):
        expected = f1_score(reference, predicted, average=average, zero_division=0)
        assert found[f"{average}_f1"] == pytest.approx(expected)
    by_class = precision_recall_fscore_support(reference, predicted, labels=range(5), zero_division=0)
    for key, expected in zip(("precision", "recall", "f1", "support"), by_class):
        assert class_metrics(confusion)[key] == pytest.approx(expected)


def test_values_by_hand():
    found = scores([[3, 1], [2, 4]])
    assert found["accuracy"] == pytest.approx(7 / 10)
    assert found["uar"] == pytest.approx((3 / 4 + 4 / 6) / 2)
    first, second = 2 * 3 / (4 + 5), 2 * 4 / (6 + 5)
    assert found["macro_f1"] == pytest.approx((first + second) / 2)
    assert found["weighted_f1"] == pytest.approx((4 * first + 6 * second) / 10)


def test_leading_axes_are_independent():
    confusions = RANDOM.integers(0, 6, size=(2, 3, 4, 4))
    confusions[0, 1, 2] = 0
    found, by_class = scores(confusions), class_metrics(confusions)
    for place in np.ndindex(2, 3):
        for name, value in scores(confusions[place]).items():
            assert found[name].shape == (2, 3)
            assert found[name][place] == pytest.approx(float(value))
        for name, values in class_metrics(confusions[place]).items():
            assert by_class[name][place] == pytest.approx(values)


def test_grouped_confusions_count_every_group_by_itself():
    reference, predicted, groups = RANDOM.integers(0, 3, (3, 50))
    found = grouped_confusions(reference, predicted, groups, 3, 4)
    for group in range(4):
        own = groups == group
        assert np.array_equal(
            found[group],
            sklearn_confusion(reference[own], predicted[own], labels=range(3)) if own.any() else 0 * found[0],
        )


def test_an_empty_matrix_is_refused():
    with pytest.raises(SertkError, match="without utterances"):
        scores(np.zeros((2, 3, 3)))
