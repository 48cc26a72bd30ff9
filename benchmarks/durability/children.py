"""Work in a process of its own that may be killed.

The parent only forks and waits: it opens no database and starts no thread, so a child begins with a clean copy.
"""

import os
import pickle
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

with suppress(ImportError):
    import pandas  # noqa: F401 - pyarrow loads it where it is installed: once, and not in every child


def start(work: Callable[[int], None]) -> tuple[int, int]:
    """Fork; the child calls `work` with the end of a pipe to write to. Returns its id and the end to read from."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            work(writing)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(writing)
    return child, reading


def kill(child: int) -> None:
    """End a child as a power cut would, and wait until it is gone."""
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def read_all(descriptor: int) -> bytes:
    """What a child wrote, until its end of the pipe is closed."""
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def result(work: Callable[[], Any]) -> Any:
    """What `work` returns in a process of its own; None where it was killed.

    Raises:
        RuntimeError: it failed.
    """
    child, reading = start(lambda writing: _send(writing, work()))
    answer = read_all(reading)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return None
    if status:
        raise RuntimeError("a child failed: its traceback is above")
    return pickle.loads(answer)


def _send(descriptor: int, value: Any) -> None:
    with os.fdopen(descriptor, "wb") as file:
        pickle.dump(value, file)
