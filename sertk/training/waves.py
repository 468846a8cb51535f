"""Features computed from waveforms when they are needed, in the place of archives."""

from pathlib import Path

import torch

from sertk.audio import read_data_dir, resample
from sertk.command import progress
from sertk.errors import SertkError
from sertk.features.registry import load_extractor
from sertk.training.data import Stream


class WaveStream(Stream):
    """Frames of one feature type that are computed as they are taken, from samples that are kept in memory.

    Raises SertkError, naming the utterance, for a waveform that is shorter than a frame.
    """

    def __init__(self, waves, extractor):
        """`waves` is {utterance: waveform (samples,) float32} at the extractor's rate."""
        for utterance, wave in waves.items():
            if len(wave) < extractor.shortest:
                seconds = len(wave) / extractor.sample_frequency
                raise SertkError(f"{utterance}: too short: {seconds:.4f} s, below a frame of the features")
        super().__init__(list(waves.values()))
        self.extractor = extractor
        self.lengths = (self.lengths - extractor.shortest) // extractor.shift + 1

    @property
    def dims(self):
        return self.extractor.dims

    def rows(self, item):
        """The frames of one utterance, computed anew: (frames, dims)."""
        return self.take(torch.tensor([item]), torch.arange(int(self.lengths[item]))[None], self.values.device)[0]

    def take(self, items, nth, device):
        firsts = (self.starts[items, None] + nth * self.extractor.shift).flatten()
        frames = self.values.unfold(0, self.extractor.shortest, 1)[firsts.to(self.values.device)]
        return self.extractor.of_frames(frames.to(device, non_blocking=True)).view(*nth.shape, -1)


def load_waves(feature_type, data_dir, utterances):
    """The WaveStream of `utterances` of a data folder, in their order.

    Raises SertkError for a recording that is missing or broken, and for a type that archives alone can bring.
    """
    extractor = load_extractor(feature_type)
    if not hasattr(extractor, "of_frames"):
        raise SertkError(f"{feature_type} cannot be computed on the fly: leave on_the_fly out of the config")
    wav_scp, waves = Path(data_dir) / "wav.scp", dict.fromkeys(utterances)
    for utterance, samples, rate in progress(read_data_dir(data_dir, waves), f"reading {wav_scp}", len(utterances)):
        waves[utterance] = resample(samples, rate, int(extractor.sample_frequency))
    missing = [utterance for utterance, wave in waves.items() if wave is None]
    if missing:
        raise SertkError(f"{wav_scp}: {len(missing)} utterances have no recording, the first is {missing[0]}")
    return WaveStream(waves, extractor)
