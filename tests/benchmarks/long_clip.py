"""Memory and resuming of extract-faces on a long clip.

    python tests/benchmarks/long_clip.py [CLIP] [--minutes 60]

CLIP is encoded anew at 1280x720 and repeated until it is long enough.  The command is run once as it is, then killed
(SIGKILL) in the middle of its work and run again; both results must be equal byte for byte, with one row per decoded
frame.  Prints wall time, peak memory of the largest process, and how memory grew from a clip of a tenth of the length.
"""

from __future__ import annotations

import argparse
import filecmp
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
from faces import clip_at

from affcli import tables
from affcli.schemas import FACES

RATE = Fraction(25)


def repeated(short: Path, path: Path, seconds: float) -> int:
    """Write the packets of a video again and again, until it lasts so long; the number of its frames."""
    with av.open(str(short)) as source, av.open(str(path), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        packets = [packet for packet in source.demux(stream) if packet.dts is not None]
        length = stream.duration
        count = max(1, round(seconds / float(length * stream.time_base)))
        content = [(bytes(packet), packet.pts, packet.dts, packet.duration, packet.is_keyframe) for packet in packets]
        for turn in range(count):
            for data, pts, dts, duration, key in content:
                packet = av.Packet(data)
                packet.pts, packet.dts, packet.duration = pts + turn * length, dts + turn * length, duration
                packet.time_base, packet.is_keyframe, packet.stream = stream.time_base, key, copy
                target.mux(packet)
    return count * len(content)


def run(video: Path, out: Path, kill_after: float | None = None) -> tuple[float, float]:
    """Wall seconds, and the peak memory in MB; killed after so many seconds where that is asked for."""
    start, peak = time.perf_counter(), 0.0
    process = subprocess.Popen([sys.executable, "-m", "affcli", "extract-faces", str(video), str(out), "-q"])
    while process.poll() is None:
        peak = max(peak, _memory(process.pid))
        time.sleep(0.05)
        if kill_after is not None and time.perf_counter() - start > kill_after:
            process.send_signal(signal.SIGKILL)
            process.wait()
    if kill_after is None and process.returncode:
        raise SystemExit(f"extract-faces ended with {process.returncode}")
    return time.perf_counter() - start, peak


def _memory(process: int) -> float:
    """The peak memory of a process so far, MB; what `wait` tells afterwards would include its parent's."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    lines = dict(line.split(":", 1) for line in status.splitlines())
    return int(lines.get("VmHWM", "0 kB").split()[0]) * 1024 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", nargs="?", type=Path)
    parser.add_argument("--minutes", type=float, default=60)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        short = clip_at(wanted.clip, place, 1280, 720, 400)
        frames = repeated(short, place / "long.mp4", 60 * wanted.minutes)
        tenth = repeated(short, place / "tenth.mp4", 6 * wanted.minutes)
        _, small = run(place / "tenth.mp4", place / "tenth")
        shutil.rmtree(place / "tenth")
        seconds, large = run(place / "long.mp4", place / "whole")
        rows = tables.read(place / "whole" / "long.faces.parquet", FACES).data.num_rows
        run(place / "long.mp4", place / "again", kill_after=seconds / 2)
        left = sorted(path.name for path in (place / "again").iterdir())
        run(place / "long.mp4", place / "again")
        names = sorted(path.name for path in (place / "whole").iterdir())
        _, different, missing = filecmp.cmpfiles(place / "whole", place / "again", names, shallow=False)
        more = sorted({path.name for path in (place / "again").iterdir()} - set(names))
        print(f"{frames} frames, {rows} rows, {seconds:.0f} s ({frames / seconds:.0f} frames/s)")
        print(f"peak memory {large:.0f} MB; {small:.0f} MB for {tenth} frames")
        print(f"killed after {seconds / 2:.0f} s (left: {left or 'nothing'}) and run again: ", end="")
        print("equal" if not different + missing + more else f"differ: {different + missing + more}")


if __name__ == "__main__":
    main()
