"""What runs beside the server goes on, whatever happens to it, and ends with the server."""

import threading
import time

from upshot.doors.web.background import again_and_again


def test_work_goes_on_after_a_fault_in_threads_of_its_own(caplog):
    done, threads = [], set()

    def work():
        threads.add(threading.current_thread())
        done.append(len(done))
        if len(done) == 2:
            raise ZeroDivisionError("once")

    with again_and_again([(work, 0.01), (lambda: threads.add(threading.current_thread()), 0.01)]):
        until = time.monotonic() + 30
        while len(done) < 5 and time.monotonic() < until:
            time.sleep(0.005)
    ended = len(done)
    assert done[:5] == [0, 1, 2, 3, 4]
    assert len(threads) == 2
    assert threading.main_thread() not in threads
    assert "will be tried again" in caplog.text
    assert "ZeroDivisionError: once" in caplog.text
    time.sleep(0.05)
    assert len(done) == ended
