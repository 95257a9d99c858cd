"""affcli import-checkpoint"""

from __future__ import annotations

import dataclasses
import itertools
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from affcli import configs
from affcli.cli.networks import network_settings
from affcli.cli.options import ENCODER, FORCE
from affcli.cli.progress import say
from affcli.errors import AffcliError, InputError, SchemaError, UsageError, some
from affcli.models import MODELS, inputs_of

if TYPE_CHECKING:
    from affcli.cli.windowed import Index
    from affcli.models.gru_fusion import GruFusion
    from affcli.training.checkpoint import Checkpoint
    from affcli.training.data import Standardisation
    from affcli.training.description import Description
    from affcli.windows import FeatureSet, Part

log = logging.getLogger(__name__)

STEP = "import-checkpoint"
BATCH = 256  # windows at a time where the val clips are predicted

FILE = typer.Argument(..., metavar="FILE", help="The weights: .weights.h5, .keras, .h5 or .npz.")
WINDOWS = typer.Argument(
    ..., metavar="WINDOWS", help="Windows table of the features that the network reads, as affcli window writes it."
)
OUT = typer.Option(..., "--out", "-o", metavar="RUN", help="Directory for the checkpoint; made where it is missing.")
FROM = typer.Option(..., "--from", help="What wrote the weights.")
MODEL = typer.Option(..., "--model", help=f"Network: {', '.join(MODELS)}.", autocompletion=lambda: list(MODELS))
ORDER = typer.Option(
    "",
    "--order",
    metavar="A,B,...",
    help="The encoders in the order in which Keras concatenates their branches; needed where the shapes of the weights "
    "do not tell it.",
)
PAIRS = typer.Option(
    [],
    "--set",
    metavar="NAME=VALUE",
    help="A setting of the network, as `affcli models show NETWORK` lists them; repeatable.",
)
STANDARDISATION = typer.Option(
    "windows",
    "--standardisation",
    metavar="windows|none|FILE.npz",
    help="What the features were standardised with: mean and deviation of the train clips of WINDOWS, nothing, or the "
    "arrays ENCODER.mean and ENCODER.std of a file.",
)


def import_checkpoint(
    file: Path = FILE,
    windows: Path = WINDOWS,
    out: Path = OUT,
    source: Literal["keras"] = FROM,
    model: str = MODEL,
    encoder: list[str] = ENCODER,
    order: str = ORDER,
    pairs: list[str] = PAIRS,
    standardisation: str = STANDARDISATION,
    force: bool = FORCE,
) -> None:
    """Turn weights that Keras trained into a checkpoint for affcli predict.

    Every array must have its place and shape in the network; FILE's names of layers mean nothing. WINDOWS says which
    features the network reads, how they were made and how clips are cut. Where it holds labelled val clips, these are
    predicted and scored (CCC).

    Shapes cannot tell everything: whether normalisation or PReLU comes first (--set norm_order=prelu-norm), epsilon of
    the normalisation (--set norm_epsilon=0.001), and what the features were standardised with are yours to say.
    """
    from affcli import recipes
    from affcli.cli.from_keras import fill, ordered
    from affcli.cli.windowed import chosen_sets, read_windows
    from affcli.models.device import pick
    from affcli.training import checkpoint, description
    from affcli.training.keras_file import read_arrays

    network = network_settings(model, pairs)
    index = read_windows(windows)
    sets = inputs_of(model, chosen_sets(index, tuple(encoder)))
    told = ordered(order, list(sets))
    scaling = None if standardisation in ("windows", "none") else _scaling_file(standardisation)
    arrays = read_arrays(file)
    net = _built(model, sets, network)
    branches = fill(net, arrays, told, file)
    weights = recipes.source(file)
    recipe = recipes.recipe(
        STEP,
        {
            "from": source,
            "model": model,
            "encoders": list(sets),
            "order": branches,
            "standardisation": recipes.source(scaling) if scaling else standardisation,
            "network": recipes.plain(network),
        },
        weights={weights["name"]: weights["sha256"]},
        parents=[index.recipe],
    )
    inputs = [recipes.source(windows), weights, *([recipes.source(scaling)] if scaling else [])]
    if not force and (kept := description.keep(out, recipe, inputs)):
        say(f"{out}: up to date, {_told(kept)}")
        return
    _spare_trained(out)
    fitted = _read_standardisation(scaling, sets) if scaling else None
    checkpoint.prepare(out)
    described = description.Description(
        model=model,
        config=recipes.plain(network),
        features=sets,
        windows=configs.Windows(index.facts.length, index.facts.overlap),
        validation={},
        epoch=0,
        finished=True,
        inputs=inputs,
        recipe=recipe,
        smooth="",
        versions=checkpoint.versions(),
    )
    imported = checkpoint.Checkpoint(out, described, net, fitted or _standardisation(standardisation, index, sets))
    described = dataclasses.replace(described, validation=_scores(imported, index, pick("cpu")))
    checkpoint.save(dataclasses.replace(imported, description=described))
    say(f"{out}: {_told(described)}")


def _built(model: str, sets: Mapping[str, FeatureSet], network: Any) -> GruFusion:
    """The network, with weights still to be filled in."""
    from affcli.models.device import size_explained
    from affcli.models.gru_fusion import GruFusion

    with size_explained(model):
        net = MODELS[model].resolve()(sets, network)
    assert isinstance(net, GruFusion)  # as every network is, so far
    return net


def _scaling_file(text: str) -> Path:
    """The file of --standardisation.  Raises UsageError where it is neither a file's name nor one of the words."""
    if not text.endswith(".npz"):
        raise UsageError(
            f"--standardisation {text}",
            "is not what it takes",
            expected="windows, none, or the name of an .npz file",
            advice="correct it, or leave the option out",
        )
    return Path(text)


def _read_standardisation(path: Path, sets: Mapping[str, FeatureSet]) -> Standardisation:
    """Mean and deviation of every feature set, (d,) each, from the arrays ENCODER.mean and ENCODER.std of an .npz file.

    Raises InputError where it cannot be read, SchemaError that lists what is missing, of another width, not finite, or
    no deviation above 0.
    """
    import numpy as np

    from affcli.training.data import Standardisation
    from affcli.training.keras_file import read_arrays

    expected = f"ENCODER.mean and ENCODER.std of {', '.join(f'{name} ({one.width},)' for name, one in sets.items())}"
    advice = "write it with numpy.savez"
    try:
        arrays = read_arrays(path)
    except InputError as error:
        raise InputError(path, error.found, expected=expected, advice=f"check the path, or {advice}") from error
    found = Standardisation({}, {})
    problems = []
    for (name, one), kind in itertools.product(sets.items(), ("mean", "std")):
        key = f"{name}.{kind}"
        if key not in arrays:
            problems.append(f"{key} is missing")
        elif arrays[key].shape != (one.width,):
            problems.append(f"{key} is {arrays[key].shape}")
        elif arrays[key].dtype.kind not in "fiu":
            problems.append(f"{key} is {arrays[key].dtype}")
        else:
            with np.errstate(over="ignore"):  # an infinity is said below
                values = arrays[key].astype(np.float32)
            if wrong := np.flatnonzero(~np.isfinite(values) | ((kind == "std") & ~(values > 0))).tolist():
                problems.append(f"{key} is {arrays[key][wrong[0]]} in column {wrong[0]}")
            getattr(found, kind)[name] = values
    if problems:
        raise SchemaError(path, some(problems), expected=f"{expected}, finite, deviations above 0", advice=advice)
    return found


def _standardisation(how: str, index: Index, sets: Mapping[str, FeatureSet]) -> Standardisation:
    """That of the labelled windows of the train clips, as affcli train fits it, or with "none" one that does nothing.

    Raises InputError where there is no such window.
    """
    import numpy as np

    from affcli.cli.windowed import windows_of
    from affcli.training.data import Standardisation, fit_standardisation

    if how == "none":
        return Standardisation(
            {name: np.zeros(one.width, np.float32) for name, one in sets.items()},
            {name: np.ones(one.width, np.float32) for name, one in sets.items()},
        )
    if not _labelled(index, "train"):
        raise InputError(
            index.path,
            "has no labelled train clip to standardise the features with",
            expected="train clips",
            advice="cut windows with labels, or give --standardisation FILE.npz or none",
        )
    return fit_standardisation(windows_of(index, list(sets), "train", None))


def _labelled(index: Index, part: Part) -> list[str]:
    """The clips of a part that have labels, whether or not any of their frames is annotated."""
    known = index.facts.clips
    return [clip for clip in index.windows if known[clip].split == part and known[clip].labels]


def _scores(run: Checkpoint, index: Index, device: Any) -> dict[str, float]:
    """CCC over the annotated frames of the val clips; empty where there are none, or where it is not defined."""
    import numpy as np

    from affcli.cli.windowed import windows_of
    from affcli.training.fit import validate

    if not any(index.labels(clip).valid.any() for clip in _labelled(index, "val")):
        log.warning("%s: no frame of a val clip is annotated: the network is not scored", index.path)
        return {}
    val = windows_of(index, list(run.description.features), "val", None)
    valence, arousal = validate(run.model, val.standardised(run.standardisation), batch=BATCH, device=device)
    if not np.isfinite([valence, arousal]).all():
        log.warning("%s: the CCC of its val clips is not defined: predictions or labels are no use for one", index.path)
        return {}
    return {"valence": valence, "arousal": arousal, "mean": (valence + arousal) / 2}


def _told(description: Description) -> str:
    """What a checkpoint is, for people."""
    from affcli.cli.record import scored

    scores = description.validation
    ccc = f"{scored(scores)} on the val clips" if scores else "not scored"
    return f"{description.model} of {', '.join(description.recipe['config']['order'])}; {ccc}"


def _spare_trained(run: Path) -> None:
    """Raise SchemaError where a network stands in `run` that was not imported: training it again would take long."""
    from affcli.training.description import BEST, LAST, read_description

    for which in (BEST, LAST):
        try:
            step = read_description(run, which).recipe.get("step")
        except AffcliError:
            continue  # absent, or of no use
        if step != STEP:
            raise SchemaError(
                run,
                f"holds a network of the step '{step}'",
                expected="an imported one, or none",
                advice="choose another directory (--force does not overwrite what was trained)",
            )
