"""The client's page: whole in one file, no request to anywhere, every word escaped, all that a client asks for on it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from pipelines.errors import RunError
from training.report import Origin, plain_scores, write_report
from training.runs import Job, Run, create_run
from training.scores.kinds import Example, Finding, Nearest, Pick, Score, Verdict


@pytest.fixture
def project(tmp_path: Path) -> tuple[Run, Path]:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(3):
        Image.new("RGB", (80, 60), (80 * number, 90, 200)).save(pictures / f"{number}.png")
        (pictures / f"{number}.txt").write_text(f"on <shelf> {number}", encoding="utf-8")
    (pictures / "project.json").write_text('{"licence": "CC0-1.0", "credit": "Ada & Co"}', encoding="utf-8")
    settings = {"subject": {"intent": "product", "trigger": "zop", "noun": "mug"}}
    run = create_run(tmp_path / "runs" / "one", Job(kind="train", name="Mug <1>", dataset="../../pictures", settings=settings))
    (run.path / "verdict").mkdir()
    for name in ("base", "taught"):
        Image.new("RGB", (64, 64), "teal").save(run.path / "verdict" / f"{name}.png")
    return run, pictures


def judged(run: Run, **changes) -> Verdict:
    score = Score(step=70, strength=0.9, fidelity=0.4, obedience=0.6, variety=0.8, leak=0.1, consistency=1.1, delta_e=4.2)
    verdict = Verdict(
        pick=Pick(step=70, strength=0.9, utility=1), runner_up=Pick(step=50, strength=1, utility=0.9), confidence=0.8, sentence="Checkpoint 70 at strength 0.9.",
        scores=(score,), palette=("#255e7c",), held_out=1, copy_limit=0.9, closest=0.7, encoders=("efficientnet-lite0",),
        findings=(Finding(code="leak", severity="warn", message="Leak <b>", fix="Use a prior."),),
        examples=(Example(prompt="zop mug, on <shelf> 1", seed=7, base="verdict/base.png", taught="verdict/taught.png", real="1.png"),),
        nearest=(Nearest(picture="verdict/taught.png", training="0.png", similarity=0.7, hash_distance=20, is_copy=False),),
    ).model_copy(update=changes)  # fmt: skip
    (run.path / "verdict.json").write_text(verdict.model_dump_json(), encoding="utf-8")
    return verdict


def test_the_page_is_one_file_that_asks_nobody_for_anything(project):
    run, _ = project
    judged(run)
    page = write_report(run).read_text(encoding="utf-8")
    assert not re.search(r"(src|href)=.(?!data:)", page)
    assert "<script" not in page and "@import" not in page and "url(" not in page
    assert page.count("data:image/webp") >= 8
    assert "prefers-color-scheme: dark" in page


def test_the_page_says_what_a_client_asks(project):
    run, _ = project
    judged(run)
    page = write_report(run).read_text(encoding="utf-8")
    for words in (
        "zop mug",
        "strength <b>0.9</b>",
        "2 taught, 1 kept aside",
        "CC0-1.0",
        "Ada &amp; Co",
        "ComfyUI",
        "InvokeAI",
        "A1111",
        "diffusers",
        "0.70",
        "#255e7c",
        "Use a prior.",
    ):
        assert words in page, words


def test_names_and_captions_cannot_break_the_page(project):
    run, _ = project
    judged(run)
    page = write_report(run).read_text(encoding="utf-8")
    assert "<shelf>" not in page and "Mug <1>" not in page and "Leak <b>" not in page
    assert "Mug &lt;1&gt;" in page


def test_pictures_that_are_gone_leave_a_place_not_an_error(project, tmp_path):
    run, pictures = project
    judged(run)
    (run.path / "verdict" / "base.png").unlink()
    (pictures / "1.png").unlink()
    page = write_report(run, tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("no longer there") == 2


def test_a_damaged_picture_leaves_a_place_not_an_error(project):
    run, pictures = project
    judged(run)
    for name in ("0.png", "1.png", "2.png"):
        content = (pictures / name).read_bytes()
        (pictures / name).write_bytes(content[:50] + b"junk" + content[54:])
    page = write_report(run).read_text(encoding="utf-8")
    assert page.count("no longer there") == 5  # three that were taught, the real one of a pair, the nearest


def test_missing_rights_are_said_to_be_missing(project):
    run, _ = project
    judged(run)
    assert "not recorded" in write_report(run, origin=Origin()).read_text(encoding="utf-8")


@pytest.mark.parametrize("is_above", [False, True])
def test_the_projects_own_statements_come_before_the_folders_licence(project, is_above: bool):
    from training.rights import Batch, state_rights

    run, pictures = project
    judged(run)
    state_rights(pictures.parent if is_above else pictures, Batch(owner="Fjord AS", ground="licence", note="campaign 7"))
    page = write_report(run).read_text(encoding="utf-8")
    assert "Fjord AS (licence: campaign 7)" in page and "CC0-1.0" not in page


def test_copies_are_named_beside_their_originals(project):
    run, _ = project
    near = Nearest(picture="verdict/taught.png", training="0.png", similarity=0.97, hash_distance=2, is_copy=True)
    judged(run, nearest=(near,))
    page = write_report(run).read_text(encoding="utf-8")
    assert "1 of the 1 nearest pictures count as copies" in page and ">copy<" in page


def test_bars_stay_between_nothing_and_whole(project):
    run, _ = project
    wild = Score(
        step=70, strength=0.9, fidelity=-2, obedience=1.4, unseen=-3.2, styled=-0.4, variety=3, leak=1.4, consistency=0.2, delta_e=90
    )
    verdict = judged(run, scores=(wild,))
    assert all(0 <= share <= 1 for _, share, _ in plain_scores(verdict))
    assert {"New things", "Your style"} <= {name for name, _, _ in plain_scores(verdict)}


@pytest.mark.parametrize("content", [None, '{"pick": 5}'])
def test_a_run_without_a_verdict_that_can_be_read_says_so(project, content):
    run, _ = project
    if content:
        (run.path / "verdict.json").write_text(content)
    with pytest.raises(RunError, match="no verdict"):
        write_report(run)
