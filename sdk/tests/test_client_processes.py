import subprocess
import sys
from time import monotonic

import pytest
from faults import faulty, never_answers

POOL = """
import multiprocessing, sys
from upshot_sdk import Client

def work(client, number):
    client = client or Client(sys.argv[1], "server-key", directory=sys.argv[2])
    client.track("Click", {"userId": f"child-{number}"})

if __name__ == "__main__":
    of_parent = Client(sys.argv[1], "server-key", directory=sys.argv[2]) if sys.argv[4] == "parent" else None
    context = multiprocessing.get_context(sys.argv[3])
    children = [context.Process(target=work, args=(of_parent, number)) for number in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
"""


@pytest.mark.parametrize(
    ("method", "whose"), [("fork", "parent"), ("fork", "child"), ("forkserver", "child"), ("spawn", "child")]
)
def test_a_child_of_multiprocessing_sends_before_it_ends(method, whose, serve, tmp_path):
    server = serve({"format": 1, "revision": "r1", "hash": "md5/1", "flags": {}})
    script = tmp_path / "work.py"
    script.write_text(POOL)
    command = [
        sys.executable,
        "-W",
        "ignore",
        str(script),
        server.url,
        str(tmp_path / "state"),
        method,
        whose,
    ]
    subprocess.run(command, check=True, timeout=60)
    assert sorted(found["userId"] for found in server.messages) == ["child-0", "child-1", "child-2"]


MANY = """
import sys
from upshot_sdk import client
client.AT_EXIT = 1.0
clients = [client.Client(sys.argv[1], f"key-{number}", directory=sys.argv[2], start_timeout=0) for number in range(8)]
for one in clients:
    one.track("Click", {"userId": "u"})
"""


def test_the_time_to_leave_is_of_all_clients_together(tmp_path):
    with faulty(never_answers) as url:
        began = monotonic()
        command = [sys.executable, "-c", MANY, url, str(tmp_path)]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        assert monotonic() - began < 5.0  # one after the other they would take 8
    assert len(list(tmp_path.rglob("*.jsonl"))) == 8
