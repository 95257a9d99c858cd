"""affcli import-checkpoint"""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from affcli import configs
from affcli.cli import from_keras, from_m3t, standardising
from affcli.cli.ensemble import BATCH, BATCH_SEEN
from affcli.cli.options import ENCODER, FORCE
from affcli.cli.progress import say
from affcli.cli.standardising import labelled_clips
from affcli.errors import AffcliError, SchemaError, UsageError
from affcli.models import MODELS, inputs_of, sees

if TYPE_CHECKING:
    from affcli.cli.crop_files import CropFiles
    from affcli.cli.windowed import Beside, Index
    from affcli.training.checkpoint import Checkpoint
    from affcli.training.description import Description

log = logging.getLogger(__name__)

STEP = "import-checkpoint"
SOURCES = {"keras": from_keras, "m3t": from_m3t}
M3T_WINDOWS = configs.Windows(length=32, overlap=16)  # clips of the paper, and how far the released code moves them on

FILE = typer.Argument(
    ..., metavar="FILE", help="The weights. Of Keras: .weights.h5, .keras, .h5 or .npz. Of M3T: .pt, .ckpt or "
    ".safetensors.",
)  # fmt: skip
WINDOWS = typer.Argument(
    None,
    metavar="[WINDOWS]",
    help="Windows table of the features that the network reads, as affcli window writes it; a network that reads none, "
    "such as m3t-visual, needs none.",
    show_default=False,
)
OUT = typer.Option(..., "--out", "-o", metavar="RUN", help="Directory for the checkpoint; made where it is missing.")
FROM = typer.Option(..., "--from", help="What wrote the weights: Keras, or the released PyTorch code of M3T.")
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
    help="A setting of the network, as `affcli models show NETWORK` lists them; repeatable. With --from m3t, order is "
    "bgr where nothing else is said.",
)
PRESET = typer.Option(
    "", "--preset", metavar="NAME", help="Settings of the network as in paper or in official, the released code."
)
CROPS = typer.Option(
    None, "--crops", metavar="DIR", help="Faces as the network is to see them, as affcli extract-faces writes them."
)
STANDARDISATION = typer.Option(
    "",
    "--standardisation",
    metavar="windows|none|FILE.npz",
    help="What the features were standardised with: mean and deviation of the train clips of WINDOWS (where nothing is "
    "said, of Keras), nothing (of M3T), or the arrays ENCODER.mean and ENCODER.std of a file.",
)


def import_checkpoint(
    file: Path = FILE,
    windows: Path | None = WINDOWS,
    out: Path = OUT,
    source: Literal["keras", "m3t"] = FROM,
    model: str = MODEL,
    encoder: list[str] = ENCODER,
    crops: Path | None = CROPS,
    order: str = ORDER,
    preset: str = PRESET,
    pairs: list[str] = PAIRS,
    standardisation: str = STANDARDISATION,
    force: bool = FORCE,
) -> None:
    """Turn weights that Keras, or M3T's released code, trained into a checkpoint for affcli predict.

    Every array must have its place and shape in the network. WINDOWS says which features the network reads, how they
    were made and how clips are cut; --crops does so for the faces of a network that sees. Where WINDOWS holds labelled
    val clips, these are predicted and scored (CCC).

    Keras's names of layers mean nothing. Of M3T, a state_dict, a checkpoint of PyTorch Lightning or safetensors is
    read, under the names of the released code; nothing in it is run. Without WINDOWS, windows of 32 frames overlap by
    16. v2p-identity can be imported, too, for affcli train --init-backbone.

    Shapes cannot tell everything: whether normalisation or PReLU comes first (--set norm_order=prelu-norm), epsilon of
    the normalisation (--set norm_epsilon=0.001), the order of a pixel's colours (--set order=rgb), and what the
    features were standardised with are yours to say.
    """
    from affcli import recipes
    from affcli.cli.windowed import Beside, chosen_sets, read_windows
    from affcli.models.device import size_explained
    from affcli.training import checkpoint, description

    origin = SOURCES[source]
    network = origin.settings(model, pairs, preset)
    _check(model, network, windows, encoder, crops)
    index = read_windows(windows) if windows else None
    sets = inputs_of(model, chosen_sets(index, tuple(encoder)) if index else {}, network)
    beside = Beside(_crops(crops, network), None, getattr(network, "action_units", ()))
    if unused := [name for name in encoder if name not in sets]:
        raise UsageError(
            f"--encoder {unused[0]}",
            f"is of no use to {model}, which reads {', '.join(sets) or 'no features'}",
            expected="encoders of features that it reads",
            advice="leave it out",
        )
    if standardisation and not sets:
        raise UsageError(
            f"--standardisation {standardisation}",
            f"is of no use to {model}, which reads no features",
            expected="no --standardisation",
            advice="leave it out",
        )
    how = standardisation or origin.STANDARDISATION
    scaling = None if how in ("windows", "none") else standardising.scaling_file(how)
    with size_explained(model):
        net = MODELS[model].resolve()(sets, network)
    more = origin.take(net, file, sets, order)
    weights = recipes.source(file)
    config = {
        "from": source,
        "model": model,
        "encoders": list(sets),
        **more,
        "standardisation": recipes.source(scaling) if scaling else how,
        "network": recipes.plain(network),
    }
    parents = [*([index.recipe] if index else []), *beside.recipes]
    recipe = recipes.recipe(STEP, config, weights={weights["name"]: weights["sha256"]}, parents=parents)
    inputs = [*([recipes.source(windows)] if windows else []), weights]
    inputs += [recipes.source(scaling)] if scaling else []
    inputs += beside.sources(labelled_clips(index, "val")) if index else []
    if not force and (kept := description.keep(out, recipe, inputs)):
        say(f"{out}: up to date, {_told(kept, network)}")
        return
    _spare_trained(out)
    scale = standardising.read(scaling, sets) if scaling else standardising.standardisation(how, index, sets)
    checkpoint.prepare(out)
    described = description.Description(
        model=model,
        config=recipes.plain(network),
        features=sets,
        windows=configs.Windows(index.facts.length, index.facts.overlap) if index else M3T_WINDOWS,
        validation={},
        epoch=0,
        finished=True,
        inputs=inputs,
        recipe=recipe,
        smooth="",
        versions=checkpoint.versions(),
        crops=description.CropSet(beside.crops.side, beside.crops.recipe) if beside.crops else None,
    )
    imported = checkpoint.Checkpoint(out, described, net, scale)
    if index:
        described = dataclasses.replace(described, validation=_scores(imported, index, beside, network))
    checkpoint.save(dataclasses.replace(imported, description=described))
    say(f"{out}: {_told(described, network)}")


def _check(model: str, network: Any, windows: Path | None, encoders: list[str], crops: Path | None) -> None:
    """Raise UsageError where WINDOWS or --crops is missing, or given to a network that has no use for it."""
    identity = isinstance(network, configs.M3tIdentity)
    if windows is None and (encoders or not sees(network) or _reads(network)):
        raise UsageError(
            f"--encoder {encoders[0]}" if encoders else f"--model {model}",
            f"{'is of a windows table' if encoders else 'reads features'}, and there is no WINDOWS",
            expected="WINDOWS, the windows of the features that the network reads",
            advice="name it behind FILE: affcli window writes it",
        )
    if windows is not None and identity:
        raise UsageError(
            windows,
            f"is of no use to {model}, which tells people apart and is not scored on affect",
            expected="no WINDOWS",
            advice="leave it out",
        )
    if crops is None and sees(network) and not identity:
        raise UsageError(
            f"--model {model}",
            "sees crops, and there is no --crops",
            expected="--crops DIR, faces made as those that it is to see",
            advice="add it: a clip or two are enough",
        )
    if crops is not None and not sees(network):
        raise UsageError(
            f"--crops {crops}", f"is of no use to {model}, which sees nothing", expected="none", advice="leave it out"
        )


def _reads(network: Any) -> bool:
    """Whether a network that sees reads features, too."""
    return isinstance(network, configs.M3t) and (network.static != "none" or network.streams != "visual")


def _crops(folder: Path | None, network: Any) -> CropFiles | None:
    """The crops in `folder`; none where it is None.  Raises SchemaError where they are smaller than what is cut out."""
    from affcli.cli.crop_files import find_crops
    from affcli.training.crops import ClipCrops, check_crops

    if folder is None:
        return None
    crops = find_crops(folder)
    one = crops.of(crops.clips[0])
    check_crops(ClipCrops(one.clip, one.frames, one.valid), crops.side, network.crop)
    return crops


def _scores(run: Checkpoint, index: Index, beside: Beside, network: Any) -> dict[str, float]:
    """CCC over the annotated frames of the val clips, and what else the network is scored by.

    Empty where no frame is annotated, or where CCC is not defined.
    """
    import numpy as np

    from affcli.cli.windowed import windows_of
    from affcli.models.device import pick
    from affcli.training.sight import Sight
    from affcli.training.tasks import task_of
    from affcli.training.world import ALONE

    if not any(index.labels(clip).valid.any() for clip in labelled_clips(index, "val")):
        log.warning("%s: no frame of a val clip is annotated: the network is not scored", index.path)
        return {}
    val, batch = windows_of(index, list(run.description.features), "val", None, beside), BATCH
    if beside.crops:
        sight = Sight.of(beside.crops.side, network)
        val, batch = val.seeing(sight), BATCH_SEEN
    scores = task_of(network).scores(run.model, val.standardised(run.standardisation), batch, pick("cpu"), ALONE)
    if not np.isfinite([scores["valence"], scores["arousal"]]).all():
        log.warning("%s: the CCC of its val clips is not defined: predictions or labels are no use for one", index.path)
        return {}
    return scores


def _told(description: Description, network: Any) -> str:
    """What a checkpoint is, for people."""
    from affcli.cli.record import scored

    scores = description.validation
    ccc = f"{scored(scores)} on the val clips" if scores else "not scored"
    reads = description.recipe["config"].get("order", description.features)
    return f"{description.model} of {', '.join([*(['clips'] if sees(network) else []), *reads])}; {ccc}"


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
