"""One process at a time: a file that is held for as long as a block lasts.

In: the lock's path. Out: whether it was free. The system lets go when the process ends, however it ends, so a killed one leaves nothing to clear up.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def hold(path: Path) -> Iterator[bool]:
    """True for the one that holds it now, False where another does. Raises OSError where the folder is missing."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
