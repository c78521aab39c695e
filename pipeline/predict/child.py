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

from pipeline import params
from pipeline.errors import UserError
from pipeline.paths import Paths


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
    while os.read(0, 4096):  # not sys.stdin, whose lock the interpreter would miss when it ends
        pass
    os._exit(1)  # nothing to tidy: who asked owns the folder, or the next one to start sweeps it


def judge(paths: Paths, clip: Path, out: Path, model: str | None) -> int:
    """Judge the clip; 0 done, 1 the user can mend it."""
    log = logging.getLogger("latentforensics")
    log.setLevel(logging.DEBUG)
    parts = _Parts()
    log.addHandler(parts)
    say(part="start")
    try:
        settings = params.load(paths.params)
        from pipeline.predict import chain  # torch comes with it: what is wrong with the settings is said before

        chain.predict(settings, paths, [clip], out, model=model)
    except UserError as error:
        say(error=str(error))
        return 1
    finally:
        log.removeHandler(parts)
    return 0


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.getLogger("latentforensics").propagate = False
    sys.exit(judge(Paths(), Path(sys.argv[1]), Path(sys.argv[2]), (*sys.argv[3:], None)[0]))
