"""Detectors by name and by path: which file is read, what it must be, and where its faces are."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from insightface.model_zoo.scrfd import SCRFD
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from skimage.data import astronaut, coffee

from affcli import weights
from affcli.configs import Tracks
from affcli.errors import AssetError, UsageError
from affcli.faces import DETECTORS, FAMILIES, detector_name, open_detector
from affcli.faces.detections import Detections, Detector

Run = Callable[..., subprocess.CompletedProcess[str]]

RED = 0.99609375  # (255 - 127.5) / 128: the score that a wholly red cell gets
SIDES = np.array([1, 2, 3, 4], np.float32)  # left, top, right, bottom of every box from its anchor, in strides
POINTS = np.array([0, 0, 2, 0, 1, 1, 0, 2, 2, 2], np.float32)  # x, y of each landmark from its anchor, in strides


def network(
    size: tuple[int | str, int | str] = ("height", "width"),
    *,
    channels: int = 3,
    strides: tuple[int, ...] = (8, 16, 32),
    anchors: int = 2,
    widths: tuple[int, ...] = (1, 4, 10),
    rank: int = 2,
    inputs: int = 1,
    kind: int = TensorProto.FLOAT,
    ceil: int = 0,
) -> bytes:
    """A detector whose score is the red of a cell of 8 pixels, at its first anchor; the other strides see nothing."""
    nodes = [helper.make_node("Cast", ["picture"], ["real"], to=TensorProto.FLOAT)]
    constants = {
        "first": np.array([0], np.int64),
        "second": np.array([1], np.int64),
        "axis": np.array([1], np.int64),
        "zero": np.array(0, np.float32),
        "flat": np.array([1, -1, 1] if rank == 3 else [-1, 1], np.int64),
        "width4": SIDES[None],
        "width10": POINTS[None],
    }
    nodes.append(helper.make_node("Slice", ["real", "first", "second", "axis"], ["red"]))
    nodes.append(helper.make_node("Relu", ["red"], ["bright"]))
    for stride in strides:
        nodes.append(
            helper.make_node(
                "AveragePool",
                ["bright"],
                [f"mean{stride}"],
                kernel_shape=[stride] * 2,
                strides=[stride] * 2,
                ceil_mode=ceil,
            )
        )
        nodes.append(helper.make_node("Mul", [f"mean{stride}", "zero"], [f"nothing{stride}"]))
        sees = f"mean{stride}" if stride == 8 else f"nothing{stride}"
        cells = [sees] + [f"nothing{stride}"] * (anchors - 1)
        nodes.append(helper.make_node("Concat", cells, [f"anchors{stride}"], axis=1))
        nodes.append(helper.make_node("Transpose", [f"anchors{stride}"], [f"last{stride}"], perm=[0, 2, 3, 1]))
        nodes.append(helper.make_node("Reshape", [f"last{stride}", "flat"], [f"score{stride}"]))
        nodes.append(helper.make_node("Mul", [f"score{stride}", "zero"], [f"empty{stride}"]))
        for width in (4, 10):
            nodes.append(helper.make_node("Add", [f"empty{stride}", f"width{width}"], [f"out{stride}_{width}"]))
    names = {1: "score{}", 4: "out{}_4", 10: "out{}_10"}
    outputs = [names[width].format(stride) for width in widths for stride in strides]
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("picture", kind, [1, channels, *size])]
        + [helper.make_tensor_value_info(f"more{n}", kind, [1]) for n in range(1, inputs)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    content: bytes = model.SerializeToString()
    return content


@pytest.fixture
def detector(tmp_path: Path) -> Callable[..., Detector]:
    """Open a network made here: `detector("scrfd", threshold=0.4, **network)`."""

    def opened(family: str, *, threshold: float = 0.5, **keywords: object) -> Detector:
        path = tmp_path / "toy.onnx"
        path.write_bytes(network(**keywords))  # type: ignore[arg-type]
        return open_detector(f"{family}:{path}", Tracks(det_threshold=threshold))

    return opened


def picture(
    height: int, width: int, *blocks: tuple[int, int, int], colour: int = 0, side: int = 8
) -> NDArray[np.uint8]:
    """Black, with squares of one colour at (x, y), each of a brightness."""
    image = np.zeros((height, width, 3), np.uint8)
    for x, y, brightness in blocks:
        image[y : y + side, x : x + side, colour] = brightness
    return image


def check(found: Detections, x: int, y: int, unit: int = 8) -> None:
    """One face, at the anchor (x, y), whose box and landmarks are `unit` pixels large."""
    assert found.scores.tolist() == [RED]
    assert found.boxes.tolist() == [[x - unit, y - 2 * unit, x + 3 * unit, y + 4 * unit]]
    assert found.landmarks.tolist() == [(POINTS.reshape(5, 2) * unit + [x, y]).tolist()]
    assert (found.boxes.dtype, found.landmarks.dtype, found.scores.dtype) == (np.float32,) * 3


@pytest.mark.parametrize("family", list(FAMILIES))
@pytest.mark.parametrize(("height", "width"), [(64, 96), (50, 70), (33, 49), (32, 1568), (300, 49)])
def test_a_face_is_where_it_is_in_the_picture_of_any_size(
    detector: Callable[..., Detector], family: str, height: int, width: int
) -> None:
    check(detector(family)(picture(height, width, (40, 24, 255))), 40, 24)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_networks_of_five_strides(detector: Callable[..., Detector], family: str) -> None:
    five = detector(family, strides=(8, 16, 32, 64, 128), anchors=1)
    check(five(picture(50, 70, (40, 24, 255))), 40, 24)
    check(five(picture(200, 130, (120, 192, 255))), 120, 192)


def test_scrfd_with_a_batch_in_its_answers(detector: Callable[..., Detector]) -> None:
    check(detector("scrfd", rank=3)(picture(50, 70, (40, 24, 255))), 40, 24)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_an_input_of_fixed_size_shrinks_what_does_not_fit_and_enlarges_nothing(
    detector: Callable[..., Detector], family: str
) -> None:
    fixed = detector(family, size=(64, 96))
    check(fixed(picture(64, 96, (40, 24, 255))), 40, 24)
    check(fixed(picture(50, 70, (40, 24, 255))), 40, 24)
    check(fixed(picture(128, 192, (80, 48, 255), side=16)), 80, 48, unit=16)
    check(fixed(picture(40, 192, (80, 16, 255), side=16)), 80, 16, unit=16)
    check(fixed(picture(128, 20, (0, 48, 255), side=16)), 0, 48, unit=16)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_red_is_red(detector: Callable[..., Detector], family: str) -> None:
    detect = detector(family)
    assert [len(detect(picture(64, 64, (16, 16, 255), colour=colour))) for colour in range(3)] == [1, 0, 0]


@pytest.mark.parametrize("family", list(FAMILIES))
def test_best_first_down_to_the_threshold_and_one_of_those_that_overlap(
    detector: Callable[..., Detector], family: str
) -> None:
    blocks = [(16, 16, 220), (120, 16, 255), (120, 96, 200), (16, 104, 170), (128, 16, 250)]
    found = detector(family, threshold=0.5)(picture(160, 192, *blocks))
    assert found.scores.tolist() == [(value - 127.5) / 128 for value in (255, 220, 200)]
    assert found.boxes[:, 0].tolist() == [112, 8, 112]
    assert len(detector(family, threshold=0.3)(picture(160, 192, *blocks))) == 4
    assert len(detector(family)(picture(1, 1))) == 0


def test_faces_are_those_that_insightface_itself_finds(tmp_path: Path) -> None:
    path = tmp_path / "toy.onnx"
    path.write_bytes(network())
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).integers(0, 256, (128, 160, 3), np.uint8)
    image[..., 0] |= 0x80
    wanted, landmarks = SCRFD(session=session).detect(image[..., ::-1], input_size=(160, 128), det_thresh=0.5)
    found = open_detector(f"scrfd:{path}", Tracks())(image)
    assert len(wanted) > 3
    np.testing.assert_array_equal(np.column_stack([found.boxes, found.scores]), wanted)
    np.testing.assert_array_equal(found.landmarks, landmarks)


def test_a_detector_by_path_is_known_by_base_name_and_digest(tmp_path: Path) -> None:
    path = tmp_path / "det_10g.onnx"
    path.write_bytes(network())
    spec = f"scrfd:{path}"
    assert open_detector(spec, Tracks()).weights == {"det_10g.onnx": hashlib.sha256(network()).hexdigest()}
    assert detector_name(spec) == "scrfd:det_10g.onnx"
    assert detector_name("retinaface:a.onnx") == "retinaface:a.onnx"


def test_a_detector_by_name_is_read_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "scrfd-10g.buffalo-l"
    monkeypatch.setenv("AFFCLI_CACHE", str(tmp_path))
    with pytest.raises(
        AssetError, match=r"is not in the cache, expected .*; run: affcli models pull scrfd-10g.buffalo-l"
    ):
        open_detector(name, Tracks())
    path = weights.cached_path(name)
    path.parent.mkdir(parents=True)
    path.write_bytes(network())
    with pytest.raises(AssetError, match=r"SHA-256 .*, expected 5838f7fe0536...; run: affcli models pull"):
        open_detector(name, Tracks())
    known = weights.Weights(**{**vars(weights.WEIGHTS[name]), "sha256": hashlib.sha256(network()).hexdigest()})
    monkeypatch.setitem(weights.WEIGHTS._entries, name, known)
    detect = open_detector(name, Tracks())
    assert detect.weights == {name: known.sha256}
    check(detect(picture(50, 70, (40, 24, 255))), 40, 24)


def test_every_detector_says_its_source_and_licence() -> None:
    for name in DETECTORS:
        entry = DETECTORS[name]
        assert entry.weights == detector_name(name) == name
        assert entry.licence == weights.WEIGHTS[name].licence.name
        assert entry.source == weights.WEIGHTS[name].paper
    assert open_detector("centerface", Tracks()).weights == {"centerface": weights.WEIGHTS["centerface"].sha256}


@pytest.mark.weights
@pytest.mark.parametrize("name", [name for name in DETECTORS if DETECTORS[name].family])
def test_every_pulled_detector_finds_the_face_and_only_faces(name: str) -> None:
    detect = open_detector(name, Tracks())
    found = detect(astronaut())
    assert len(found) == 1
    assert np.abs(found.landmarks[0, 0] - [204, 101]).max() < 8  # where the eyes are in the photograph, by eye
    assert np.abs(found.landmarks[0, 1] - [246, 104]).max() < 8
    assert len(detect(coffee())) == 0


UNKNOWN = [
    ("scrfd", r"scrfd: is a family of face detectors, expected scrfd:FILE.onnx or one of centerface, .*; choose"),
    ("scrfd-10g", r"scrfd-10g: is no face detector, .*; did you mean 'scrfd-10g.buffalo-l'"),
    ("yolo", r"yolo: is no face detector, expected one of centerface, scrfd-10g.buffalo-l"),
    ("yolo:a.onnx", r"yolo: is no family of face detectors, expected one of scrfd, retinaface; choose"),
    ("scrfd:", r"scrfd:: names no file, expected scrfd:FILE.onnx; add the path"),
    ("a/b.onnx", r"a/b.onnx: is a file of no stated family, expected scrfd:a/b.onnx or retinaface:a/b.onnx; put"),
    ("", r": is no face detector"),
]


@pytest.mark.parametrize(("spec", "message"), UNKNOWN)
def test_what_is_no_detector_is_wrong_use(spec: str, message: str) -> None:
    for ask in (detector_name, lambda spec: open_detector(spec, Tracks())):
        with pytest.raises(UsageError, match=message):
            ask(spec)


NO_DETECTORS = {
    "empty": (b"", r"is no ONNX network \(.*\), expected a face detector with 9 or 15 outputs"),
    "text": (b"not a network", r"is no ONNX network \(Failed to load model because protobuf parsing failed\)"),
    "no-landmarks": (network(widths=(1, 4)), r"has 6 outputs, a detector without landmarks \(score8 .*\), expected a"),
    "one-output": (network(widths=(1,), strides=(8,)), r"has 1 output \(score8 .*\), expected a face detector"),
    "wrong-order": (network(widths=(4, 1, 10)), r"answers .* to a picture of 64x32, expected \(64, 1\) \(16, 1\)"),
    "wrong-anchors": (network(anchors=1), r"answers \(32, 1\) .* to a picture of 64x32, expected \(64, 1\)"),
    "wrong-size": (network((100, 100), ceil=1), r"answers \(338, 1\) .* to a picture of 100x100, expected \(288, 1\)"),
    "grey": (network(channels=1), r"takes picture tensor\(float\) \[1, 1, .*\], expected one picture, \(1, 3, height"),
    "bytes": (network(kind=TensorProto.UINT8), r"takes picture tensor\(uint8\) .*, expected one picture"),
    "two-inputs": (network(inputs=2), r"takes picture .*, more1 .*, expected one picture"),
}


@pytest.mark.parametrize("family", list(FAMILIES))
@pytest.mark.parametrize("name", list(NO_DETECTORS))
def test_a_file_that_is_no_such_detector_is_refused(tmp_path: Path, family: str, name: str) -> None:
    content, message = NO_DETECTORS[name]
    path = tmp_path / f"{name}.onnx"
    path.write_bytes(content)
    with pytest.raises(AssetError, match=message) as raised:
        open_detector(f"{family}:{path}", Tracks())
    assert raised.value.subject == str(path)
    assert "\n" not in str(raised.value)


def test_retinaface_takes_no_batch_in_its_answers(detector: Callable[..., Detector]) -> None:
    with pytest.raises(AssetError, match=r"answers \(1, 64, 1\) .* to a picture of 64x32, expected \(64, 1\)"):
        detector("retinaface", rank=3)


def test_a_network_that_fails_on_a_picture_is_refused(tmp_path: Path) -> None:
    model = onnx.load_model_from_string(network())
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    path = tmp_path / "batch.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(AssetError, match=r"batch.onnx: fails on a picture of 64x32 \(.*\)"):
        open_detector(f"scrfd:{path}", Tracks())


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"none.onnx: does not exist, expected a file of weights; check the path"):
        open_detector(f"scrfd:{tmp_path}/none.onnx", Tracks())
    with pytest.raises(AssetError, match=r"cannot be read \(Is a directory\)"):
        open_detector(f"retinaface:{tmp_path}", Tracks())


@pytest.mark.parametrize(
    ("detector_spec", "status", "message"),
    [
        ("scrfd:none.onnx", 5, "affcli: none.onnx: does not exist"),
        ("retinaface:text.onnx", 5, "affcli: text.onnx: is no ONNX network"),
        ("scrfd:no-landmarks.onnx", 5, "affcli: no-landmarks.onnx: has 6 outputs, a detector without landmarks"),
        ("scrfd-500m.buffalo-sc", 5, "run: affcli models pull scrfd-500m.buffalo-sc\n"),
        ("scrfd", 2, "affcli: scrfd: is a family of face detectors"),
        ("yolo:text.onnx", 2, "affcli: yolo: is no family of face detectors"),
    ],
)
def test_the_command_ends_with_one_line(
    tmp_path: Path, affcli: Run, monkeypatch: pytest.MonkeyPatch, detector_spec: str, status: int, message: str
) -> None:
    monkeypatch.setenv("AFFCLI_CACHE", str(tmp_path / "cache"))
    for name in ("text", "no-landmarks"):
        (tmp_path / f"{name}.onnx").write_bytes(NO_DETECTORS[name][0])
    done = affcli("extract-faces", "a.mp4", "out", "--detector", detector_spec, cwd=tmp_path)
    assert message in done.stderr
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (status, "", 1)
    assert not (tmp_path / "out").exists()
