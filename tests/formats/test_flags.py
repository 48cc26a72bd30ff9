from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from upshot.errors import PlanError
from upshot.formats.flag_schema import flags_schema
from upshot.formats.flags import flags_from_yaml, flags_to_mapping, flags_to_yaml, read_flag_files
from upshot.formats.yaml_text import read_yaml
from upshot.model.flag import (
    Flag,
    FlagSet,
    Holdout,
    Layer,
    Monitoring,
    Prerequisite,
    Rollout,
    Rule,
    Segment,
    Step,
    Trial,
)

SCHEMA = Draft202012Validator(flags_schema())

SEED = """
segments:
  early-adopters: {when: {attr: beta, op: eq, value: true}}
flags:
  new-checkout:
    enabled: true
    percentage: 10
    segments: [early-adopters]
    monitoring: {errorThreshold: 0.01, latencyThreshold: 200, autoKill: true}
"""


def problems(text, name="a.yaml"):
    return [one.removeprefix(f"{name}: ") for one in read_flag_files({name: text}).problems]


def flag(text):
    return flags_from_yaml(f"flags: {{it: {text}}}").flags["it"]


def test_the_rollout_of_the_seed_is_read_as_it_is_written():
    assert flags_from_yaml(SEED).flags["new-checkout"] == Flag(
        key="new-checkout",
        type="boolean",
        variants={"on": True, "off": False},
        default="off",
        rules=(
            Rule(id="rollout", segments=("early-adopters",), rollout=Rollout(variant="on", percentage=10)),
        ),
        monitoring=Monitoring(error_threshold=0.01, latency_threshold=200, auto_kill=True),
    )


def test_a_flag_of_which_nothing_is_said_is_on_for_all_where_it_is_enabled():
    assert flag("{}").default == "on"
    assert flag("{enabled: off}").enabled is False
    assert flag("{percentage: 10}").default == "off"
    assert flag("{rules: [{id: qa, variant: on}]}").default == "off"


def test_whom_a_short_flag_names_gets_it_whole_where_no_percentage_is_given():
    short = flag("{when: {attr: beta, op: exists}}")
    assert short.rules == (Rule(id="rollout", when={"attr": "beta", "op": "exists"}, variant="on"),)


@pytest.mark.parametrize(
    ("variants", "kind"),
    [
        ("{a: true, b: false}", "boolean"),
        ("{a: x, b: 2026-01-01}", "string"),
        ("{a: 1, b: 0.5}", "number"),
        ("{a: {}, b: [1]}", "object"),
    ],
)
def test_the_type_is_that_of_the_variants(variants, kind):
    assert flag(f"{{variants: {variants}}}").type == kind


def test_variants_of_several_types_ask_for_one():
    assert problems("flags: {it: {variants: {a: 1, b: x}}}")[0].startswith("flags.it.type: this is missing")


def test_numbers_are_read_as_people_write_them():
    read = flag(
        "{variants: {a: x, b: y}, monitoring: {errorThreshold: 1%, latencyThreshold: '1,500'}, rules:"
        " [{id: r, rollout: {split: {a: 30%, b: 70}, percentage: 12.5%}}]}"
    )
    assert read.rules[0].rollout == Rollout(split={"a": 30, "b": 70}, percentage=12.5)
    assert read.monitoring == Monitoring(error_threshold=0.01, latency_threshold=1500)


def test_a_schedule_starts_at_nobody_unless_it_says_otherwise():
    step = "schedule: [{at: 2026-12-01T09:00:00Z, percentage: 50}]"
    assert flag(f"{{{step}}}").rules[0].rollout.percentage == 0
    assert flag(f"{{{step}, percentage: 5}}").rules[0].rollout.percentage == 5
    read = flag(f"{{rules: [{{id: r, rollout: {{variant: on, {step}}}}}]}}")
    assert read.rules[0].rollout == Rollout(
        variant="on", percentage=0, schedule=(Step(at=datetime(2026, 12, 1, 9, tzinfo=UTC), percentage=50),)
    )


def test_unit_ids_of_overrides_may_be_numbers_and_days_stay_text():
    read = flag(
        "{overrides: {12: on}, expires: 2026-12-31, when: {attr: signed_up, op: after, value: 2026-01-01}}"
    )
    assert read.overrides == {"12": "on"}
    assert read.expires == date(2026, 12, 31)
    assert read.rules[0].when["value"] == "2026-01-01"


def test_a_set_may_be_spread_over_files_but_each_thing_is_in_one():
    read = read_flag_files(
        {"a.yaml": "flags: {one: {}}\nlayers: {page: }", "b.yaml": "flags: {two: {}, one: {}}", "c.yaml": ""}
    )
    assert read.problems == ("b.yaml: flags.one: it is in a.yaml too: keep one of them",)
    assert read.sources.files == {
        "flags.one": "a.yaml", "layers.page": "a.yaml", "flags.two": "b.yaml"
    }  # fmt: skip
    assert read.flags.layers == {"page": Layer(name="page")}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[]", "[] is no file of flags: begin with flags: and the key of a flag"),
        ("flgs: {}", "there is no section flgs: did you mean flags?"),
        ("flags: []", "flags: [] is not a mapping: give each its name and fields"),
        ("flags: {1: {}}", "flags: the name 1 is not text: quote it"),
        ("flags: {a: {}, a: {}}", "line 1: a is given twice: mend the YAML there"),
        ("? [a]\n: b", "line 1: ['a'] is no name: mend the YAML there"),
        ("[" * 1000, "this is nested too deep to be read: write it flatter"),
        ("flags: {a b: {}}", "flags.a b: a name is letters, digits and _ . : - without spaces"),
        ("flags: {a: 5}", "flags.a: 5 is not a flag, such as {enabled: true, percentage: 10}"),
    ],
)
def test_what_is_no_file_of_flags_is_told(text, told):
    assert problems(text) == [told]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ("enabled: maybe", ".enabled: 'maybe' is not true or false"),
        ("enable: true", ".enable: unknown field: did you mean enabled?"),
        ("percentage: 101", ".percentage: 101 is not a percentage from 0 to 100"),
        ("percentage: .nan", ".percentage: nan is not a percentage from 0 to 100"),
        ("percentage: true", ".percentage: true is not a percentage from 0 to 100"),
        ("percentage: ten", ".percentage: 'ten' is not a percentage from 0 to 100"),
        ("percentage: 5, rules: []", (": percentage is the short form of one rule: write it among the rules, or leave"
         " rules out")),
        ("percentage: 5, variants: {a: x}", (": percentage is short for a flag that is on or off: for other variants"
         " write rules")),
        ("segments: [nobody]", ".segments: there is no segment nobody: none is written"),
        ("segments: early", ".segments: 'early' is not a list of segments, such as [early-adopters]"),
        ("when: beta", ".when: 'beta' is not a condition, such as {attr: country, op: in, value: [CA, US]}"),
        ("type: text, variants: {a: x}", ".type: 'text' is not one of boolean, string, number, object"),
        ("type: string", (".variants: this is missing: give names with their values, such as {control: one-page,"
         " treatment: three-steps}")),
        ("variants: {1: x}", ".variants.1: the name 1 is not text: quote it"),
        ("variants: {a: , b: x}, type: string", (".variants.a: null is not a value: text, a number, true or false,"
         " an object or a list")),
        ("overrides: {u: 1}", ".overrides.u: 1 is not the name of a variant"),
        ("expires: soon", ".expires: 'soon' is not a day, such as 2026-12-31"),
        ("metadata: {a: [1]}", ".metadata.a: [1] is not text, a number, true or false"),
        ("owner: 5", ".owner: 5 is not a text"),
        ("monitoring: {errorThreshold: 2}", ".monitoring.errorThreshold: 2 is not a share from 0 to 1"),
        ("monitoring: {autoKil: true}", ".monitoring.autoKil: unknown field: did you mean autoKill?"),
        ("monitoring: {autoKill: true}", (".monitoring: autoKill has no limit to watch: give errorThreshold or"
         " latencyThreshold")),
        ("schedule: [{percentage: 5}]", (".schedule[0].at: this is missing: give a time with its offset, such as"
         " 2026-12-01T09:00:00Z")),
        ("schedule: [{at: 2026-12-01, percentage: 5}]", (".schedule[0].at: '2026-12-01' is not a time with its"
         " offset, such as 2026-12-01T09:00:00Z")),
        ("schedule: [{at: 2026-12-02T00:00:00Z, percentage: 5}, {at: 2026-12-01T00:00:00Z, percentage: 9}]",
         ".schedule: the step at 2026-12-01T00:00:00+00:00 is not after the one before it: sort the steps"),
        ("prerequisites: [{flag: a, variants: on}]", (".prerequisites[0].variants: 'on' is not a list of variants,"
         " such as [on]")),
        ("rules: {}", ".rules: {} is not a list of rules"),
        ("rules: [5]", ".rules[0]: 5 is not a rule, such as {id: everybody, variant: treatment}"),
        ("rules: [{variant: on}]", ".rules[0].id: this is missing: give a text"),
        ("rules: [{id: r}]", ".rules[r]: a rule has exactly one of variant, rollout and experiment: here is none"),
        ("rules: [{id: r, variant: on, rollout: {variant: on}}]", (".rules[r]: a rule has exactly one of variant,"
         " rollout and experiment: here is variant and rollout")),
        ("rules: [{id: r, variant: on}, {id: r, variant: on}]", ".rules[r]: 2 rules have this id: give each its own"),
        ("rules: [{id: a/b, variant: on}]", ".rules[a/b].id: a name is letters, digits and _ . : - without spaces"),
        ("rules: [{id: r, rollout: {}}]", (".rules[r].rollout: a rollout has either a variant or a split: give one of"
         " them")),
        ("rules: [{id: r, rollout: {split: {on: -1}}}]", (".rules[r].rollout.split.on: -1 is not a weight of 0 or"
         " more")),
        ("rules: [{id: r, rollout: {split: {on: yes}}}]", (".rules[r].rollout.split.on: 'yes' is not a weight of 0 or"
         " more")),
        ("rules: [{id: r, rollout: {split: {on: 0}}}]", (".rules[r].rollout.split: give finite weights, at least one"
         " of them above 0")),
        ("rules: [{id: r, starts: 5, variant: on}]", (".rules[r].starts: 5 is not a time with its offset, such as"
         " 2026-12-01T09:00:00Z")),
    ],
)  # fmt: skip
def test_each_mistake_of_a_flag_is_one_sentence_at_its_place(fields, told):
    assert problems(f"flags: {{it: {{{fields}}}}}") == [f"flags.it{told}"]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ("split: {on: 1}", ".split: an experiment compares: give at least two variants"),
        ("split: {on: 1, off: 1}, phase: 0", ".phase: 0 is not a whole number from 1"),
        ("split: {on: 1, off: 1}, traffic: 101", ".traffic: 101 is not a percentage from 0 to 100"),
        ("split: {on: 1, off: 1}, layer: page", ".layer: there is no layer page: there are other"),
        ("split: {on: 1, off: 1}, layer_share: 50", ".layer_share: this is the share of a layer: give layer too"),
        ("split: {on: 1, off: 1}, layer: other", (".unit: the layer other draws on account, this on targetingKey:"
         " draw both on the same")),
        ("phase: 2", (".split: this is missing: give a weight of 0 or more for each variant, such as {control: 1,"
         " treatment: 1}")),
    ],
)  # fmt: skip
def test_each_mistake_of_an_experiment_is_one_sentence_at_its_place(fields, told):
    rule = f"{{id: e, experiment: {{id: X, {fields}}}}}"
    text = f"layers: {{other: {{unit: account}}}}\nflags: {{it: {{rules: [{rule}]}}}}"
    assert problems(text) == [f"flags.it.rules[e].experiment{told}"]


def test_experiments_have_ids_of_their_own_and_fit_into_their_layer():
    trial = "{id: e, experiment: {id: EXP-%d, split: {on: 1, off: 1}, layer: page, layer_share: %d}}"
    same = (
        f"flags: {{a: {{rules: [{trial % (1, 60)}]}}, b: {{rules: [{trial % (1, 60)}]}}}}\nlayers: {{page: }}"
    )
    assert problems(same) == [
        "flags.b.rules[e].experiment.id: EXP-1 is the experiment of flags.a.rules[e] already: give this one its own id"
    ]
    full = (
        f"flags: {{a: {{rules: [{trial % (1, 60)}]}}, b: {{rules: [{trial % (2, 60)}]}}}}\nlayers: {{page: }}"
    )
    assert problems(full) == [
        "layers.page: its experiments ask for 120% of it (EXP-1 60%, EXP-2 60%): 100% are there"
    ]


def test_mistakes_of_all_files_are_named_at_once_and_hide_none_of_the_others():
    read = read_flag_files(
        {
            "a.yaml": "flags: {one: {enabled: maybe, percentage: 200, segments: [nobody]}, two: 5}",
            "b.yaml": "segments: {s: {when: 3}}\n"
            "flags: {three: {segments: [s], prerequisites: [{flag: two, variants: [on]}]}}",
            "c.yaml": "flags: {",
        }
    )
    assert [one.partition(" is ")[0].partition(": there")[0] for one in read.problems] == [
        "c.yaml: line 1: expected the node content, but found '<stream end>': mend the YAML there",
        "a.yaml: flags.one.enabled: 'maybe'",
        "a.yaml: flags.one.percentage: 200",
        "a.yaml: flags.two: 5",
        "b.yaml: segments.s.when: 3",
        "a.yaml: flags.one.segments",
    ]
    assert set(read.flags.flags) == {"one", "three"}


def test_one_text_raises_with_all_its_mistakes():
    with pytest.raises(PlanError) as error:
        flags_from_yaml("flags: {a: 5, b: {owner: 3}}", "flags.yaml")
    assert str(error.value) == (
        "flags.yaml has 2 problems:\n"
        "  - flags.a: 5 is not a flag, such as {enabled: true, percentage: 10}\n"
        "  - flags.b.owner: 3 is not a text"
    )


# Round trips


names = st.from_regex(r"\A[a-z][a-z0-9-]{0,8}\Z")
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
shares = st.one_of(st.integers(0, 100), st.floats(0, 100)).map(float)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
conditions = st.one_of(
    st.builds(
        lambda a, v: {"attr": a, "op": "eq", "value": v},
        names,
        st.one_of(texts, st.integers(), st.booleans()),
    ),
    st.builds(lambda a: {"not": {"attr": a, "op": "exists"}}, names),
)
values = {
    "boolean": st.booleans(),
    "string": texts,
    "number": st.one_of(st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False)),
    "object": st.one_of(
        st.dictionaries(texts, st.one_of(st.none(), texts, st.integers(), st.floats(-9, 9))), st.lists(texts)
    ),
}


@st.composite
def rollouts(draw, variants):
    many = draw(st.booleans())
    steps = sorted(set(draw(st.lists(moments, max_size=3))))
    return Rollout(
        variant=None if many else draw(st.sampled_from(variants)),
        split=dict.fromkeys(variants, draw(st.integers(1, 9)) * 1.0) if many else {},
        percentage=draw(shares),
        schedule=tuple(Step(at=at, percentage=draw(shares)) for at in steps),
        unit=draw(st.sampled_from(["targetingKey", "account"])),
    )


@st.composite
def rules(draw, key, number, variants):
    form = draw(st.sampled_from(["variant", "rollout", "experiment"][: 3 if len(variants) > 1 else 2]))
    made = {
        "variant": lambda: draw(st.sampled_from(variants)),
        "rollout": lambda: draw(rollouts(variants)),
        "experiment": lambda: Trial(
            id=f"EXP-{key}-{number}", split=dict.fromkeys(variants, 1.0), traffic=draw(shares),
            phase=draw(st.integers(1, 5)), attributes=tuple(draw(st.lists(names, max_size=2))),
            salt=draw(st.none() | texts),
        ),
    }[form]()  # fmt: skip
    return Rule(
        id=f"rule-{number}",
        when=draw(st.none() | conditions),
        segments=draw(st.sampled_from([(), ("early",)])),
        starts=draw(st.none() | moments),
        until=draw(st.none() | moments),
        **{form: made},
    )


@st.composite
def flags(draw, key):
    kind = draw(st.sampled_from(sorted(values)))
    variants = draw(st.dictionaries(texts, values[kind], min_size=1, max_size=3))
    return Flag(
        key=key,
        type=kind,
        variants=variants,
        default=draw(st.none() | st.sampled_from(sorted(variants))),
        enabled=draw(st.booleans()),
        rules=tuple(draw(rules(key, number, sorted(variants))) for number in range(draw(st.integers(0, 3)))),
        overrides=draw(st.dictionaries(texts, st.sampled_from(sorted(variants)), max_size=2)),
        prerequisites=draw(st.sampled_from([(), (Prerequisite(flag="other", variants=("on",)),)])),
        description=draw(st.just("") | texts),
        expires=draw(st.none() | st.dates(date(2020, 1, 1), date(2040, 1, 1))),
        metadata=draw(st.dictionaries(names, values["number"] | texts | st.booleans(), max_size=2)),
        monitoring=draw(st.none() | st.builds(Monitoring, error_threshold=st.none() | st.floats(0, 1))),
    )


@st.composite
def flag_sets(draw):
    keys = draw(st.lists(names, unique=True, max_size=3))
    return FlagSet(
        flags={key: draw(flags(key)) for key in keys},
        segments={"early": Segment(name="early", when=draw(conditions), description=draw(texts))},
        layers={"page": Layer(name="page", unit="account")} if draw(st.booleans()) else {},
        holdouts={"all": Holdout(name="all", percentage=draw(shares))} if draw(st.booleans()) else {},
    )


def kinds(value):
    """What == does not see: 1, 1.0 and true are equal in Python."""
    if isinstance(value, dict):
        return {name: kinds(inner) for name, inner in value.items()}
    return [kinds(inner) for inner in value] if isinstance(value, list) else type(value)


@settings(max_examples=40)
@given(flag_sets())
def test_what_is_written_reads_back_the_same(written):
    text = flags_to_yaml(written)
    read = flags_from_yaml(text)
    assert list(SCHEMA.iter_errors(read_yaml(text, "flags"))) == []
    assert read == written
    assert flags_to_mapping(read) == flags_to_mapping(written)
    for key, one in written.flags.items():
        assert kinds(read.flags[key].variants) == kinds(one.variants)
        assert kinds(read.flags[key].metadata) == kinds(one.metadata)


def test_what_is_at_its_default_is_not_written():
    written = flags_to_mapping(flags_from_yaml(SEED))["flags"]["new-checkout"]
    assert list(written) == ["type", "variants", "default", "rules", "monitoring"]
    assert written["rules"] == [
        {"id": "rollout", "segments": ["early-adopters"], "rollout": {"variant": "on", "percentage": 10}}
    ]
    assert written["monitoring"] == {"errorThreshold": 0.01, "latencyThreshold": 200, "autoKill": True}
