"""Progress is pure: events in, percent and words out."""

from __future__ import annotations

from app.progress import Progress, read_progress, smoothed, thinned


def steps(count: int, *, total: int = 100, start: float = 1000.0, pace: float = 2.0) -> list[dict]:
    records: list[dict] = [{"at": start, "kind": "started", "total_steps": total, "first_step": 0, "device": "cpu", "precision": "fp32"}]
    return records + [
        {"at": start + pace * number, "kind": "step", "step": number, "loss": 1.0 / number, "learning_rate": 1e-3, "sec_per_step": 1.5} for number in range(1, count + 1)
    ]  # fmt: skip


def look(records: list[dict], state: str = "running", now: float = 1100.0) -> Progress:
    return read_progress(records, state, now=now)  # type: ignore[arg-type]


def test_a_new_run_stands_at_zero_and_promises_no_time():
    progress = look([], "queued")
    assert (progress.percent, progress.seconds_left, progress.step) == (0.0, None, 0)


def test_time_left_follows_the_wall_clock_not_the_steps_alone():
    progress = look(steps(50), now=1000.0 + 100.0)
    assert progress.seconds_left == 100.0  # 50 steps at 2 s on the wall, though a step alone takes 1.5


def test_percent_never_falls_from_preparing_over_steps_to_the_verdict():
    records: list[dict] = [{"at": 0.0, "kind": "phase", "name": "pictures", "done": done, "total": 10} for done in range(11)]
    records += steps(100)
    records += [{"at": 2000.0, "kind": "finished", "path": "adapter.safetensors", "seconds": 1.0}]
    records += [
        {"at": 2001.0 + done, "kind": "phase", "name": name, "done": done, "total": 4}
        for name in ("reading", "scoring")
        for done in range(5)
    ]
    seen = [look(records[:count], "running" if count < len(records) else "finished").percent for count in range(1, len(records) + 1)]
    without_the_end = [percent for percent, record in zip(seen, records, strict=True) if record["kind"] != "finished"]
    assert without_the_end == sorted(without_the_end)
    assert seen[-1] == 100.0


def test_a_resumed_run_counts_its_pace_from_the_new_start():
    records = [*steps(10, pace=50.0), {"at": 5000.0, "kind": "stopped", "step": 10}]
    records += [{"at": 9000.0, "kind": "started", "total_steps": 100, "first_step": 10, "device": "cpu", "precision": "fp32"}]
    records += [
        {"at": 9000.0 + number - 10, "kind": "step", "step": number, "loss": 0.1, "learning_rate": 1e-3, "sec_per_step": 1.0}
        for number in range(11, 21)
    ]
    progress = look(records, now=9010.0)
    assert (progress.step, progress.seconds_left) == (20, 80.0)


def test_a_step_taken_twice_counts_once_in_the_curve():
    assert smoothed([(1, 4.0), (2, 2.0), (2, 3.0)])[-1][0] == 2
    assert len(smoothed([(1, 4.0), (2, 2.0), (2, 3.0)])) == 2


def test_the_first_smoothed_loss_is_the_loss_itself():
    assert smoothed([(1, 4.0)]) == [(1, 4.0)]


def test_thinning_keeps_both_ends():
    points = [(number, float(number)) for number in range(1000)]
    few = thinned(points, 50)
    assert (few[0], few[-1], len(few)) == (points[0], points[-1], 50)


def test_a_failure_shows_its_message_only_while_it_is_the_last_word():
    records = [*steps(3), {"at": 1.0, "kind": "failed", "message": "Memory ran out.", "fix": "Lower the size."}]
    assert look(records, "failed").error == ("Memory ran out.", "Lower the size.")
    assert look(records + steps(3), "running").error is None


def test_previews_are_told_once_each_even_if_drawn_again():
    records = [{"at": 1.0, "kind": "picture", "path": "previews/000010/00.png", "prompt": "a", "seed": 0, "step": 10, "strength": 1.0}] * 2
    assert len(look(records).pictures) == 1


def test_the_verdict_after_a_stop_counts_as_closing():
    records = [*steps(5), {"at": 1.0, "kind": "stopped", "step": 5}, {"at": 2.0, "kind": "phase", "name": "scoring", "done": 1, "total": 4}]
    assert look(records, "running").is_closing
    assert not look(records, "stopped").is_closing
    assert look(records + steps(1), "running").is_closing is False
