"""The one tree of errors that Brandprint raises on purpose.

Each says what happened, with the value, and what to do next. Front ends print `message` and `fix`; anything else is a bug of ours.
"""

from __future__ import annotations


class BrandprintError(Exception):
    """Something a user can act on. `message`: what happened, with the value. `fix`: what to do next."""

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(f"{message} {fix}".strip())
        self.message = message
        self.fix = fix

    def __reduce__(self):
        return _rebuild, (type(self), self.message, self.fix)


def _rebuild(kind: type[BrandprintError], message: str, fix: str) -> BrandprintError:
    return kind(message, fix=fix)


class DatasetError(BrandprintError):
    """The pictures, captions or the archive they came in."""


class ConfigError(BrandprintError):
    """A setting, or two settings that contradict each other."""


class BaseModelError(BrandprintError):
    """The frozen model: missing, half-downloaded, of another family."""


class AdapterError(BrandprintError):
    """A LoRA file or live adapter that cannot be read, attached or trusted."""


class ExportError(BrandprintError):
    """A file that was written but is not what it should be."""


class RunError(BrandprintError):
    """A run folder that cannot be started, read or resumed."""


class TrainingDiverged(BrandprintError):
    """Loss or weights became NaN or infinite."""


class OutOfMemory(BrandprintError):
    """The device's memory does not suffice, even after halving."""
