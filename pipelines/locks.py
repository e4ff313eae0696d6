"""One process at a time: a file that is held for as long as a block lasts.

In: the lock's path. Out: whether it was free. The system lets go when the process ends, however it ends, so a killed one leaves nothing to clear up.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def hold(path: Path) -> Iterator[bool]:
    """True for the one that holds it now, False where another does. Raises FileNotFoundError where the folder is missing."""
    if not path.parent.is_dir():  # the library would make it: a project that was deleted would come back
        raise FileNotFoundError(path.parent)
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
