"""Can the packaged starter be taught a style? Train a LoRA on the sample style and see whether unseen concepts follow it.

In: `sample_data/style`, the package, the state folder's drawings. Out: `LessonFigures` (JSON beside the logs) and a sheet, base above adapter.
The adapter leaves through the ordinary export and is drawn by plain StableDiffusionPipeline, as a user of the file would.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from diffusers import AutoencoderTiny
from PIL import Image

from training.captions import with_trigger
from training.starter.data import load_concepts
from training.starter.evaluate import contact_sheet, draw, load_pipeline
from training.starter.judge import gallery_features, retrieval_ranks
from training.starter.package import STARTER_FOLDER
from training.starter.style_judge import ALL_STYLES, fit_style_judge, layer_statistics, style_gallery
from training.starter.wording import choose_concepts, name_of, with_article

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"


@dataclass(frozen=True)
class LessonFigures:
    """Shares in 0..1 over `concepts` unseen concepts; called_* is the share that the style judge calls the taught style,
    nearest_* the share that is nearest to its concept's drawing in that style, of the four."""

    concepts: int
    train_seconds: float
    steps: int
    called_without: float
    called_with: float
    nearest_without: float
    nearest_with: float
    top5_without: float
    top5_with: float


def read_about() -> dict[str, str]:
    """What the sample style is called."""
    return json.loads((SAMPLES / "style" / "project.json").read_text(encoding="utf-8"))


def teach_style(folder: Path, *, dial: str = "balanced") -> tuple[Path, float, int]:
    """A run on the sample style by the plan, exported: (kohya file, seconds of training, steps)."""
    from pipelines.adapter import load_adapter
    from pipelines.export import export_bundle
    from pipelines.families.base import load_base
    from training.base_facts import read_base_facts
    from training.dataset import load_dataset
    from training.device import find_device
    from training.execute import execute
    from training.plan import make_plan
    from training.runs import Job, create_run

    about = read_about()
    settings = make_plan(
        intent="style", trigger=about["trigger"], noun=about["noun"], pictures=load_dataset(SAMPLES / "style").items,
        base_facts=read_base_facts("starter"), device=find_device(), dial=dial,  # type: ignore[arg-type]
        overrides={("loop", "preview_prompts"): ()},
    ).settings  # fmt: skip
    run = create_run(
        folder / "run", Job(kind="train", name="lesson", dataset=str(SAMPLES / "style"), settings=settings.model_dump(mode="json"))
    )
    started = time.monotonic()
    execute(run)
    spent = time.monotonic() - started
    bundle = export_bundle(load_base("starter"), load_adapter(run.adapter_path), folder / "export", formats=("kohya",))
    return bundle.file("kohya").path, spent, settings.loop.steps


def measure_lesson(
    state_folder: Path, *, package: Path = STARTER_FOLDER, sheet: Path | None = None, dial: str = "balanced"
) -> LessonFigures:
    """Teach, then draw every held-out concept that the base knows, without and with the adapter, same prompts and seeds."""
    concepts, about = load_concepts(state_folder), read_about()
    held_out = set((SAMPLES / "style_heldout.txt").read_text(encoding="utf-8").splitlines())
    rows = [int(row) for row in choose_concepts(concepts) if {concepts[row].label, name_of(concepts[row])} & held_out]
    with tempfile.TemporaryDirectory() as folder:
        lora, spent, steps = teach_style(Path(folder), dial=dial)
        pipeline = load_pipeline(package)
        things = [f"{with_article(name_of(concepts[row]))} on a white background" for row in rows]
        plain = draw(pipeline, things, seed=5)
        pipeline.load_lora_weights(lora.parent, weight_name=lora.name)
        taught = draw(pipeline, [with_trigger(thing, about["trigger"], about["noun"], "style") for thing in things], seed=5)
    if sheet is not None:
        contact_sheet([line for start in range(0, 72, 18) for line in (plain[start : start + 18], taught[start : start + 18])], sheet)
    return _figures(state_folder, pipeline.vae, rows, plain, taught, spent=spent, steps=steps)


def _figures(
    state_folder: Path,
    autoencoder: AutoencoderTiny,
    rows: list[int],
    plain: list[Image.Image],
    taught: list[Image.Image],
    *,
    spent: float,
    steps: int,
) -> LessonFigures:
    from pipelines.encoders import picture_features

    gallery = gallery_features(state_folder)
    drawn_styles, wanted = style_gallery(state_folder, autoencoder), ALL_STYLES.index("twemoji")
    judge, own = fit_style_judge(drawn_styles), drawn_styles[rows][:, :, 1]
    before, after = picture_features(plain), picture_features(taught)
    style_before, style_after = layer_statistics(plain), layer_statistics(taught)
    figures = LessonFigures(
        concepts=len(rows),
        train_seconds=spent,
        steps=steps,
        called_without=float((judge(style_before) == wanted).mean()),
        called_with=float((judge(style_after) == wanted).mean()),
        nearest_without=float((judge.nearest(style_before, own) == wanted).mean()),
        nearest_with=float((judge.nearest(style_after, own) == wanted).mean()),
        top5_without=float((retrieval_ranks(before, gallery, rows, styles=len(ALL_STYLES)) < 5).mean()),
        top5_with=float((retrieval_ranks(after, gallery, rows, styles=len(ALL_STYLES)) < 5).mean()),
    )
    (state_folder / "logs" / "lesson.json").write_text(json.dumps(asdict(figures), indent=2))
    return figures
