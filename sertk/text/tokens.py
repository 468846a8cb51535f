"""Tokens of texts, characters or BPE pieces, in a sentencepiece model; the blank of CTC is not one of them."""

import io
import re
import string
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from sertk.core.errors import SertkError
from sertk.core.files import PathLike, write_aside

ALPHABET = f"{string.ascii_lowercase}' "  # with the blank of CTC the 29 symbols of Lakomkin et al. (2017)
TYPES = ("char", "bpe")
SPACE = "\u2581"  # what sentencepiece writes for it
UNKNOWN = 1  # pieces at the front of the model that are not tokens: sentencepiece insists on <unk>


class Tokens:
    """The tokens of a model file, with ids from 0 to len(tokens) - 1; networks add the blank of CTC as the last.

    Raises SertkError if the file cannot be read.
    """

    def __init__(self, path: PathLike):
        try:
            self.processor = SentencePieceProcessor(model_proto=Path(path).read_bytes())
        except OSError as error:
            raise SertkError(f"{path}: {error.strerror}; stage 1 makes it (sertk-make-tokens)") from error
        except RuntimeError as error:
            raise SertkError(f"{path}: not a sentencepiece model; make it anew with sertk-make-tokens") from error
        ids = range(UNKNOWN, self.processor.get_piece_size())
        self.pieces = [self.processor.id_to_piece(i).replace(SPACE, " ") for i in ids]
        self.characters = set("".join(self.pieces))

    def __len__(self) -> int:
        return len(self.pieces)

    def encode(self, text: str, utterance: str) -> list[int]:
        """The ids of a text; raises SertkError naming the utterance for characters that no token has."""
        if strange := sorted(set(text) - self.characters):
            shown = " ".join(f"'{character}'" for character in strange)
            raise SertkError(f"{utterance}: the tokens do not have {shown}; write its text with those they have")
        return [i - UNKNOWN for i in self.processor.encode(text)]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids."""
        return text_of(self.pieces, ids)


def text_of(pieces: Sequence[str], ids: Iterable[int]) -> str:
    """The text of ids, places in a list of pieces, its words separated by one space."""
    return " ".join("".join(pieces[i] for i in ids).split())


def make_tokens(
    texts: Mapping[str, str], alphabet: str, path: PathLike, token_type: str = "char", vocab_size: int | None = None
) -> None:
    """Writes the model file of the tokens of `texts`, a dict from utterance to text; the same gives the same bytes.

    `char`: the characters of `alphabet`. `bpe`: `vocab_size` pieces, of which the characters are some.
    Raises SertkError naming an utterance with characters outside `alphabet`, for impossible sizes, and if the file
    is there and holds other tokens.
    """
    for utterance, text in texts.items():
        if strange := sorted(set(text) - set(alphabet)):
            raise SertkError(f"{utterance}: its text has {' '.join(strange)}, which is not in '{alphabet}'")
    if token_type not in TYPES:
        raise SertkError(f"no tokens of the type '{token_type}'; there are: {', '.join(TYPES)}")
    if (vocab_size is not None) != (token_type == "bpe"):
        raise SertkError("bpe tokens need a --vocab_size, char tokens take none")
    if vocab_size is not None and vocab_size < len(alphabet):
        raise SertkError(f"--vocab_size {vocab_size}: the {len(alphabet)} characters alone need as many tokens")
    # Characters do not depend on the texts, which may lack some; a space at the end would not count.
    sentences = [alphabet * 2] if token_type == "char" else texts.values()
    model = train_model(sentences, alphabet, token_type, vocab_size or len(alphabet))
    if Path(path).exists() and Path(path).read_bytes() != model:
        raise SertkError(f"{path}: these are other tokens; remove the file, or name another experiment with --tag")
    with write_aside(path, "wb") as handle:
        handle.write(model)


def train_model(sentences: Iterable[str], alphabet: str, token_type: str, size: int) -> bytes:
    """The bytes of a sentencepiece model with `size` tokens."""
    model = io.BytesIO()
    try:
        SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=model,
            model_type=token_type,
            vocab_size=size + UNKNOWN,
            unk_id=0,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            normalization_rule_name="identity",
            required_chars=alphabet.replace(" ", ""),
            character_coverage=1.0,
            add_dummy_prefix=token_type == "bpe",  # so that words at the beginning are as those within
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        most = re.search(r"<= (\d+)", str(error))
        reason = f"there are at most {int(most[1]) - UNKNOWN}" if most else str(error)
        raise SertkError(f"{size} tokens cannot be made of these texts: {reason}") from error
    return model.getvalue()
