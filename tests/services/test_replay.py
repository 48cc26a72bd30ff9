"""A small version of `benchmarks.replay`: random histories given again, random bytes of the past changed."""

from benchmarks import replay


def test_every_look_is_given_again_and_every_changed_byte_is_found(capsys):
    """15 histories and 60 edits, seed 20261124; 1,000 of each are `python -m benchmarks.replay`."""
    assert replay.main(["--histories", "15", "--edits", "60"]) == 0
    assert "looks that say otherwise: 0" in capsys.readouterr().out


def test_an_edit_that_is_missed_is_told(monkeypatch, capsys):
    class Blind:
        problems = ()

    monkeypatch.setattr(replay, "verify", lambda store: Blind)
    assert replay.main(["--histories", "0", "--edits", "3"]) == 1
    assert "bytes changed: 3, not found: 3" in capsys.readouterr().out
