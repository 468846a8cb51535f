"""How fast encoders are: layers of recordings in our way, by a bare loop over the network, and by transformers.

All of it in turn in one process, on weights drawn at random, which cost as much as real ones; medians of the rounds.

    python tools/bench_encoders.py --wav_dir DIR            # recordings of one's own, else made-up ones of 3 to 5 s
    python tools/bench_encoders.py --device cuda --number 1440 --no_transformers
"""

import argparse
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch.nn.utils.rnn import pad_sequence

from sertk.core.device import keep_freed_memory
from sertk.encoders.build import new_encoder
from sertk.encoders.registry import shipped_spec
from sertk.features.audio import load_audio, resample
from sertk.inference.encoding import LoadedEncoder, write_layers

RATE = 16000
SHORTEST, LONGEST = 2.9, 5.3  # seconds, as RAVDESS has them


def main():
    args = parse_arguments()
    torch.set_num_threads(args.num_threads)
    keep_freed_memory()
    torch.manual_seed(0)
    device = torch.device(args.device)
    spec = shipped_spec(args.encoder)
    loaded = LoadedEncoder(new_encoder(spec.network), device, source=spec.network)
    with tempfile.TemporaryDirectory() as folder:
        paths = sorted(args.wav_dir.rglob("*.*"))[: args.number] if args.wav_dir else made_up(args.number, Path(folder))
        waves = [resample(*load_audio(str(path)), RATE) for path in paths]
        ways = {
            "layers of samples": lambda: loaded.encode([loaded.features(wave, RATE) for wave in waves], loaded.layers),
            "bare loop": bare_loop(loaded, waves),
        }
        if not args.no_transformers and spec.kind == "whisper":
            ways["transformers"] = transformers_way(spec, waves, device)
        seconds = {name: [] for name in ways}
        for _ in range(args.rounds):
            for name, way in ways.items():
                seconds[name].append(timed(way, device))
        medians = {name: statistics.median(values) for name, values in seconds.items()}
        total = sum(map(len, waves)) / RATE
        print(
            f"{args.encoder}, {len(waves)} recordings, {total:.0f} s, all {len(loaded.layers)} layers, {where(device)}"
        )
        for name, median in medians.items():
            ratio = medians["layers of samples"] / median
            print(f"{name:>18} {median:8.3f} s   ours is {ratio:.3f} of it   ({rounded(seconds[name])})")
        begun = time.monotonic()
        write(loaded, paths, Path(folder))
        print(f"   files to archives {time.monotonic() - begun:8.3f} s   compressed to 16 bits, one process")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="whisper_base", help="a shipped encoder (default: %(default)s)")
    parser.add_argument("--wav_dir", type=Path, help="recordings, at any depth")
    parser.add_argument("--number", type=int, default=100, help="of recordings (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--num_threads", type=int, default=2)
    parser.add_argument("--no_transformers", action="store_true", help="leave transformers out")
    return parser.parse_args()


def made_up(number, folder):
    """Noises at 48 kHz with the lengths of RAVDESS's recordings."""
    generator = np.random.default_rng(0)
    paths = [folder / f"{place:05d}.wav" for place in range(number)]
    for path in paths:
        samples = 0.05 * generator.standard_normal(int(generator.uniform(SHORTEST, LONGEST) * 3 * RATE))
        soundfile.write(path, samples.astype(np.float32), 3 * RATE, subtype="PCM_16")
    return paths


def bare_loop(loaded, waves):
    """The network over batches that are ready."""
    rows = [torch.from_numpy(loaded.features(wave, RATE)) for wave in waves]
    lengths = list(map(len, rows))
    ready = [
        (
            pad_sequence([rows[item] for item in items], batch_first=True).to(loaded.device),
            torch.tensor([lengths[item] for item in items]),
        )
        for items in loaded.batches(lengths)
    ]

    @torch.inference_mode()
    def run():
        return [[layer.cpu() for layer in loaded.network(*batch, list(loaded.layers))[0]] for batch in ready]

    return run


def transformers_way(spec, waves, device):
    """transformers' feature extractor, which pads to 30 s, and its encoder, of the same sizes."""
    from transformers import WhisperConfig, WhisperFeatureExtractor
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    sizes = spec.sizes
    config = WhisperConfig(
        d_model=sizes["dims"],
        encoder_layers=sizes["layers"],
        encoder_attention_heads=sizes["heads"],
        encoder_ffn_dim=4 * sizes["dims"],
        num_mel_bins=sizes.get("mel_bins", 80),
    )
    network = WhisperEncoder(config).to(device).eval()
    extractor = WhisperFeatureExtractor(feature_size=config.num_mel_bins)

    @torch.inference_mode()
    def run():
        found = []
        for start in range(0, len(waves), 4):
            batch = waves[start : start + 4]
            values = extractor(batch, sampling_rate=RATE, return_tensors="pt").input_features.to(device)
            layers = network(values, output_hidden_states=True).hidden_states
            found.append([layer.cpu() for layer in layers])
        return found

    return run


def write(loaded, paths, folder):
    recordings = ((path.stem, *load_audio(str(path))) for path in paths)
    wspecifiers = {layer: f"ark,scp:{folder}/{layer}.ark,{folder}/{layer}.scp" for layer in loaded.layers}
    write_layers(loaded, recordings, list(loaded.layers), wspecifiers)


def timed(way, device):
    begun = time.monotonic()
    way()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.monotonic() - begun


def where(device):
    return torch.cuda.get_device_name() if device.type == "cuda" else f"{torch.get_num_threads()} threads"


def rounded(values):
    return ", ".join(f"{value:.3f}" for value in values)


if __name__ == "__main__":
    main()
