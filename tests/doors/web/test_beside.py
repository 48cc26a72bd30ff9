"""What runs beside the server goes on, whatever happens to it, and ends with the server."""

import asyncio
import threading

import pytest

from upshot.doors.web.beside import Beside


def test_work_goes_on_after_a_fault_and_off_the_loop(caplog):
    done, threads = [], set()

    def work():
        threads.add(threading.current_thread())
        done.append(len(done))
        if len(done) == 2:
            raise ZeroDivisionError("once")

    async def for_a_while():
        task = asyncio.create_task(Beside(work, 0.01).run())
        while len(done) < 5:
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(for_a_while(), 30))
    assert done[:5] == [0, 1, 2, 3, 4]
    assert threading.main_thread() not in threads
    assert "will be tried again" in caplog.text
    assert "ZeroDivisionError: once" in caplog.text
