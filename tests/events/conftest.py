"""A data directory that tests fill by accepting batches and look into without Upshot's own readers."""

import json
from itertools import count

import pyarrow as pa
import pytest
from pyarrow import parquet

from upshot.events.frame import Frame, Source, encode
from upshot.events.layout import DataDirectory
from upshot.events.manifest import open_manifest
from upshot.events.table import SCHEMA

NOON = 1_772_366_400_000_000  # 2026-03-01T12:00:00Z
DAY = 86_400_000_000


class Kept:
    """A data directory with hands."""

    def __init__(self, path):
        self.path = path
        self.place = DataDirectory(path)
        self.place.make()
        self._numbers = count(1)

    def accept(self, *messages, source="web", received=NOON, suffix=".seg", **members):
        """A segment of its own with one batch."""
        body = json.dumps({"batch": messages, **members}).encode()
        return self.put(encode(Frame(Source(source), received, body)), suffix)

    def put(self, content, suffix=".seg"):
        path = self.place.log / f"{next(self._numbers):020}-1-test{suffix}"
        path.write_bytes(content)
        return path

    def manifest(self):
        return open_manifest(self.place.manifest)

    def files(self):
        with self.manifest() as manifest:
            return manifest.event_files()

    def table(self):
        """All that the manifest says is kept."""
        tables = [parquet.read_table(self.place.events / file.name) for file in self.files()]
        return pa.concat_tables(tables) if tables else SCHEMA.empty_table()

    def ids(self):
        return sorted(self.table()["message_id"].to_pylist())

    def on_disk(self):
        """Names of all files but the manifest and the lock."""
        return sorted(
            path.name for part in ("log", "events", "rejected") for path in (self.path / part).iterdir()
        )


@pytest.fixture
def kept(tmp_path):
    return Kept(tmp_path / "data")


@pytest.fixture(scope="session")
def message():
    def make(message_id, user="u1", event="Bought", **members):
        return {"type": "track", "event": event, "userId": user, "messageId": str(message_id), **members}

    return make
