"""What a training's config says, as frozen dataclasses that refuse what is impossible; see loading.py."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sertk.config.encoder import RECOGNISER, EncoderLayers
from sertk.config.normalise import Normalise, convert_normalise
from sertk.config.selection import SELECTIONS, selections_of
from sertk.core.typed import Dataclass, Where, build, mistake, require, show
from sertk.encoders.registry import input_type
from sertk.models.encoder_streams import ENCODER, encoder_stream, is_encoder
from sertk.models.registry import MODELS, ModelConfig


@dataclass(frozen=True)
class Segment:
    """How utterances are cut into windows, in frames of the model's stream.

    With `pad: edge` windows are centred on frames `hop` apart, and where one reaches over an end of its
    utterance, the frame at the edge is repeated. With `pad: zero` windows lie inside their utterance, the first
    at its beginning, the last at its end; an utterance shorter than a window is filled up with zeros.
    """

    frames: int
    train_hop: int = 10
    decode_hop: int = 10
    jitter: bool = True  # in training the first window is moved by 0..train_hop-1 frames, drawn anew in each epoch
    pad: Literal["edge", "zero"] = "edge"

    def __post_init__(self):
        for key in ("frames", "train_hop", "decode_hop"):
            require(getattr(self, key) >= 1, key, "1 or more")


@dataclass(frozen=True)
class Optimiser:
    name: Literal["adam", "sgd", "rmsprop"] = "adam"
    lr: float = 1e-3
    weight_decay: float = 0.0
    momentum: float = 0.0  # of sgd
    nesterov: bool = False  # of sgd
    betas: tuple[float, float] = (0.9, 0.999)  # of adam

    def __post_init__(self):
        require(self.lr > 0, "lr", "above 0")
        require(self.weight_decay >= 0, "weight_decay", "0 or more")
        require(0 <= self.momentum < 1, "momentum", "between 0 and 1")
        require(self.momentum > 0 or not self.nesterov, "nesterov", "false without momentum")
        require(all(0 <= beta < 1 for beta in self.betas), "betas", "two numbers between 0 and 1")


@dataclass(frozen=True)
class Training:
    batch_size: int = 128  # windows, or utterances where no segment is given
    max_epochs: int = 30
    patience: int = 5  # epochs without improvement before training ends
    batches: Literal["random", "length"] = "random"  # length: utterances of like lengths, so that little is padded
    sortagrad: bool = False  # the first epoch goes from short utterances to long ones
    drops: tuple[int, ...] = ()  # the epochs, from 2 on, that begin with a tenth of the learning rate before
    anneal: float = 1.0  # the learning rate is divided by this after every epoch
    plateau: int = 0  # it is halved whenever so many epochs in a row were no improvement; 0: never
    least_lr: float = 0.0  # training ends when the learning rate falls below this
    grad_clip: float = 5.0  # largest norm of the gradient; 0 is no limit
    select: str = "valid_uar"  # what the epoch that is kept is the best by, one of SELECTIONS
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    # Classes alike: every class's utterances weigh as much in the loss, or come as often in an epoch
    imbalance: Literal["none", "weights", "upsample"] = "none"
    # Utterances are stretched in time by factors from this range, drawn anew in each epoch; above 1 is faster
    tempo: tuple[float, float] = (1.0, 1.0)
    gain: tuple[float, float] = (0.0, 0.0)  # dB, of the waveforms that features are computed from, drawn likewise
    average: float = 0.0  # decay per update of the running mean of the weights that is validated and kept; 0: none
    checkpoint_seconds: float = 300.0  # a checkpoint within the epoch after this time

    def __post_init__(self):
        for key in ("batch_size", "max_epochs", "patience"):
            require(getattr(self, key) >= 1, key, "1 or more")
        require(self.select in SELECTIONS, "select", f"one of {', '.join(SELECTIONS)}")
        require(0 <= self.average < 1, "average", "between 0 and 1")
        require(all(epoch > 1 for epoch in self.drops), "drops", "epochs from 2")
        for key in ("grad_clip", "checkpoint_seconds", "plateau", "least_lr"):
            require(getattr(self, key) >= 0, key, "0 or more")
        require(self.anneal >= 1, "anneal", "1 or more")
        require(
            -60 <= self.gain[0] <= self.gain[1] <= 60, "gain", "two numbers between -60 and 60, the smaller one first"
        )
        require(
            0.5 <= self.tempo[0] <= self.tempo[1] <= 2, "tempo", "two numbers between 0.5 and 2, the smaller one first"
        )


def convert_model(_: object, value: object, path: Where, key: str) -> ModelConfig:
    return build_model_config(value, path, f"{key}.")


def build_model_config(data: object, path: Where, prefix: str) -> ModelConfig:
    """A model's own config, of the class that the `name` of a mapping asks for; otherwise as `build`."""
    if not isinstance(data, dict):
        raise mistake(path, prefix.rstrip("."), f": expected a mapping with a name, got {show(data)}")
    if "name" not in data:
        raise mistake(path, f"{prefix}name", f" is missing (known: {', '.join(sorted(MODELS))})")
    if not isinstance(data["name"], str) or data["name"] not in MODELS:
        known = ", ".join(sorted(MODELS))
        raise mistake(path, f"{prefix}name", f": no model {show(data['name'])} (known: {known})")
    return build(MODELS[data["name"]].config, data, path, prefix)


@dataclass(frozen=True)
class Config:
    """One training: the whole of a model, or one of its several parts."""

    model: ModelConfig = field(metadata={"convert": convert_model})
    features: tuple[str, ...]
    encoder: EncoderLayers | None = None  # where `encoder` among the features comes from
    on_the_fly: bool = False  # compute the features from the waveforms when they are needed, without archives
    task: Literal["emotion", "autoencoder", "asr"] = "emotion"
    normalise: tuple[Normalise, ...] = field(default=(Normalise(),), metadata={"convert": convert_normalise})
    numbers: str | None = None  # a table of the data folder, one number for each utterance, that the model asks for
    conditions: str | None = None  # a feature type of one vector for each utterance, that the model asks for
    segment: Segment | None = None
    optimiser: Optimiser = field(default_factory=Optimiser)
    training: Training = field(default_factory=Training)
    init: str | None = None  # an earlier part: weights of equal name and shape start from its best ones
    extract: str | None = None  # a layer: its vectors are a feature type of this name for the parts that follow
    # Vectors of the training split come from so many trainings, each without the speakers it extracts; 0: from the one
    crossfit: int = 0

    def __post_init__(self):
        require(
            bool(self.encoder) == (ENCODER in self.features),
            "encoder",
            f"given, if and only if {ENCODER} is among the features",
        )
        model = MODELS[self.model.name]
        task = model.task
        require(self.task == task, "task", f"{task}, for {self.model.name}")
        selections = selections_of(task)
        require(self.training.select in selections, "training.select", f"one of {', '.join(selections)} for {task}")
        require(self.crossfit == 0 or self.crossfit >= 2, "crossfit", "0, or 2 and more")
        require(self.extract or not self.crossfit, "crossfit", "0, without extract")
        require(self.features, "features", "at least one feature type")
        scopes = [transform.scope for transform in self.normalise]
        ordered = sorted(scopes, key=lambda scope: scope == "window")
        require(scopes == ordered, "normalise", "the transforms with scope window after all others")
        each = "window" if self.segment else "utterance"
        require(
            not self.on_the_fly or {*scopes} <= {each}, "on_the_fly", f"false, unless normalise has scope {each} alone"
        )
        require(not (self.on_the_fly and model.fitted), "on_the_fly", f"false, for {self.model.name}")
        others = "none or weights" if "training.imbalance" in model.reads else "none"
        upsampled = model.fitted and self.training.imbalance == "upsample"
        require(not upsampled, "training.imbalance", f"{others} for {self.model.name}, which has no epochs")
        in_loop = bool(self.encoder and self.encoder.in_loop)
        unsuited = "segment" if self.segment else self.model.name if model.fitted else None
        require(not (in_loop and unsuited), "encoder.in_loop", f"false, with {unsuited}")
        chosen = bool(self.encoder and self.encoder.layer == "auto")
        require(not chosen or model.several and model.fitted, "encoder.layer", f"no auto, for {self.model.name}")
        whole = self.segment is None
        require(whole or model.takes != "utterances", "segment", f"none: {self.model.name} takes whole utterances")
        windows = f"a mapping with frames: {self.model.name} classifies windows"
        require(not whole or model.takes != "windows", "segment", windows)
        require(not (self.segment and self.training.sortagrad), "training.sortagrad", "false, with segment")
        by_length = self.training.batches == "length"
        require(not (self.segment and by_length), "training.batches", "random, with segment")
        loud = self.training.gain != (0.0, 0.0)
        computed = whole and (self.on_the_fly or in_loop)
        require(
            computed or not loud, "training.gain", "[0, 0], unless features of whole utterances are computed on the fly"
        )
        stretched = self.training.tempo != (1.0, 1.0)
        unsuited = self.segment or task == "asr"
        require(not (stretched and unsuited), "training.tempo", "[1, 1], with segment and for speech recognition")
        require(self.segment or "window" not in scopes, "normalise", "no scope window without segment")

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams of the data: the features, with each layer of an encoder in the place of `encoder`.

        An encoder in the loop has the one stream that it takes itself.
        """
        if not self.encoder or self.encoder.in_loop:
            return self.features
        layers = tuple(map(encoder_stream, self.encoder.layers))
        return tuple(each for name in self.features for each in (layers if name == ENCODER else (name,)))

    @property
    def taken(self) -> tuple[str, ...]:
        """The feature types whose vectors the model takes."""
        return *self.streams, *([self.conditions] if self.conditions else ())

    def archive_name(self, stream: str) -> str:
        """The name of a stream's archives in a data folder."""
        if self.encoder is None or not is_encoder(stream):
            return stream
        return self.encoder.archive_name(stream.partition(":")[2])

    @property
    def recogniser(self) -> "Config | None":
        """The Config of our own recogniser, where that is the encoder and runs in the loop."""
        if not (self.encoder and self.encoder.in_loop and self.encoder.name == RECOGNISER):
            return None
        return build(Config, self.encoder.source, "encoder.source")

    def computed_type(self, stream: str) -> str | None:
        """What a stream is computed from waveforms as, a shipped feature type; None: it comes from archives."""
        if self.encoder and is_encoder(stream):
            return self.input_type(self.encoder) if self.encoder.in_loop else None
        return stream if self.on_the_fly else None

    def normalise_of(self, stream: str) -> tuple[Normalise, ...]:
        """The normalisation of a stream; what an encoder in the loop takes is as that takes it."""
        if not (self.encoder and is_encoder(stream)):
            return self.normalise
        if not self.encoder.in_loop:
            return self.encoder.normalise
        own = self.recogniser
        return own.normalise if own else ()

    def input_type(self, encoder: EncoderLayers) -> str:
        """The feature type that an encoder in the loop takes."""
        if own := self.recogniser:
            return own.features[0]
        source = encoder.source or {}
        return input_type(source["kind"], source["sizes"])


def essence_of(config: Config) -> Config:
    """What two Configs are compared by: the number of an encoder's layers is left out, which its digest implies.

    It was not stored before version 0.3.
    """
    if config.encoder is None:
        return config
    return dataclasses.replace(config, encoder=dataclasses.replace(config.encoder, count=None))


def to_mapping(config: Dataclass) -> dict[str, Any]:
    """The plain mapping (lists, numbers, text) of a config, as it is stored with an experiment."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value

    return plain(dataclasses.asdict(config))


def differing_keys(one: Mapping[str, Any], other: Mapping[str, Any], prefix: str = "") -> list[str]:
    """The key paths at which two mappings differ, sorted."""
    keys = []
    for key in sorted(set(one) | set(other), key=str):
        left, right = one.get(key), other.get(key)
        if isinstance(left, dict) and isinstance(right, dict):
            keys += differing_keys(left, right, f"{prefix}{key}.")
        elif left != right:
            keys.append(f"{prefix}{key}")
    return keys
