"""Self-supervised networks of speech: tiny ones with random weights, written by the library itself."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from affcli import clock
from affcli.errors import AssetError, SchemaError, UsageError
from affcli.features import ENCODERS, Setup, settings, ssl
from affcli.features.contours import spans
from affcli.features.encode import encode_clip
from affcli.features.ssl import HuggingFace
from affcli.features.views import TimedSound
from affcli.recipes import digest, plain

pytestmark = pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="needs the extra ssl")

RATE = 16_000  # Hz
WIDTH = 32
LAYERS = 2
FAMILIES = ("Wav2Vec2", "WavLM", "Hubert")
SMALL = {
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "initializer_range": 0.2,  # so that its layers do something
}


@pytest.fixture(scope="module")
def library() -> Any:
    return ssl._library()


@pytest.fixture(scope="module")
def write_network(library: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write a directory: `write_network("WavLM", do_normalize=True, feat_extract_norm="layer")`; always equal bytes."""

    def write(family: str = "Wav2Vec2", do_normalize: bool = False, **chosen: Any) -> Path:
        folder = tmp_path_factory.mktemp(family)
        torch.manual_seed(0)
        config = getattr(library, f"{family}Config")(**{**SMALL, **chosen})
        getattr(library, f"{family}Model")(config).save_pretrained(folder)
        library.Wav2Vec2FeatureExtractor(do_normalize=do_normalize).save_pretrained(folder)
        return folder

    return write


@pytest.fixture(scope="module")
def network(write_network: Callable[..., Path]) -> Path:
    """A directory with a tiny wav2vec 2.0; its own tests copy what they change."""
    return write_network()


@pytest.fixture
def changed(network: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the network, less some files, and with others changed: `changed("config.json", config={...})`."""

    def change(*without: str, **values: dict[str, Any]) -> Path:
        for file in network.iterdir():
            if file.name not in without:
                (tmp_path / file.name).write_bytes(file.read_bytes())
        for name, changes in values.items():
            path = tmp_path / f"{name}.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | changes))
        return tmp_path

    return change


def sound_of(waveform: NDArray[np.int16], rate: str = "25", valid: object = None) -> TimedSound:
    """A waveform under as many whole frames as it lasts."""
    n = int(len(waveform) / RATE * Fraction(rate))
    given = np.ones(n, np.bool_) if valid is None else np.asarray(valid)
    return TimedSound(waveform, RATE, 0, clock.frame_times(n, Fraction(rate)), Fraction(rate), given)


def noise(seconds: float) -> NDArray[np.int16]:
    return np.random.default_rng(0).integers(-3000, 3000, round(seconds * RATE)).astype(np.int16)


def opened(folder: Path, half: bool = False, **chosen: Any) -> HuggingFace:
    return HuggingFace(settings.HuggingFace(**chosen), Setup(argument=str(folder), half=half))


def heard(encoder: HuggingFace, sound: TimedSound) -> NDArray[np.float32]:
    return np.concatenate(list(encode_clip(encoder, sound)))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_gives_a_vector_per_frame_and_zeros_where_invalid(
    write_network: Callable[..., Path], family: str
) -> None:
    folder = write_network(family)
    encoder = opened(folder)
    sound = sound_of(noise(3), valid=np.arange(75) % 7 != 3)
    out = heard(encoder, sound)
    assert out.shape == (75, encoder.width) == (75, WIDTH)
    assert out.dtype == np.float32
    assert np.isfinite(out).all()
    assert (out[~sound.valid] == 0).all()
    assert np.abs(out[sound.valid]).sum(axis=1).min() > 0
    assert np.array_equal(out, heard(opened(folder), sound))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("norm", ["group", "layer"])
def test_vectors_are_what_the_library_gives_brought_to_frames(
    library: Any, write_network: Callable[..., Path], family: str, norm: str
) -> None:
    """Against the library's own preprocessing, and the mean of 500 points on the lines between its steps."""
    folder = write_network(family, do_normalize=True, feat_extract_norm=norm)
    sound = sound_of(noise(2), rate="30000/1001")
    model = library.AutoModel.from_pretrained(folder).eval()
    front = library.AutoFeatureExtractor.from_pretrained(folder)
    given = front(sound.between(0, 2 * RATE), sampling_rate=RATE, return_tensors="pt").input_values
    with torch.inference_mode():
        steps = model(given).last_hidden_state[0].numpy()
    centres = 199.5 + 320 * np.arange(len(steps))
    expected = []
    for start, stop in spans(sound):
        at = start + (np.arange(500) + 0.5) / 500 * (stop - start)
        expected.append([np.interp(at, centres, column).mean() for column in steps.T])
    out = heard(opened(folder), sound)
    assert np.abs(out - np.array(expected)).max() < 1e-3
    assert np.abs(out).max() > 0.5


def test_layers(network: Path) -> None:
    """-1 is the last, as is their number; 0 goes into the first; the mean is that of all three."""
    sound = sound_of(noise(2))
    named = {layer: heard(opened(network, layer=layer), sound) for layer in ("-3", "-2", "-1", "0", "1", "2", "mean")}
    assert np.array_equal(named["-1"], named["2"])
    assert np.array_equal(named["-2"], named["1"])
    assert np.array_equal(named["-3"], named["0"])
    assert np.abs(named["0"] - named["1"]).max() > 0.1
    assert named["mean"] == pytest.approx((named["0"] + named["1"] + named["2"]) / 3, abs=1e-5)


@pytest.mark.parametrize("layer", ["3", "-4", "last", "1.5"])
def test_a_layer_that_the_network_lacks_is_refused(network: Path, layer: str) -> None:
    with pytest.raises(UsageError, match=rf"--layer {layer}: is no layer.*expected mean, or a number from -3 to 2"):
        opened(network, layer=layer)


@pytest.mark.parametrize("layer", ["0", "-1"])
@pytest.mark.parametrize("rate", ["25", "30000/1001", "15"])
def test_a_click_shows_at_its_frame(write_network: Callable[..., Path], layer: str, rate: str) -> None:
    """The frame in whose time the click is differs most from the same without it, for every one of 20 clicks."""
    folder = write_network(feat_extract_norm="layer")
    encoder = opened(folder, layer=layer)
    hiss = noise(4) // 100
    quiet = sound_of(hiss, rate)
    silent = heard(encoder, quiet)
    middles = spans(quiet).mean(axis=1)
    for frame in np.linspace(5, len(middles) - 6, 20).astype(int):
        clicking = hiss.copy()
        clicking[round(middles[frame]) - 2 : round(middles[frame]) + 2] = 30_000
        change = np.linalg.norm(heard(encoder, sound_of(clicking, rate)) - silent, axis=1)
        assert change.argmax() == frame


def test_a_long_sound_in_chunks_is_the_whole_before_attention_and_nearly_after(
    write_network: Callable[..., Path],
) -> None:
    """What goes into the first layer hears 0.2 s on each side; from there on, a step attends to all of its chunk."""
    folder = write_network(feat_extract_norm="layer")
    sound = sound_of(noise(12))
    for layer, most in (("0", 1e-4), ("-1", 0.25)):
        whole = heard(opened(folder, layer=layer, chunk=100.0), sound)
        chunked = heard(opened(folder, layer=layer, chunk=3.0, context=1.0), sound)
        assert np.abs(whole - chunked).mean() < most * np.std(whole, axis=0).mean()


def test_half_precision_is_near_the_full(network: Path) -> None:
    sound = sound_of(noise(2))
    full, half = (heard(opened(network, half=half), sound) for half in (False, True))
    assert 0 < np.abs(full - half).max() < 0.15
    assert half.dtype == np.float32


def test_the_level_is_what_the_preprocessor_asks_for(write_network: Callable[..., Path]) -> None:
    asks = write_network(do_normalize=True, feat_extract_norm="layer")
    assert opened(asks).config.normalise == "clip"
    assert opened(asks, normalise="chunk").config.normalise == "chunk"
    quiet, loud = (sound_of((noise(2) // 100 * factor).astype(np.int16)) for factor in (1, 500))
    plain_, levelled = (opened(asks, normalise=how) for how in ("none", ""))
    assert np.abs(heard(levelled, quiet) - heard(levelled, loud)).max() < 1e-3
    assert np.abs(heard(plain_, quiet) - heard(plain_, loud)).max() > 1e-2


def test_the_level_is_left_alone_where_it_is_not_asked_for(network: Path) -> None:
    assert opened(network).config.normalise == "none"


def test_the_recipe_has_digests_and_no_directory(network: Path) -> None:
    encoder = opened(network)
    assert encoder.weights == {
        name: digest(network / name) for name in ("config.json", "model.safetensors", "preprocessor_config.json")
    }
    assert str(network.parent) not in json.dumps([plain(encoder.config), encoder.weights])


def test_other_forms_of_the_same_weights_give_the_same(
    library: Any, network: Path, changed: Callable[..., Path]
) -> None:
    sound = sound_of(noise(1))
    expected = heard(opened(network), sound)
    pickled = changed("model.safetensors")
    torch.save(library.AutoModel.from_pretrained(network).state_dict(), pickled / "pytorch_model.bin")
    encoder = opened(pickled)
    assert set(encoder.weights) == {"config.json", "preprocessor_config.json", "pytorch_model.bin"}
    assert np.array_equal(heard(encoder, sound), expected)
    # As most were published: by a torch that named the two parts of a normalised weight so.
    named = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    state = torch.load(pickled / "pytorch_model.bin", weights_only=True)
    for new, old in named.items():
        state = {name.replace(new, old): value for name, value in state.items()}
    assert any(name.endswith("weight_g") for name in state)
    torch.save(state, pickled / "pytorch_model.bin")
    assert np.array_equal(heard(opened(pickled), sound), expected)
    (pickled / "pytorch_model.bin").unlink()
    library.AutoModel.from_pretrained(network).save_pretrained(pickled, max_shard_size="20KB")
    encoder = opened(pickled)
    shards = {file.name for file in pickled.glob("model*")}
    assert len(shards) > 2
    assert set(encoder.weights) == {"config.json", "preprocessor_config.json", *shards}
    assert np.array_equal(heard(encoder, sound), expected)


def test_weights_that_run_code_are_refused(changed: Callable[..., Path], tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "sprung",)

    folder = changed("model.safetensors")
    torch.save({"feature_projection.projection.bias": Trap()}, folder / "pytorch_model.bin")
    with pytest.raises(AssetError, match="cannot be loaded"):
        opened(folder)
    assert not (tmp_path / "sprung").exists()


def test_code_of_a_directory_is_never_run(changed: Callable[..., Path], tmp_path: Path) -> None:
    folder = changed(config={"model_type": "own", "auto_map": {"AutoConfig": "own.Own", "AutoModel": "own.Own"}})
    (folder / "own.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')\n")
    with pytest.raises(AssetError, match="cannot be loaded"):
        opened(folder)
    assert not (tmp_path / "sprung").exists()


def test_a_waveform_of_another_rate_is_refused(network: Path) -> None:
    sound = TimedSound(noise(1), 22_050, 0, np.array([0]), None, np.ones(1, np.bool_))
    with pytest.raises(SchemaError, match=r"22050 samples per second, expected 16000; .*--sample-rate 16000"):
        heard(opened(network), sound)


def test_a_directory_that_is_not_there_is_refused_without_the_network(tmp_path: Path) -> None:
    for name in (tmp_path / "none", "facebook/wav2vec2-base-not-here"):
        with pytest.raises(AssetError, match=r"has no config\.json, expected a directory .* add --online"):
            opened(Path(name))


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("config.json", r"has no config\.json"),
        ("preprocessor_config.json", r"holds no preprocessor_config\.json"),
        ("model.safetensors", r"holds no model\.safetensors or pytorch_model\.bin"),
    ],
)
def test_a_directory_that_is_not_whole_is_refused(changed: Callable[..., Path], missing: str, message: str) -> None:
    with pytest.raises(AssetError, match=message):
        opened(changed(missing))


def test_weights_that_lack_some_are_refused_instead_of_made_up(changed: Callable[..., Path]) -> None:
    folder = changed(config={"num_hidden_layers": 3})
    with pytest.raises(AssetError, match=r"lacks \d+ of the network's weights, encoder\.layers\.2"):
        opened(folder)


@pytest.mark.parametrize(
    ("file", "settings", "message"),
    [
        ("config", {"hidden_size": 64}, "cannot be loaded"),
        ("config", {"model_type": "whisper"}, "expected a network that reads the waveform itself"),
        ("preprocessor_config", {"feature_extractor_type": "WhisperFeatureExtractor"}, "is fed by WhisperFeatureExtr"),
        ("preprocessor_config", {"feature_extractor_type": "Nothing"}, "preprocessor cannot be read"),
    ],
)
def test_networks_of_another_kind_are_refused(
    changed: Callable[..., Path], file: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(AssetError, match=message):
        opened(changed(**{file: settings}))


def test_a_damaged_file_of_weights_is_refused(changed: Callable[..., Path]) -> None:
    folder = changed()
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(AssetError, match="cannot be loaded"):
        opened(folder)


def test_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch, network: Path) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "transformers" else find(name, *rest)
    )
    with pytest.raises(AssetError, match=r"pip install 'affcli\[ssl\]'"):
        opened(network)


def test_a_torchvision_that_does_not_fit_torch_is_passed_over(monkeypatch: pytest.MonkeyPatch, network: Path) -> None:
    """Sound needs none of it, but transformers fails with one that is there and cannot be imported."""
    load = importlib.import_module

    def broken(name: str, *rest: str) -> Any:
        if name == "torchvision":
            raise RuntimeError("operator torchvision::nms does not exist")
        return load(name, *rest)

    monkeypatch.setitem(sys.modules, "torchvision", None)  # put back at the end
    monkeypatch.delitem(sys.modules, "torchvision")
    monkeypatch.setattr(importlib, "import_module", broken)
    assert opened(network).width == WIDTH
    assert importlib.util.find_spec("torchvision") is None


def test_the_library_prints_nothing(network: Path, capfd: pytest.CaptureFixture[str]) -> None:
    heard(opened(network), sound_of(noise(1)))
    assert capfd.readouterr() == ("", "")


def test_the_entry_says_what_it_needs() -> None:
    entry = ENCODERS["hf"]
    assert (entry.reads, entry.modality, entry.engine, entry.half) == ("audio", "audio", "torch", True)
    assert entry.packages == ("transformers",)
    assert entry.extra == "ssl"
    assert "transformers" in sys.modules
