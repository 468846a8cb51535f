import random

import pytest

from sertk.bin import make_tokens as command
from sertk.core.errors import SertkError
from sertk.kaldi.datadir import write_data_dir
from sertk.text.tokens import ALPHABET, Tokens, make_tokens

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "it's", "don't")


@pytest.fixture
def texts():
    chance = random.Random(0)
    return {f"s-{i}": " ".join(chance.choices(WORDS, k=5)) for i in range(50)}


@pytest.fixture
def char(tmp_path, texts):
    make_tokens(texts, ALPHABET, tmp_path / "exp/char.model")
    return Tokens(tmp_path / "exp/char.model")


@pytest.fixture
def bpe(tmp_path, texts):
    make_tokens(texts, ALPHABET, tmp_path / "bpe.model", "bpe", 60)
    return Tokens(tmp_path / "bpe.model")


def test_characters_are_the_28_of_the_paper_whatever_the_texts_have(char, tmp_path):
    assert len(char) == 28 and sorted(char.pieces) == sorted(ALPHABET)
    make_tokens({"s-1": "a"}, ALPHABET, tmp_path / "other.model")
    assert (tmp_path / "other.model").read_bytes() == (tmp_path / "exp/char.model").read_bytes()


def test_characters_are_encoded_one_by_one(char):
    text = "it's a quiz"
    ids = char.encode(text, "s-1")
    assert [char.pieces[i] for i in ids] == list(text)
    assert set(ids) <= set(range(28)) and char.encode("", "s-1") == []
    assert char.decode(ids) == text


def test_decoding_any_ids_gives_words_with_one_space_between(char):
    space, a = char.pieces.index(" "), char.pieces.index("a")
    assert char.decode([space, a, space, space, a, space]) == "a a"
    assert char.decode([]) == char.decode([space]) == ""


def test_bpe_pieces_join_to_the_text(bpe, texts):
    assert len(bpe) == len(set(bpe.pieces)) == 60
    assert set(ALPHABET) <= set(bpe.pieces)
    for utterance, text in {**texts, "other": "quick jays"}.items():
        ids = bpe.encode(text, utterance)
        assert 0 <= min(ids) and max(ids) < 60
        assert "".join(bpe.pieces[i] for i in ids).strip() == text == bpe.decode(ids)
    assert len(bpe.encode("three three", "s-1")) < len("three three") / 2


def test_the_same_texts_give_the_same_file(bpe, texts, tmp_path):
    make_tokens(texts, ALPHABET, tmp_path / "again.model", "bpe", 60)
    assert (tmp_path / "again.model").read_bytes() == (tmp_path / "bpe.model").read_bytes()


@pytest.mark.parametrize("kind", ["char", "bpe"])
@pytest.mark.parametrize(
    "text, named",
    [("HELLO", "'E' 'H' 'L' 'O'"), ("room 12", "'1' '2'"), ("caf\u00e9", "'\u00e9'"), ("a\u2581b", "'\u2581'")],
)
def test_unknown_characters_name_the_utterance(request, kind, text, named):
    with pytest.raises(SertkError, match=f"s-7: the tokens do not have {named};"):
        request.getfixturevalue(kind).encode(text, "s-7")


def test_an_experiments_tokens_are_not_replaced(char, texts, tmp_path):
    path = tmp_path / "exp/char.model"
    make_tokens(texts, ALPHABET, path)
    with pytest.raises(SertkError, match=r"char.model: these are other tokens; remove the file, or .* --tag"):
        make_tokens(texts, ALPHABET, path, "bpe", 60)
    assert len(Tokens(path)) == 28


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("bpe", 5000), "5000 tokens cannot be made of these texts: there are at most"),
        (("bpe", 27), "--vocab_size 27: the 28 characters alone need as many"),
        (("bpe",), "bpe tokens need a --vocab_size"),
        (("char", 28), "char tokens take none"),
        (("word",), "no tokens of the type 'word'; there are: char, bpe"),
    ],
)
def test_impossible_tokens(texts, tmp_path, arguments, message):
    with pytest.raises(SertkError, match=message):
        make_tokens(texts, ALPHABET, tmp_path / "model", *arguments)
    assert list(tmp_path.iterdir()) == []


def test_the_most_tokens_that_an_error_names_can_be_made(texts, tmp_path):
    with pytest.raises(SertkError, match="at most") as raised:
        make_tokens(texts, ALPHABET, tmp_path / "model", "bpe", 5000)
    most = int(str(raised.value).split()[-1])
    make_tokens(texts, ALPHABET, tmp_path / "model", "bpe", most)
    assert len(Tokens(tmp_path / "model")) == most


def test_unreadable_models(tmp_path):
    with pytest.raises(SertkError, match="none.model: No such file or directory; stage 1 makes it"):
        Tokens(tmp_path / "none.model")
    (tmp_path / "bad.model").write_bytes(b"no model")
    with pytest.raises(SertkError, match=r"bad.model: not a sentencepiece model"):
        Tokens(tmp_path / "bad.model")


def test_command(texts, tmp_path, capsys):
    write_data_dir(tmp_path / "data", {"utt2spk": dict.fromkeys(texts, "s"), "text": texts})
    model = str(tmp_path / "model")
    assert command.main([str(tmp_path / "data"), model, "--token_type", "bpe", "--vocab_size", "45"]) == 0
    assert len(Tokens(model)) == 45
    write_data_dir(tmp_path / "data", {"text": {**texts, "s-3": "ROUTE 66"}})
    assert command.main([str(tmp_path / "data"), model]) == 1
    error = capsys.readouterr().err
    assert error.startswith("sertk-make-tokens: s-3: its text has ") and len(error.splitlines()) == 1
