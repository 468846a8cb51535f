"""Figures that papers printed, as data: a recipe's conf/published.yaml."""

from dataclasses import dataclass
from typing import Any, Literal

from sertk.core.errors import SertkError
from sertk.core.files import PathLike, read_yaml
from sertk.core.typed import build, require

Task = tuple[str, str | None, str, str]  # corpus, subset, label set and protocol


@dataclass(frozen=True)
class PublishedFigure:
    """One published figure, and which experiments stand beside it."""

    system: str  # as the paper prints it
    source: str  # paper and table
    corpus: str
    label_set: str
    protocol: str
    metric: str  # as the paper names it
    taken_for: Literal["uar", "accuracy", "macro_f1", "weighted_f1"]  # what that most probably is
    value: float  # %
    because: str = ""  # why it is taken for that
    conditions: str = ""  # in what the source's protocol differs, or may
    note: str = ""  # on this system alone
    sd: float | None = None  # points of %
    subset: str | None = None
    model: str | None = None  # None: a reference without a counterpart
    features: tuple[str, ...] = ()  # empty: any

    def __post_init__(self):
        require(0 <= self.value <= 100, "value", "percent, 0 to 100")
        require(self.sd is None or self.sd >= 0, "sd", "0 or more")
        require(self.model or not self.features, "features", "none without a model")

    @property
    def task(self) -> "Task":
        """Corpus, subset, label set and protocol: what figures must share to stand in one table."""
        return self.corpus, self.subset, self.label_set, self.protocol

    def matches(self, card: dict[str, Any]) -> bool:
        """Whether the figure is that of an experiment with this protocol card."""
        if self.model is None or self.model != card.get("model") or self.task != card_task(card):
            return False
        return not self.features or list(self.features) == card.get("features")


def card_task(card: dict[str, Any]) -> Task:
    """The `PublishedFigure.task` of an experiment's protocol card."""
    return card["corpus"], card.get("subset"), card["label_set"], card["protocol"]


def read_published(path: PathLike) -> list[PublishedFigure]:
    """The `PublishedFigure`s of a YAML list of tables, in order; what a table says beside its `rows` holds for each.

    Raises SertkError with the file and the row for anything unknown, missing, of a wrong type or impossible,
    and for two figures of one system in one source and task.
    """
    tables = read_yaml(path)
    if not isinstance(tables, list):
        raise SertkError(f"{path}: expected a list of tables, got {type(tables).__name__}")
    figures, known = [], {}
    for table_number, table in enumerate(tables, 1):
        place = f"table {table_number}"
        if not isinstance(table, dict) or not isinstance(table.get("rows"), list):
            raise SertkError(f"{path}: {place}: expected a mapping with `rows`, a list")
        shared = {key: value for key, value in table.items() if key != "rows"}
        for number, row in enumerate(table["rows"], 1):
            place = f"table {table_number}, row {number}"
            if not isinstance(row, dict):
                raise SertkError(f"{path}: {place}: expected a mapping, got {row!r}")
            figure = build(PublishedFigure, shared | row, f"{path}: {place}")
            first = known.setdefault((figure.source, figure.system, figure.task), place)
            if first != place:
                raise SertkError(f"{path}: {place}: {figure.system} is there already: {first}")
            figures.append(figure)
    return figures
