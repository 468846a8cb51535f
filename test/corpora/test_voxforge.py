import pytest
import soundfile
from asr_releases import RATE, noise, pack, write_submission

from sertk.core.errors import SertkError
from sertk.corpora import CORPORA
from sertk.kaldi.checks import validate
from sertk.kaldi.datadir import DataDir


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "voxforge"
    write_submission(root, "Aaron-20080318-kdl", {"b0019": "THE PLANT WAS BUILT", "b0020": "IT WAS"}, seed=1)
    write_submission(root, "Aaron-20080318-lbb", {"b0019": "HE TURNED SHARPLY"}, seed=2, kind="flac")
    texts = {"ar-01": "Once there was a young rat, named Arthur.", "ar-02": "Who?"}
    write_submission(root, "anonymous-20100710-hne", texts, "prompts-original", gender="Female", seed=3)
    write_submission(root, "anonymous-20100711-abc", {"a01": "RATS"}, seed=4)
    write_submission(root, "Jo.B+x-20100711-abc", {"a01": "AND MICE"}, seed=5)
    return root


def prepare(root, tmp_path, **options):
    CORPORA["voxforge"](root, tmp_path / "data", **{"threads": 1, **options})
    return DataDir(tmp_path / "data")


def test_data_folder(root, tmp_path):
    data = prepare(root, tmp_path)
    validate(data.path, feats=False)
    first, second = "voxforge-anonymous_20100710_hne", "voxforge-anonymous_20100711_abc"
    assert data.table("text") == {
        "voxforge-Aaron-20080318-kdl-b0019": "the plant was built",
        "voxforge-Aaron-20080318-kdl-b0020": "it was",
        "voxforge-Aaron-20080318-lbb-b0019": "he turned sharply",
        f"{first}-ar_01": "once there was a young rat named arthur",
        f"{first}-ar_02": "who",
        f"{second}-a01": "rats",
        "voxforge-Jo_B_x-20100711-abc-a01": "and mice",
    }
    assert data.table("spk2gender") == {"voxforge-Aaron": "m", first: "f", second: "m", "voxforge-Jo_B_x": "m"}
    assert data.table("dropped") == {}


def test_archives_are_unpacked_once(root, tmp_path, caplog):
    whole = prepare(root, tmp_path).table("utt2hash")
    for name in ("Aaron-20080318-kdl", "anonymous-20100711-abc"):
        pack(root / name, root / f"{name}.tgz")
    (root / "Aaron-20080318-kdl").rename(tmp_path / "gone")
    for _ in range(2):
        data = prepare(root, tmp_path)
        assert data.table("utt2hash") == whole
    unpacked = data.path / "unpacked/Aaron-20080318-kdl/Aaron-20080318-kdl/wav/b0019.wav"
    assert data.table("wav.scp")["voxforge-Aaron-20080318-kdl-b0019"] == str(unpacked)
    assert [path.name for path in (data.path / "unpacked").iterdir()] == ["Aaron-20080318-kdl"]


def test_what_is_not_usable_is_left_out_and_named(root, tmp_path):
    folder = root / "Aaron-20080318-kdl"
    soundfile.write(folder / "wav/b0021.wav", noise(1.5, 9), RATE)
    (folder / "wav/b0022.wav").write_bytes(b"")
    name = "Aaron-20080318-kdl/mfc"
    with open(folder / "etc/PROMPTS", "a") as lines:
        lines.write(f"{name}/b0019 ANOTHER TEXT\r\n{name}/b0020 IT WAS\n{name}/b0022 EMPTY\n{name}/b0023 NO AUDIO\n\n")
    (root / "Aaron-20080318-lbb/etc/PROMPTS").unlink()
    (root / "anonymous-20100710-hne/etc/prompts-original").write_bytes(b"ar-01 caf\xe9\nar-02\n")
    data = prepare(root, tmp_path)
    prefix = "voxforge-Aaron-20080318"
    assert next(iter(data.table("text").items())) == (f"{prefix}-kdl-b0020", "it was")
    assert len(data.utterances) == 3
    dropped = {name: reason.partition(":")[0] for name, reason in data.table("dropped").items()}
    assert dropped == {
        f"{prefix}-kdl-b0019": "two prompts",
        f"{prefix}-kdl-b0021": "audio without a prompt",
        f"{prefix}-kdl-b0022": "unreadable",
        f"{prefix}-kdl-b0023": "prompt without audio",
        f"{prefix}-lbb-b0019": "audio without a prompt",
        "voxforge-anonymous_20100710_hne-ar_01": "characters",
        "voxforge-anonymous_20100710_hne-ar_02": "no words",
    }


def test_damaged_archives(root, tmp_path):
    archive = pack(root / "Aaron-20080318-kdl", root / "Aaron-20080318-kdl.tgz")
    content = archive.read_bytes()
    (root / "Aaron-20080318-kdl").rename(tmp_path / "gone")
    for damaged in (content[:2000], content[:-8] + b"\0\0\0\0" + content[-4:], b"<html>"):
        archive.write_bytes(damaged)
        with pytest.raises(
            SertkError, match=r"1 archives cannot be unpacked, remove them and get them again[^$]*kdl.tgz: "
        ):
            prepare(root, tmp_path)
        assert not list((tmp_path / "data/unpacked").glob("*"))
    assert len(prepare(root, tmp_path, partial=True).utterances) == 5


def test_no_submissions(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SertkError, match="empty: no submissions, which are folders that hold etc/PROMPTS"):
        prepare(tmp_path / "empty", tmp_path)


def test_users_whose_names_differ_in_capitals_are_one_speaker(root, tmp_path):
    write_submission(root, "aaron-20090318-xyz", {"b0001": "HELLO"}, seed=6)
    data = prepare(root, tmp_path)
    validate(data.path, feats=False)
    assert data.table("utt2spk")["voxforge-Aaron-20090318-xyz-b0001"] == "voxforge-Aaron"
