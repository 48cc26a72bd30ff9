"""Nothing is answered before it is on the disk, nothing is answered that is not, and nothing grows without bound."""

import threading
from concurrent.futures import wait

import pytest

from upshot.errors import UnavailableError
from upshot.events import log as log_module
from upshot.events.frame import Frame, Source, decode
from upshot.events.log import EventLog, Limits, LogUnhealthyError, QueueFullError
from upshot.events.segment import open_segments, sealed_segments

SMALL = Limits(free_bytes=0, retry_seconds=0.01)


def frame(number=0, size=0):
    return Frame(Source("web"), number, b'{"batch":[]}' + b" " * size)


@pytest.fixture
def opened(tmp_path):
    logs = []

    def open_log(limits=SMALL):
        logs.append(EventLog.open(tmp_path, limits))
        return logs[-1]

    yield open_log
    for log in logs:
        log.close()


def stored(tmp_path):
    directory = tmp_path / "log"
    paths = [*sealed_segments(directory), *open_segments(directory)]
    return [item for path in paths for item in decode(path.read_bytes())]


def test_what_was_answered_is_in_the_file(tmp_path, opened):
    log = opened()
    for number in range(20):
        assert log.append(frame(number)).result(5) is None
        assert stored(tmp_path)[-1] == frame(number)
    log.close()
    assert stored(tmp_path) == [frame(number) for number in range(20)]
    assert (log.state.frames, log.state.queued_bytes) == (20, 0)


def test_many_threads_share_syncs_and_each_finds_its_own(tmp_path, opened, monkeypatch):
    syncs = counted(monkeypatch)
    log = opened()

    def work(start):
        for number in range(start, start + 100):
            log.append(frame(number)).result(10)

    threads = [threading.Thread(target=work, args=(1000 * i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(item.received_at for item in stored(tmp_path)) == [
        1000 * i + j for i in range(8) for j in range(100)
    ]
    assert log.state.groups == len(syncs) <= 800
    assert len(log.state.commit_seconds) == log.state.groups


def counted(monkeypatch):
    syncs = []
    sync = log_module.OpenSegment.append

    def append(self, data):
        syncs.append(len(data))
        sync(self, data)

    monkeypatch.setattr(log_module.OpenSegment, "append", append)
    return syncs


def test_what_waits_while_a_sync_runs_goes_into_one_group(opened, monkeypatch):
    started, go = threading.Event(), threading.Event()
    append = log_module.OpenSegment.append

    def slow(self, data):
        started.set()
        assert go.wait(5)
        append(self, data)

    monkeypatch.setattr(log_module.OpenSegment, "append", slow)
    log = opened()
    first = log.append(frame(0))
    assert started.wait(5)
    others = [log.append(frame(number)) for number in range(1, 51)]
    assert not first.done()
    assert not any(other.cancel() or other.done() for other in others)
    go.set()
    assert wait([first, *others], 5).not_done == set()
    assert log.state.groups == 2


def test_a_full_queue_refuses_and_takes_again_when_it_is_not(opened, monkeypatch):
    go = threading.Event()
    append = log_module.OpenSegment.append
    monkeypatch.setattr(log_module.OpenSegment, "append", lambda self, data: (go.wait(5), append(self, data)))
    log = opened(Limits(free_bytes=0, queued_bytes=2_000))
    taken = [log.append(frame(size=900)) for _ in range(2)]
    with pytest.raises(QueueFullError, match="wait for the disk") as refused:
        log.append(frame(size=900))
    assert (refused.value.status, refused.value.retry_after) == (503, 1)
    go.set()
    wait(taken, 5)
    log.append(frame(size=900)).result(5)


@pytest.mark.parametrize("fault", ["write", "sync"])
def test_a_disk_that_fails_answers_nobody_and_the_file_is_not_used_again(
    tmp_path, opened, monkeypatch, fault
):
    log = opened(Limits(free_bytes=0, retry_seconds=2.0))
    log.append(frame(1)).result(5)
    with monkeypatch.context() as patched:
        patched.setattr(*BROKEN[fault], broken)
        lost = log.append(frame(2))
        with pytest.raises(LogUnhealthyError, match="Input/output error"):
            lost.result(5)
    with pytest.raises(UnavailableError, match="Input/output error"):
        log.append(frame(3))
    assert "Input/output error" in log.state.fault
    assert eventually(lambda: log.state.fault is None)
    log.append(frame(4)).result(5)
    assert len(open_segments(tmp_path / "log")) == 2
    log.close()
    assert sorted(item.received_at for item in stored(tmp_path)) == [1, 4]


BROKEN = {"write": ("upshot.events.segment.os.write",), "sync": ("upshot.events.segment.sync",)}


def broken(*_):
    raise OSError(5, "Input/output error")


def eventually(condition, seconds=5.0):
    pause = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if condition():
            return True
        pause.wait(0.01)
    return False


def test_space_is_left_free_and_accepting_goes_on_when_there_is_more(tmp_path, opened, monkeypatch):
    free = [10**9]
    monkeypatch.setattr(log_module, "free_bytes", lambda _: free[0])
    log = opened(Limits(retry_seconds=0.01))
    log.append(frame(1)).result(5)
    free[0] = 200 << 20
    with pytest.raises(
        LogUnhealthyError, match=r"209,715,200 bytes are free where .* and 209,715,200 stay free"
    ):
        log.append(frame(2)).result(5)
    free[0] = 10**9
    assert eventually(lambda: log.state.fault is None)
    log.append(frame(3)).result(5)
    assert len(open_segments(tmp_path / "log")) == 1
    assert [item.received_at for item in stored(tmp_path)] == [1, 3]


def test_segments_are_sealed_by_size_and_by_age(tmp_path, opened):
    log = opened(Limits(free_bytes=0, segment_bytes=1_000, segment_seconds=0.2))
    for number in range(4):
        log.append(frame(number, size=600)).result(5)
    assert eventually(lambda: len(sealed_segments(tmp_path / "log")) == 2)
    log.append(frame(5)).result(5)
    assert eventually(lambda: len(sealed_segments(tmp_path / "log")) == 3)
    assert open_segments(tmp_path / "log") == []


def test_what_dead_processes_left_is_recovered_in_the_background(tmp_path, opened):
    (tmp_path / "log").mkdir()
    whole = log_module.encode(frame(7))
    (tmp_path / "log" / "0-1-a.open").write_bytes(whole + whole[:5])
    opened()
    assert eventually(lambda: len(sealed_segments(tmp_path / "log")) == 1)
    assert stored(tmp_path) == [frame(7)]


def test_a_closed_log_refuses(opened):
    log = opened()
    log.append(frame()).result(5)
    log.close()
    with pytest.raises(LogUnhealthyError, match="closed"):
        log.append(frame())
    assert "closed" in log.state.fault
    log.close()
