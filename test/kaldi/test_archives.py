"""Archives against files written by hand, byte by byte, and against kaldiio's writer."""

import gzip
import io
import re
import struct
import sys

import kaldiio
import numpy as np
import pytest
from faults import die_at, full_disk, run_killed
from kaldi_reference import reference

from sertk.batches.streams import load_stream
from sertk.core.errors import SertkError, UsageError
from sertk.features.audio import read_utterances
from sertk.kaldi.archives import MatrixWriter, load_matrix, open_matrices, read_scp, read_text_table, split_location

MATRIX = np.arange(50, dtype=np.float32).reshape(10, 5) / 4


def binary(key, matrix, kind=b"FM ", dtype="<f4"):
    sizes = b"\4" + struct.pack("<i", matrix.shape[0]) + b"\4" + struct.pack("<i", matrix.shape[1])
    return key.encode() + b" \0B" + kind + sizes + matrix.astype(dtype).tobytes()


@pytest.fixture
def ark(tmp_path):
    path = tmp_path / "a.ark"
    path.write_bytes(binary("one", MATRIX) + binary("two", MATRIX[:3] * 2, b"DM ", "<f8"))
    return path


def test_binary_float_and_double(ark):
    read = dict(open_matrices(f"ark:{ark}"))
    assert list(read) == ["one", "two"]
    np.testing.assert_array_equal(read["one"], MATRIX)
    np.testing.assert_array_equal(read["two"], MATRIX[:3] * 2)
    assert read["two"].dtype == np.float32
    read["one"][0, 0] = 1  # writable, as torch wants it
    ((_, matrix), _) = open_matrices(f"ark:{ark}", np.float64)
    assert matrix.dtype == np.float64


def test_entries_that_begin_anywhere_in_a_read_buffer(tmp_path):
    path = tmp_path / "many.ark"
    for first in range(40):  # characters of the first key, which shift all that follows
        with MatrixWriter(f"ark:{path}") as writer:
            for key in ["k" * (first + 1), *map(str, range(1000, 1800))]:  # 34 bytes each
                writer.write(key, np.full((1, 3), len(key), np.float32))
        assert all(matrix.tolist() == [[len(key)] * 3] for key, matrix in open_matrices(f"ark:{path}"))


def test_text_that_starts_with_a_whole_number(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a  [\n  1 2.5 -3e-2 \n  4 5 6 ]\nb  [ 0 0.5 ]\nc  [\n  7 8 ]\n")
    read = dict(open_matrices(f"ark,t:{path}"))
    np.testing.assert_allclose(read["a"], [[1, 2.5, -0.03], [4, 5, 6]])
    np.testing.assert_array_equal(read["b"], [0, 0.5])
    np.testing.assert_array_equal(read["c"], [[7, 8]])
    np.testing.assert_array_equal(load_matrix(f"{path}:1"), read["a"])


@pytest.mark.parametrize("method", range(1, 8))
def test_every_compression_method(tmp_path, method):
    matrix = np.random.default_rng(method).random((40, 6), dtype=np.float32)
    # Methods 4 and 6 keep integers of 16 and 8 bits as they are.
    matrix = np.round(matrix * 200) if method in (4, 6) else matrix
    path = tmp_path / "c.ark"
    with MatrixWriter(f"ark:{path}", compression=method) as writer:
        writer.write("u", matrix)
    (read,) = dict(open_matrices(f"ark:{path}")).values()
    assert path.stat().st_size < matrix.nbytes
    np.testing.assert_allclose(read, matrix, atol={4: 0.01, 6: 0, 3: 1e-4}.get(method, 0.02))


def test_what_kaldi_compressed_is_read():
    """Of each column a quarter of the values lies in each of 64, 128 and 63 steps."""
    compressed, whole = reference("fbank40_compressed"), reference("fbank40")
    assert list(compressed) == list(whole)
    for utterance, expected in whole.items():
        error = np.abs(compressed[utterance] - expected)
        parts = np.diff(np.sort(expected, axis=0)[[0, len(expected) // 4, 3 * (len(expected) // 4), -1]], axis=0)
        step = (parts / [[64], [128], [63]]).max(axis=0)
        assert (error <= 0.51 * step + np.ptp(expected) / 65535).all() and error.max() > 0


@pytest.mark.parametrize(
    ("cut", "expected"),
    [
        ("[0:9]", MATRIX),
        ("[2:4]", MATRIX[2:5]),
        ("[0:1,2:3]", MATRIX[:2, 2:4]),
        ("[,1:1]", MATRIX[:, 1:2]),
        ("[:,0:2]", MATRIX[:, :3]),
        ("[8:12]", MATRIX[8:]),  # Kaldi lets the rows end up to 3 too late
    ],
)
def test_ranges_are_inclusive(ark, cut, expected):
    np.testing.assert_array_equal(load_matrix(f"{ark}:4{cut}"), expected)


@pytest.mark.parametrize("cut", ["[8:13]", "[10:11]", "[3:2]", "[0:1,4:5]", "[0:1,0:1,0:1]", "[4]"])
def test_ranges_that_do_not_fit(ark, cut):
    with pytest.raises(SertkError, match=r"the range .* does not fit a matrix of shape \(10, 5\)"):
        load_matrix(f"{ark}:4{cut}")


def test_split_location():
    assert split_location("a.ark:12[0:3]") == ("a.ark", 12, "0:3")
    assert split_location("a b:c.ark") == ("a b:c.ark", None, None)
    assert split_location("gunzip -c a:1.gz |[0:3]") == ("gunzip -c a:1.gz |", None, "0:3")


@pytest.mark.parametrize("location", ["", "a\nb.ark:12"])
def test_location_that_names_no_file(location):
    with pytest.raises(SertkError, match="expected a file's name or a command"):
        load_matrix(location)


def test_table_with_offsets_ranges_commands_and_gzip(tmp_path, ark):
    packed = tmp_path / "b.ark.gz"
    packed.write_bytes(gzip.compress(ark.read_bytes()))
    second = len(binary("one", MATRIX)) + 4
    table = tmp_path / "a.scp"
    table.write_text(
        f"b {ark}:{second}\na {ark}:4[0:1]\nc tail -c +5 {ark} |\nd tail -c +5 {ark} |[2:2]\ne {packed}:4\n"
    )
    read = dict(open_matrices(f"scp:{table}"))
    assert list(read) == ["b", "a", "c", "d", "e"]
    for key, expected in zip("bacde", [MATRIX[:3] * 2, MATRIX[:2], MATRIX, MATRIX[2:3], MATRIX]):
        np.testing.assert_array_equal(read[key], expected)
    assert len(dict(open_matrices(f"ark:{packed}"))) == 2
    assert len(dict(open_matrices(f"ark,s,cs:gunzip -c {packed} |"))) == 2
    assert len(dict(open_matrices(f"scp:head -n 2 {table} |"))) == 2


@pytest.mark.parametrize("location", ["cat a.ark |:7", "cat a.ark | :7", "cat a.ark |:7[0:1]"])
def test_a_command_with_an_offset_is_refused_by_table_and_key(tmp_path, location):
    (tmp_path / "a.scp").write_text(f"a b.ark:3\nu2 {location}\n")
    expected = re.escape(f"{tmp_path}/a.scp: u2: '{location}': a command is read from its beginning")
    for read in (
        lambda table: list(open_matrices(f"scp:{table}")),
        lambda table: list(read_utterances(table)),
        lambda table: load_stream(table, ["a"]),
    ):
        with pytest.raises(SertkError, match=expected):
            read(tmp_path / "a.scp")


def test_standard_input_and_output(monkeypatch, ark):
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, write_through=True))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(ark.read_bytes()))))
    with MatrixWriter("ark:-") as writer:
        for key, matrix in open_matrices("ark:-"):
            writer.write(key, matrix[:2])
    assert out.getvalue() == binary("one", MATRIX[:2]) + binary("two", MATRIX[:2] * 2)


@pytest.mark.parametrize("text", [False, True])
def test_writer_against_kaldiio(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    matrix = MATRIX + 0.5  # kaldiio reads text as integers where it starts with one
    options = "ark,scp,t" if text else "ark,scp"
    with MatrixWriter(f"{options}:sub/x.ark,sub/x.scp") as writer:
        writer.write("k1", matrix)
        writer.write("k2", matrix[0])
        writer.write("k3", matrix.astype(np.float64))
        assert not (tmp_path / "sub/x.ark").exists()
    assert (tmp_path / "sub/x.scp").read_text().startswith("k1 sub/x.ark:3\nk2 sub/x.ark:")
    read = kaldiio.load_scp("sub/x.scp")
    for key, expected in {"k1": matrix, "k2": matrix[0], "k3": matrix}.items():
        np.testing.assert_array_equal(read[key], expected)
    assert text or read["k3"].dtype == np.float64


def test_writer_to_command_and_device(tmp_path):
    with MatrixWriter(f"ark:| gzip -c > {tmp_path}/x.gz") as writer:
        writer.write("k", MATRIX)
    np.testing.assert_array_equal(dict(open_matrices(f"ark:{tmp_path}/x.gz"))["k"], MATRIX)
    with pytest.raises(SertkError, match="'exit 3' failed with status 3"), MatrixWriter("ark:| exit 3"):
        pass
    with MatrixWriter("ark:/dev/null") as writer:
        writer.write("k", MATRIX)


def test_writer_leaves_nothing_behind(tmp_path):
    files = f"{tmp_path}/x.ark,{tmp_path}/x.scp"
    with pytest.raises(SertkError, match="k is written twice"), MatrixWriter(f"ark,scp:{files}") as writer:
        writer.write("k", MATRIX)
        writer.write("k", MATRIX)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("key", ["", "a b"])
def test_writer_refuses_keys(tmp_path, key):
    with pytest.raises(SertkError, match="cannot be a key"), MatrixWriter(f"ark:{tmp_path}/x") as writer:
        writer.write(key, MATRIX)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [1e39, -1e300, 1.7e308])
def test_a_value_beyond_float32_is_refused(tmp_path, value):
    with MatrixWriter(f"ark:{tmp_path}/a.ark") as writer:
        writer.write("utt", np.array([[1.0, value]]))
    with pytest.raises(SertkError, match="utt in .*NaN or infinite values, or too large ones for float32"):
        list(open_matrices(f"ark:{tmp_path}/a.ark"))
    ((_, matrix),) = open_matrices(f"ark:{tmp_path}/a.ark", np.float64)
    assert matrix[0, 1] == value


def test_nan_is_refused_both_ways(tmp_path):
    broken = MATRIX.copy()
    broken[3, 3] = np.nan
    with pytest.raises(SertkError, match="u: the matrix holds NaN"), MatrixWriter(f"ark:{tmp_path}/x") as writer:
        writer.write("u", broken)
    (tmp_path / "y").write_bytes(binary("u", broken))
    with pytest.raises(SertkError, match=r"u in .*y: the matrix holds NaN"):
        list(open_matrices(f"ark:{tmp_path}/y"))


@pytest.mark.parametrize("size", [5, 8, 12, 20, 100])
@pytest.mark.parametrize("packed", [False, True])
def test_archives_that_are_cut_off(tmp_path, size, packed):
    content = binary("first", MATRIX) + binary("cut", MATRIX)[:size]
    path = tmp_path / "a.ark"
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(SertkError, match=r"cut in .*a\.ark"):
        list(open_matrices(f"ark:{path}"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty, expected an archive"),
        (b"key", "cut off after the key key"),
        (b"k  [ 1 2\n", "cut off"),
        (b"k  [\n 1 2\n 3 ]\n", "not a Kaldi matrix"),
        (b"k  [ ]\n", "an empty matrix"),
        (b"k 1 2 3\nj 4 5 6\n", "not a Kaldi matrix"),
        (b"k \0BXX 12", "not a Kaldi matrix"),
        (b"k \0BFM \4\xff\xff\xff\xff\4\1\0\0\0", "not a Kaldi matrix"),
        (b"\xff\xfe k", "not a Kaldi archive"),
        (b"x" * 5000, "not a Kaldi archive"),
        (b"k PKL\x80\x04.\n", "not a Kaldi matrix"),  # a pickle is never opened
        (binary("k", MATRIX) * 2, "k is there twice"),
        (gzip.compress(binary("k", MATRIX))[:-20], "unreadable"),
    ],
)
def test_broken_archives(tmp_path, content, message):
    path = tmp_path / "a.ark"
    path.write_bytes(content)
    with pytest.raises(SertkError, match=message):
        list(open_matrices(f"ark:{path}"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty, expected lines"),
        (b"a x\nb\n", ":2: expected a key and a value"),
        (b"a x\na y\n", ":2: a is there twice"),
        (b"a \xff\n", ":1: not UTF-8"),
        (b"\xef\xbb\xbfa x\n", ":1: the file begins with an invisible mark .BOM.; convert the file with dos2unix"),
        (b"a b\0.ark:5\n", ":1: a NUL character: not a text file"),
    ],
)
def test_broken_tables(tmp_path, content, message):
    path = tmp_path / "a.scp"
    path.write_bytes(content)
    with pytest.raises(SertkError, match=message):
        read_scp(path)


def test_commands_that_fail(tmp_path, ark):
    with pytest.raises(SertkError, match=r"'cat .*; exit 7' failed with status 7"):
        list(open_matrices(f"ark:cat {ark}; exit 7 |"))
    with pytest.raises(SertkError, match="failed with status 4"):
        list(open_matrices("ark:printf 'k \\0BFM ' ; exit 4 |"))
    with pytest.raises(SertkError, match="no-such.ark: No such file"):
        load_matrix(f"{tmp_path}/no-such.ark:12")


@pytest.mark.parametrize("specifier", ["x.ark", "ark:", "ark,scp:a,b", "foo:a"])
def test_specifiers_that_cannot_be_read(specifier):
    with pytest.raises(UsageError, match="cannot be read"):
        list(open_matrices(specifier))


@pytest.mark.parametrize("options", ["", ",o", ",no,s,cs", ",ns,ncs,np", ",bg", ",b", ",t", ",p", ",s,cs,p,bg"])
def test_options_of_kaldi_that_change_nothing_here(tmp_path, ark, options):
    (tmp_path / "a.scp").write_text(f"one {ark}:4\n")
    assert list(dict(open_matrices(f"scp{options}:{tmp_path}/a.scp"))) == ["one"]
    assert list(dict(open_matrices(f"ark{options}:{ark}"))) == ["one", "two"]


@pytest.mark.parametrize("options", ["ark", "ark,b", "ark,f,p", "ark,nf,np", "t,ark"])
def test_options_of_kaldi_for_writing(tmp_path, options):
    with MatrixWriter(f"{options}:{tmp_path}/b.ark") as writer:
        writer.write("one", MATRIX)
    np.testing.assert_array_equal(dict(open_matrices(f"ark:{tmp_path}/b.ark"))["one"], MATRIX)


def test_options_that_nobody_knows():
    with pytest.raises(UsageError, match=r"^'scp,q:a' cannot be read: no option 'q', there are b bg cs .* p s t$"):
        list(open_matrices("scp,q:a"))
    with pytest.raises(UsageError, match=r"^'ark,cs:a' cannot be written: no option 'cs', there are b f nf np p t$"):
        MatrixWriter("ark,cs:a")


def test_what_cannot_be_read_is_left_out_and_counted_where_p_asks_for_it(tmp_path, ark, caplog):
    table = tmp_path / "a.scp"
    second = len(binary("one", MATRIX)) + 4
    broken = ["b gone.ark:4", f"c {ark}:5", "d exit 3 |", f"e {ark}:4[8:99]"]
    table.write_text("\n".join([f"a {ark}:4", *broken, f"f {ark}:{second}"]) + "\n")
    with pytest.raises(SertkError, match=r"gone\.ark: No such file"):
        list(open_matrices(f"scp:{table}"))
    read = dict(open_matrices(f"scp,p:{table}", np.float64))
    assert list(read) == ["a", "f"] and read["f"].dtype == np.float64
    assert caplog.messages == [
        f"{table}: 4 of 6 entries cannot be read and are left out, the first is b: gone.ark: No such file or directory"
    ]
    table.write_text("\n".join(broken) + "\n")
    with pytest.raises(SertkError, match=r"4 of 4 entries cannot be read, the first is b: gone\.ark: No such file"):
        list(open_matrices(f"scp,p:{table}"))
    with pytest.raises(SertkError, match=r"nowhere\.scp: No such file"):
        list(open_matrices(f"scp,p:{tmp_path}/nowhere.scp"))


def test_an_archive_that_is_cut_off_is_taken_up_to_there_where_p_asks_for_it(tmp_path, ark, caplog):
    ark.write_bytes(ark.read_bytes()[:-9])
    with pytest.raises(SertkError, match="two in .* cut off here"):
        list(open_matrices(f"ark:{ark}"))
    assert list(dict(open_matrices(f"ark,p:{ark}"))) == ["one"]
    assert caplog.messages == [f"two in {ark}: the archive is cut off here; this and what follows is left out (1 read)"]
    with pytest.raises(SertkError, match="no-such"):
        list(open_matrices(f"ark,p:{tmp_path}/no-such.ark"))


def test_tables_of_text_may_be_named_by_a_specifier(tmp_path):
    path = tmp_path / "spk2utt"
    path.write_text("a x y\n")
    assert read_text_table(f"ark,t:{path}") == read_text_table(str(path)) == {"a": "x y"}


@pytest.mark.parametrize("specifier", ["x.ark", "scp:a.scp", "ark,scp:a", "ark,scp:-,a", "ark,zip:a", "ark:"])
def test_specifiers_that_cannot_be_written(specifier):
    with pytest.raises(UsageError, match="cannot be written"):
        MatrixWriter(specifier)


def write_pair(folder, value, size=5):
    with MatrixWriter(f"ark,scp:{folder}/x.ark,{folder}/x.scp") as writer:
        for number in range(3):
            writer.write("k" * (number + 1), np.full((size, 2), value))


def write_pair_killed(folder, *place):
    die_at(*place)
    write_pair(folder, 2.0, size=7)


@pytest.mark.parametrize(
    ("place", "left", "value"),
    [(("fsync", 1), ["x.ark", "x.scp"], 1), (("replace", 1), ["x.ark"], 1), (("replace", 2), ["x.ark"], 2)],
)
def test_a_killed_writer_leaves_no_table_of_another_archive(tmp_path, place, left, value):
    write_pair(tmp_path, 1.0)
    run_killed(write_pair_killed, tmp_path, *place)
    assert sorted(path.name for path in tmp_path.glob("x.*")) == left
    read = dict(open_matrices(f"ark:{tmp_path}/x.ark"))
    assert len(read) == 3 and all((matrix == value).all() for matrix in read.values())
    write_pair(tmp_path, 3.0)
    assert all((matrix == 3).all() for _, matrix in open_matrices(f"scp:{tmp_path}/x.scp"))


@pytest.mark.parametrize("size", [60, 5000])
def test_a_full_disk_keeps_archive_and_table(tmp_path, size):
    write_pair(tmp_path, 1.0)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with full_disk(size), pytest.raises(OSError, match=r"File too large.*/x\.(ark|scp)'"):
        write_pair(tmp_path, 2.0, size=2000)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
