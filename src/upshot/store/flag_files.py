"""Flags in a directory: YAML files that people edit, and beside them the ledger of the draws given out.

``ledger.json`` holds salts, ranges and the flags that they were given out for. It belongs into version control
with the files: without it everybody is drawn afresh. ``kills.json`` holds the flags that are off whatever is written.
"""

import fcntl
import json
import os
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from upshot.assignment.ledger import Ledger
from upshot.assignment.ranges import Allocation, Ranges
from upshot.errors import InputError
from upshot.formats.flags import flags_from_mapping, flags_to_mapping, read_flag_files
from upshot.model.flag import FlagSet
from upshot.store.flag_store import Stored
from upshot.store.kill_file import KILLS, Switched, Switching, read_kills, write_kills
from upshot.store.whole_file import replace_file

SUFFIXES = (".yaml", ".yml", ".json")
LEDGER = "ledger.json"
FORMAT = 1


class FlagDirectory:
    """A `FlagStore` of the YAML (or JSON) files in a directory and below it; hidden ones are left alone."""

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)

    @property
    def name(self) -> str:
        return str(self._path)

    def version(self) -> Hashable:
        return tuple(_stamp(path) for path in [*self._files(), self._path / LEDGER, self._path / KILLS])

    def read(self) -> Stored:
        if not self._path.is_dir():
            raise InputError(
                f"there is no directory {self._path}: make it, or name the one that holds the flags"
            )
        texts, problems = self._texts()
        written = read_flag_files(texts)
        ledger, applied = self._ledger()
        return Stored(
            flags=written.flags,
            ledger=ledger,
            applied=applied,
            problems=(*problems, *written.problems),
            findings=written.findings,
            sources=written.sources,
            kills=self.kills(),
        )

    def write(self, ledger: Ledger, applied: FlagSet) -> None:
        text = _text(ledger, flags_to_mapping(applied))
        try:
            replace_file(self._path / LEDGER, text)
        except OSError as error:
            raise InputError(
                f"{self._path / LEDGER} cannot be written ({error.strerror}): make {self._path} writable, or run "
                "`upshot flag apply` where it is and bring ledger.json along with the files"
            ) from error

    def kills(self) -> Switched:
        """What was turned off whatever is written, and given back. Raises InputError."""
        return read_kills(self._path / KILLS)

    def switch(self, entry: Switching) -> bool:
        path = self._path / KILLS
        with self.alone():
            before = read_kills(path)
            after = before.after(entry)
            if after is not before:
                write_kills(path, after)
        return after is not before

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Holds a lock on the directory itself, which works where nothing can be written, too."""
        try:
            held = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise InputError(
                f"there is no directory {self._path} that can be read ({error.strerror}): make it, or name the one "
                "that holds the flags"
            ) from error
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield
        finally:
            os.close(held)

    def _files(self) -> list[Path]:
        found = (path for path in self._path.rglob("*") if path.suffix in SUFFIXES and self._is_ours(path))
        return sorted(path for path in found if path.is_file())  # a pipe would be waited for, for ever

    def _is_ours(self, path: Path) -> bool:
        parts = path.relative_to(self._path).parts
        return parts not in ((LEDGER,), (KILLS,)) and not any(part.startswith(".") for part in parts)

    def _texts(self) -> tuple[dict[str, str], list[str]]:
        texts, problems = {}, []
        for path in self._files():
            name = path.relative_to(self._path).as_posix()
            try:
                texts[name] = path.read_text(encoding="utf-8")
            except FileNotFoundError:  # removed meanwhile: the next look finds the same without it
                continue
            except (OSError, UnicodeDecodeError) as error:
                problems.append(f"{name}: this cannot be read ({error}): give a YAML file in UTF-8")
        return texts, problems

    def _ledger(self) -> tuple[Ledger, FlagSet | None]:
        path = self._path / LEDGER
        try:
            plain = json.loads(path.read_text(encoding="utf-8"))
            return _ledger(plain), flags_from_mapping(plain["applied"], LEDGER)
        except FileNotFoundError:
            return Ledger(), None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, InputError) as error:
            raise InputError(
                f"{path} does not hold a ledger ({error}): restore it; without it everybody would be drawn afresh"
            ) from error


def _stamp(path: Path) -> tuple[str, int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return str(path), found.st_size, found.st_mtime_ns, found.st_ino


def _text(ledger: Ledger, applied: Mapping[str, Any]) -> str:
    """JSON with one line for each thing, so that version control shows what a change gave out."""
    sections = {
        "salts": ledger.salts,
        "traffic": ledger.traffic,
        "splits": ledger.splits,
        "layers": ledger.layers,
    }
    parts = [
        f'"format": {FORMAT}',
        *(f'"{name}": {_lines(entries, 1)}' for name, entries in sections.items()),
    ]
    told = ",\n".join(f'  "{name}": {_lines(entries, 2)}' for name, entries in applied.items())
    parts.append('"applied": {' + (f"\n{told}\n " if told else "") + "}")
    return "{\n " + ",\n ".join(parts) + "\n}\n"


def _lines(entries: Mapping[str, Any], depth: int) -> str:
    if not entries:
        return "{}"
    inner = ",\n".join(
        f"{' ' * (depth + 1)}{json.dumps(name)}: {_json(entries[name])}" for name in sorted(entries)
    )
    return "{\n" + inner + "\n" + " " * depth + "}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _ledger(plain: Mapping[str, Any]) -> Ledger:
    if plain["format"] != FORMAT:
        raise ValueError(f"its format is {plain['format']}, not {FORMAT}")
    return Ledger(
        salts={str(path): str(salt) for path, salt in plain["salts"].items()},
        traffic={path: _ranges(pairs) for path, pairs in plain["traffic"].items()},
        splits={path: _allocation(owned) for path, owned in plain["splits"].items()},
        layers={path: _allocation(owned) for path, owned in plain["layers"].items()},
    )


def _allocation(owned: Mapping[str, Any]) -> Allocation:
    return {name: _ranges(pairs) for name, pairs in owned.items()}


def _ranges(pairs: list[list[int]]) -> Ranges:
    return tuple((int(start), int(end)) for start, end in pairs)
