"""Where a client keeps what must outlive its process: the last good ruleset and the events not yet delivered.

Nothing here may stop an application: where no directory can be used, a client works from memory and says so.
"""

import hashlib
import logging
import os
import tempfile
from pathlib import Path

log = logging.getLogger("upshot_sdk")


def open_directory(base: "str | os.PathLike[str] | None", url: str, key: str) -> Path | None:
    """The directory of one server and key, made where it is absent; None where none can be used.

    Args:
        base: what holds it; None: ``UPSHOT_SDK_DIR``, else a state directory of the user, else a temporary one.
        url, key: of the server; the name of the directory is made of their hash, so that it tells neither.
    """
    name = hashlib.sha256(f"{url}\n{key}".encode("utf-8", "replace")).hexdigest()[:16]
    refused: list[str] = []
    for candidate in [Path(base)] if base is not None else _usual():
        try:
            return _made(candidate / name)
        except OSError as error:
            refused.append(f"{candidate}: {error.strerror or error}")
    log.warning(
        "Upshot keeps flags and events in memory only, and loses them with the process (%s): "
        "set UPSHOT_SDK_DIR to a directory that can be written.",
        "; ".join(refused),
    )
    return None


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader meets the old or the new one, never a part.

    Raises:
        OSError: it cannot be written.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _usual() -> list[Path]:
    chosen = os.environ.get("UPSHOT_SDK_DIR")
    if chosen:
        return [Path(chosen)]
    state = os.environ.get("XDG_STATE_HOME") or os.environ.get("LOCALAPPDATA")
    user = getattr(os, "getuid", lambda: "user")()
    found = [Path(state) / "upshot-sdk"] if state else []
    home = os.path.expanduser("~")  # noqa: PTH111  # Path.home() raises where there is none
    if home != "~":
        found.append(Path(home) / ".local" / "state" / "upshot-sdk")
    return [*found, Path(tempfile.gettempdir()) / f"upshot-sdk-{user}"]


def _made(path: Path) -> Path:
    """The directory, made so that no other user can read it, and proven to be ours and writable."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    if hasattr(os, "getuid") and path.stat().st_uid != os.getuid():
        raise PermissionError(f"{path} belongs to another user")
    with tempfile.TemporaryFile(dir=path):
        return path
