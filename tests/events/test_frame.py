"""Frames come back whole; nothing damaged is taken for one; what stands behind damage is found again."""

import random
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upshot.events.frame import LARGEST_BODY, MAGIC, Frame, Gap, Source, decode, encode

frames = st.builds(
    Frame,
    source=st.text(max_size=20).filter(lambda text: text.isprintable()).map(Source),
    received_at=st.integers(-(2**63), 2**63 - 1),
    body=st.text(max_size=200).map(lambda text: text.encode("utf-8", "ignore")),
)


@given(st.lists(frames, max_size=10))
def test_frames_come_back(written):
    assert list(decode(b"".join(map(encode, written)))) == written


@given(st.lists(frames, min_size=1, max_size=6), st.data())
def test_a_torn_tail_costs_only_the_frame_that_was_torn(written, data):
    whole = b"".join(map(encode, written[:-1]))
    last = encode(written[-1])
    cut = data.draw(st.integers(1, len(last) - 1))
    assert list(decode(whole + last[:cut])) == [*written[:-1], Gap(len(whole), len(whole) + cut)]


@given(st.lists(frames, min_size=1, max_size=5), st.binary(max_size=60), st.lists(frames, max_size=5))
def test_what_stands_behind_rubbish_is_found(before, rubbish, after):
    start = b"".join(map(encode, before))
    read = list(decode(start + rubbish + b"".join(map(encode, after))))
    assert [item for item in read if isinstance(item, Frame)] == before + after
    gaps = [item for item in read if isinstance(item, Gap)]
    assert sum(gap.end - gap.start for gap in gaps) == len(rubbish)


@given(st.binary(max_size=2000))
def test_any_bytes_are_read_and_every_byte_is_accounted_for(data):
    position = 0
    for item in decode(data):
        size = item.end - item.start if isinstance(item, Gap) else len(encode(item))
        position += size
    assert position == len(data)


def corrupted(segment: bytes, rng: random.Random) -> tuple[bytes, int]:
    """A segment gone bad in one of the ways in which they do, and where the damage begins."""
    at = rng.randrange(len(segment))
    length = rng.randint(1, 64)
    before, behind = segment[:at], segment[at + length :]
    damage = {
        "a bit": bytes([segment[at] ^ (1 << rng.randrange(8))]) + segment[at + 1 :],
        "a tail of zeros": bytes(len(segment) - at),
        "rubbish": rng.randbytes(length) + behind,
        "bytes that are gone": behind,
        "bytes between": rng.randbytes(length) + segment[at:],
    }
    return before + damage[rng.choice(list(damage))], at


def test_no_corruption_is_accepted():
    """2,000 here; 40,000 in `python -m benchmarks.durability corruption`."""
    rng = random.Random(20_261)
    written = [Frame(Source("web"), 10**15 + i, b'{"batch":[]}' + b" " * i) for i in range(8)]
    ends = list(accumulate(len(encode(frame)) for frame in written))
    segment = b"".join(map(encode, written))
    for _ in range(2_000):
        damaged, at = corrupted(segment, rng)
        read = {item for item in decode(damaged) if isinstance(item, Frame)}
        assert read <= set(written)
        assert read >= {frame for frame, end in zip(written, ends, strict=True) if end <= at}


def test_zeros_are_no_frames():
    assert list(decode(bytes(4096))) == [Gap(0, 4096)]


def test_a_body_that_could_pass_for_a_frame_is_refused():
    with pytest.raises(ValueError, match="not UTF-8"):
        encode(Frame(Source("web"), 0, b"x" + MAGIC))
    with pytest.raises(UnicodeDecodeError):
        MAGIC.decode()


def test_a_body_that_is_too_large_is_refused():
    with pytest.raises(ValueError, match=r"1,048,577 bytes: 1,048,576 is the most"):
        encode(Frame(Source("web"), 0, b" " * (LARGEST_BODY + 1)))
