import itertools
import math

import numpy as np
import pytest
from scipy import stats

from sertk.core.errors import SertkError
from sertk.evaluation.intervals import paired_bootstrap, resample_speakers, speaker_intervals, z_test
from sertk.evaluation.metrics import scores


def speakers_of(number, speakers, classes=3):
    return np.random.default_rng(number).integers(1, 9, size=(speakers, classes, classes))


def every_resample(confusions):
    """All equally likely draws of as many speakers with replacement."""
    return np.array(
        [confusions[list(drawn)].sum(0) for drawn in itertools.product(range(len(confusions)), repeat=len(confusions))]
    )


def test_resamples_are_sums_of_as_many_speakers():
    confusions = speakers_of(0, 4) * 0
    for speaker in range(4):
        confusions[speaker, 0, 0] = 10**speaker
    drawn = resample_speakers(confusions, 2000, seed=3)[:, 0, 0]
    assert {sum(map(int, str(total))) for total in drawn} == {4}
    assert len(set(drawn)) == math.comb(7, 3)


def test_interval_agrees_with_all_possible_resamples():
    confusions = speakers_of(1, 5)
    found = speaker_intervals(confusions, draws=40000, seed=0)
    for name, values in scores(every_resample(confusions)).items():
        assert found[name] == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.004)


def test_interval_agrees_with_scipy():
    confusions = speakers_of(2, 30)
    found = speaker_intervals(confusions, draws=20000, seed=0)

    def uar(index):
        return scores(confusions[index].sum(-3))["uar"]

    reference = stats.bootstrap(
        (np.arange(30),),
        lambda index, axis: uar(index.astype(int)),
        n_resamples=20000,
        method="percentile",
        rng=np.random.default_rng(1),
    )
    assert found["uar"] == pytest.approx(list(reference.confidence_interval), abs=0.002)


@pytest.mark.parametrize("speakers, descriptive", [(2, True), (9, True), (10, False)])
def test_few_speakers_are_descriptive(speakers, descriptive):
    found = speaker_intervals(speakers_of(3, speakers))
    assert found["descriptive"] is descriptive
    assert (found["speakers"], found["draws"], found["level"]) == (speakers, 2000, 0.95)


def test_one_speaker_has_no_interval():
    assert speaker_intervals(speakers_of(3, 1))["uar"] is None


def test_the_seed_decides_the_draws():
    confusions = speakers_of(4, 12)
    assert speaker_intervals(confusions, seed=1) == speaker_intervals(confusions, seed=1)
    assert speaker_intervals(confusions, seed=1)["uar"] != speaker_intervals(confusions, seed=2)["uar"]


def test_z_test_by_hand():
    # 66 of 100 against 50 of 100: pooled .58, standard error sqrt(.58 * .42 * 2 / 100) = .069799
    z, p = z_test(0.66, 100, 0.5, 100)
    assert z == pytest.approx(0.16 / 0.0697997, rel=1e-5)
    assert p == pytest.approx(stats.norm.sf(z))
    assert p == pytest.approx(0.01094, abs=1e-5)


def test_z_test_is_the_root_of_the_chi_square_test():
    table = np.array([[130, 70], [90, 90]])
    z, p = z_test(130 / 200, 200, 90 / 180, 180)
    chi_square = stats.chi2_contingency(table, correction=False)
    assert z**2 == pytest.approx(chi_square.statistic)
    assert 2 * p == pytest.approx(chi_square.pvalue)
    assert z_test(90 / 180, 180, 130 / 200, 200)[1] == pytest.approx(1 - p)


@pytest.mark.parametrize("same", [0.0, 0.4, 1.0])
def test_z_test_of_equal_proportions(same):
    assert z_test(same, 50, same, 60) == (0.0, 0.5)


def test_z_test_refuses_what_is_no_proportion():
    with pytest.raises(SertkError, match="1.2 of 50 is not a proportion"):
        z_test(1.2, 50, 0.5, 50)
    with pytest.raises(SertkError, match="0.5 of 0 is not"):
        z_test(0.7, 50, 0.5, 0)


def test_paired_bootstrap_agrees_with_all_possible_resamples():
    better, worse = speakers_of(10, 5), speakers_of(11, 5)
    found = paired_bootstrap(better, worse, draws=40000, seed=0)
    all_better, all_worse = scores(every_resample(better)), scores(every_resample(worse))
    for name, test in found.items():
        differences = all_better[name] - all_worse[name]
        assert 0.01 < np.mean(differences <= 0) < 0.99
        assert test["p"] == pytest.approx(np.mean(differences <= 0), abs=0.01)
        assert test["interval"] == pytest.approx(np.quantile(differences, [0.025, 0.975]), abs=0.006)
        point = scores(better.sum(0))[name] - scores(worse.sum(0))[name]
        assert test["difference"] == pytest.approx(float(point))


def test_paired_bootstrap_of_a_system_with_itself_finds_nothing():
    confusions = speakers_of(8, 12)
    for test in paired_bootstrap(confusions, confusions).values():
        assert test == {"difference": 0.0, "interval": [0.0, 0.0], "p": 1.0}


def test_paired_bootstrap_of_a_system_always_ahead():
    worse = speakers_of(9, 12)
    better = worse.copy()
    better[:, range(3), range(3)] += 50
    assert paired_bootstrap(better, worse, draws=2000)["accuracy"]["p"] == pytest.approx(1 / 2001)


def test_paired_bootstrap_needs_the_same_speakers():
    with pytest.raises(SertkError, match="differ in speakers or classes"):
        paired_bootstrap(speakers_of(1, 4), speakers_of(1, 5))
