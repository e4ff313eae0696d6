"""What the terminal shows is what was said, whatever stands in file names and captions."""

from __future__ import annotations

import pytest

from app.terminal import EventPrinter, complain, say, show_table
from pipelines.errors import DatasetError
from pipelines.events import Advice, Phase, Saved
from pipelines.formats.verify import Check

HOSTILE = "a [/x] [red] b\\[bold]c[/]"  # closes what was never opened, and would swallow a word


def test_brackets_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    say(HOSTILE, lead=HOSTILE, style="yellow")
    say(HOSTILE)
    show_table(("picture", "now"), [(HOSTILE, 3)])
    complain(DatasetError(HOSTILE, fix=HOSTILE), as_json=False)
    told = capsys.readouterr()
    assert told.out.count(HOSTILE) == 4 and told.err.count(HOSTILE) == 2


def test_brackets_in_events_are_no_markup_either(capsys: pytest.CaptureFixture[str]) -> None:
    with EventPrinter() as printer:
        printer(Phase("pictures", 1, 2))
        printer(Advice("unreadable", HOSTILE, HOSTILE))
        printer(Saved(3, f"checkpoints/{HOSTILE}"))
    printed = capsys.readouterr().out
    assert printed.count(HOSTILE) == 3


def test_a_lead_stands_before_the_text_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    say("of 100", lead="Score 90")
    say("", lead="2 Teach")
    assert capsys.readouterr().out == "Score 90 of 100\n2 Teach\n"


def test_a_check_is_said_in_words() -> None:
    assert str(Check("drawing difference", 1.409e-5, 0.1017)) == "drawing difference 1.4e-05 (at most 0.1)"
