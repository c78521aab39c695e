"""One clip judged in a process of its own, for the dashboard: ``python -m pipeline.predict.child CLIP OUT [MODEL]``.

Tells on standard output what it does, a JSON object a line: ``{"part": ...}`` as work goes on, ``{"error": ...}`` with
a sentence where the user has to mend something. It writes no log, which would keep a clip's name, and ends as soon as
its standard input is closed, so that it does not outlive who asked.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from pathlib import Path

from pipeline.errors import UserError


def say(**what: str) -> None:
    """A line for who asked."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


class _Parts(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        part = getattr(record, "part", None)
        if part is not None:
            say(part=str(part))


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)  # nothing to tidy: who asked owns the folder, or the next one to start sweeps it


def main(arguments: list[str]) -> int:
    """Judge the clip; 0 done, 1 the user can mend it."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    log = logging.getLogger("latentforensics")
    log.setLevel(logging.DEBUG)
    log.addHandler(_Parts())
    log.propagate = False
    say(part="start")
    clip, out, *rest = arguments
    try:
        from pipeline import params
        from pipeline.paths import Paths
        from pipeline.predict import chain

        paths = Paths()
        chain.predict(params.load(paths.params), paths, [Path(clip)], Path(out), model=rest[0] if rest else None)
    except UserError as error:
        say(error=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
