"""Keys are found when they are kept, and only then."""

from hypothesis import given
from hypothesis import strategies as st

from upshot.events.keys import as_keys, key, known, merged, save_keys

keys = (
    st.binary(min_size=16, max_size=16)
    | st.binary(min_size=1, max_size=2).map(lambda end: end.rjust(16, b"\0"))
    | st.binary(min_size=1, max_size=2).map(lambda start: start.ljust(16, b"\0"))
)


@given(st.lists(st.sets(keys, max_size=20), max_size=4), st.sets(keys, max_size=20))
def test_known_keys_are_those_in_the_files(tmp_path_factory, files, asked):
    directory = tmp_path_factory.mktemp("keys")
    paths = []
    for number, content in enumerate(files):
        paths.append(directory / f"{number}.keys")
        save_keys(as_keys(content), paths[-1])
    kept = set().union(*files)
    some = [*asked, *sorted(kept)[:5]]
    assert known(some, paths) == set(some) & kept
    if paths:
        save_keys(merged(paths), directory / "all.keys")
        assert known(some, [directory / "all.keys"]) == set(some) & kept


@given(st.tuples(st.text(), st.text()), st.tuples(st.text(), st.text()))
def test_two_identities_have_two_keys(one, other):
    assert (key(*one) == key(*other)) == (one == other)


def test_where_the_source_ends_is_part_of_the_key():
    assert key("a", "bc") != key("ab", "c")
