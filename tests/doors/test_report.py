import json
import threading
from contextlib import redirect_stderr, redirect_stdout
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO
from types import SimpleNamespace

import pytest
from tests.support.past import Past, design

from upshot.doors.cli.main import main


def run(path, *arguments):
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main(["report", *arguments, "--data", str(path)])
    return SimpleNamespace(code=ended.value.code, out=out.getvalue(), err=err.getvalue())


@pytest.fixture
def workspace(sqlite_store, tmp_path):
    past = Past(sqlite_store, tmp_path)
    past.decide(past.run(design(monitoring="group_sequential"), 0.15), "SHIP", variant="treatment")
    past.run(design("Sealed"), 0.3, days=3)
    past.close()
    return tmp_path


def test_an_experiment_is_printed_or_written_as_its_file_is_named(workspace):
    shown = run(workspace, "EXP-2026-001")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.startswith("# A shorter form (EXP-2026-001)\n")
    for name, begins in (
        ("a.md", "# A shorter form"),
        ("a.html", "<!doctype html>"),
        ("b.txt", "# A shorter form"),
    ):
        assert (
            run(workspace, "EXP-2026-001", "--out", str(workspace / name)).out
            == f"report: {workspace / name}\n"
        )
        assert (workspace / name).read_text().startswith(begins)
    assert run(workspace, "EXP-2026-001", "--format", "html").out.startswith("<!doctype html>")


def test_the_week_and_the_programme(workspace):
    week = run(workspace, "--weekly", "--as-of", "2026-03-23").out
    assert week.startswith("# Experiments, 16–22 March 2026\n\n> 1 experiment runs, 1 decided.")
    assert "> 1 of 1 decision shipped; too few for a rate to say much." in run(workspace, "--programme").out


class Hook(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_the_week_is_sent_to_slack_where_alerts_go(workspace, monkeypatch):
    server = HTTPServer(("127.0.0.1", 0), Hook)
    server.taken = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("UPSHOT_ALERTS", f"slack+http://127.0.0.1:{server.server_port}/hook")
    monkeypatch.setenv("UPSHOT_ALERTS_ALLOW", "127.0.0.1")
    done = run(workspace, "--weekly", "--as-of", "2026-03-23", "--send")
    server.shutdown()
    server.server_close()
    thread.join()
    assert done.err == ""
    assert done.out.startswith("sent to slack+http://127.0.0.1")
    (taken,) = server.taken
    assert taken["text"].startswith(
        "*Experiments, 16–22 March 2026*\n1 experiment runs, 1 decided.\n\n*Running*\n• Sealed"
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "one thing is reported at a time: name an experiment, or give --weekly or --programme"),
        (["EXP-1", "--weekly"], "one thing is reported at a time"),
        (["--programme", "--send"], "--as-of and --send belong to --weekly"),
        (["EXP-1"], "there is no experiment EXP-1"),
        (["--weekly", "--send"], "nowhere to send it: set UPSHOT_ALERTS"),
        (["--weekly", "--as-of", "0001-01-01"], "give a day from 2000 on"),
        (["--weekly", "--out", "/nowhere/x.md"], "cannot be written"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(workspace, monkeypatch, arguments, told):
    monkeypatch.delenv("UPSHOT_ALERTS", raising=False)
    done = run(workspace, *arguments)
    assert done.code != 0
    assert told in done.err
    assert "Traceback" not in done.err
