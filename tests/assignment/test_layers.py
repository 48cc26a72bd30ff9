import pytest
from hypothesis import given
from hypothesis import strategies as st

from upshot.assignment.layers import share_out
from upshot.assignment.ranges import SPACE, overlap, size

histories = st.lists(
    st.dictionaries(st.sampled_from(["EXP-1", "EXP-2", "EXP-3"]), st.integers(0, 33)), min_size=1, max_size=6
)


@given(histories)
def test_layers_never_overlap_and_running_experiments_keep_their_units(history):
    owned = {}
    for wanted in history:
        after = share_out(wanted, owned)
        for name, share in wanted.items():
            assert size(after[name]) == pytest.approx(share / 100 * SPACE, abs=1)
            kept = overlap(owned.get(name, ()), after[name])
            assert size(kept) == min(size(owned.get(name, ())), size(after[name]))
            others = [ranges for other, ranges in after.items() if other != name]
            assert all(not overlap(after[name], ranges) for ranges in others)
        owned = after


def test_a_full_layer_names_who_is_in_it():
    with pytest.raises(ValueError, match=r"sum to 110% \(EXP-1 60%, EXP-2 50%\)"):
        share_out({"EXP-1": 60, "EXP-2": 50})
