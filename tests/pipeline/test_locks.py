"""One writer at a time, over processes; a holder that is killed holds nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import locks
from pipeline.errors import UserError
from pipeline.paths import Paths

HOLD = (
    "import sys, time; from pathlib import Path; from pipeline import locks; from pipeline.paths import Paths\n"
    "with locks.alone(Paths(Path(sys.argv[1])), 'tags'):\n"
    "    print('held', flush=True); time.sleep(60)\n"
)


def test_another_process_waits_and_a_killed_one_holds_nothing(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == "held"
        with locks.alone(Paths(tmp_path), "overrides", wait_s=0.2):
            pass  # another thing
        with (
            pytest.raises(UserError, match=r"else has been writing tags for 0\.2 s"),
            locks.alone(Paths(tmp_path), "tags", wait_s=0.2),
        ):
            pass
    finally:
        other.kill()
        other.wait()
    with locks.alone(Paths(tmp_path), "tags", wait_s=5):
        pass


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "work").write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"tags\.lock cannot be written"), locks.alone(Paths(tmp_path), "tags"):
        pass
