"""`upshot metric`: look through the metrics over events of a workspace, and the worked ones that ship."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

    from upshot.model.event_metric import EventMetric
    from upshot.services.event_metrics import MetricLint

EPILOG = """\b
Examples:
  upshot metric catalogue
  upshot metric catalogue conversion_rate > metrics/shop.yaml
  upshot metric lint
  upshot metric show conversion_rate
"""

METRICS = click.option(
    "--metrics", "directory", metavar="DIR", default="metrics", show_default=True, type=click.Path(path_type=Path),
    help="The directory of YAML files that define them.",
)  # fmt: skip
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")


@click.group("metric", epilog=EPILOG)
def command() -> None:
    """Metrics over events, in the YAML files of a directory."""


@command.command("list", epilog="Example: upshot metric list --metrics metrics")
@METRICS
@AS_JSON
def list_command(directory: Path, as_json: bool) -> None:
    """Name every metric and say what it is."""
    from upshot.services.event_metrics import read_metrics

    _show_all(read_metrics(directory), as_json)


@command.command("show", epilog="Example: upshot metric show conversion_rate")
@click.argument("name")
@METRICS
@AS_JSON
def show_command(name: str, directory: Path, as_json: bool) -> None:
    """Show a metric as it is defined, and say what it was understood to mean."""
    from upshot.formats.event_metrics import metrics_to_yaml
    from upshot.services.event_metrics import named, read_metrics

    metric = named(read_metrics(directory), name, str(directory))
    if as_json:
        _print_json(_plain(metric))
        return
    click.echo(metrics_to_yaml({name: metric}).rstrip())
    click.echo(f"\n{name} is the {_words(metric)}")


@command.command("lint", epilog="Example: upshot metric lint --metrics metrics")
@METRICS
@AS_JSON
def lint_command(directory: Path, as_json: bool) -> None:
    """Say in words what the files mean.

    Every mistake of every file is named at once (exit 2). What is allowed but hardly meant is told.
    """
    from upshot.services.event_metrics import lint

    found = lint(directory)
    if as_json:
        remarks = [{"about": one.about, "sentence": one.sentence} for one in found.remarks]
        _print_json({"metrics": dict(found.words), "remarks": remarks})
    else:
        _print_lint(found)


@command.command("catalogue", epilog="Example: upshot metric catalogue conversion_rate > metrics/shop.yaml")
@click.argument("name", required=False)
@AS_JSON
def catalogue_command(name: str | None, as_json: bool) -> None:
    """Worked metrics to copy: all by name, or the lines of one."""
    from upshot.formats.catalogue import catalogue, worked_text
    from upshot.services.event_metrics import named

    if name is None:
        _show_all(catalogue(), as_json)
        return
    metric = named(catalogue(), name, "the catalogue")
    if as_json:
        _print_json(_plain(metric))
    else:
        click.echo(worked_text(name))


def _show_all(metrics: "Mapping[str, EventMetric]", as_json: bool) -> None:
    if as_json:
        _print_json({"metrics": {name: _plain(metric) for name, metric in metrics.items()}})
        return
    for name, metric in metrics.items():
        click.secho(f"{name} ({metric.kind})", bold=True)
        click.echo(f"  {_words(metric)}")
        if metric.description:
            click.echo(f"  {metric.description}")
    if not metrics:
        click.echo("there are no metrics: copy one by upshot metric catalogue NAME")


def _print_lint(found: "MetricLint") -> None:
    for name, words in found.words.items():
        click.secho(f"{name} ({found.metrics[name].kind})", bold=True)
        click.echo(f"  {words}")
    if found.remarks:
        click.echo("\nTo look at:")
    for remark in found.remarks:
        click.echo(f"  {remark.about}: {remark.sentence}")
    if not found.words:
        click.echo("there are no metrics: copy one by upshot metric catalogue NAME")


def _plain(metric: "EventMetric") -> dict[str, Any]:
    from upshot.formats.event_metrics import metric_to_mapping

    return {"name": metric.name, **metric_to_mapping(metric), "words": _words(metric)}


def _words(metric: "EventMetric") -> str:
    from upshot.analysis.event_words import metric_words

    return metric_words(metric)


def _print_json(plain: Any) -> None:
    click.echo(json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False))
