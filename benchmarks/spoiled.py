"""Good pictures, and one way to spoil a picture for each fault that lies in its pixels.

In: scikit-image's photos (in its package, so nothing is downloaded) or a folder of captioned pictures; a picture and a source of chance. Out: samples; a spoiled picture.
Does not write sets: planted.py does.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

PHOTOS = (
    *("astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "grass.png", "gravel.png"),
    *("hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png", "retina.jpg", "rocket.jpg"),
)
PLACES = ("upper left", "upper right", "lower left", "lower right")


@dataclass(frozen=True)
class Sample:
    """A good picture and its caption."""

    name: str
    picture: Image.Image
    caption: str


Spoil = Callable[[np.random.Generator, Image.Image], Image.Image]


def photo(name: str) -> Image.Image:
    """One of scikit-image's photos, RGB."""
    import skimage

    return Image.open(Path(skimage.__file__).parent / "data" / name).convert("RGB")


def photo_samples() -> list[Sample]:
    """Quarters and middles of photos; those of people only whole."""
    samples = [Sample("astronaut", photo("astronaut.png"), "a smiling woman in an orange suit before a flag")]
    for name in PHOTOS[1:]:
        picture, stem = photo(name), Path(name).stem.replace("_", " ")
        width, height = picture.width // 2, picture.height // 2
        for index, place in enumerate(PLACES):
            left, top = index % 2 * width, index // 2 * height
            part = picture.crop((left, top, left + width, top + height))
            if np.asarray(part.convert("L")).std() > 12:
                samples.append(Sample(f"{stem}-{index}", part, f"a photo of {stem}, {place}"))
    return samples


def folder_samples(folder: Path) -> list[Sample]:
    """The captioned pictures of a folder of sample data."""
    names = sorted(path for path in folder.iterdir() if path.suffix in (".webp", ".jpg", ".png"))
    return [Sample(path.stem, Image.open(path).convert("RGB"), path.with_suffix(".txt").read_text("utf-8").strip()) for path in names]


def save(picture: Image.Image, path: Path, *, quality: int = 92) -> None:
    """Saves as JPEG, or as PNG if the name says so."""
    picture.save(path, **({} if path.suffix == ".png" else {"quality": quality, "subsampling": 0}))


def blurred(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(rng.uniform(2.5, 5) * min(picture.size) / 384))


def too_dark(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    return picture.point(lambda value: value * rng.uniform(0.1, 0.22))


def too_bright(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    middle = float(np.median(np.asarray(picture.convert("L"))))
    gain = max(2.4, rng.uniform(1.05, 1.5) * 255 / max(middle, 1.0))
    return picture.point(lambda value: min(255, 30 + value * gain))


def low_contrast(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    return ImageEnhance.Contrast(picture).enhance(rng.uniform(0.1, 0.2))


def border(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    rim = np.asarray(picture.resize((64, 64)).convert("RGB"))[[0, -1]].reshape(-1, 3).mean(axis=0)
    colours = [colour for colour in ((0, 0, 0), (255, 255, 255), (20, 20, 30), (240, 230, 200)) if np.abs(rim - colour).max() > 60]
    x, y = [(0.0, 0.12), (0.15, 0.0), (0.08, 0.08), (0.05, 0.15)][rng.integers(4)]
    framed = Image.new(
        "RGB", (round(picture.width * (1 + 2 * x)), round(picture.height * (1 + 2 * y))), colours[rng.integers(len(colours))]
    )
    framed.paste(picture, (round(picture.width * x), round(picture.height * y)))
    return framed


def transparent(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    alpha = Image.new("L", picture.size, 0)
    inset = round(min(picture.size) * rng.uniform(0.05, 0.15))
    ImageDraw.Draw(alpha).ellipse((inset, inset, picture.width - inset, picture.height - inset), fill=255)
    picture = picture.copy()
    picture.putalpha(alpha)
    return picture


def compressed(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=int(rng.integers(4, 14)))
    return Image.open(file)


def too_small(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    scale = rng.uniform(60, 120) / min(picture.size)
    return picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS)


def extreme_shape(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    narrow = round(picture.height / rng.uniform(3.2, 4.5))
    top = int(rng.integers(0, picture.height - narrow))
    strip = picture.crop((0, top, picture.width, top + narrow))
    return strip.resize((strip.width * 3, strip.height * 3), Image.Resampling.LANCZOS)


def near_double(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    inset = [round(side * rng.uniform(0.0, 0.025)) for side in (*picture.size, *picture.size)]
    changed = picture.crop((inset[0], inset[1], picture.width - inset[2], picture.height - inset[3]))
    changed = ImageEnhance.Brightness(changed).enhance(rng.uniform(0.92, 1.08))
    scale = rng.uniform(0.8, 1.1)
    return changed.resize((round(changed.width * scale), round(changed.height * scale)), Image.Resampling.LANCZOS)


def font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


WORDS = (
    *("SAMPLE PREVIEW", "© Studio Nord 2024", "PROOF ONLY", "www.brandshop.com"),
    *("12.08.2024  17:45", "SUMMER SALE -50%", "only 19,95 EUR", "New in store"),
)
INKS = ((255, 255, 255), (10, 10, 10), (255, 140, 0), (150, 20, 20))
# how lettering is laid over: (how often, smallest and largest letters as a share of the side, least and most opaque of 255)
OVERLAYS: dict[str, tuple[float, tuple[float, float], tuple[int, int]]] = {
    "line": (0.3, (0.07, 0.12), (180, 255)),
    "slanted": (0.2, (0.07, 0.12), (180, 255)),
    "corner": (0.2, (0.045, 0.065), (180, 255)),
    "banner": (0.15, (0.07, 0.1), (255, 255)),
    "watermark": (0.15, (0.1, 0.14), (110, 170)),
}


def watermarked(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    """Words as marketers' pictures carry them: a line, slanted, small in a corner, on a banner, half transparent across the middle. The ink
    is one that can be seen on what lies beneath, or the one that is seen best."""
    kind = str(rng.choice(list(OVERLAYS), p=[often for often, _, _ in OVERLAYS.values()]))
    _, sizes, opacities = OVERLAYS[kind]
    words, size = WORDS[rng.integers(len(WORDS))], min(picture.size) * rng.uniform(*sizes)
    size *= min(1.0, 0.94 * picture.width / font(size).getbbox(words)[2])
    wide, high = (int(side) for side in font(size).getbbox(words)[2:])
    spans = {"corner": (0.03, 0.97), "slanted": (0.3, 0.7), "watermark": (0.3, 0.7)}
    low, high_end = spans.get(kind, (0.05, 0.95))
    across, down = rng.choice((low, high_end), 2) if kind == "corner" else rng.uniform(low, high_end, 2)
    left, top = int((picture.width - wide) * across), int((picture.height - high) * down)
    ground = np.asarray(picture, np.float32)[top : top + high + 1, left : left + wide + 1].reshape(-1, 3)
    layer = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    if kind == "banner":
        ground = np.array([INKS[rng.integers(len(INKS))]], np.float32)
        colour = tuple(int(value) for value in ground[0])
        ImageDraw.Draw(layer).rectangle((0, top - 0.35 * high, picture.width, top + 1.35 * high), fill=(*colour, 255))
    opacity = int(rng.integers(opacities[0], opacities[1] + 1))
    ImageDraw.Draw(layer).text((left, top), words, font=font(size), fill=(*_ink(rng, ground, opacity), opacity))
    if kind == "slanted":
        angle = float(rng.choice([-30, 25, 35]))
        layer = layer.rotate(angle, resample=Image.Resampling.BICUBIC, center=(left + wide / 2, top + high / 2))
    return Image.alpha_composite(picture.convert("RGBA"), layer).convert("RGB")


def _ink(rng: np.random.Generator, ground: np.ndarray, opacity: int) -> tuple[int, int, int]:
    """A colour that stands out from the ground [N, 3] by 60 of 255 in lightness; where none does, the one that stands out most."""

    def contrast(ink: tuple[int, int, int]) -> float:
        return float(np.abs((ground - ink) @ np.array((0.3, 0.59, 0.11))).mean()) * opacity / 255

    seen = [ink for ink in INKS if contrast(ink) >= 60] or [max(INKS, key=contrast)]
    return seen[rng.integers(len(seen))]


def screenshot(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    is_phone = rng.random() < 0.5
    width, height = (390, 844) if is_phone else (1280, 720)
    dark = rng.random() < 0.3
    page, ink = ((24, 24, 28), (225, 225, 230)) if dark else ((255, 255, 255), (30, 30, 35))
    screen = Image.new("RGB", (width, height), page)
    draw = ImageDraw.Draw(screen)
    draw.rectangle((0, 0, width, 44), fill=(52, 53, 58) if dark else (240, 241, 243))
    draw.text((14, 14), "9:41" if is_phone else "Home    Shop    About us    Contact    Sign in", font=font(15), fill=ink)
    draw.text((width - 90, 14), "LTE 87%" if is_phone else "Search", font=font(15), fill=ink)
    inner = picture.resize((width - 40, width - 40) if is_phone else (480, 480))
    screen.paste(inner, (20, 70) if is_phone else (40, 90))
    left, top = (20, width + 50) if is_phone else (560, 90)
    for line in range(int(rng.integers(7, 11))):
        words = " ".join(rng.choice(["delivery", "free", "order", "our", "new", "quality", "with", "care", "made", "price", "today"], 5))
        draw.text((left, top + 34 * line), words, font=font(18), fill=ink)
    draw.rectangle((left, height - 70, left + 150, height - 30), fill=(20, 110, 240))
    draw.text((left + 20, height - 60), "Add to cart", font=font(18), fill=(255, 255, 255))
    return screen


FACE = (179, 67, 271, 174)  # left, top, right, bottom of the face in astronaut.png


def face_cut(rng: np.random.Generator, _: Image.Image) -> Image.Image:
    """The astronaut's portrait with a quarter to a half of the face cut off at one side, framed anew each time."""
    part = cut_face(photo("astronaut.png"), FACE, side=int(rng.integers(4)), share=rng.uniform(0.25, 0.55), room=rng.uniform(0.6, 2.0))
    scale = rng.uniform(300, 500) / min(part.size)
    part = part.resize((round(part.width * scale), round(part.height * scale)), Image.Resampling.LANCZOS)
    part = ImageEnhance.Color(ImageEnhance.Brightness(part).enhance(rng.uniform(0.85, 1.15))).enhance(rng.choice([0.0, 0.6, 1.0]))
    return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else part


def cut_face(picture: Image.Image, face: tuple[float, float, float, float], *, side: int, share: float, room: float = 1.0) -> Image.Image:
    """The picture cut so that this share of a face's box (px) lies outside at one side (0 left, 1 top, 2 right, 3 bottom); a negative
    share leaves that much room. room: what stays at the other sides, in widths and heights of the face."""
    left, top, right, bottom = face
    width, height = right - left, bottom - top
    box = [left - room * width, top - room * height, right + room * width, bottom + room * height]
    box[side] = (left + share * width, top + share * height, right - share * width, bottom - share * height)[side]
    least, most = [max(round(edge), 0) for edge in box[:2]], [round(edge) for edge in box[2:]]
    return picture.crop((least[0], least[1], min(most[0], picture.width), min(most[1], picture.height)))


# kind: (how a picture is spoiled, codes that the doctor may report, ending)
PIXELS: dict[str, tuple[Spoil, tuple[str, ...], str]] = {
    "too small": (too_small, ("too_small",), ".jpg"),
    "extreme shape": (extreme_shape, ("extreme_shape",), ".jpg"),
    "near double": (near_double, ("near_double",), ".jpg"),
    "blurred": (blurred, ("blurred",), ".jpg"),
    "too dark": (too_dark, ("too_dark",), ".jpg"),
    "too bright": (too_bright, ("too_bright",), ".jpg"),
    "low contrast": (low_contrast, ("low_contrast",), ".jpg"),
    "border": (border, ("border",), ".jpg"),
    "transparent edges": (transparent, ("transparent",), ".png"),
    "heavy compression": (compressed, ("compressed",), ".jpg"),
    "compressed, saved again": (compressed, ("compressed",), ".png"),
    "lettering": (watermarked, ("lettering",), ".jpg"),
    "screenshot": (screenshot, ("screenshot",), ".png"),
    "face cut off": (face_cut, ("face_cut",), ".jpg"),
}
