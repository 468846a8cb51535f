"""Speech recognition: character and word error rates."""

from torchaudio.functional import edit_distance

from sertk.core.errors import SertkError


class ErrorRates:
    """Counts edits over pairs of reference and hypothesis; rates are shares of the references' lengths."""

    def __init__(self):
        self.counts: list[float] = [0, 0, 0, 0]  # edits and reference length, in characters; the same in words

    def add(self, reference: str, hypothesis: str) -> None:
        """Counts an utterance; words stand between white space."""
        pairs = (reference, hypothesis), (reference.split(), hypothesis.split())
        found = [number for one, other in pairs for number in (edit_distance(one, other), len(one))]
        self.counts = [total + number for total, number in zip(self.counts, found)]

    @property
    def cer(self) -> float:
        """Edits of characters per character of the references; raises SertkError where these have none."""
        return self.rate(0)

    @property
    def wer(self) -> float:
        """Edits of words per word of the references, likewise."""
        return self.rate(2)

    def rate(self, place: int) -> float:
        edits, length = self.counts[place : place + 2]
        if not length:
            raise SertkError("no reference has any text: there is no error rate")
        return edits / length
