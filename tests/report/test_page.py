"""The HTML report: whole in one file, nothing from outside, nothing that people typed acts."""

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from upshot.analysis.result import SegmentResult
from upshot.report import notebook, page
from upshot.report.findings import Findings

VOID = {"meta", "br", "hr", "img", "input", "link"}
SELF_CLOSED = {"line", "circle", "path", "rect"}
CANARY = "\x1b[31m\u202e<script>alert('canary')</script>\"'><svg onload=alert(1)>{{7*7}}"


class Outline(HTMLParser):
    """Tags in order with their attributes; fails on what is not nested."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def outline(text: str) -> Outline:
    parser = Outline()
    parser.feed(text)
    assert not parser.open
    return parser


@pytest.fixture(scope="module")
def report(won: Findings) -> str:
    return page.html(won)


def test_it_asks_nothing_of_any_other_machine(report: str) -> None:
    for tag, attributes in outline(report).tags:
        assert tag not in {"script", "link", "img", "iframe", "object", "base", "form"}
        assert not {"src", "href", "style", "srcset", "action"} & set(attributes), (tag, attributes)
        assert not any(name.startswith("on") for name in attributes)
    assert "url(" not in report
    assert "@import" not in report
    outside = set(re.findall(r"https?://[^\s\"'<]+", report))
    assert outside <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_its_policy_allows_its_own_stylesheet_and_nothing_else(report: str) -> None:
    style = re.search(r"<style>(.*?)</style>", report, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in report


def test_both_themes_and_paper_are_styled(report: str) -> None:
    assert "prefers-color-scheme: dark" in report
    assert "@media print" in report
    defined = set(re.findall(r"(--[a-z0-9-]+):", report))
    used = set(re.findall(r"var\((--[a-z0-9-]+)", report))
    assert used <= defined


@pytest.mark.parametrize("name", ["won", "bare", "three_arms"])
def test_every_situation_renders_whole(name: str, request: pytest.FixtureRequest) -> None:
    findings: Findings = request.getfixturevalue(name)
    told = outline(page.html(findings))
    text = " ".join(told.text)
    assert findings.verdict.headline in text
    assert "None" not in text.replace("None was", "").replace("None were", "")
    assert not re.search(r"\bnan\b|\binf\b", text)


def test_intervals_lie_where_their_numbers_say(report: str) -> None:
    svg = re.search(r'<svg class="better".*?</svg>', report, re.DOTALL)
    assert svg
    zero = float(re.findall(r'class="zero" x1="([\d.]+)%', svg[0])[0])
    low, high = map(float, re.findall(r'class="reach" x1="([\d.]+)%" x2="([\d.]+)%', svg[0])[0])
    at = float(re.findall(r'class="point" cx="([\d.]+)%', svg[0])[0])
    assert zero < low < at < high
    scale = (high - low) / (0.0978 - 0.0139)
    assert at == pytest.approx(zero + 0.0551 * scale, abs=0.02)
    assert "<title>converted, treatment: +5.5% [+1.4%, +9.8%], better</title>" in svg[0]


def hostile(won: Findings) -> Findings:
    """The canary wherever people or their data can put text."""
    rename = {"treatment": CANARY}
    metrics = tuple(replace(m, name=m.name + CANARY) for m in won.evidence.metrics)
    results = tuple(
        replace(
            r,
            name=r.name + CANARY,
            variants={rename.get(k, k): v for k, v in r.variants.items()},
            comparisons=tuple(
                replace(c, variant=CANARY, method=CANARY, reasons={"lift": CANARY}) for c in r.comparisons
            ),
        )
        for r in won.analysis.metrics
    )
    checks = tuple(replace(c, detail=CANARY, mend=CANARY) for c in won.analysis.checks)
    histograms = {
        name + CANARY: replace(h, counts={rename.get(k, k): v for k, v in h.counts.items()})
        for name, h in won.evidence.histograms.items()
    }
    evidence = replace(
        won.evidence, metrics=metrics, variants=("control", CANARY), histograms=histograms, days={},
        understood=(CANARY,), sql=CANARY,
    )  # fmt: skip
    plan = replace(
        won.plan, metrics=metrics, name=CANARY, id=CANARY, hypothesis=CANARY, owner=CANARY, unit=CANARY
    )
    said = replace(won.verdict, headline=CANARY, reasons=(CANARY,), would_change=CANARY, winner=CANARY)
    analysis = replace(
        won.analysis, unit=CANARY, checks=checks, metrics=results, notes=(CANARY,),
        segments={CANARY: {CANARY: SegmentResult(checks=(), metrics=results)}},
    )  # fmt: skip
    return Findings(plan=plan, evidence=evidence, analysis=analysis, verdict=said)


@pytest.mark.parametrize("render", [page.html, notebook.repr_html], ids=["page", "notebook"])
def test_what_people_typed_is_text_everywhere(won: Findings, render: Callable[[Findings], str]) -> None:
    text = render(hostile(won))
    told = outline(text)
    assert not [tag for tag, _ in told.tags if tag == "script"]
    assert not [name for _, attributes in told.tags for name in attributes if name.startswith("on")]
    assert "canary" in " ".join(told.text)
    assert "49" not in " ".join(told.text)


def test_the_report_is_small(report: str) -> None:
    assert len(report.encode()) < 150_000


def test_a_notebook_styles_only_itself(won: Findings) -> None:
    style = re.search(r"<style>(.*?)</style>", notebook.repr_html(won), re.DOTALL)
    assert style
    selectors = [part.strip() for block in style[1].split("}") for part in block.split("{")[0].split(",")]
    assert all(selector.startswith(".upshot") for selector in selectors if selector)
