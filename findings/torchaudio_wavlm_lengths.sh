#!/usr/bin/env bash
# torchaudio 2.11.0's WavLM takes no lengths: `forward` and `extract_features` have the argument, as for wav2vec 2.0 and
# HuBERT, where it masks the padding, but a WavLM ends in an AssertionError without a message. A batch without lengths
# goes well.
# It matters to whoever encodes recordings of different lengths in batches: each has to be encoded by itself, or padding
# is taken for speech.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.11.0 torchaudio==2.11.0 numpy==2.2.6
cd "$dir"
venv/bin/python - <<'PYTHON'
import torch
import torchaudio
from torchaudio.models import wav2vec2_model, wavlm_model

print("torchaudio", torchaudio.__version__)
sizes = dict(
    extractor_mode="group_norm", extractor_conv_layer_config=[(8, 10, 5)] + [(8, 3, 2)] * 4 + [(8, 2, 2)] * 2,
    extractor_conv_bias=False, encoder_embed_dim=16, encoder_projection_dropout=0.0, encoder_pos_conv_kernel=16,
    encoder_pos_conv_groups=2, encoder_num_layers=2, encoder_num_heads=2, encoder_attention_dropout=0.0,
    encoder_ff_interm_features=32, encoder_ff_interm_dropout=0.0, encoder_dropout=0.0,
    encoder_layer_norm_first=False, encoder_layer_drop=0.0, aux_num_out=None,
)
waves, lengths = 0.1 * torch.randn(2, 8000), torch.tensor([8000, 5000])
torch.manual_seed(0)
with torch.inference_mode():
    layers, found = wav2vec2_model(**sizes).eval().extract_features(waves, lengths)
    print("wav2vec 2.0 with lengths:", [tuple(layer.shape) for layer in layers], found.tolist())
    wavlm = wavlm_model(**sizes, encoder_num_buckets=32, encoder_max_distance=128).eval()
    print("WavLM without lengths:", [tuple(layer.shape) for layer in wavlm.extract_features(waves)[0]])
    try:
        wavlm.extract_features(waves, lengths)
    except AssertionError as error:
        print(f"WavLM with lengths: AssertionError, its message is {str(error)!r}")
    else:
        raise SystemExit("WavLM took lengths: this has changed")
PYTHON
