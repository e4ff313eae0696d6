"""Silence for third-party libraries while they load: no progress bars, no tables, no advice that is not ours.

In: nothing. Out: a context manager. Errors still raise; the levels that were set before come back.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Within, diffusers and transformers report errors only and draw no bars."""
    from diffusers.utils import logging as diffusers_log
    from transformers.utils import logging as transformers_log

    before = [(log, log.get_verbosity(), log.is_progress_bar_enabled()) for log in (diffusers_log, transformers_log)]
    try:
        for log, _, _ in before:
            log.set_verbosity_error()
            log.disable_progress_bar()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        for log, level, had_bar in before:
            log.set_verbosity(level)
            if had_bar:
                log.enable_progress_bar()
