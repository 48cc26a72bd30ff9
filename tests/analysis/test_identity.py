"""Who is whom: components against an independent engine, the rule by a table worked out by hand."""

from datetime import date

import ibis
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from upshot.analysis.identity import UNLINKED, Persons, linked, persons_of, said
from upshot.analysis.query import read_evidence
from upshot.analysis.question import Question
from upshot.errors import DataError
from upshot.formats.metric_text import parse_metric

IDS = st.text("abcdefghij", min_size=1, max_size=2)
PAIRS = st.lists(st.tuples(IDS, IDS), max_size=40)
METRICS = (parse_metric("converted"), parse_metric("revenue,mean"))


@given(PAIRS)
def test_persons_are_the_connected_components(pairs):
    found = persons_of(pairs)
    ids = sorted({one for pair in pairs for one in pair})
    place = {one: number for number, one in enumerate(ids)}
    rows, columns = [place[one] for one, _ in pairs], [place[other] for _, other in pairs]
    graph = coo_matrix((np.ones(len(pairs)), (rows, columns)), shape=(len(ids), len(ids)))
    _, component = connected_components(graph, directed=False)
    least = {number: min(one for one in ids if component[place[one]] == number) for number in set(component)}
    assert found.person == {one: least[component[place[one]]] for one in ids}
    sizes = np.bincount(component) if ids else [0]
    assert (found.most, found.links) == (max(sizes), len(pairs))


@given(PAIRS, st.randoms(use_true_random=False))
def test_the_order_of_links_and_of_their_ids_says_nothing(pairs, random):
    shuffled = [pair if random.random() < 0.5 else pair[::-1] for pair in random.sample(pairs, len(pairs))]
    assert persons_of(shuffled).person == persons_of(pairs).person


def test_a_long_chain_is_one_person():
    chain = persons_of((f"{number:06}", f"{number + 1:06}") for number in range(100_000))
    assert set(chain.person.values()) == {"000000"}
    assert chain.most == 100_001


def test_empty_ids_link_nobody():
    found = persons_of([("a", ""), (None, "b"), ("", ""), (None, None), ("c", "d")])
    assert (found.person, found.links) == ({"c": "c", "d": "c"}, 1)
    assert persons_of([]) == Persons(person={}, links=0)
    assert persons_of([]).most == 0


# By hand. ann: two devices, control on both, one purchase on each and one as a user, first exposed on the 1st.
# bob: control and treatment: a conflict. cat: a device each in treatment, linked over two users. dan: nobody's.
ROWS = [
    ("phone-a", "control", "2026-01-03", 1, 10.0),
    ("laptop-a", "control", "2026-01-01", 0, 0.0),
    ("ann", None, "2026-01-05", 1, 5.0),
    ("phone-b", "control", "2026-01-02", 1, 99.0),
    ("laptop-b", "treatment", "2026-01-02", 1, 99.0),
    ("phone-c", "treatment", "2026-01-02", 0, 0.0),
    ("laptop-c", "treatment", "2026-01-04", 1, 7.0),
    ("dan", "control", "2026-01-02", 0, 0.0),
    ("eve", "treatment", "2026-01-02", 0, 0.0),
    ("eve", "treatment", "2026-01-02", 0, 1.0),
]
LINKS = [
    ("phone-a", "ann"), ("laptop-a", "ann"), ("phone-b", "bob"), ("laptop-b", "bob"),
    ("phone-c", "cat"), ("laptop-c", "cat2"), ("cat2", "cat"),
]  # fmt: skip


def table(rows=ROWS):
    names = ("id", "group", "day", "converted", "revenue")
    return ibis.memtable({name: [row[i] for row in rows] for i, name in enumerate(names)})


def evidence(persons):
    question = Question(variant="group", control="control", metrics=METRICS, unit="id", time="day")
    return read_evidence(linked(table(), "id", persons), question)


def test_the_rule_by_hand():
    found = evidence(persons_of(LINKS))
    assert found.total.units == {"control": 2, "treatment": 2}  # ann and dan, cat and eve
    assert found.conflicts == 1  # bob
    assert found.missing_variant == 0  # ann's row as a user belongs to her devices
    assert found.duplicate_rows == 0  # phone-b and laptop-b differ in their ids, as they came
    revenue = {name: one.moments for name, one in found.total.samples["revenue"].items()}
    assert [revenue[name].mean() for name in ("control", "treatment")] == [7.5, 4.0]
    shares = {name: one.moments for name, one in found.total.samples["converted"].items()}
    assert [shares[name].mean() for name in ("control", "treatment")] == [0.5, 0.5]
    days = {day: part.units for day, part in found.days.items()}  # the day of the first exposure
    assert days == {
        date(2026, 1, 1): {"control": 1, "treatment": 0},
        date(2026, 1, 2): {"control": 1, "treatment": 2},
    }


def test_without_links_each_id_is_a_unit():
    alone = evidence(persons_of([]))
    assert (alone.total.units, alone.conflicts) == ({"control": 4, "treatment": 4}, 0)


@settings(max_examples=20)  # each asks the engine several times
@given(st.lists(st.tuples(IDS, st.sampled_from(["control", "treatment"])), min_size=1, max_size=30), PAIRS)
def test_conflicts_are_persons_who_met_two_variants(exposures, pairs):
    persons = persons_of(pairs)
    rows = [("base-0", "control"), ("base-1", "treatment"), *exposures]
    met = {}
    for unit, variant in rows:
        met.setdefault(persons.person.get(unit, unit), set()).add(variant)
    question = Question(variant="group", control="control", metrics=METRICS[:1], unit="id")
    data = table([(unit, variant, "", 0, 0.0) for unit, variant in rows])
    found = read_evidence(linked(data, "id", persons), question)
    assert found.conflicts == sum(len(variants) == 2 for variants in met.values())
    kept = [variants for variants in met.values() if len(variants) == 1]
    assert found.total.units == {name: kept.count({name}) for name in ("control", "treatment")}


def test_what_links_did_is_said():
    persons = persons_of(LINKS)
    assert said(linked(table(), "id", persons), "id", persons) == (
        "9 values of id are 5 persons by 7 links (at most 4 ids for one)"
    )
    strangers = persons_of([("x", "y")])
    assert said(linked(table(), "id", strangers), "id", strangers) == (
        "1 link, and none joins two ids of id in these data"
    )


def test_a_first_line_of_ids_is_no_header():
    persons = persons_of(LINKS[1:], LINKS[0])
    with pytest.raises(
        DataError, match=r"the first line, phone-a,ann, has ids of the data: give the file a header"
    ):
        said(linked(table(), "id", persons), "id", persons)


def test_numbers_and_their_text_are_the_same_ids():
    numbers = ibis.memtable({"id": [7, 8, 9]})
    found = linked(numbers, "id", persons_of([("007", "8"), ("9", "ann")])).to_pyarrow().to_pylist()
    assert {row[UNLINKED]: row["id"] for row in found} == {"7": "7", "8": "7", "9": "9"}
    texts = ibis.memtable({"id": ["007", "7"]})
    found = linked(texts, "id", persons_of([("7", "8")])).to_pyarrow()["id"].to_pylist()
    assert sorted(found) == ["007", "7"]


def test_other_columns_stay_and_a_missing_one_is_told():
    assert linked(table(), "id", persons_of(LINKS)).columns == (*table().columns, UNLINKED)
    with pytest.raises(DataError, match="unit: there is no column 'idd'; did you mean 'id'"):
        linked(table(), "idd", persons_of(LINKS))
