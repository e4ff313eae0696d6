"""The command line: `brandprint check | train | preview | board | export | import | report | runs | ui | demo | doctor`.

In: arguments. Out: exit code 0 done, 1 an error that the user can act on (printed with its fix), 2 wrong usage, 130 stopped with Ctrl-C.
Commands live in app/commands/; their settings flags derive from the settings' own fields.
"""

from __future__ import annotations

import sys

import typer

from app.commands import check, draw, handover, machine, teach
from app.terminal import complain
from pipelines.errors import BrandprintError

app = typer.Typer(
    name="brandprint",
    help="Teach an image generator a brand's style, character or product, and take home a LoRA file that works elsewhere.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("check")(check.check)
app.command("train")(teach.train)
app.command("preview")(draw.preview)
app.command("board")(draw.board)
app.command("export")(handover.export)
app.command("import")(handover.import_file)
app.command("report")(handover.report)
app.command("runs")(machine.runs)
app.command("doctor")(machine.doctor)
app.command("demo")(machine.demo)
app.command("ui")(machine.ui)


def main() -> None:
    """Run a command; our own errors become two lines and exit code 1, everything else keeps its traceback."""
    try:
        app()
    except BrandprintError as error:
        complain(error, as_json="--json" in sys.argv)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
