"""The command line: `brandprint check | caption | rights | train | preview | board | verdict | export | import | report | runs | ui | demo | doctor`.

In: arguments. Out: exit code 0 done, 1 an error that the user can act on (printed with its fix), 2 wrong usage, 130 stopped with Ctrl-C.
Commands live in app/commands/; their settings flags derive from the settings' own fields. Only the command that is asked for is imported:
the settings tree alone takes longer to import than the list of commands may take to show.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import wraps
from importlib import import_module

import typer

# name -> where it stands, and its line in the list (a test holds it against the function's own docstring)
COMMANDS = {
    "check": ("check:check", "Look at every picture and caption: a score, the problems, and what would raise it most."),
    "caption": (
        "caption:caption",
        "Propose captions from names, descriptions, a template or a model; --apply puts them into the edit list.",
    ),
    "rights": ("caption:rights", "State who owns the pictures and on what ground; it goes into the card of what is taught from them."),
    "train": ("teach:train", "Teach the base from PICTURES. Ctrl-C stops and keeps a checkpoint to resume from."),
    "preview": ("draw:preview", "Draw with an adapter, beside the base on the same seed."),
    "board": ("draw:board", "Checkpoint x strength x prompt, base in column 0: PNG, PDF and an HTML page that opens anywhere."),
    "verdict": ("draw:verdict", "Which checkpoint, at which strength, and why; written into the adapter's card."),
    "export": ("handover:export", "Write LoRA files for other tools; each is loaded back and compared before this returns."),
    "import": ("handover:import_file", "Read another tool's LoRA. Keys that do not fit are listed, never dropped in silence."),
    "report": ("handover:report", "One page for the client: what was taught, before and after, scores in plain words, how to use it."),
    "runs": ("machine:runs", "List runs, newest first."),
    "doctor": ("machine:doctor", "What this machine can do: device, precision, memory, disk, and which bases will fit."),
    "demo": ("machine:demo", "The whole way on sample pictures: check, train, compare, export; ends with a page to look at."),
    "ui": ("machine:ui", "Open the studio in the browser."),
}
# Whatever they are told, these load a base. `train` and `demo` do so late, if at all.
DRAWING = frozenset({"preview", "board", "verdict", "export", "import"})


def load_command(name: str) -> Callable:
    """The function behind a command."""
    module, function = COMMANDS[name][0].split(":")
    command = getattr(import_module(f"app.commands.{module}"), function)
    return _with_libraries(command) if name in DRAWING else command


def _with_libraries(command: Callable) -> Callable:
    @wraps(command)
    def run(*arguments: object, **options: object) -> None:
        from pipelines.lean import load_libraries

        load_libraries()
        command(*arguments, **options)

    return run


def build_app(arguments: Sequence[str]) -> typer.Typer:
    """The program with the command that the arguments ask for; the others stand by name and line only."""
    app = typer.Typer(
        name="brandprint",
        help="Teach an image generator a brand's style, character or product, and take home a LoRA file that works elsewhere.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    asked = next((argument for argument in arguments if not argument.startswith("-")), "")
    for name, (_, line) in COMMANDS.items():
        app.command(name, help=line)(load_command(name) if name == asked else lambda: None)
    return app


def main() -> None:
    """Run a command; our own errors become two lines and exit code 1, everything else keeps its traceback."""
    from pipelines.errors import BrandprintError

    try:
        build_app(sys.argv[1:])()
    except BrandprintError as error:
        from app.terminal import complain

        complain(error, as_json="--json" in sys.argv)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
