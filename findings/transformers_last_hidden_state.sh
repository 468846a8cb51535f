#!/usr/bin/env bash
# In transformers 5.24.0 the last of the `hidden_states` of wav2vec 2.0, HuBERT and WavLM is not the model's
# `last_hidden_state` where the blocks begin with their norm (`do_stable_layer_norm`, all of the large models): it is
# taken before the final layer norm, which the other one has passed. Where the blocks end with their norm the two are the
# same. The two differ by more than the values themselves are large.
# It matters to whoever takes "the last layer" of a large model as features: by `hidden_states[-1]`, or with weights over
# all layers, it is another one than by `last_hidden_state`, without a warning, and of another scale.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.24.0 torch==2.11.0 numpy==2.2.6
cd "$dir"
venv/bin/python - <<'PYTHON'
import torch
import transformers
from transformers import HubertConfig, HubertModel, Wav2Vec2Config, Wav2Vec2Model, WavLMConfig, WavLMModel

print("transformers", transformers.__version__)
sizes = dict(
    hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, conv_dim=(8,) * 7,
    num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2,
)
kinds = {"wav2vec 2.0": (Wav2Vec2Config, Wav2Vec2Model), "HuBERT": (HubertConfig, HubertModel), "WavLM": (WavLMConfig, WavLMModel)}
for name, (config, model) in kinds.items():
    for norm_first in (False, True):
        torch.manual_seed(0)
        norm = "layer" if norm_first else "group"
        network = model(config(**sizes, do_stable_layer_norm=norm_first, feat_extract_norm=norm)).eval()
        with torch.no_grad():
            network.encoder.layer_norm.weight.fill_(3.0)  # as trained models have it: not 1
            output = network(0.1 * torch.randn(1, 8000), output_hidden_states=True)
        last, state = output.hidden_states[-1], output.last_hidden_state
        difference = float((last - state).abs().max() / last.abs().max())
        print(f"{name:12} norm first {norm_first!s:5}: largest difference / largest value {difference:.3f}")
        assert (difference > 0.5) if norm_first else (difference == 0)
        if norm_first:
            torch.testing.assert_close(network.encoder.layer_norm(last), state)
print("as described: hidden_states[-1] lacks the final norm of the models whose blocks begin with one")
PYTHON
