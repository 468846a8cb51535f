import pytest

UTT2SPK = "a-1 a\na-2 a\na-3 a\nb-1 b\nc-1 c\nc-2 c\n"
SPK2UTT = "a a-1 a-2 a-3\nb b-1\nc c-1 c-2\n"


def test_utt2spk_and_back(run_script, tmp_path):
    (tmp_path / "utt2spk").write_text(UTT2SPK)
    assert run_script("utt2spk_to_spk2utt.pl", "utt2spk").stdout == SPK2UTT
    assert run_script("utt2spk_to_spk2utt.pl", stdin=UTT2SPK).stdout == SPK2UTT
    assert run_script("spk2utt_to_utt2spk.pl", stdin=SPK2UTT).stdout == UTT2SPK
    assert run_script("spk2utt_to_utt2spk.pl", "-", stdin=SPK2UTT).stdout == UTT2SPK


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["list"], "a one\nc  three\n"),
        (["--exclude", "list"], "b\ttwo\n"),
        (["list", "table"], "a one\nc  three\n"),
        (["-f", "2", "list2"], "b\ttwo\n"),
        (["--exclude", "-f", "2", "list2"], "a one\nc  three\n"),
    ],
)
def test_filter(run_script, tmp_path, arguments, expected):
    (tmp_path / "list").write_text("c ignored words\na\nunknown\n")
    (tmp_path / "list2").write_text("two\n")
    (tmp_path / "table").write_text("a one\nb\ttwo\nc  three\n")
    done = run_script("filter_scp.pl", *arguments, stdin="a one\nb\ttwo\nc  three\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")


def test_split_by_lines(run_script, tmp_path):
    lines = [f"u{n} x\n" for n in range(10)]
    (tmp_path / "scp").write_text("".join(lines))
    assert run_script("split_scp.pl", "scp", "1", "2", "3").returncode == 0
    parts = [(tmp_path / name).read_text() for name in "123"]
    assert "".join(parts) == "".join(lines)
    assert sorted(part.count("\n") for part in parts) == [3, 3, 4]
    assert run_script("split_scp.pl", "-j", "3", "1", "scp").stdout == parts[1]
    assert run_script("split_scp.pl", "--one-based", "-j", "3", "1", "scp", "out").returncode == 0
    assert (tmp_path / "out").read_text() == parts[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2", "3", "out", "scp"]


def test_split_by_speakers(run_script, tmp_path):
    (tmp_path / "utt2spk").write_text(UTT2SPK)
    done = run_script("split_scp.pl", "--utt2spk=utt2spk", "-", "1", "2", stdin=UTT2SPK)
    assert done.returncode == 0
    assert (tmp_path / "1").read_text() == "a-1 a\na-2 a\na-3 a\n"
    assert (tmp_path / "2").read_text() == "b-1 b\nc-1 c\nc-2 c\n"


@pytest.mark.parametrize(
    "words, message",
    [
        (["utt2spk_to_spk2utt.pl", "none"], "utt2spk_to_spk2utt.pl: none: No such file"),
        (["utt2spk_to_spk2utt.pl", "bad"], "bad:2: expected 'utterance speaker'"),
        (["utt2spk_to_spk2utt.pl", "a", "b"], "usage: utt2spk_to_spk2utt.pl"),
        (["spk2utt_to_utt2spk.pl", "none"], "spk2utt_to_utt2spk.pl: none: No such file"),
        (["spk2utt_to_utt2spk.pl", "bad"], "bad:2: expected 'speaker utterance...'"),
        (["filter_scp.pl"], "usage: filter_scp.pl"),
        (["filter_scp.pl", "--wrong", "bad"], "unknown option --wrong"),
        (["filter_scp.pl", "-f", "0", "bad"], "-f takes a number from 1, not '0'"),
        (["filter_scp.pl", "-f"], "-f takes a number from 1, not ''"),
        (["filter_scp.pl", "none", "bad"], "filter_scp.pl: none: No such file"),
        (["filter_scp.pl", "bad", "none"], "filter_scp.pl: none: No such file"),
        (["filter_scp.pl", "-f", "2", "bad", "bad"], "bad:2: the line has no field 2"),
        (["filter_scp.pl", "-", "-"], "only one of LIST and TABLE"),
        (["split_scp.pl", "bad"], "usage: split_scp.pl"),
        (["split_scp.pl", "bad", "1", "2", "3"], "bad has 2 lines, too few for 3 parts"),
        (["split_scp.pl", "--utt2spk=bad", "bad", "1"], "bad: no speaker in bad for the line b"),
        (["split_scp.pl", "-j", "2", "2", "bad"], "-j 2 has the parts 0 to 1, not 2"),
        (["split_scp.pl", "--one-based", "-j", "2", "0", "bad"], "-j 2 has the parts 1 to 2, not 0"),
        (["split_scp.pl", "-j", "2", "x", "bad"], "unknown or incomplete option -j"),
        (["split_scp.pl", "none", "1"], "split_scp.pl: none: No such file"),
    ],
)
def test_errors(run_script, tmp_path, words, message):
    (tmp_path / "bad").write_text("a s\nb\n")
    done = run_script(*words)
    assert done.returncode != 0
    assert message in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad"]


def test_a_full_disk_is_an_error(run_script, tmp_path):
    (tmp_path / "utt2spk").write_text(UTT2SPK)
    for name, arguments in [("utt2spk_to_spk2utt.pl", ["utt2spk"]), ("filter_scp.pl", ["utt2spk", "utt2spk"])]:
        with open("/dev/full", "w") as full:
            assert run_script(name, *arguments, stdout=full).returncode != 0
