"""What the command line prints: progress bars with seconds left, tables, errors with their fix; or plain JSON for scripts.

In: events and values. Out: text on the terminal. Decides nothing. File names and captions are printed as they are: square brackets in them are no markup.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Iterable, Sequence
from typing import Any

from pipelines.errors import BrandprintError
from pipelines.events import Advice, Event, Phase, Picture, Saved, Started, Step, Stopped, Validated, to_record


class EventPrinter:
    """Events as bars and lines; with as_json as one record a line. Use as a context."""

    def __init__(self, *, as_json: bool = False, quiet: Sequence[str] = ()) -> None:
        self.as_json, self.quiet = as_json, quiet  # quiet: kinds of events that get no line
        self.total_steps = 0
        self.bars: dict[str, Any] = {}

    def __enter__(self) -> EventPrinter:
        if not self.as_json:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self.progress = Progress(
                TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[note]}"),
                redirect_stdout=False, redirect_stderr=False,
            )  # fmt: skip
            self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        if not self.as_json:
            self.progress.stop()

    def __call__(self, event: Event) -> None:
        if self.as_json:
            sys.stdout.write(json.dumps(to_record(event), ensure_ascii=False) + "\n")
            sys.stdout.flush()
            return
        if isinstance(event, Started):
            self.total_steps = event.total_steps
            self._bar("training", event.first_step, event.total_steps, f"{event.device}, {event.precision}")
        elif isinstance(event, Step):
            self._bar("training", event.step, self.total_steps, f"loss {event.loss:.4f}  {event.sec_per_step:.2f} s a step")
        elif isinstance(event, Phase):
            self._bar(event.name, event.done, event.total, "")
        elif isinstance(event, Validated):
            self._line(f"step {event.step}: held-out loss {event.loss:.4f} (base {event.base_loss:.4f})")
        elif isinstance(event, Advice):
            self._line(f"{event.message} {event.fix}", style="yellow")
        elif isinstance(event, Stopped):
            self._line(f"Stopped at step {event.step}; it can be resumed.")
        elif isinstance(event, (Saved, Picture)) and type(event).__name__.lower() not in self.quiet:
            self._line(f"saved {event.path}")

    def follow(self, work: Generator[Event, None, Any]) -> Any:
        """Show every event of a generator; returns what it returns."""
        while True:
            try:
                self(next(work))
            except StopIteration as end:
                return end.value

    def _bar(self, name: str, done: int, total: int, note: str) -> None:
        if name not in self.bars:
            self.bars[name] = self.progress.add_task(name, total=total, note=note)
        self.progress.update(self.bars[name], completed=done, total=total, note=note)

    def _line(self, text: str, *, style: str = "") -> None:
        from rich.text import Text

        self.progress.console.print(Text(text, style), highlight=False)


def say(text: str, *, style: str = "", lead: str = "", lead_style: str = "bold") -> None:
    """One line for the user. lead: what stands before the text, in a style of its own."""
    from rich.console import Console
    from rich.text import Text

    Console(highlight=False, soft_wrap=True).print(Text(" ").join(part for part in (Text(lead, lead_style), Text(text, style)) if part))


def show_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows under headings."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*headings, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    Console(highlight=False).print(table)


def show_json(value: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=1, default=str) + "\n")


def complain(error: BrandprintError, *, as_json: bool) -> None:
    """An error and its fix on standard error."""
    if as_json:
        sys.stderr.write(json.dumps({"error": error.message, "fix": error.fix}, ensure_ascii=False) + "\n")
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(Text.assemble((type(error).__name__, "bold red"), f": {error.message}"))
    if error.fix:
        console.print(Text(f"  {error.fix}"))
