import pytest

from sertk.kaldi.datadir import DataDir, write_data_dir

UTTERANCES = ["s1-a", "s1-b", "s2-a", "s2-b"]


@pytest.fixture
def data(tmp_path):
    tables = {
        "utt2spk": {utt: utt[:2] for utt in UTTERANCES},
        "text": {utt: "words" for utt in UTTERANCES},
        "wav.scp": {utt: f"{utt}.wav" for utt in UTTERANCES},
        "feats/fbank40.scp": {utt: "f.ark:1" for utt in UTTERANCES},
        "labels/2": {utt: "x" for utt in UTTERANCES},
    }
    write_data_dir(tmp_path / "data", tables)
    return tmp_path / "data"


def test_validate(run_script, data):
    done = run_script("validate_data_dir.sh", "data")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Successfully validated data-directory data\n", "")
    (data / "text").write_text("s1-a\ns1-b\ns2-b\n")
    done = run_script("validate_data_dir.sh", "data")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1 and "data/text: no line for the utterance 's2-a'" in done.stderr
    for name in ("text", "wav.scp", "feats/fbank40.scp"):
        (data / name).unlink()
    assert run_script("validate_data_dir.sh", "--no-text", "--no-feats", "data").returncode == 1
    assert run_script("validate_data_dir.sh", "--no-text", "--no-feats", "--no-wav", "data").returncode == 0
    assert run_script("validate_data_dir.sh", "nowhere").stderr == "sertk-data-dir: nowhere: no such data folder\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("utt2spk", b"s1-a s1\ns1-b s1 s2\n", "utt2spk:2: 's1-b' has more than one speaker"),
        ("text", b"s1-a words\r\n", "text:1: Windows line end"),
        ("wav.scp", b"s1-a \xff\n", "wav.scp:1: not UTF-8 text"),
        ("labels/2", b"s2-b x\ns1-a x\n", "labels/2:2: 's1-a' comes after 's2-b'"),
    ],
)
def test_validate_names_file_and_line(run_script, data, name, content, message):
    (data / name).write_bytes(content)
    done = run_script("validate_data_dir.sh", "data")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"sertk-data-dir: data/{message}") and done.stderr.count("\n") == 1


def test_fix(run_script, data):
    (data / "text").write_text("s2-b x\ns1-a x\ns1-b x\n")
    done = run_script("fix_data_dir.sh", "data")
    assert (done.returncode, done.stdout) == (0, "kept 3 utterances out of 4\n")
    assert run_script("validate_data_dir.sh", "data").returncode == 0
    assert (data / ".backup/text").read_text() == "s2-b x\ns1-a x\ns1-b x\n"


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--first", "data", "1", "d"], ["s1-a"]),
        (["--first", "1", "data", "d"], ["s1-a"]),
        (["--first=1", "data", "d"], ["s1-a"]),
        (["--last", "data", "3", "d"], ["s1-b", "s2-a", "s2-b"]),
        (["--per-spk", "data", "1", "d"], ["s1-a", "s2-a"]),
        (["data", "4", "d"], UTTERANCES),
        (["--speakers", "4", "data", "d"], UTTERANCES),
        (["--utt-list", "utts", "data", "d"], ["s1-b", "s2-b"]),
        (["--utt-list=utts", "data", "d"], ["s1-b", "s2-b"]),
        (["--spk-list", "spks", "data", "d"], ["s2-a", "s2-b"]),
    ],
)
def test_subset(run_script, data, arguments, expected):
    (data.parent / "utts").write_text("s2-b\ns1-b\n")
    (data.parent / "spks").write_text("s2\n")
    done = run_script("subset_data_dir.sh", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert DataDir(data.parent / "d").utterances == expected
    assert list(DataDir(data.parent / "d").labels("2")) == expected


def test_split_combine_copy(run_script, data):
    assert run_script("split_data.sh", "data", "2").returncode == 0
    assert run_script("split_data.sh", "--per-utt", "data", "4").returncode == 0
    assert DataDir(data / "split2/2").utterances == ["s2-a", "s2-b"]
    assert DataDir(data / "split4utt/2").utterances == ["s1-b"]
    assert run_script("combine_data.sh", "--skip-fix", "true", "c", "data/split2/2", "data/split2/1").returncode == 0
    assert DataDir(data.parent / "c").utterances == UTTERANCES
    assert run_script("copy_data_dir.sh", "--utt-prefix", "p_", "--spk-prefix=p_", "data", "p").returncode == 0
    assert DataDir(data.parent / "p").utterances[0] == "p_s1-a"
    assert run_script("copy_data_dir.sh", "--feats", "fbank40", "data", "k").returncode == 0
    assert (data.parent / "k/feats.scp").is_file()


@pytest.mark.parametrize(
    "words, status, message",
    [
        (["validate_data_dir.sh"], 2, "required: DIR"),
        (["validate_data_dir.sh", "--no-nonsense", "data"], 2, "unrecognized arguments: --no-nonsense"),
        (["subset_data_dir.sh", "data", "d"], 2, "expected SRC N DEST, not 'data d'"),
        (["subset_data_dir.sh", "--first", "data", "many", "d"], 2, "expected a number of utterances, not 'many'"),
        (["subset_data_dir.sh", "--utt-list", "data/text", "--first", "1", "data", "d"], 2, "not allowed with"),
        (["subset_data_dir.sh", "--utt-list", "none", "data", "d"], 1, "none: No such file"),
        (["split_data.sh", "data", "x"], 2, "invalid int value"),
        (["split_data.sh", "data", "0"], 1, "cannot split 2 speakers into 0 parts"),
        (["combine_data.sh", "d"], 2, "required: SRC"),
        (["copy_data_dir.sh", "--feats", "x", "data", "d"], 1, "no features 'x'; there are: fbank40"),
    ],
)
def test_errors(run_script, data, words, status, message):
    done = run_script(*words)
    assert done.returncode == status
    assert message in done.stderr
    assert not (data.parent / "d").exists()
