import numpy as np
import pytest
from kaldi_reference import FOLDER, reference

from sertk.batches.normalise import Normaliser
from sertk.batches.streams import Stream
from sertk.bin.compute_cmvn import main
from sertk.config.schema import Normalise
from sertk.core.errors import SertkError
from sertk.features import cmvn
from sertk.kaldi.archives import load_matrix, open_matrices


def normalise(features, stats, how="meanvar"):
    """What training and decoding do with given statistics."""
    stream = Stream([features.copy()])
    Normaliser([Normalise(how, "speaker")]).apply_(stream, ["a"], {"a": stats})
    return stream.values.numpy()


def test_agrees_with_kaldi(tmp_path):
    command = ["--spk2utt", f"ark:{FOLDER}/spk2utt", f"ark:{FOLDER}/fbank40.ark", f"ark:{tmp_path}/c.ark"]
    assert main(command) == 0
    ours = dict(open_matrices(f"ark:{tmp_path}/c.ark", np.float64))
    kaldi = reference("fbank40_cmvn", np.float64)
    assert list(ours) == list(kaldi) == ["spk01", "spk02"]
    for speaker, stats in kaldi.items():
        np.testing.assert_allclose(ours[speaker], stats, rtol=1e-6)
    normalised = reference("fbank40_normalised")
    assert len(normalised) == 3
    for utterance, features in reference("fbank40").items():
        speaker = utterance.split("-")[0]
        np.testing.assert_allclose(normalise(features, ours[speaker]), normalised[utterance], atol=0.01)


def test_statistics_by_hand():
    stats = cmvn.accumulate(np.array([[1, 2], [3, 4]], dtype=np.float32))
    np.testing.assert_array_equal(stats, [[4, 6, 2], [10, 20, 0]])
    stats = cmvn.accumulate(np.array([[5, 0]], dtype=np.float32), stats)
    np.testing.assert_array_equal(stats, [[9, 6, 3], [35, 20, 0]])
    mean, std = cmvn.mean_std(stats)
    np.testing.assert_allclose(mean, [3, 2])
    np.testing.assert_allclose(std, [(8 / 3) ** 0.5, (8 / 3) ** 0.5])


def test_normalised_features():
    features = np.random.default_rng(0).normal(100, 3, (500, 4)).astype(np.float32)
    stats = cmvn.accumulate(features)
    np.testing.assert_allclose(normalise(features, stats), (features - features.mean(0)) / features.std(0), atol=1e-3)
    centred = normalise(features, stats, "mean")
    np.testing.assert_allclose(centred, features - features.mean(0), atol=1e-3)
    assert centred.dtype == np.float32


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("place", [(0, 0), (1, 1), (0, -1)])
def test_impossible_statistics_are_refused(place):
    stats = cmvn.accumulate(np.ones((4, 2)))
    stats[place] = 1e-320 if place == (0, -1) else 1e300 if place == (0, 0) else np.inf
    with pytest.raises(SertkError, match="no CMVN statistics: the sums are beyond those of any features"):
        cmvn.mean_std(stats)


@pytest.mark.parametrize("value", [0.0, 0.1, -15.942385, 1e6])
def test_constants_become_zero(value):
    features = np.full((1000, 2), value, dtype=np.float32)
    normalised = normalise(features, cmvn.accumulate(features))
    np.testing.assert_allclose(normalised, 0, atol=abs(value) * 1e-6)


def test_what_does_not_fit():
    stats = cmvn.accumulate(np.ones((3, 2)))
    with pytest.raises(SertkError, match="have 3 dimensions, those before had 2"):
        cmvn.accumulate(np.ones((3, 3)), stats)
    with pytest.raises(SertkError, match="needs matrices"):
        cmvn.accumulate(np.ones(3))
    with pytest.raises(SertkError, match="3 dims, the CMVN statistics of speaker a have 2"):
        normalise(np.ones((3, 3), dtype=np.float32), stats)
    for broken in (np.ones((3, 3)), np.zeros((2, 3)), np.ones(4)):
        with pytest.raises(SertkError, match="no CMVN statistics"):
            cmvn.mean_std(broken)


@pytest.fixture
def features(tmp_path):
    (tmp_path / "f.txt").write_text("a  [\n  1 2\n  3 4 ]\nb  [\n  5 0 ]\nc  [\n  1 1 ]\n")
    (tmp_path / "spk2utt").write_text("s1 a c\ns2 b\n")
    return tmp_path


def test_command_per_utterance_speaker_and_global(features):
    source = f"ark,t:{features}/f.txt"
    assert main([source, f"ark,scp:{features}/u.ark,{features}/u.scp"]) == 0
    assert list(dict(open_matrices(f"scp:{features}/u.scp"))) == ["a", "b", "c"]
    assert main(["--spk2utt", f"{features}/spk2utt", source, f"ark,t:{features}/s.txt"]) == 0
    stats = dict(open_matrices(f"ark:{features}/s.txt"))
    np.testing.assert_array_equal(stats["s1"], [[5, 7, 3], [11, 21, 0]])
    np.testing.assert_array_equal(stats["s2"], [[5, 0, 1], [25, 0, 0]])
    assert main([source, f"{features}/global"]) == 0
    np.testing.assert_array_equal(load_matrix(f"{features}/global"), [[10, 7, 4], [36, 21, 0]])
    assert (features / "global").read_bytes()[:5] == b"\0BDM "


def test_specifiers_with_options(features):
    (features / "f.scp").write_text(f"a {features}/f.txt:1\nb gone.ark:1\n")
    speakers = f"ark,t:{features}/spk2utt"
    assert main(["--spk2utt", speakers, f"scp,p:{features}/f.scp", f"t,ark:{features}/s.txt"]) == 0
    stats = dict(open_matrices(f"ark:{features}/s.txt"))
    assert list(stats) == ["s1"] and stats["s1"].tolist() == [[4, 6, 2], [10, 20, 0]]


def test_command_messages(features, capsys):
    source = f"ark:{features}/f.txt"
    (features / "spk2utt").write_text("s1 a d\n")
    assert main(["--spk2utt", f"{features}/spk2utt", source, f"ark:{features}/x"]) == 1
    assert (
        f"{source}: lacks 1 of 2 utterances: d; compute them, or take them out of {features}/spk2utt"
        in capsys.readouterr().err
    )
    assert main(["--spk2utt", f"{features}/spk2utt", source, f"{features}/x"]) == 1
    assert f"such as ark:{features}/x" in capsys.readouterr().err
    (features / "f.txt").write_text("a  [\n  1 2 ]\nb  [\n  1 2 3 ]\n")
    assert main([source, f"{features}/x"]) == 1
    assert "b: features have 3 dimensions" in capsys.readouterr().err
    assert not (features / "x").exists()
