"""YAML (or JSON) files of a directory, as texts."""

from pathlib import Path

from upshot.errors import InputError

SUFFIXES = (".yaml", ".yml", ".json")


def read_texts(path: Path, what: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """The YAML (or JSON) files in a directory and below it, and which of them cannot be read; not the hidden ones.

    Args:
        what: that it holds, for the message.

    Raises:
        InputError: there is no such directory.
    """
    if not path.is_dir():
        raise InputError(f"there is no directory {path}: make it, or name the one that holds {what}")
    texts, unreadable = {}, []
    for file in sorted(one for one in path.rglob("*") if one.suffix in SUFFIXES and one.is_file()):
        inside = file.relative_to(path)
        if any(part.startswith(".") for part in inside.parts):
            continue
        try:
            texts[inside.as_posix()] = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            unreadable.append(
                f"{inside.as_posix()}: this cannot be read ({error}): give a YAML file in UTF-8"
            )
    return texts, tuple(unreadable)
