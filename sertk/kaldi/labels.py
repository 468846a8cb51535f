"""Label sets: the classes and who has them."""

from collections.abc import Iterable
from dataclasses import dataclass

from sertk.core.errors import SertkError
from sertk.core.files import PathLike
from sertk.kaldi.datadir import DataDir


@dataclass(frozen=True)
class Labels:
    """The classes of a label set, sorted, and the utterances that have one of them."""

    classes: list[str]
    by_utterance: dict[str, str]

    @classmethod
    def read(cls, data_dir: PathLike, label_set: str) -> "Labels":
        """Raises SertkError for an unknown label set and for one with fewer than two classes."""
        by_utterance = DataDir(data_dir).labels(label_set)
        classes = sorted(set(by_utterance.values()))
        if len(classes) < 2:
            raise SertkError(f"{data_dir}/labels/{label_set}: fewer than two classes")
        return cls(classes, by_utterance)

    def labelled(self, utterances: Iterable[str]) -> list[str]:
        """Those of `utterances` that have a label, in their order."""
        return [utterance for utterance in utterances if utterance in self.by_utterance]

    def indices(self, utterances: Iterable[str]) -> list[int]:
        """The class index of each of `utterances`."""
        place = {label: index for index, label in enumerate(self.classes)}
        return [place[self.by_utterance[utterance]] for utterance in utterances]

    def counts(self) -> dict[str, int]:
        """{class: number of utterances}."""
        values = list(self.by_utterance.values())
        return {name: values.count(name) for name in self.classes}
