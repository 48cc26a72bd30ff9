"""No answer before its fdatasync: what the kernel saw, by strace.

A process appends batch after batch and says so on another file descriptor as soon as it is answered. In the order of
the system calls, each such word must come after the end of an fdatasync that came after the write of its batch.
"""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

CHILD = """
import sys
from pathlib import Path
from benchmarks.durability.load import send

send(Path(sys.argv[1]), range(int(sys.argv[2])), 1)
"""

_WRITE = re.compile(r'^\d+ +write\((\d+), "((?:[^"\\]|\\.)*)"')
_SYNCED = re.compile(r"^\d+ +(?:fdatasync\(\d+|<\.\.\. fdatasync resumed>).*= 0$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Syncs:
    """What strace saw: answers, those that came before their sync, and how many syncs there were."""

    answers: int
    early: int
    syncs: int

    @property
    def kept(self) -> bool:
        """Whether the promise is."""
        return self.answers > 0 and self.early == 0


def possible() -> str | None:
    """Why it cannot be run here; None where it can."""
    return None if shutil.which("strace") else "strace is not installed"


def run(times: int, _seed: int) -> Syncs:
    """Watch so many batches being answered."""
    with TemporaryDirectory(prefix="upshot-syncs-") as name:
        trace = Path(name) / "trace"
        watch = [
            "strace",
            "-f",
            "-e",
            "trace=write,fdatasync",
            "-e",
            "signal=none",
            "-s",
            "1000000",
            "-o",
            str(trace),
        ]
        command = [*watch, sys.executable, "-c", CHILD, str(Path(name) / "data"), str(times)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return judged(trace.read_text(encoding="ascii"))


def judged(trace: str) -> Syncs:
    """Go through the calls in their order."""
    written: set[str] = set()
    safe: set[str] = set()
    answers = early = syncs = 0
    for line in trace.splitlines():
        if found := _WRITE.match(line):
            if found[1] == "1":
                answers += 1
                early += found[2].removesuffix("\\n") not in safe
            else:
                written |= set(re.findall(r'messageId\\": \\"(\d+)-0\\"', found[2]))
        elif _SYNCED.match(line):
            syncs += 1
            safe |= written
    return Syncs(answers=answers, early=early, syncs=syncs)
