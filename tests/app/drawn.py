"""Pictures for the tests of the page."""

from __future__ import annotations

import io
import zipfile
from itertools import count
from pathlib import Path

from PIL import Image, ImageDraw

from app.placing import Upload
from app.projects import Workspace

_counter = count()


def draw_picture(path: Path, number: int, *, side_px: int = 96) -> Path:
    """A picture unlike the others."""
    image = Image.new("RGB", (side_px, side_px), ((37 * number) % 256, (91 * number) % 256, (53 * number + 80) % 256))
    ImageDraw.Draw(image).ellipse((10 + number % 20, 14, 60, 70 + number % 15), fill=((200 - 11 * number) % 256, 180, (17 * number) % 256))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def upload(workspace: Workspace, name: str, number: int = 50, *, content: bytes | None = None) -> Upload:
    """A file as it lies in the upload folder; number: which picture it shows, where no content is given."""
    path = workspace.uploads / f"{next(_counter)}" / Path(name.replace("\\", "/")).name[-40:]
    if content is None:
        draw_picture(path.with_suffix(".png"), number)
        path.with_suffix(".png").rename(path)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return Upload(path, name)


def upload_zip(workspace: Workspace, name: str, entries: dict[str, int | str]) -> Upload:
    """A zip in the upload folder. entries: a number stands for a drawn picture, a text for a file that says it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for entry, content in entries.items():
            scratch = workspace.uploads / "scratch.png"
            archive.writestr(entry, content if isinstance(content, str) else draw_picture(scratch, content).read_bytes())
            scratch.unlink(missing_ok=True)
    return upload(workspace, name, content=file.getvalue())
