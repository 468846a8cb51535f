"""The models by name: their configs, and what is known of them without their networks, which need torch.

A model is a frozen dataclass derived from ModelConfig and an entry in MODELS; build.py finds its network.
"""

from dataclasses import dataclass, field
from typing import Literal

from sertk.core.typed import require


@dataclass(frozen=True)
class ModelConfig:
    """What all configs of models have. Subclasses check their values after `super().__post_init__()`."""

    name: str

    def __post_init__(self) -> None:
        """The end of the chain of checks."""

    @property
    def needs_labels(self) -> bool:
        """Of what vectors are extracted from."""
        return False

    @property
    def needs_numbers(self) -> bool:
        """Of what is classified."""
        return False

    @property
    def idle(self) -> dict[str, str]:
        """{key that changes nothing: the key whose value makes it so}."""
        return {}

    @property
    def learns_from(self) -> tuple[str, ...]:
        """The splits that weights are learnt from."""
        return ("train",)


def require_counts(config: ModelConfig, *keys: str) -> None:
    """Used by the dataclasses to refuse numbers below 1."""
    for key in keys:
        require(getattr(config, key) >= 1, key, "1 or more")


# What no paper proposes


@dataclass(frozen=True)
class PooledConfig(ModelConfig):
    dropout: float = 0.25  # of the means

    def __post_init__(self):
        super().__post_init__()
        require(0 <= self.dropout < 1, "dropout", "between 0 and 1")


@dataclass(frozen=True)
class GruConfig(PooledConfig):
    gru_units: int = 96  # per direction
    gru_layers: int = 2

    def __post_init__(self):
        super().__post_init__()
        require_counts(self, "gru_units", "gru_layers")


@dataclass(frozen=True)
class BlstmConfig(ModelConfig):
    lstm_units: int = 256  # per direction
    lstm_layers: int = 2
    dropout: float = 0.0  # between LSTM layers and after all that comes before the last one

    def __post_init__(self):
        super().__post_init__()
        require(0 <= self.dropout < 1, "dropout", "between 0 and 1")
        require_counts(self, "lstm_units", "lstm_layers")


@dataclass(frozen=True)
class LstmConfig(ModelConfig):
    lstm_units: int = 128
    lstm_layers: int = 2

    def __post_init__(self):
        super().__post_init__()
        require_counts(self, "lstm_units", "lstm_layers")


@dataclass(frozen=True)
class SvmConfig(ModelConfig):
    cost: float = 1.0  # of a margin that is not kept
    gamma: float | None = None  # of the kernel exp(-gamma * squared distance); null: 1 / (dims * variance)

    def __post_init__(self):
        super().__post_init__()
        require(self.cost > 0, "cost", "above 0")
        require(self.gamma is None or self.gamma > 0, "gamma", "above 0, or null")


@dataclass(frozen=True)
class LinearConfig(ModelConfig):
    classifier: Literal["lda", "logistic", "svm"] = "lda"
    # How weakly it is regularised, by cross-validation or given: C of svm and logistic, as scikit-learn has it, and the
    # shrinkage of lda's covariance, above 0 and up to 1
    C: float | Literal["auto"] = "auto"
    shrinkage: float | Literal["auto"] = "auto"
    valid_too: bool = False  # learn from the validation split as well, by which nothing is chosen here

    def __post_init__(self):
        super().__post_init__()
        require(self.C == "auto" or self.C > 0, "C", "above 0, or auto")
        require(self.shrinkage == "auto" or 0 < self.shrinkage <= 1, "shrinkage", "above 0 and up to 1, or auto")

    @property
    def learns_from(self) -> tuple[str, ...]:
        return ("train", "valid") if self.valid_too else ("train",)

    @property
    def idle(self) -> dict[str, str]:
        return {"C" if self.classifier == "lda" else "shrinkage": "classifier"}

    @property
    def strength(self) -> str:
        """The key that says how the classifier is regularised."""
        return "shrinkage" if self.classifier == "lda" else "C"


@dataclass(frozen=True)
class VectorCnnConfig(ModelConfig):
    filters: tuple[int, ...] = (32, 64)  # of each convolution, which is followed by a halving maximum
    kernel: int = 5  # neighbouring dims
    units: int = 128  # of the hidden layer
    dropout: float = 0.5

    def __post_init__(self):
        super().__post_init__()
        require(self.filters and min(self.filters) >= 1, "filters", "numbers from 1")
        require(self.kernel % 2 == 1 and self.kernel >= 1, "kernel", "an odd number")
        require_counts(self, "units")
        require(0 <= self.dropout < 1, "dropout", "between 0 and 1")


@dataclass(frozen=True)
class GmmConfig(ModelConfig):
    components: int = 64  # of each class
    iterations: int = 100  # of expectation maximisation, at most

    def __post_init__(self):
        super().__post_init__()
        require_counts(self, "components", "iterations")


# Jalal et al. 2019


@dataclass(frozen=True)
class ConvConfig(ModelConfig):
    capsules: int | None = None  # convolution units; null: 4 for two classes, else 10 (Section 3)
    filters: int = 90  # of each unit
    kernel: int = 9  # frames
    stride: int = 2  # frames

    def __post_init__(self):
        super().__post_init__()
        require_counts(self, "filters", "kernel", "stride")
        require(self.capsules is None or self.capsules >= 1, "capsules", "1 or more, or null")

    def units(self, classes: int) -> int:
        """The number of convolution units for so many classes."""
        return self.capsules or (4 if classes == 2 else 10)


@dataclass(frozen=True)
class CapsuleConfig(ConvConfig):
    layout: Literal["flattened", "position", "grid"] = "flattened"
    class_dims: int = 16
    routings: int = 3
    loss: Literal["margin", "cross_entropy"] = "margin"

    def __post_init__(self):
        super().__post_init__()
        require_counts(self, "class_dims", "routings")


@dataclass(frozen=True)
class BlstmCapsuleConfig(BlstmConfig, CapsuleConfig):
    pass


@dataclass(frozen=True)
class BlstmConvConfig(BlstmConfig, ConvConfig):
    pass


# Lakomkin et al. 2017, in the style of DeepSpeech 2


@dataclass(frozen=True)
class DeepSpeechConfig(ModelConfig):
    gru_units: int = 1000  # per direction
    gru_layers: int = 5
    directions: Literal["sum", "concat"] = "sum"
    channels: int = 32  # of both convolutions

    def __post_init__(self):
        super().__post_init__()
        require_counts(self, "gru_units", "gru_layers", "channels")


# Latif et al. 2018


@dataclass(frozen=True)
class AutoencoderConfig(ModelConfig):
    hidden: tuple[int, ...] = (512, 256)  # of the encoder; the decoder has them in the opposite order
    latent: int = 128  # dims

    def __post_init__(self):
        super().__post_init__()
        require(self.hidden and min(self.hidden) >= 1, "hidden", "numbers from 1")
        require_counts(self, "latent")


@dataclass(frozen=True)
class VariationalConfig(AutoencoderConfig):
    beta: float = 1.0  # weight of the divergence from the prior

    def __post_init__(self):
        super().__post_init__()
        require(self.beta >= 0, "beta", "0 or more")


@dataclass(frozen=True)
class ConditionalConfig(VariationalConfig):
    # What stands in the place of the label when latents are extracted. oracle is the paper's: it gives labels away.
    condition: Literal["uniform", "predicted", "oracle"] = "uniform"

    @property
    def needs_labels(self) -> bool:
        return self.condition == "oracle"


# Li et al. 2018


@dataclass(frozen=True)
class SpectrogramCnnConfig(ModelConfig):
    # The parallel filter shapes of the first layer: frequency bins, frames, and how many of each
    heights: tuple[int, ...] = (10, 2)
    widths: tuple[int, ...] = (2, 8)
    filters: tuple[int, ...] = (8, 8)
    channels: tuple[int, ...] = (32, 48, 64, 80)  # of the 3 x 3 layers; none: the first layer alone

    def __post_init__(self):
        super().__post_init__()
        sizes = {len(self.heights), len(self.widths), len(self.filters)}
        require(len(sizes) == 1 and self.heights, "heights", "as many as widths and filters, at least one")
        for key in ("heights", "widths", "filters", "channels"):
            require(all(value >= 1 for value in getattr(self, key)), key, "numbers from 1")


@dataclass(frozen=True)
class AttentionCnnConfig(SpectrogramCnnConfig):
    softmax: bool = True  # of the bottom-up map over its places
    pooling: Literal["sum", "mean"] = "sum"


# Zhao et al. 2019


@dataclass(frozen=True)
class BlstmCtcConfig(ModelConfig):
    lstm_units: int = 128  # per direction
    lstm_layers: int = 2
    attention: Literal["none", "local", "component", "quantum"] = "none"
    scope: int = 9  # frames of the window of local and component attention
    energy: Literal["kernel", "frame", "window"] = "kernel"  # of local and component attention
    repeats: int = 1  # labels for each of the utterance's words or phonemes
    decision: Literal["greedy", "likelihood"] = "greedy"

    def __post_init__(self):
        super().__post_init__()
        require_counts(self, "lstm_units", "lstm_layers", "scope", "repeats")
        require(self.scope % 2 == 1, "scope", "an odd number of frames")
        require((self.attention, self.energy) != ("local", "window"), "energy", "kernel or frame, for local attention")

    @property
    def idle(self) -> dict[str, str]:
        return {} if self.attention in ("local", "component") else dict.fromkeys(("scope", "energy"), "attention")

    @property
    def needs_numbers(self) -> bool:
        return self.decision == "likelihood"


# Layers whose vectors can be extracted, and the network's methods that give them; of deepspeech, its config says which
OUTPUT = {"output": "scores"}
POOLED = {"pooled": "pooled", **OUTPUT}
CAPSULES = {"lower": "lower_capsules", "upper": "upper_capsules", **OUTPUT}

# The sections of a training's config that models make use of; settings of others are refused
AT_ONCE = ("normalise", "segment")
BY_GRADIENT = (*AT_ONCE, "optimiser", "training", "init")


@dataclass(frozen=True)
class Entry:
    """What is known of a model.

    `network` is a subclass of base.EmotionModel, or where it is, MODULE:CLASS below sertk.models.
    """

    config: type[ModelConfig]
    network: str | type
    task: Literal["emotion", "autoencoder", "asr"] = "emotion"  # what the config's `task` has to be
    takes: Literal["windows", "utterances", "either"] = "either"
    several: bool = False  # takes several layers of an encoder, each as it is; others take their weighted mean
    fitted: bool = False  # to all training data at once, without gradients; the network is a base.FittedModel
    layers: dict[str, str] = field(default_factory=OUTPUT.copy)
    reads: tuple[str, ...] = BY_GRADIENT  # sections of a config that it makes use of, wholly or single keys of them


MODELS: dict[str, Entry] = {
    "ae": Entry(AutoencoderConfig, "latif:Autoencoder", "autoencoder", "windows", layers={"ae_latents": "latents"}),
    "blstm": Entry(BlstmConfig, "pooled:MeanBlstm", layers=POOLED),
    "blstm_capsule": Entry(BlstmCapsuleConfig, "jalal:BlstmCapsule", takes="windows", layers=CAPSULES),
    "blstm_cnn": Entry(BlstmConvConfig, "jalal:BlstmCnn", takes="windows"),
    "blstm_ctc": Entry(
        BlstmCtcConfig, "zhao:BlstmCtc", takes="utterances", layers=POOLED, reads=(*BY_GRADIENT, "numbers")
    ),
    "capsule": Entry(CapsuleConfig, "jalal:Capsule", takes="windows", layers=CAPSULES),
    "capsule_blstm": Entry(BlstmConvConfig, "jalal:CapsuleBlstm", takes="windows"),
    "class_gmms": Entry(
        GmmConfig, "gmm:ClassGmms", fitted=True, layers={"supervector": "supervectors", **OUTPUT}, reads=AT_ONCE
    ),
    "cnn_attpool": Entry(AttentionCnnConfig, "li:AttentionCnn", takes="windows"),
    "cnn_bilinear": Entry(SpectrogramCnnConfig, "li:BilinearCnn", takes="windows", layers=POOLED),
    "cnn_gap": Entry(SpectrogramCnnConfig, "li:AverageCnn", takes="windows", layers=POOLED),
    "cvae": Entry(
        ConditionalConfig,
        "latif:ConditionalAutoencoder",
        "autoencoder",
        "windows",
        layers={"cvae_latents": "latents"},
        reads=(*BY_GRADIENT, "conditions"),
    ),
    "deepspeech": Entry(DeepSpeechConfig, "deepspeech:DeepSpeech", "asr", "utterances", layers={}),
    "gru": Entry(GruConfig, "pooled:Gru", takes="utterances", layers=POOLED),
    "linear": Entry(LinearConfig, "linear:Linear", fitted=True, several=True, reads=(*AT_ONCE, "training.imbalance")),
    "lstm": Entry(LstmConfig, "pooled:Lstm", layers={"last": "last", "posteriors": "posteriors", **OUTPUT}),
    "mean_pool": Entry(PooledConfig, "pooled:MeanPool", takes="utterances", layers=POOLED),
    "most_frequent": Entry(ModelConfig, "chance:MostFrequent", fitted=True, reads=()),
    "progressive": Entry(GruConfig, "lakomkin:Progressive", takes="utterances", layers=POOLED),
    "progressive_lateral": Entry(
        GruConfig, "lakomkin:ProgressiveLateral", takes="utterances", several=True, layers=POOLED
    ),
    "random": Entry(ModelConfig, "chance:Random", takes="utterances", fitted=True, reads=AT_ONCE),
    "svm": Entry(SvmConfig, "vectors:Svm", fitted=True, reads=(*AT_ONCE, "training.imbalance")),
    "vae": Entry(
        VariationalConfig,
        "latif:VariationalAutoencoder",
        "autoencoder",
        "windows",
        layers={"vae_latents": "latents"},
    ),
    "vector_cnn": Entry(VectorCnnConfig, "vectors:VectorCnn"),
}
