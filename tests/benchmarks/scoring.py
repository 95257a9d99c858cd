"""How long `affcli score --ccc` takes over 2.8 million frames, and in how much memory, against pandas and NumPy.

    python tests/benchmarks/scoring.py [--frames 2800000] [--clips 600] [--rounds 3]

Random clips are written as CSV and as affect tables.  The contestants run in turn, each in a process of its own,
`--rounds` times; medians are shown.  Time is counted after start: from the first file read to the scores, after the
scores of a few frames, which have loaded the libraries; memory is the peak of the process.  pyarrow loads pandas where
it is installed, which takes a while and which affcli does not need: it is hidden from affcli.  Needs pandas; run it on
an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from affcli import recipes, tables
from affcli.labels.affect import Affect
from affcli.schemas import AFFECT

OURS = """
import sys, time, json, io, contextlib, pathlib
sys.modules["pandas"] = None
from affcli.cli import make_app
app = make_app(["score"])
def run(preds, gt, *extra):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        app(["score", "--ccc", preds, gt, *extra], standalone_mode=False)
    return json.loads(out.getvalue())["concatenated"]["ccc"]["mean"]
"""
THEIRS = """
import sys, time, json, pathlib
import numpy as np, pandas as pd
def ccc(x, y):
    return 2 * np.mean((x - x.mean()) * (y - y.mean())) / (x.var(ddof=0) + y.var(ddof=0) + (x.mean() - y.mean()) ** 2)
def run(preds, gt):
    read = pd.read_csv if preds.endswith(".csv") else pd.read_parquet
    both = read(gt).merge(read(preds), on=["clip", "frame"], suffixes=("", "_p"))
    both = both[(both.valence >= -1) & (both.arousal >= -1)]
    names = ["valence", "arousal"]
    whole = np.mean([ccc(both[n], both[n + "_p"]) for n in names])
    each = both.groupby("clip")[[*names, "valence_p", "arousal_p"]].apply(
        lambda clip: np.mean([ccc(clip[n], clip[n + "_p"]) for n in names]))
    each.mean()
    return whole
"""
# A first run, of the small files in the second folder, loads what is loaded late.
TIMED = """
ending, *extra = sys.argv[3:]
small, large = [[f"{folder}/{side}{ending}" for side in ("preds", "gt")] for folder in sys.argv[1:3]]
run(*small, *extra)
start = time.perf_counter()
ccc = run(*large, *extra)
took = time.perf_counter() - start
# Not ru_maxrss, which a process inherits from the one that starts it.
peak = int(pathlib.Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
print(json.dumps([took, peak, ccc]))
"""


def write_clips(folder: Path, frames: int, clips: int) -> None:
    """Truth and predictions of so many frames in so many clips: gt and preds, as .csv and .affect.parquet."""
    random = np.random.default_rng(0)
    lengths = random.multinomial(frames, np.full(clips, 1 / clips))
    made: dict[str, list[Affect]] = {"gt": [], "preds": []}
    for number, length in enumerate(lengths):
        steps = random.normal(0, 0.01, (2, length))
        truth = np.clip(np.cumsum(steps, axis=1) + random.normal(0, 0.3, (2, 1)), -1, 1).round(6)
        guess = np.clip(0.7 * truth + random.normal(0, 0.1, (2, length)), -1, 1).round(6)
        truth[:, random.random(length) < 0.02] = np.nan
        made["gt"].append(Affect(f"video{number}", *truth))
        made["preds"].append(Affect(f"video{number}", *guess))
    for side, every in made.items():
        with (folder / f"{side}.csv").open("w", encoding="ascii") as file:
            file.write("clip,frame,valence,arousal\n")
            for clip in every:
                rows = zip(clip.valence.tolist(), clip.arousal.tolist(), strict=True)
                file.writelines(
                    f"{clip.clip},{frame},{v},{a}\n" if v == v else f"{clip.clip},{frame},-5,-5\n"
                    for frame, (v, a) in enumerate(rows)
                )
        parts = [clip.columns() for clip in every]
        columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        path = folder / f"{side}.affect.parquet"
        tables.write(path, AFFECT, columns, recipe=recipes.recipe("made", {}), inputs=[], facts={})


def main() -> None:
    """Measure, and print a line for each contestant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=2_800_000)
    parser.add_argument("--clips", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        small, large = Path(name, "small"), Path(name, "large")
        for folder, frames, clips in ((small, 30_000, 30), (large, asked.frames, asked.clips)):
            folder.mkdir()
            write_clips(folder, frames, clips)
        contestants = {
            (program, ending, extra): [sys.executable, "-c", code + TIMED, small, large, ending, *extra.split()]
            for ending in (".csv", ".affect.parquet")
            for program, code, extra in (("affcli", OURS, ""), ("affcli", OURS, "--ci 95"), ("pandas", THEIRS, ""))
        }
        found: dict[tuple[str, str, str], list[list[float]]] = {key: [] for key in contestants}
        for _ in range(asked.rounds):
            for key, command in contestants.items():
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
                found[key].append(json.loads(done.stdout))
    for (program, ending, extra), runs in found.items():
        seconds, memory, ccc = (statistics.median(column) for column in zip(*runs, strict=True))
        theirs = statistics.median(run[0] for run in found["pandas", ending, ""])
        print(
            f"{program} {extra or '--ccc'} {ending}: {seconds:.2f} s, {memory:.0f} MB, CCC {ccc:.6f}, "
            f"{theirs / seconds:.1f} times as fast as pandas"
        )


if __name__ == "__main__":
    main()
