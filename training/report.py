"""One page per run for a client: what was taught, before and after, what the scores mean, warnings, and how to use it in each app.

In: a run with its verdict, and its dataset. Out: one HTML file that opens anywhere: pictures and styles inside, no script, no request, light and dark.
Measures nothing (verdict.py did) and exports nothing (pipelines/export.py does). No torch.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from PIL import Image

from pipelines.atomic import write_atomically
from pipelines.card import Card
from pipelines.errors import DatasetError, RunError
from training.config import TrainSettings
from training.dataset import Dataset, load_dataset
from training.images import open_item
from training.report_style import STYLE
from training.rights import stated_line
from training.runs import Run
from training.scores.kinds import Score, Verdict
from training.verdict import read_verdict

PICTURE_PX = 320
THUMB_PX = 144
SHOWN_PAIRS, SHOWN_TAUGHT, SHOWN_NEAR = 4, 12, 3


@dataclass(frozen=True)
class Origin:
    """Where the pictures come from and what may be done with them; empty values are said to be missing."""

    rights: str = ""
    source: str = ""


def write_report(run: Run, path: Path | None = None, *, dataset: Dataset | None = None, origin: Origin | None = None) -> Path:
    """Write the page and return where. dataset, origin: None: read from where the run says. Raises RunError where the run has no verdict yet."""
    verdict = read_verdict(run)
    if verdict is None:
        raise RunError(
            f"{run.path.name} has no verdict that can be read.",
            fix="Let it be made first: brandprint verdict draws and measures every checkpoint.",
        )
    dataset = dataset or load_dataset(run.dataset_path)
    origin = origin or _origin_of(dataset)
    target = path or run.path / "report.html"
    write_atomically(target, report_page(run, verdict, dataset, origin).encode())
    return target


def report_page(run: Run, verdict: Verdict, dataset: Dataset, origin: Origin) -> str:
    """The page as HTML."""
    settings = TrainSettings.model_validate(run.job.settings)
    card = _card(run, settings, verdict)
    phrase = card.trigger_phrase or "no trigger"
    parts = [
        _head(run.job.name, phrase, settings, verdict),
        _section(
            "Before and after",
            _pairs(run, verdict, dataset),
            "The same words and the same seed: the base alone, what was taught, and a real picture that it never saw.",
        ),
        _section("What was taught", _taught(dataset, verdict, origin)),
        _section("How good it is", _scores(verdict)),
        _section("Is anything copied?", _copying(run, verdict, dataset)),
        _section("What to know", _findings(verdict)),
        _section("How to use it", _use(phrase, verdict)),
        _section("For the record", _record(run, card, settings, verdict)),
    ]
    title = escape(run.job.name)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title} · Brandprint report</title><style>{STYLE}</style></head><body><main>{''.join(parts)}</main></body></html>"
    )


def _head(name: str, phrase: str, settings: TrainSettings, verdict: Verdict) -> str:
    kind = {"style": "A style", "product": "A product", "character": "A character"}[settings.subject.intent]
    tone = "warn" if any(finding.severity in ("warn", "danger") for finding in verdict.findings) else "good"
    return (
        f'<header><p class="eyebrow">{kind}, taught with Brandprint</p><h1>{escape(name)}</h1>'
        f'<p class="say">Say <code>{escape(phrase)}</code> at strength <b>{verdict.pick.strength:g}</b></p>'
        f'<p class="verdict {tone}">{escape(verdict.sentence)} <span>{verdict.confidence_words}</span></p></header>'
    )


def _section(title: str, body: str, note: str = "") -> str:
    return f"<section><h2>{title}</h2>{f'<p class=lead>{note}</p>' if note else ''}{body}</section>"


def _pairs(run: Run, verdict: Verdict, dataset: Dataset) -> str:
    rows = []
    for example in verdict.examples[:SHOWN_PAIRS]:
        real = _training_picture(dataset, example.real)
        pictures = (("Base", _file(run, example.base)), ("Taught", _file(run, example.taught)), ("Real", real))
        figures = "".join(_figure(picture, name, alt=f"{name}: {example.prompt}") for name, picture in pictures)
        rows.append(f'<div class="trio">{figures}<p class="prompt">{escape(example.prompt)} <span>seed {example.seed}</span></p></div>')
    return "".join(rows) or "<p>No pictures were drawn.</p>"


def _taught(dataset: Dataset, verdict: Verdict, origin: Origin) -> str:
    step = max(1, len(dataset.items) // SHOWN_TAUGHT)
    shown = dataset.items[::step][:SHOWN_TAUGHT]
    thumbs = "".join(_figure(_training_picture(dataset, item.key), "", alt=item.caption, side_px=THUMB_PX) for item in shown)
    facts = [
        ("Pictures", f"{len(dataset.items) - verdict.held_out} taught, {verdict.held_out} kept aside to test with"),
        ("Rights", origin.rights or "not recorded: ask whoever gave the pictures"),
        ("Source", origin.source or "not recorded"),
    ]
    return f'{_facts(facts)}<div class="thumbs">{thumbs}</div>'


def _scores(verdict: Verdict) -> str:
    """Bars with words. The bars run from 0 to 1 whatever the measure."""
    return "".join(_bar(name, share, words) for name, share, words in plain_scores(verdict))


def plain_scores(verdict: Verdict) -> list[tuple[str, float, str]]:
    """(name, share 0..1, words) of the picked checkpoint's figures."""
    score = verdict.picked
    rows = [
        (
            "Likeness",
            score.fidelity,
            f"{_percent(score.fidelity)} of the way from the base to a perfect redrawing of pictures that it never saw.",
        ),
        (
            "Follows the words",
            score.obedience,
            f"Its pictures belong to their own caption, not to another, {_percent((1 + score.obedience) / 2)} of the time; chance is 50 %.",
        ),
    ]
    if score.styled is not None:
        rows.append(("Your style", score.styled, f"{_percent(score.styled)} of the way from the base's way of drawing to yours."))
    if score.unseen is not None:
        words = "How whole things stay that none of your pictures show; full is as well as the base alone draws them."
        rows.append(("New things", 1 + score.unseen, words))
    if score.variety is not None:
        rows.append(("Variety", score.variety, f"Other seeds give other pictures: {_percent(score.variety)} of the base's variety."))
    if score.leak is not None:
        rows.append(("Keeps to its trigger", 1 - score.leak, f"Without the trigger {_percent(score.leak)} of the subject shows through."))
    if score.consistency is not None:
        rows.append(("Consistent", score.consistency, f"Its pictures are as alike as {_percent(score.consistency)} of what your own are."))
    if score.delta_e is not None:
        rows.append(
            (
                "Your colours",
                _colour_share(score),
                f"{score.delta_e:.1f} Delta E from your own colours on average; below 5 few people see it. {_swatches(verdict.palette)}",
            )
        )
    return [(name, min(1.0, max(0.0, share)), words) for name, share, words in rows]


def _colour_share(score: Score) -> float:
    return 1 - (score.delta_e or 0) / 30


def _swatches(palette: Iterable[str]) -> str:
    return "".join(f'<i class="swatch" style="background:{colour}" title="{colour}"></i>' for colour in palette)


def _bar(name: str, share: float, words: str) -> str:
    return f'<div class="score"><b>{name}</b><div class="bar" role="img" aria-label="{share:.0%}"><i style="width:{share:.0%}"></i></div><p>{words}</p></div>'


def _copying(run: Run, verdict: Verdict, dataset: Dataset) -> str:
    copies = sum(pair.is_copy for pair in verdict.nearest)
    line = (
        f"No picture comes closer to one of yours than {verdict.closest:.2f}; from {verdict.copy_limit:.2f} on it would count as a copy."
        if not copies
        else (
            f"{copies} of the {len(verdict.nearest)} nearest pictures count as copies (similarity above {verdict.copy_limit:.2f}, or nearly the same at a glance)."
        )
    )
    rows = []
    for pair in verdict.nearest[:SHOWN_NEAR]:
        figures = _figure(_file(run, pair.picture), "Drawn", alt="drawn") + _figure(
            _training_picture(dataset, pair.training), "Yours", alt=pair.training
        )
        mark = ' <span class="danger">copy</span>' if pair.is_copy else ""
        rows.append(f'<div class="duo">{figures}<p class="prompt">similarity {pair.similarity:.2f}{mark}</p></div>')
    return f'<p>{line}</p><div class="duos">{"".join(rows)}</div>'


def _findings(verdict: Verdict) -> str:
    items = "".join(
        f'<li class="{finding.severity}"><b>{escape(finding.message)}</b> {escape(finding.fix)}</li>' for finding in verdict.findings
    )
    return f'<ul class="findings">{items}</ul>'


def _use(phrase: str, verdict: Verdict) -> str:
    strength, said = f"{verdict.pick.strength:g}", escape(phrase)
    apps = (
        (
            "ComfyUI",
            f"Put the file into models/loras. Node “Load LoRA”, strength {strength} for model and clip. Say “{said}” in the prompt.",
        ),
        ("A1111 and Forge", f"Put the file into models/Lora. In the prompt: {said}, &lt;lora:NAME:{strength}&gt;"),
        ("InvokeAI", f"Model manager, add the file; choose it in the LoRA list, weight {strength}. Say “{said}”."),
        (
            "diffusers",
            f'<code>pipe.load_lora_weights("FOLDER"); pipe.set_adapters("default_0", {strength})</code>, then “{said}” in the prompt.',
        ),
    )
    cards = "".join(f"<div class=app><h3>{name}</h3><p>{words}</p></div>" for name, words in apps)
    return f'<div class="apps">{cards}</div>'


def _record(run: Run, card: Card, settings: TrainSettings, verdict: Verdict) -> str:
    digest = hashlib.sha256(run.adapter_path.read_bytes()).hexdigest() if run.adapter_path.exists() else "not written yet"
    facts = [
        ("Base", card.base or Path(settings.base).name),
        (
            "Checkpoint",
            f"{verdict.pick.step} of {settings.loop.steps} steps, {settings.loop.batch * settings.loop.accumulation} pictures each",
        ),
        ("Runner-up", f"{verdict.runner_up.step}" if verdict.runner_up else "none"),
        ("Adapter", f"{settings.adapter.kind}, rank {settings.adapter.rank}, {settings.adapter.targets}"),
        ("Measured with", ", ".join(verdict.encoders)),
        ("Made", card.made_at or run.job.made_at),
        ("File (SHA-256)", digest),
    ]
    return _facts(facts)


def _facts(rows: Sequence[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in rows) + "</dl>"


def _card(run: Run, settings: TrainSettings, verdict: Verdict) -> Card:
    subject = settings.subject
    try:
        return Card.model_validate_json((run.path / "card.json").read_bytes())
    except (OSError, ValueError):
        return Card(
            name=run.job.name,
            intent=subject.intent,
            trigger=subject.trigger,
            noun=subject.noun,
            recommended_strength=verdict.pick.strength,
            made_at=run.job.made_at,
        )


def _origin_of(dataset: Dataset) -> Origin:
    """The owner's own statements, as the card has them, else the licence of project.json; its credit in either case. Beside the pictures or one folder up."""
    record = next(filter(None, (_record_of(folder / "project.json") for folder in (dataset.root, dataset.root.parent))), {})
    return Origin(stated_line(dataset.root) or str(record.get("licence", "")), str(record.get("credit", "")))


def _record_of(path: Path) -> dict[str, object]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _training_picture(dataset: Dataset, key: str) -> Image.Image | None:
    """The picture, or None where its file is gone or damaged."""
    item = dataset.by_key.get(key)
    try:
        return open_item(item) if item else None
    except DatasetError:
        return None


def _file(run: Run, path: str) -> Image.Image | None:
    target = run.path / path
    if not target.exists():
        return None
    with Image.open(target) as file:
        return file.convert("RGB")


def _figure(picture: Image.Image | None, caption: str, *, alt: str, side_px: int = PICTURE_PX) -> str:
    if picture is None:
        return f'<figure class="gone"><div>no longer there</div><figcaption>{caption}</figcaption></figure>'
    small = picture.convert("RGB")
    small.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, format="WEBP", quality=82)
    source = base64.b64encode(buffer.getvalue()).decode()
    named = f"<figcaption>{caption}</figcaption>" if caption else ""
    return f'<figure><img src="data:image/webp;base64,{source}" width="{small.width}" height="{small.height}" alt="{escape(alt)}">{named}</figure>'


def _percent(share: float) -> str:
    return f"{max(0.0, share):.0%}"
