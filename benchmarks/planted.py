"""Makes a set with known faults: good pictures, and for each kind of fault some good pictures spoiled in that way.

In: good pictures with captions, a folder, a seed. Out: files in the folder, and which fault was planted in which. Does not judge: doctor.py compares with what the
doctor finds.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.spoiled import PIXELS, Sample, save

LONG = (
    "with a very long description of the light that falls from the left and of the table that it stands on and of the wall behind it, " * 4
)
FOREIGN = (
    "eine Flasche auf einem Tisch aus Holz, von oben gesehen, mit warmem Licht",
    "vue de dessus, sur une table en bois, avec une lumière chaude et des feuilles",
    "visto desde arriba, sobre una mesa de madera, con una luz muy cálida",
    "木のテーブルの上、上から見た、暖かい光",
    "вид сверху, на деревянном столе, тёплый свет",
)


@dataclass(frozen=True)
class Planted:
    """A file with a fault. codes: the doctor is right if it reports one of these. twin: of a double, the other one: either may be reported.
    source: the good picture that it was made from, and of which it may rightly be called a near double."""

    name: str
    kind: str
    codes: tuple[str, ...]
    twin: str = ""
    source: str = ""


def plant_pixels(folder: Path, samples: Sequence[Sample], kinds: Sequence[str], *, each: int, rng: np.random.Generator) -> list[Planted]:
    """Writes `each` spoiled pictures of each kind with captions of good ones."""
    planted = []
    for kind in kinds:
        spoil, codes, ending = PIXELS[kind]
        for number, index in enumerate(rng.choice(len(samples), each, replace=False)):
            path = folder / f"{kind.replace(' ', '_').replace(',', '')}-{number}{ending}"
            options = {"quality": 8} if kind == "heavy compression" else {}
            picture = samples[index].picture if kind == "heavy compression" else spoil(rng, samples[index].picture)
            save(picture, path, **options)
            path.with_suffix(".txt").write_text(samples[index].caption + ", variant", "utf-8")
            twin = f"good-{index:03}.jpg" if kind == "near double" else ""
            planted.append(Planted(path.name, kind, codes, twin, f"good-{index:03}.jpg"))
    return planted


def plant_files(folder: Path, samples: Sequence[Sample], *, each: int, rng: np.random.Generator) -> list[Planted]:
    """Broken files and exact doubles."""
    planted = []
    for number, index in enumerate(rng.choice(len(samples), each, replace=False)):
        whole = io.BytesIO()
        samples[index].picture.save(whole, "JPEG", quality=92)
        content = whole.getvalue()
        for kind, broken in (("truncated", content[: len(content) * 6 // 10]), ("empty", b""), ("text named jpg", b"just words " * 30)):
            path = folder / f"{kind.replace(' ', '_')}-{number}.jpg"
            path.write_bytes(broken)
            planted.append(Planted(path.name, kind, ("unreadable",)))
        path = folder / f"exact_double-{number}.jpg"
        path.write_bytes((folder / f"good-{index:03}.jpg").read_bytes())
        path.with_suffix(".txt").write_text(samples[index].caption, "utf-8")
        planted.append(Planted(path.name, "exact double", ("exact_double",), f"good-{index:03}.jpg", f"good-{index:03}.jpg"))
    return planted


def plant_captions(folder: Path, good: Sequence[str], *, trigger: str, noun: str, each: int, rng: np.random.Generator) -> list[Planted]:
    """Spoils the captions of some good pictures; returns which."""
    chosen = [good[index] for index in rng.choice(len(good), each * 5, replace=False)]
    planted = []
    for number, name in enumerate(chosen):
        path = (folder / name).with_suffix(".txt")
        text = path.read_text("utf-8")
        kind, caption, codes = (
            ("caption missing", "", ("caption_missing",)),
            ("caption too long", f"{text}, {LONG}", ("caption_too_long",)),
            ("caption in another language", FOREIGN[number % len(FOREIGN)], ("caption_language",)),
            ("caption names the subject", f"a {noun}, {text}" if noun else f"{text}, in flat vector style", ("caption_names_subject",)),
            ("trigger fused", f"{trigger}{text}", ("trigger_fused",)),
        )[number % 5]
        path.write_text(caption, "utf-8")
        planted.append(Planted(name, kind, codes))
    return planted


def plant_several(folder: Path, samples: Sequence[Sample], *, each: int, rng: np.random.Generator) -> list[Planted]:
    """Two or three of the subject beside each other: the same picture again, some mirrored, or others of it on a ground of nearly its colour."""
    planted = []
    rims = np.array([_rim(sample.picture) for sample in samples])
    for number, index in enumerate(rng.choice(len(samples), each, replace=False)):
        count = int(rng.integers(2, 4))
        alike = np.argsort(np.abs(rims - rims[index]).sum(axis=1))[:6]  # itself first
        others = [samples[place].picture for place in (index, *rng.choice(alike[1:], count - 1, replace=False))]
        parts = others if rng.random() < 0.5 else [samples[index].picture] * count
        height = parts[0].height
        wide = [part.resize((round(part.width * height / part.height), height)) for part in parts]
        row = Image.new("RGB", (sum(part.width for part in wide), height))
        for place, part in enumerate(wide):
            mirrored = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else part
            row.paste(mirrored, (sum(other.width for other in wide[:place]), 0))
        path = folder / f"several_subjects-{number}.jpg"
        save(row, path)
        path.with_suffix(".txt").write_text(samples[index].caption + ", several", "utf-8")
        planted.append(Planted(path.name, "several subjects", ("several_subjects",), source=f"good-{index:03}.jpg"))
    return planted


def _rim(picture: Image.Image) -> np.ndarray:
    """[3] mean colour of a picture's rim."""
    small = np.asarray(picture.resize((16, 16), Image.Resampling.BOX), np.float32)
    return np.concatenate([small[0], small[-1], small[1:-1, 0], small[1:-1, -1]]).mean(axis=0)


def plant_unlike(folder: Path, others: Sequence[Sample], *, each: int, rng: np.random.Generator) -> list[Planted]:
    """Pictures of something else."""
    planted = []
    for number, index in enumerate(rng.choice(len(others), each, replace=False)):
        path = folder / f"unlike-{number}.jpg"
        save(others[index].picture.resize((384, 384)), path)
        path.with_suffix(".txt").write_text(others[index].caption, "utf-8")
        planted.append(Planted(path.name, "unlike the rest", ("unlike_rest",)))
    return planted


def plant_identical(folder: Path, good: Sequence[str], *, each: int, rng: np.random.Generator) -> list[Planted]:
    """The same caption for several pictures."""
    chosen = [good[index] for index in rng.choice(len(good), each, replace=False)]
    for name in chosen:
        (folder / name).with_suffix(".txt").write_text("a picture on a plain ground", "utf-8")
    return [Planted(name, "caption identical", ("caption_identical",)) for name in chosen]


def write_good(folder: Path, samples: Sequence[Sample], *, stem: str = "good") -> list[str]:
    """Writes good pictures as JPEG with sidecars; returns their names."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for number, sample in enumerate(samples):
        path = folder / f"{stem}-{number:03}.jpg"
        save(sample.picture, path)
        path.with_suffix(".txt").write_text(sample.caption, "utf-8")
        names.append(path.name)
    return names
