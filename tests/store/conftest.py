"""Short names here for what all packages may test with."""

import pytest


@pytest.fixture
def clock(store_clock):
    return store_clock


@pytest.fixture
def url(store_url):
    return store_url


@pytest.fixture
def sqlite(sqlite_store):
    return sqlite_store
