"""The HTML report in a real browser: nothing overflows, nothing is refused, nothing is asked for."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from upshot.report import page
from upshot.report.findings import Findings

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WIDTHS = (390, 600, 768, 1000, 1280)
MEASURE = """
addEventListener("load", () => {
  const found = {};
  for (const frame of document.querySelectorAll("iframe")) {
    const root = frame.contentDocument.documentElement;
    const bars = [...root.querySelectorAll("td.span svg")].filter(bar => bar.getBoundingClientRect().width > 80);
    const tops = [...root.querySelectorAll("h1, h2, figure, td.name")].map(part => part.getBoundingClientRect());
    found[frame.width] = {overflow: root.scrollWidth - frame.clientWidth, bars: bars.length,
      hidden: tops.filter(box => box.width === 0).length};
  }
  const answer = document.createElement("output");
  answer.textContent = JSON.stringify(found);
  document.body.replaceChildren(answer);
});
"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def seen(won: Findings, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, dict[str, int]], str]:
    """The report at every width in one run of the browser: measurements, and all that it logged."""
    place = tmp_path_factory.mktemp("browser")
    framed = html.escape(page.html(won), quote=True)
    frames = "".join(f'<iframe width="{width}" height="900" srcdoc="{framed}"></iframe>' for width in WIDTHS)
    wrapper = place / "wrapper.html"
    wrapper.write_text(
        f"<!doctype html><meta charset=utf-8><script>{MEASURE}</script><body>{frames}", encoding="utf-8"
    )
    done = _browse(wrapper, place)
    found = re.search(r"<output>(.*?)</output>", done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    return json.loads(found[1]), done.stderr


def _browse(file: Path, place: Path) -> subprocess.CompletedProcess[str]:
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--enable-logging=stderr", f"--user-data-dir={place / 'profile'}",
        "--window-size=1400,1000", "--dump-dom", file.as_uri(),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


@pytest.mark.parametrize("width", WIDTHS)
def test_it_reads_at_every_width(seen: tuple[dict[str, dict[str, int]], str], width: int) -> None:
    measured = seen[0][str(width)]
    assert measured["overflow"] <= 0
    assert measured["bars"] == 7, "two results, two guardrails, three segments"
    assert measured["hidden"] == 0


def test_the_browser_refuses_nothing_and_complains_of_nothing(
    seen: tuple[dict[str, dict[str, int]], str],
) -> None:
    complaints = [line for line in seen[1].splitlines() if "CONSOLE" in line]
    assert complaints == []
