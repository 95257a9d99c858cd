"""What a training leaves behind, and what it shows while it goes on."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from affcli.cli import launch
from affcli.cli.choice import write
from affcli.cli.progress import Line, say
from affcli.errors import AffcliError

if TYPE_CHECKING:
    from affcli.cli.one_run import Job, Outcome, Prepared
    from affcli.cli.people import PeoplePrepared
    from affcli.training.checkpoint import Checkpoint
    from affcli.training.data import WindowedClips
    from affcli.training.description import Description
    from affcli.training.fit import Epoch

log = logging.getLogger(__name__)

SCORES = ("valence", "arousal", "mean")
TOLD = {"expression_accuracy": "expressions right", "expression_f1": "their F1", "au_f1": "action units' F1"}


class Record:
    """What a training leaves behind, epoch by epoch, and what it shows."""

    def __init__(self, made: Prepared | PeoplePrepared, checkpoint: Checkpoint, last: Checkpoint | None) -> None:
        self._made, self._checkpoint = made, checkpoint
        self._last = last
        self.history: list[dict[str, float]] = []
        self._line = Line()
        self._board: Any = None

    @contextlib.contextmanager
    def begun(self) -> Iterator[None]:
        """The directory, ready and kept to this process.  Raises OutputError where nothing can be written there."""
        from affcli.files import held
        from affcli.training import checkpoint, description, tensorboard

        job, run = self._made.job, self._made.job.out
        checkpoint.prepare(run)
        with held(run):
            if self._last:
                self.history = description.read_metrics(run)[: self._last.description.epoch]
                checkpoint.drop_older(run, self._last.description.epoch)
                say(f"{run}: goes on after epoch {self._last.description.epoch}")
            if job.tensorboard:
                self._board = tensorboard.board(run, len(self.history))
            try:
                yield
            except (KeyboardInterrupt, SystemExit):
                self._line.clear()
                if self.history:
                    self._say_ended()
                raise

    def _say_ended(self) -> None:
        """Say where the training can be gone on with: not every epoch that was trained was also saved."""
        from affcli.training.description import LAST, read_description

        run = self._made.job.out
        with contextlib.suppress(AffcliError):  # ended before anything was saved
            say(f"{run}: ended after epoch {read_description(run, LAST).epoch}; the same command goes on from there")

    def _take_over(self) -> None:
        """Take away what stood there, once there is something to put in its place: a slip costs no finished run."""
        from affcli.training import checkpoint

        job, run = self._made.job, self._made.job.out
        checkpoint.clear(run)
        said = (
            f"Fold {job.fold['fold']} of {job.fold['folds']}; the settings of all folds are in the directory above."
            if job.fold
            else "What this training used; affcli train WINDOWS -o RUN --config FILE does it again."
        )
        write(run, dataclasses.replace(job.choice, encoders=tuple(self._made.sets)), said)
        launch.note_begun(run)

    def show(self, done: int, total: int) -> None:
        """Say how far the epoch at hand is."""
        decides = "val_ccc_mean" if not self.history or "val_ccc_mean" in self.history[0] else "val_accuracy"
        best = max((one[decides] for one in self.history), default=None)
        told = f", best {decides.split('_')[-1]} {best:.3f}" if best is not None else ""
        self._line.show(f"{self._made.job}: epoch {len(self.history) + 1}: {done} of {total} windows{told}")

    def end_of_epoch(self, epoch: Epoch, state: dict[str, Any], ended: bool) -> None:
        """Save the weights where they are the best, the metrics, and last of all what a training goes on from."""
        from affcli.training import tensorboard
        from affcli.training.checkpoint import save
        from affcli.training.description import LAST, save_metrics

        if not self.history:
            self._take_over()
        self.history.append(epoch.to_json())
        scores = epoch.scores
        known = dataclasses.replace(self._checkpoint.description, epoch=epoch.number, validation=scores)
        here = dataclasses.replace(self._checkpoint, description=known)
        if epoch.improved:
            save(here)
        save_metrics(self._made.job.out, self.history)
        save(dataclasses.replace(here, description=dataclasses.replace(known, finished=ended), state=state), LAST)
        if self._board:
            tensorboard.add(self._board, epoch)
        text = f"{self._made.job}: epoch {epoch.number}: loss {epoch.train_loss:.4f}, {scored(scores)}"
        self._line.show(text)
        log.info("%s", text)

    def finish(self, val: WindowedClips, device: Any) -> Description:
        """Find the best smoothing of the best weights, and mark the training as finished."""
        from affcli.prediction import predict
        from affcli.training.checkpoint import load
        from affcli.training.description import describe
        from affcli.training.tuning import Curves, tune

        best = load(self._made.job.out)
        smooth = ""
        if "mean" in best.description.validation:  # of affect
            affect = predict(best.model, val.batches(self._made.job.choice.training.at_once), val.frames, device)
            clips = []
            for one, first in zip(val.clips, val.offsets, strict=False):
                here = slice(first, first + one.frames)
                assert one.time_us is not None
                clips.append(Curves(affect[here], val.labels[here], val.labelled[here], one.time_us))
            smooth = tune(clips)
        finished = dataclasses.replace(best.description, finished=True, smooth=smooth)
        describe(self._made.job.out, finished)
        return finished

    def close(self) -> None:
        """Take the line away."""
        self._line.clear()
        if self._board:
            self._board.close()


def say_done(job: Job, done: Outcome) -> None:
    """Say what a training came to, and draw it on a terminal."""
    known = done.description
    best = f"{scored(known.validation)} at epoch {known.epoch}"
    say(f"{job.out}: up to date, {best}" if done.kept else f"{job.out}: {best} of {done.epochs}")
    if not done.kept and sys.stderr.isatty():
        from affcli.cli.plot import learning
        from affcli.training.description import read_metrics

        print(learning(read_metrics(job.out)), file=sys.stderr)


def scored(scores: Mapping[str, float]) -> str:
    """Scores of validation for people."""
    if "mean" not in scores:
        return f"{scores['accuracy']:.1%} of the windows are told whom they show"
    told = [f"{what} {scores[name]:.3f}" for name, what in TOLD.items() if name in scores]
    return ", ".join(["CCC " + ", ".join(f"{name} {scores[name]:.3f}" for name in SCORES), *told])
