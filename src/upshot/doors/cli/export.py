"""`upshot export`: what the control store holds, as files."""

from pathlib import Path

import click

from upshot.doors.cli.control import AS_JSON, DATA, STORE, show


@click.command("export", epilog="Example: upshot export workspace")
@click.argument("directory", type=click.Path(path_type=Path))
@DATA
@STORE
@AS_JSON
def command(directory: Path, data: Path, url: str | None, as_json: bool) -> None:
    """Write flags, metrics, experiments and all else that is declared as files that `upshot apply` reads.

    Events are written by `upshot events export`.
    """
    from upshot.bootstrap import open_workspace
    from upshot.services.as_code import export

    workspace = open_workspace(data, url)
    try:
        written = export(workspace, directory)
    finally:
        workspace.close()
    show(
        as_json,
        lambda: {"files": [str(path) for path in written]},
        lambda: "\n".join(f"wrote {path}" for path in written) or "the store holds nothing that is declared",
    )
