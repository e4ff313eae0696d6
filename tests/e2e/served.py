"""The studio in a process of its own, as a user's browser meets it: start, stop, kill, and what stands in its folders.

In: a workspace, a folder of samples. Out: an address. Shared by the browser tests and benchmarks/studio.py. Knows nothing of pages.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent.parent
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",  # containers give it 64 MB
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_SECONDS = float(os.environ.get("BRANDPRINT_E2E_PATIENCE", "300"))  # for jobs; a busy machine takes its time
SERVE = "import sys; from pathlib import Path; from app.ui import serve; serve(Path(sys.argv[1]), port=int(sys.argv[2]), samples=Path(sys.argv[3]), devices=('cpu',))"


@dataclass
class Studio:
    """One server. log: what it and its workers said."""

    workspace: Path
    samples: Path
    log: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Serve, and wait until it answers; the port stays the same from the first start on."""
        self.port = self.port or free_port()
        with open(self.log, "ab") as log:
            arguments = [sys.executable, "-c", SERVE, str(self.workspace), str(self.port), str(self.samples)]
            self.process = subprocess.Popen(arguments, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
        wait_until(self.answers, "the server answers")

    def answers(self) -> bool:
        """True once the page can be fetched."""
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text("utf-8", "replace")[-2000:]
        try:
            with urllib.request.urlopen(self.url, timeout=5) as response:
                return response.status == 200
        except OSError:
            return False

    def stop(self) -> None:
        """Kill it, as a power cut would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def worker(self) -> int:
        """The detached worker's process id."""
        beat = self.workspace / ".jobs" / "workers" / "cpu.beat"
        wait_until(lambda: beat.exists() and beat.read_text() != "", "the worker tells its number")  # it is written anew every second
        return int(beat.read_text() or self.worker())

    def runs(self, project: str) -> list[dict[str, Any]]:
        """job.json of every run, oldest first, with its folder as `path`."""
        return [
            json.loads(path.read_bytes()) | {"path": path.parent} for path in sorted((self.workspace / project / "runs").glob("*/job.json"))
        ]

    def end_workers(self) -> None:
        """End whatever this server left at work, told by its workspace in their arguments: worker, training, doctor."""
        for process in psutil.process_iter(["cmdline"]):
            if any(str(self.workspace) in argument for argument in process.info["cmdline"] or ()):
                with contextlib.suppress(psutil.Error):  # it has ended already
                    process.terminate()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(is_so: Callable[[], bool], what: str, *, seconds: float = PATIENCE_SECONDS) -> None:
    """Fails, saying what did not come, after a while."""
    limit = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < limit, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.1)
