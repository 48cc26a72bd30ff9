"""The proofs of `benchmarks/durability`, fewer times; each in a process of its own, since it kills its children."""

import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.durability import full_disk, power_cut, syncs

ROOT = Path(__file__).parents[2]


def proof(name, times):
    command = [sys.executable, "-m", "benchmarks.durability", name, "--times", str(times)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "kept" in done.stdout
    return done.stdout


def skip(reason):
    if reason is not None:
        pytest.skip(reason)


def test_20_kills_under_load_lose_nothing_and_double_nothing():
    """Of processes that accept, and 10 of one that compacts; ten times as many in `benchmarks.durability kills`."""
    assert "30 kills" in proof("kills", 10)


def test_kills_at_every_step_of_compaction_merging_and_deletion_are_mended():
    """Every step in one world; 1,000 kills in `python -m benchmarks.durability steps`."""
    proof("steps", 42)


def test_no_answer_comes_before_its_sync():
    skip(syncs.possible())
    proof("syncs", 40)


def test_an_answer_that_comes_too_early_would_be_seen():
    written = '7 write(5, "messageId\\": \\"3-0\\"", 20) = 20\n'
    synced, answered = "7 fdatasync(5) = 0\n", '7 write(1, "3\\n", 2) = 2\n'
    assert syncs.judged(written + synced + answered) == syncs.Syncs(answers=1, early=0, syncs=1)
    resumed = "7 fdatasync(5 <unfinished ...>\n8 <... other resumed>) = 0\n7 <... fdatasync resumed>) = 0\n"
    assert syncs.judged(written + resumed + answered).early == 0
    for wrong in (
        written + answered + synced,
        synced + written + answered,
        written + "7 fdatasync(5) = -1 EIO\n" + answered,
    ):
        assert syncs.judged(wrong).early == 1


def test_a_full_disk_answers_nobody_and_is_survived():
    skip(full_disk.possible())
    proof("full_disk", 2)


def test_a_power_cut_loses_nothing_that_was_answered():
    skip(power_cut.possible())
    proof("power_cut", 1)
