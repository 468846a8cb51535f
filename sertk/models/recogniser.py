"""Our own speech recogniser as an encoder of others' networks."""

from collections.abc import Sequence

from torch import Tensor, nn

from sertk.encoders.base import Encoder
from sertk.features.registry import load_extractor
from sertk.models.base import Padded
from sertk.models.deepspeech import SHORTEST, STRIDE, DeepSpeech, output_lengths


class Recogniser(Encoder):
    """A DeepSpeech network; its layers are those of the GRUs, from 1, and what it takes is normalised before."""

    def __init__(self, network: DeepSpeech, feature_type: str):
        super().__init__()
        self.network = network
        self.extractor = load_extractor(feature_type)
        self.count, self.dims = network.config.gru_layers, network.width
        self.shift = STRIDE * (self.extractor.shift or 1) / self.extractor.sample_frequency

    def forward(self, values: Tensor, lengths: Tensor, layers: Sequence[int]) -> tuple[list[Tensor], Tensor]:
        return self.network.layers_of(Padded(values, lengths), layers)

    def frames_of(self, lengths: Tensor) -> Tensor:
        return output_lengths(lengths.clamp(min=SHORTEST))

    def allow_gradients(self, training: bool) -> None:
        self.network.grus.train(training)  # the same without dropout, but cuDNN has no gradients in evaluation

    def block(self, layer: int) -> nn.Module:
        return self.network.grus[layer - 1]
