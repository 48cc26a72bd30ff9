"""Whether anything came is seen for each event, without reading any."""

import json
from contextlib import closing
from time import time_ns

from upshot.bootstrap import open_log
from upshot.events.arrival import arrivals
from upshot.events.compaction import compact
from upshot.events.frame import Frame, Source


def send(log, name):
    event = {"type": "track", "event": "Bought", "userId": "u1", "messageId": name}
    log.append(Frame(Source("web"), time_ns() // 1000, json.dumps({"batch": [event]}).encode())).result(10)


def test_it_changes_with_every_event_and_with_nothing_else(tmp_path):
    assert arrivals(tmp_path / "none") == arrivals(tmp_path / "none")
    with closing(open_log(tmp_path)) as log:
        seen = {arrivals(tmp_path)}
        for number in range(5):
            send(log, f"m{number}")
            assert arrivals(tmp_path) == arrivals(tmp_path)
            seen.add(arrivals(tmp_path))
        assert len(seen) == 6
    before = arrivals(tmp_path)
    compact(tmp_path)
    after = arrivals(tmp_path)
    with closing(open_log(tmp_path)) as log:
        send(log, "m5")
    assert len({before, after, arrivals(tmp_path)}) == 3
