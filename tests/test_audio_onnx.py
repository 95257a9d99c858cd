"""Networks of one's own that read the waveform: tiny ONNX files made here."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from affcli import clock
from affcli.errors import AffcliError, AssetError, SchemaError, UsageError
from affcli.features import Setup, settings
from affcli.features.audio_onnx import AudioNetwork
from affcli.features.contours import spans
from affcli.features.encode import encode_clip
from affcli.features.views import TimedSound
from affcli.recipes import digest, plain

RATE = 16_000  # Hz
WIDTH = 3
WEIGHTS = np.random.default_rng(0).normal(0, 1, (WIDTH, 1, 400)).astype(np.float32) / 20


def model(
    hop: int = 320,
    pad: int = 0,
    steps_first: bool = False,
    pooled: bool = False,
    weights: NDArray[np.float32] = WEIGHTS,
    axes: int = 2,
    samples: int | str = "samples",
) -> onnx.ModelProto:
    """One convolution of 400 samples over a waveform, (1, 3, t); or its transpose, or its mean over time."""
    shape = [0, 1, -1] if axes == 2 else [1, 1, -1]
    nodes = [
        helper.make_node("Reshape", ["sound", "shape"], ["one"]),
        helper.make_node("Conv", ["one", "weights"], ["maps"], strides=[hop], pads=[pad, pad]),
    ]
    last = "maps"
    if steps_first:
        nodes.append(helper.make_node("Transpose", [last], ["turned"], perm=[0, 2, 1]))
        last = "turned"
    if pooled:
        nodes.append(helper.make_node("ReduceMean", [last], ["mean"], axes=[2], keepdims=0))
        last = "mean"
    tensors = [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.array(shape), "shape")]
    inputs = [helper.make_tensor_value_info("sound", TensorProto.FLOAT, [1] * (axes - 1) + [samples])]
    outputs = [helper.make_tensor_value_info(last, TensorProto.FLOAT, None)]
    return wrapped(nodes, inputs, outputs, tensors)


def wrapped(nodes: list[Any], inputs: list[Any], outputs: list[Any], tensors: list[Any]) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a model: `write(model(), sidecar={"hop": 320})`."""

    def to_file(made: onnx.ModelProto, sidecar: object = None) -> Path:
        path = tmp_path / "tiny.onnx"
        path.write_bytes(made.SerializeToString())
        if sidecar is not None:
            (tmp_path / "tiny.onnx.json").write_text(json.dumps(sidecar))
        return path

    return to_file


def opened(path: Path, **chosen: Any) -> AudioNetwork:
    return AudioNetwork(settings.AudioNetwork(**chosen), Setup(argument=str(path)))


def noise(seconds: float) -> NDArray[np.int16]:
    return np.random.default_rng(0).integers(-9000, 9000, round(seconds * RATE)).astype(np.int16)


def sound_of(waveform: NDArray[np.int16], rate: str = "25", valid: object = None) -> TimedSound:
    """A waveform under as many whole frames as it lasts."""
    n = int(len(waveform) / RATE * Fraction(rate))
    given = np.ones(n, np.bool_) if valid is None else np.asarray(valid)
    return TimedSound(waveform, RATE, 0, clock.frame_times(n, Fraction(rate)), Fraction(rate), given)


def heard(encoder: AudioNetwork, sound: TimedSound) -> NDArray[np.float32]:
    return np.concatenate(list(encode_clip(encoder, sound)))


def expected(sound: TimedSound, hop: int = 320, pad: int = 0) -> NDArray[np.float64]:
    """The convolution in NumPy, its steps in the middle of what they hear, and 500 points on the lines between them."""
    plain_ = np.pad(sound.between(0, len(sound.waveform)), pad)
    steps = np.lib.stride_tricks.sliding_window_view(plain_, 400)[::hop] @ WEIGHTS[:, 0].T.astype(np.float64)
    centres = 199.5 - pad + hop * np.arange(len(steps))
    rows = []
    for start, stop in spans(sound):
        at = start + (np.arange(500) + 0.5) / 500 * (stop - start)
        rows.append([np.interp(at, centres, column).mean() for column in steps.T])
    return np.array(rows)


@pytest.mark.parametrize("steps_first", [False, True])
@pytest.mark.parametrize(("hop", "pad", "field"), [(320, 0, 400), (160, 0, 400), (160, 200, 0), (801, 100, 200)])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_the_pace_is_measured_and_vectors_are_brought_to_frames(
    write: Callable[..., Path], steps_first: bool, hop: int, pad: int, field: int, axes: int
) -> None:
    encoder = opened(write(model(hop, pad, steps_first, axes=axes)), chunk=1.0, context=0.5)
    assert (encoder.config.hop, encoder.config.field, encoder.config.width) == (hop, field, WIDTH)
    sound = sound_of(noise(3), rate="30000/1001", valid=np.arange(89) % 7 != 3)
    out = heard(encoder, sound)
    assert out.dtype == np.float32
    assert (out[~sound.valid] == 0).all()
    assert np.abs(out - expected(sound, hop, pad))[sound.valid].max() < 2e-3 * np.abs(out).max()


def test_a_click_shows_at_its_frame(write: Callable[..., Path]) -> None:
    encoder = opened(write(model(hop=160)))
    for rate in ("25", "30000/1001", "15/2"):
        middles = spans(sound_of(noise(8), rate)).mean(axis=1)
        for frame in (3, 20, 45):
            waveform = np.zeros(8 * RATE, np.int16)
            waveform[round(middles[frame]) - 2 : round(middles[frame]) + 2] = 30_000
            assert np.abs(heard(encoder, sound_of(waveform, rate))).sum(axis=1).argmax() == frame


def test_chunks_are_the_whole(write: Callable[..., Path]) -> None:
    path = write(model(hop=160, pad=200))
    sound = sound_of(noise(9))
    whole = heard(opened(path, chunk=100.0), sound)
    assert heard(opened(path, chunk=1.0, context=0.1), sound) == pytest.approx(whole, abs=1e-5)


def test_a_network_with_one_vector_hears_a_field_at_every_hop(write: Callable[..., Path]) -> None:
    """The mean over 4000 samples at every 800: as the convolution, whose steps are then averaged 12 at a time."""
    encoder = opened(write(model(pooled=True)), field=4000, hop=800, chunk=2.0)
    sound = sound_of(noise(3))
    plain_ = sound.between(0, len(sound.waveform))
    steps = []
    for start in range(0, len(plain_) - 4000 + 1, 800):
        fields = np.lib.stride_tricks.sliding_window_view(plain_[start : start + 4000], 400)[::320]
        steps.append((fields @ WEIGHTS[:, 0].T).mean(axis=0))
    centres = 1999.5 + 800 * np.arange(len(steps))
    rows = []
    for start, stop in spans(sound):
        at = start + (np.arange(500) + 0.5) / 500 * (stop - start)
        rows.append([np.interp(at, centres, column).mean() for column in np.array(steps).T])
    assert np.abs(heard(encoder, sound) - np.array(rows)).max() < 1e-3


def test_settings_come_from_option_then_file_then_the_network(write: Callable[..., Path]) -> None:
    path = write(model(), {"hop": 320, "field": 400, "sample_rate": 8000, "shift": 0.01, "normalise": "clip"})
    encoder = opened(path, sample_rate=RATE, chunk=5.0)
    found = {name: getattr(encoder.config, name) for name in plain(encoder.config)}
    assert found == {
        "sample_rate": RATE,
        "normalise": "clip",
        "output": "maps",
        "hop": 320,
        "field": 400,
        "shift": 0.01,
        "width": WIDTH,
        "chunk": 5.0,
        "context": 2.0,
        "longest": 2.0,
    }


def test_the_recipe_has_the_digest_and_no_directory(write: Callable[..., Path]) -> None:
    path = write(model())
    encoder = opened(path)
    assert encoder.weights == {"tiny.onnx": digest(path)}
    assert str(path.parent) not in json.dumps([plain(encoder.config), encoder.weights])


def test_a_shift_moves_steps_by_seconds(write: Callable[..., Path]) -> None:
    waveform = np.zeros(2 * RATE, np.int16)
    waveform[RATE : RATE + 4] = 30_000
    path = write(model(hop=160))
    plain_, later = (np.abs(heard(opened(path, shift=shift), sound_of(waveform))).sum(axis=1) for shift in (0.0, 0.2))
    assert later.argmax() == plain_.argmax() + 5


def test_the_level_can_be_that_of_the_clip(write: Callable[..., Path]) -> None:
    path = write(model())
    quiet, loud = (sound_of(noise(2) // 8 * factor) for factor in (1, 8))
    assert heard(opened(path, normalise="clip"), quiet) == pytest.approx(
        heard(opened(path, normalise="clip"), loud), abs=1e-2
    )
    assert heard(opened(path), loud) == pytest.approx(8 * heard(opened(path), quiet), rel=1e-4, abs=1e-5)


def test_a_waveform_of_another_rate_is_refused(write: Callable[..., Path]) -> None:
    with pytest.raises(SchemaError, match=r"16000 samples per second, expected 8000; .*--sample-rate 8000"):
        heard(opened(write(model()), sample_rate=8000), sound_of(noise(1)))


def test_one_output_of_several_is_named(write: Callable[..., Path]) -> None:
    made = model()
    made.graph.node.append(helper.make_node("Relu", ["maps"], ["above"]))
    made.graph.output.append(helper.make_tensor_value_info("above", TensorProto.FLOAT, None))
    path = write(made)
    with pytest.raises(AssetError, match=r"has 2 outputs .*\(maps .*above .*expected to be told which.*--output NAME"):
        opened(path)
    assert heard(opened(path, output="above"), sound_of(noise(1))).min() >= 0
    with pytest.raises(UsageError, match=r"--output below: is no output of tiny\.onnx, expected one of maps, above"):
        opened(path, output="below")


def two_inputs() -> onnx.ModelProto:
    made = model()
    made.graph.input.append(helper.make_tensor_value_info("length", TensorProto.INT64, [1]))
    return made


def no_more_steps_than(most: int) -> onnx.ModelProto:
    made = model()
    for name, value in (("from", 0), ("to", most), ("axis", 2)):
        made.graph.initializer.append(numpy_helper.from_array(np.array([value]), name))
    made.graph.node.append(helper.make_node("Slice", ["maps", "from", "to", "axis"], ["some"]))
    del made.graph.output[:]
    made.graph.output.append(helper.make_tensor_value_info("some", TensorProto.FLOAT, None))
    return made


def external() -> onnx.ModelProto:
    made = model()
    tensor = made.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    tensor.external_data.add(key="location", value="tiny.bin")
    return made


def both_axes_grow() -> onnx.ModelProto:
    made = model(steps_first=True)
    made.graph.node.append(helper.make_node("MatMul", ["turned", "maps"], ["square"]))
    del made.graph.output[:]
    made.graph.output.append(helper.make_tensor_value_info("square", TensorProto.FLOAT, None))
    return made


def whole_numbers() -> onnx.ModelProto:
    made = model()
    made.graph.node.append(helper.make_node("Cast", ["maps"], ["cast"], to=TensorProto.INT64))
    del made.graph.output[:]
    made.graph.output.append(helper.make_tensor_value_info("cast", TensorProto.INT64, None))
    return made


def of_pictures() -> onnx.ModelProto:
    value = helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, 8, 8])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    return wrapped([helper.make_node("Relu", ["picture"], ["out"])], [value], [out], [])


def four_axes() -> onnx.ModelProto:
    made = model()
    made.graph.initializer.append(numpy_helper.from_array(np.array([1, 1, 3, -1]), "four"))
    made.graph.node.append(helper.make_node("Reshape", ["maps", "four"], ["deep"]))
    del made.graph.output[:]
    made.graph.output.append(helper.make_tensor_value_info("deep", TensorProto.FLOAT, None))
    return made


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: no_more_steps_than(50), r"gives 50 steps for \d+ s of sound, and no more than for less"),
        (two_inputs, r"takes 2 inputs \(sound .*length tensor\(int64\).*expected one waveform"),
        (external, r"keeps its weights in other files \(tiny\.bin\), expected everything in one file"),
        (both_axes_grow, r"gives \(1, 49, 49\) for a second and \(1, 99, 99\) for two, expected .*d the same"),
        (whole_numbers, r"has 0 outputs of floating-point numbers \(cast tensor\(int64\)"),
        (of_pictures, r"takes picture tensor\(float\) \[1, 3, 8, 8\], expected one waveform"),
        (four_axes, r"gives \(1, 1, 3, 49\) as 'deep', expected steps"),
        (lambda: model(samples=16_000), "takes 16000 samples, no more and no fewer.*dynamic axis"),
        (lambda: model(pooled=True), r"gives one vector for all that it hears, .*--field N --hop N"),
    ],
)
def test_networks_of_another_kind_are_refused_in_one_line(
    write: Callable[..., Path], make: Callable[[], onnx.ModelProto], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(AssetError, match=message) as refusal:
        opened(write(make()))
    assert str(refusal.value).startswith(str(write(make())))
    assert "\n" not in str(refusal.value)
    assert capfd.readouterr().err == ""


def test_what_is_no_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(AssetError, match=r"text\.onnx: is no ONNX file"):
        opened(tmp_path / "text.onnx")
    with pytest.raises(AssetError, match=r"none\.onnx: does not exist"):
        opened(tmp_path / "none.onnx")


@pytest.mark.parametrize(
    ("sidecar", "message"),
    [
        ({"hop": 160, "field": 400}, r'"hop": 160 does not fit tiny\.onnx, which gives 49 steps for 16000 samples'),
        ({"width": 512}, r'"width": 512 is not what tiny\.onnx gives, expected 3'),
        ({"output": "logits"}, r'"output": "logits" is no output of tiny\.onnx, expected one of maps'),
        ({"rate": 16000}, r'has "rate", expected only sample_rate'),
        ({"sample_rate": "16 kHz"}, r'"sample_rate": "16 kHz", expected a whole number'),
        ([16000], "holds a JSON list"),
    ],
)
def test_a_file_beside_it_that_disagrees_is_refused(write: Callable[..., Path], sidecar: object, message: str) -> None:
    with pytest.raises(AffcliError, match=message) as refusal:
        opened(write(model(), sidecar))
    assert isinstance(refusal.value, AssetError)
    assert "tiny.onnx.json" in str(refusal.value)


def test_old_files_that_list_weights_as_inputs_are_read(write: Callable[..., Path]) -> None:
    made = model()
    for tensor in made.graph.initializer:
        made.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    assert opened(write(made)).config.width == WIDTH


def test_an_option_is_stronger_than_the_file_where_it_is_the_usual_too(write: Callable[..., Path]) -> None:
    path = write(model(), {"shift": 0.5, "context": 0, "chunk": 5, "longest": 1})
    assert plain(opened(path).config).items() >= {"shift": 0.5, "context": 0.0, "chunk": 5.0, "longest": 1.0}.items()
    said = {"shift": 0.0, "context": 2.0, "chunk": 20.0, "longest": 2.0}
    assert plain(opened(path, **said).config).items() >= said.items()
    path.with_name(path.name + ".json").unlink()
    assert plain(opened(path).config).items() >= said.items()
