"""The cache of encoders: what is put in comes out, by any number of processes, and damage is named."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from test_formats import WAVLM, WHISPER, random_weights

from sertk.core.errors import SertkError
from sertk.core.files import file_digest, read_yaml
from sertk.encoders import cache
from sertk.encoders.registry import names, shipped_spec, sizes_of

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("SERTK_ENCODERS", str(tmp_path / "encoders"))
    return tmp_path / "encoders"


@pytest.fixture
def weights():
    return random_weights(WHISPER)


def shown(root):
    """What is in the cache, but for locks."""
    return sorted(path.name for path in root.iterdir() if path.suffix != ".lock")


def test_where_the_cache_is(monkeypatch, tmp_path):
    assert cache.cache_root() == tmp_path / "encoders"
    monkeypatch.delenv("SERTK_ENCODERS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.cache_root() == tmp_path / "xdg/sertk/encoders"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # which its specification has us ignore
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.cache_root() == tmp_path / ".cache/sertk/encoders"


@pytest.mark.parametrize("spec", [WHISPER, WAVLM], ids=["whisper", "wavlm"])
def test_an_encoder_comes_out_as_it_was_put_in(root, spec):
    weights = random_weights(spec)
    added = cache.add("mine", spec, weights, "a test")
    found = cache.find("mine")
    assert found == added
    assert (found.name, found.folder, found.spec) == ("mine", root / "mine", spec)
    assert found.digest == file_digest(root / "mine/weights.safetensors", "sha256")
    assert read_yaml(root / "mine/encoder.yaml")["source"] == "a test"
    assert cache.known_spec("mine") == spec
    assert cache.cached_names() == ["mine"]
    encoder = cache.load(found, CPU)
    assert not encoder.training
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, weights[name]), name
    assert shown(root) == ["mine"]


def test_float16_is_kept_on_disk_and_is_float32_in_memory(root, weights):
    half = {name: value.half() for name, value in weights.items()}
    encoder = cache.load(cache.add("mine", WHISPER, half, "a test"), CPU)
    assert {value.dtype for value in load_file(root / "mine/weights.safetensors").values()} == {torch.float16}
    for name, value in encoder.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, half[name].float())


def test_the_same_weights_have_the_same_digest_and_others_may_read_them(root, weights):
    assert cache.add("one", WHISPER, weights, "a").digest == cache.add("two", WHISPER, weights, "b").digest
    modes = {path.stat().st_mode & 0o777 for path in (root / "one").iterdir()}
    mask = os.umask(0)
    os.umask(mask)
    assert modes == {0o666 & ~mask}


def test_two_names_of_one_tensor(weights):
    weights["conv1.bias"] = weights["conv2.bias"]
    encoder = cache.load(cache.add("mine", WHISPER, weights, "a test"), CPU)
    assert torch.equal(encoder.state_dict()["conv1.bias"], weights["conv2.bias"])


def test_loading_takes_no_random_numbers(weights):
    cached = cache.add("mine", WHISPER, weights, "a test")
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    cache.load(cached, CPU)
    assert torch.equal(torch.rand(4), expected)


def test_another_one_of_that_name_is_replaced(root, weights):
    cache.add("mine", WHISPER, random_weights(WHISPER, 1), "first")
    (root / ".mine.elsewhere.123.tmp").mkdir()  # of a process that was killed
    cached = cache.add("mine", WHISPER, weights, "second")
    assert torch.equal(cache.load(cached, CPU).state_dict()["norm.bias"], weights["norm.bias"])
    assert shown(root) == ["mine"]


def test_what_cannot_be_written_leaves_the_earlier_one(root, weights, monkeypatch):
    first = cache.add("mine", WHISPER, weights, "first")

    def fail(path, value):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(cache, "write_yaml", fail)
    with pytest.raises(OSError, match="No space left"):
        cache.add("mine", WHISPER, random_weights(WHISPER, 1), "second")
    assert cache.find("mine") == first
    assert shown(root) == ["mine"]


def test_names_that_are_not_there(root, weights):
    with pytest.raises(SertkError) as error:
        cache.find("whisper_base")
    assert str(error.value) == f"whisper_base is not in the cache {root}: run sertk-get-encoder whisper_base"
    assert cache.known_spec("whisper_base") == shipped_spec("whisper_base")
    cache.add("mine", WHISPER, weights, "a test")
    for function in (cache.find, cache.known_spec):
        for name in ("nobody", "../mine", ""):
            with pytest.raises(SertkError, match=f"no encoder '{name}' .*whisper_base.*; in the cache .*: mine"):
                function(name)
    with pytest.raises(SertkError, match="'a/b' is no name of an encoder"):
        cache.add("a/b", WHISPER, weights, "a test")


def test_what_is_in_the_cache_goes_before_what_is_shipped(weights):
    cache.add("whisper_base", WHISPER, weights, "a test")
    assert cache.known_spec("whisper_base") == WHISPER


def flip(path):
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage, message",
    [
        (flip, "damaged: its sha256 is [0-9a-f]{64}, should be"),
        (lambda path: path.write_bytes(path.read_bytes()[:100]), "damaged: its sha256 is"),
        (Path.unlink, "No such file or directory"),
    ],
)
def test_damaged_weights(root, weights, damage, message):
    cached = cache.add("mine", WHISPER, weights, "a test")
    damage(root / "mine/weights.safetensors")
    remedy = f"remove the folder {root}/mine and run sertk-get-encoder mine again"
    with pytest.raises(SertkError, match=rf"mine/weights.safetensors: {message}.*{remedy}$") as error:
        cache.load(cached, CPU)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "before, after, message",
    [
        ("digest:", "digets:", "encoder.yaml: digest is missing; remove the folder"),
        ("kind: whisper", "kind: sphinx", "encoder.yaml: kind is 'sphinx'"),
        ("layers: 2", "layers: 0", "encoder.yaml: sizes.layers is 0, expected 1 or more"),
        ("kind: whisper", "kind: [", "encoder.yaml: not valid YAML"),
    ],
)
def test_damaged_descriptions(root, weights, before, after, message):
    cache.add("mine", WHISPER, weights, "a test")
    path = root / "mine/encoder.yaml"
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))
    with pytest.raises(SertkError, match=message):
        cache.find("mine")


def test_sizes_that_are_not_those_of_the_weights(root, weights):
    cache.add("mine", WHISPER, weights, "a test")
    path = root / "mine/encoder.yaml"
    path.write_text(path.read_text().replace("layers: 2", "layers: 3"))
    with pytest.raises(SertkError, match=r"weights.safetensors: blocks.2.\S+ is missing"):
        cache.load(cache.find("mine"), CPU)


def add_often(root, seed):
    os.environ["SERTK_ENCODERS"] = str(root)
    torch.set_num_threads(1)
    for _ in range(5):
        cache.add("mine", WHISPER, random_weights(WHISPER, seed), f"process {seed}")


def test_two_processes_at_once(root):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=add_often, args=(root, seed)) for seed in (1, 2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    seed = int(read_yaml(root / "mine/encoder.yaml")["source"].split()[1])
    weights = random_weights(WHISPER, seed)
    assert torch.equal(cache.load(cache.find("mine"), CPU).state_dict()["conv2.weight"], weights["conv2.weight"])
    assert shown(root) == ["mine"]


def test_without_pytorch():
    code = (
        "import sys; from sertk.encoders import cache; cache.known_spec('hubert_base'); cache.cached_names()\n"
        "try: cache.find('hubert_base')\nexcept Exception as error: print(type(error).__name__)\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["SertkError", "False"]


def bundles():
    """torchaudio's own descriptions of what it offers."""
    from torchaudio import pipelines

    return {
        "wav2vec2_base": pipelines.WAV2VEC2_BASE,
        "hubert_base": pipelines.HUBERT_BASE,
        "hubert_large": pipelines.HUBERT_LARGE,
        "wavlm_base_plus": pipelines.WAVLM_BASE_PLUS,
        "wavlm_large": pipelines.WAVLM_LARGE,
    }


@pytest.mark.parametrize("name", bundles())
def test_shipped_encoders_of_torchaudio(name):
    bundle, spec = bundles()[name], shipped_spec(name)
    sizes, theirs = sizes_of(spec, name), bundle._params
    assert spec.kind == {"Wav2Vec2": "wav2vec2", "WavLM": "wavlm"}[bundle._model_type]
    assert spec.sources["web"]["url"] == f"https://download.pytorch.org/torchaudio/models/{bundle._path}"
    assert sizes.dims == theirs["encoder_embed_dim"]
    assert sizes.layers == theirs["encoder_num_layers"]
    assert sizes.heads == theirs["encoder_num_heads"]
    assert sizes.feedforward == theirs["encoder_ff_interm_features"]
    assert f"{sizes.feature_norm}_norm" == theirs["extractor_mode"]
    assert sizes.feature_bias == theirs["extractor_conv_bias"]
    assert sizes.norm_first == theirs["encoder_layer_norm_first"]
    assert sizes.normalise == bundle._normalize_waveform
    assert list(zip(sizes.channels, sizes.kernels, sizes.strides)) == theirs["extractor_conv_layer_config"]
    assert sizes.position_kernel == theirs["encoder_pos_conv_kernel"]
    assert sizes.position_groups == theirs["encoder_pos_conv_groups"]
    if spec.kind == "wavlm":
        assert (sizes.buckets, sizes.max_distance) == (theirs["encoder_num_buckets"], theirs["encoder_max_distance"])


# Radford et al. 2023, Table 1: layers, width, heads; mel bins as OpenAI's page of large-v3 says
WHISPERS = {
    "whisper_tiny": (4, 384, 6, 80),
    "whisper_tiny_en": (4, 384, 6, 80),
    "whisper_base": (6, 512, 8, 80),
    "whisper_small": (12, 768, 12, 80),
    "whisper_medium": (24, 1024, 16, 80),
    "whisper_large_v3": (32, 1280, 20, 128),
}


@pytest.mark.parametrize("name", WHISPERS)
def test_shipped_encoders_of_openai(name):
    spec = shipped_spec(name)
    sizes = sizes_of(spec, name)
    assert (sizes.layers, sizes.dims, sizes.heads, sizes.mel_bins) == WHISPERS[name]
    web = spec.sources["web"]
    assert web["url"].split("/")[-2] == web["sha256"]  # addresses have the digest in them


def test_all_shipped_encoders_are_tested_here():
    assert names() == sorted([*bundles(), *WHISPERS])
