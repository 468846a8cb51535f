"""Which layers of which pretrained encoder a system takes."""

from dataclasses import dataclass, field
from typing import Any, Literal

from sertk.config.normalise import Normalise, convert_normalise
from sertk.core.errors import SertkError
from sertk.core.typed import Where, mistake, require, show

RECOGNISER = "recogniser"  # the encoder that egs/asr trains; others are names of sertk.encoders
SEVERAL = ("all", "auto")
LAYERS = "a layer's number, a list of them, all (weighted by what is learnt) or auto (the model chooses)"

Layers = int | tuple[int, ...] | str


def convert_layer(_: object, value: object, path: Where, key: str) -> Layers:
    """A number, several, or one of SEVERAL."""
    numbers = value if isinstance(value, (list, tuple)) else [value]
    known = all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in numbers)
    if value not in SEVERAL and not (numbers and known and len(set(numbers)) == len(numbers)):
        raise mistake(path, key, f" is {show(value)}, expected {LAYERS}")
    return tuple(value) if isinstance(value, (list, tuple)) else value  # pyright: ignore[reportReturnType] (checked)


@dataclass(frozen=True)
class EncoderLayers:
    """The layers that a system takes as streams, one for each; counted from 0, of a recogniser from 1."""

    name: str = RECOGNISER
    layer: Layers = field(default=1, metadata={"convert": convert_layer})
    # One vector for each utterance in the frames' place: the mean over time, or that and the standard deviation
    pool: Literal["none", "mean", "meanstd"] = "none"
    normalise: tuple[Normalise, ...] = field(default=(Normalise(),), metadata={"convert": convert_normalise})
    in_loop: bool = False  # it runs whenever its layers are needed, from waveforms; there are no archives
    unfreeze: tuple[int, ...] = ()  # layers, from 1, whose blocks learn along
    # What recipes fill in: which weights they are and how many layers there are
    digest: str | None = None  # the beginning of the SHA-256 of the weights
    count: int | None = None
    # and in the loop what the network is: a recogniser's config and number of tokens, or an encoder's kind and sizes
    source: dict[str, Any] | None = None
    tokens: int | None = None

    def __post_init__(self):
        require(self.name, "name", "the name of an encoder")
        if self.name == RECOGNISER:
            require(self.layer not in (0, (0,)) and 0 not in self.given, "layer", "1 or more, of a recogniser")
        require(self.in_loop or not self.unfreeze, "unfreeze", "none, unless in_loop is true")
        require(not (self.in_loop and self.pool != "none"), "pool", "none, with in_loop")
        require(not (self.in_loop and self.layer == "auto"), "layer", "no auto, with in_loop")
        if self.given:
            within = all(1 <= layer <= max(self.given) for layer in self.unfreeze)
            require(within, "unfreeze", f"layers from 1 to {max(self.given)}, the last one that is taken")

    @property
    def given(self) -> tuple[int, ...]:
        """The layers that are named by their numbers."""
        return self.layer if isinstance(self.layer, tuple) else (self.layer,) if isinstance(self.layer, int) else ()

    @property
    def layers(self) -> tuple[int, ...]:
        """All layers that are taken; raises SertkError where they are all, and nobody knows yet how many there are."""
        if self.given:
            return self.given
        if self.count is None:
            raise SertkError(f"encoder.layer: {self.layer}: how many layers {self.name} has is not known yet")
        return tuple(range(1 if self.name == RECOGNISER else 0, self.count + 1))

    @property
    def weighted(self) -> bool:
        """Whether several layers may become one stream, their mean with learnt weights."""
        return not isinstance(self.layer, int)

    @property
    def label(self) -> str:
        """How cards and tables call what is taken: `whisper_base:3`."""
        layers = self.layer if isinstance(self.layer, str) else "+".join(map(str, self.given))
        return f"{self.name}:{layers}"

    def archive_name(self, layer: int | str) -> str:
        """The name of a layer's archives in a data folder, which says which weights it comes from."""
        if self.digest is None:
            raise SertkError(
                f"encoder: which {self.name} is meant is not known; sertk-make-experiment fills it in"
                + (" (--asr_exp DIR)" if self.name == RECOGNISER else "")
            )
        pool = "" if self.pool == "none" else f"_{self.pool}"
        return f"{self.name}_{layer}{pool}_{self.digest}"
