"""Training in several processes, one a device: they are launched from here, and this process looks on.

Run as a module it is what is launched: each process trains its share, and the first one writes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from docendo.errors import ModelError
from docendo.tune.files import read_json, write_json
from docendo.tune.pairset import PairSet, pairs_of
from docendo.tune.train import LAUNCHED, Step, TrainSettings, TrainWatch, steps_of, train

JOB, OUTPUT = "launch.json", "launch.log"
_LOOK_SECONDS = 0.5
_SAID = 12  # lines of its output that a failure is told with


def launch(model: str, pairs: PairSet, out: Path, settings: TrainSettings, watch: TrainWatch | None) -> None:
    """Train in processes of their own, to the end.

    Args:
        model: as for `train`.
        pairs: as for `train`.
        out: as for `train`.
        settings: how, and in how many processes.
        watch: is told of every step as the log has it.

    Raises:
        ModelError: they failed; the end of what they said is in the message, all of it in the folder.
    """
    write_json(out / JOB, {"model": model, "settings": asdict(settings), "pairs": pairs.json()})
    environment = os.environ | {LAUNCHED: str(os.getpid()), "TOKENIZERS_PARALLELISM": "false"}
    with (out / OUTPUT).open("w", encoding="utf-8") as said:
        worker = subprocess.Popen(
            [*_command(settings), "-m", "docendo.tune.launch", str(out)],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=environment,
        )
        try:
            _follow(worker, out, watch)
        finally:
            if worker.poll() is None:
                worker.terminate()
                worker.wait()
    if worker.returncode:
        lines = (out / OUTPUT).read_text(encoding="utf-8", errors="replace").splitlines()
        raise ModelError(
            f"{out}: the training's processes failed (exit code {worker.returncode}; all they said is in {OUTPUT}):\n"
            + "\n".join(lines[-_SAID:])
        )
    (out / JOB).unlink()


def _command(settings: TrainSettings) -> list[str]:
    """PyTorch's own launcher, or accelerate's where it was configured."""
    if not settings.accelerate_config:
        count = str(settings.processes)
        return [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", count]
    command = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--config_file",
        settings.accelerate_config,
    ]
    return command + (["--num_processes", str(settings.processes)] if settings.processes > 1 else [])


def _follow(worker: subprocess.Popen[bytes], out: Path, watch: TrainWatch | None) -> None:
    """Tell the watch of each row as the log gets it, until the processes end."""
    told: set[tuple[int, bool]] = {(row.step, row.validation) for row in steps_of(out)}
    while True:
        ended = worker.poll() is not None
        for row in steps_of(out):
            if (row.step, row.validation) not in told:
                told.add((row.step, row.validation))
                if watch is not None:
                    watch.trained(row)
        if ended:
            return
        time.sleep(_LOOK_SECONDS)


class _Orphaned:
    """Ends the training when nobody looks on any more: whoever goes on with it must find the folder free."""

    def trained(self, step: Step) -> None:
        """After each step."""
        pid = os.environ.get(LAUNCHED)
        if pid is not None:
            try:
                os.kill(int(pid), 0)
            except ProcessLookupError:
                sys.exit(f"the process that began this training ({pid}) is gone")


def main() -> None:
    """What each launched process does."""
    out = Path(sys.argv[1])
    job = read_json(out / JOB)
    train(job["model"], pairs_of(job["pairs"]), out, TrainSettings(**job["settings"]), _Orphaned())


if __name__ == "__main__":
    main()
