import pytest
from protocol_corpora import COMMON, actors, write_corpus

from sertk.bin import make_splits
from sertk.core.errors import SertkError
from sertk.protocols import check_classes


@pytest.fixture
def data(tmp_path):
    """Eight speakers who are angry, calm and, the first one alone, sad."""
    labels = {f"actor0{i}-0{k}": name for i in range(1, 9) for k, name in enumerate(("angry", "calm"))}
    return write_corpus(tmp_path / "d", actors(8), 3, **{"labels/3": {**labels, "actor01-02": "sad"}})


def run(data, *options):
    arguments = ["--config", str(COMMON), "--protocol", "loso", *options, str(data), str(data / "splits/loso")]
    return make_splits.main(arguments)


def test_classes_are_counted_and_looked_for_in_every_fold(data, capsys, caplog):
    caplog.set_level("INFO")
    assert run(data, "--labels", "3") == 1
    everybody = "8 utterances of 8 speakers"
    assert f"d/labels/3: angry {everybody}, calm {everybody}, sad 1 utterance of 1 speaker" in caplog.text
    (error,) = capsys.readouterr().err.splitlines()
    missing = "fold1: nothing to learn sad, which has 1 utterance of 1 speaker"
    assert error.endswith(f"{missing}; choose another protocol, other --folds, or a label set without this class")


def test_folds_that_are_not_trained_may_lack_a_class(data, caplog):
    assert run(data, "--labels", "3", "--folds", "3 4") == 0
    lines = [line.partition("splits/loso: ")[2] for line in caplog.messages if "warning" in line]
    assert lines == ["warning: sad is not validated in fold 3 4", "warning: sad is not tested in fold 3 4"]


@pytest.mark.parametrize(
    "options, message",
    [
        (["--labels", "4"], "d: no label set '4'; there are: 3"),
        (["--labels", "3", "--folds", "9"], "splits/loso: no fold 9 (there are 1, 2, 3, 4, 5, 6, 7, 8)"),
        (["--folds", "9"], "no fold 9"),
    ],
)
def test_labels_and_folds_that_are_not_there(data, capsys, options, message):
    assert run(data, *options) == 1
    assert message in capsys.readouterr().err


def test_a_split_without_labels_and_classes_in_two_spellings(data):
    run(data)
    table = data / "labels/3"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(line for line in lines if not line.startswith("actor02")))
    with pytest.raises(SertkError, match="splits/loso/fold2/test: none of its utterances is in .*d/labels/3"):
        check_classes(data, data / "splits/loso", "3", [2])
    table.write_text("".join(lines).replace("actor05-00 angry", "actor05-00 Angry"))
    with pytest.raises(SertkError, match="labels/3: the classes 'Angry' and 'angry' differ in capitals alone"):
        check_classes(data, data / "splits/loso", "3", [3])
