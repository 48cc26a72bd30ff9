"""Whatever stands in files of flags: it is published, or told; it is never a fault of ours."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from upshot.errors import PlanError
from upshot.formats.flag_fields import CALLED, names_of
from upshot.formats.flags import read_flag_files
from upshot.formats.yaml_text import write_yaml
from upshot.model.flag import Flag, Holdout, Layer, Segment
from upshot.services.flags import checked, edits
from upshot.store.flag_store import Stored

WORDS = [
    "on",
    "off",
    "a",
    "b",
    "s",
    "page",
    "h",
    "E",
    "10%",
    "boolean",
    "number",
    "attr",
    "eq",
    "2026-12-01T09:00:00Z",
]
FIELDS = sorted(
    {name for cls in CALLED for name in names_of(cls)} | {"attr", "op", "value", "all", "not", "segment"}
)

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 300), st.floats(), st.sampled_from(WORDS), st.text(max_size=3)
)
keys = st.sampled_from(FIELDS + WORDS) | st.integers(0, 2)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=8,
)
variants = st.sampled_from(["on", "off"])


def fields(required, **optional):
    """A mapping of fields that are mostly what they should be."""
    return st.fixed_dictionaries(
        required, optional={name: value | anything for name, value in optional.items()}
    )


splits = st.dictionaries(variants, st.integers(0, 3))
rollouts = fields({}, variant=variants, split=splits, percentage=st.integers(0, 100))
trials = fields(
    {"id": st.sampled_from("EF")}, split=splits, layer=st.just("page"), layer_share=st.integers(0, 100),
    holdout=st.just("h"), phase=st.integers(1, 3), traffic=st.integers(0, 100),
)  # fmt: skip
rules = fields(
    {"id": st.sampled_from("xyz")}, variant=variants, rollout=rollouts, experiment=trials,
    segments=st.lists(st.sampled_from("st"), max_size=2), when=st.just({"attr": "a", "op": "exists"}),
)  # fmt: skip
needs = st.fixed_dictionaries({"flag": st.sampled_from("abc"), "variants": st.just(["on"]) | anything})
flags = st.one_of(
    st.dictionaries(st.sampled_from(names_of(Flag)), anything, max_size=5),
    fields(
        {},
        rules=st.lists(rules, max_size=3),
        prerequisites=st.lists(needs, max_size=2),
        enabled=st.booleans(),
    ),
)


def section(names, cls, *more):
    loose = st.dictionaries(st.sampled_from(names_of(cls)), anything, max_size=3)
    return st.dictionaries(st.sampled_from(names), st.one_of(loose, *more), max_size=3)


documents = st.fixed_dictionaries(
    {"flags": section(["a", "b", "c"], Flag, flags)},
    optional={
        "segments": section(["s", "t"], Segment, st.just({"when": {"segment": "s"}})),
        "layers": section(["page"], Layer, st.just({})),
        "holdouts": section(["h"], Holdout, st.just({"percentage": 5})),
    },
)


def publishable(document):
    written = read_flag_files({"f.yaml": write_yaml(document)})
    stored = Stored(
        flags=written.flags, problems=written.problems, findings=written.findings, sources=written.sources
    )
    problems = ()
    try:
        checked(stored, lambda: "salt")
    except PlanError as error:
        problems = error.problems or ("refused, and no reason told",)
    assert all(problem.startswith("f.yaml: ") for problem in problems), problems
    return None if problems else written.flags


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(documents | anything, documents)
def test_anything_is_published_or_told(first, second):
    before, after = publishable(first), publishable(second)
    if before is not None and after is not None:
        edits(Stored(flags=after, applied=before))


@pytest.mark.parametrize(
    "text", ["flags: {a: &a {rules: [*a]}}", "flags: {f: {variants: {v: " + "[" * 200 + "]" * 200 + "}}}"]
)
def test_what_is_endless_or_deep_is_told(text):
    written = read_flag_files({"f.yaml": text})
    with pytest.raises(PlanError):
        checked(Stored(flags=written.flags, problems=written.problems), lambda: "salt")


def test_a_thousand_wrong_flags_are_all_told_within_a_second():
    text = "flags:\n" + "".join(
        f"  f{n}: {{when: {{attr: a, op: is}}, percentage: 5}}\n" for n in range(1000)
    )
    written = read_flag_files({"f.yaml": text})
    started = time.process_time()
    with pytest.raises(PlanError) as error:
        checked(Stored(flags=written.flags, sources=written.sources), lambda: "salt")
    assert len(error.value.problems) == 1000
    assert time.process_time() - started < 1
