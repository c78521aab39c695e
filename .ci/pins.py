"""Write the versions of a fresh resolution into pyproject.toml as constraints: ``make pins``.

The lock file itself holds registry addresses and stays out of git.
"""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"# Tested versions.*?\n\]\n", flags=re.DOTALL)
HEAD = (
    "# Tested versions of everything, direct and indirect; `make pins` writes them anew.\nconstraint-dependencies = [\n"
)


def main() -> None:
    """Resolve without constraints, then record what was chosen."""
    file = ROOT / "pyproject.toml"
    free = BLOCK.sub("", file.read_text())
    file.write_text(free)
    subprocess.run(["uv", "lock", "--upgrade"], cwd=ROOT, check=True)
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    pins = []
    for package in lock["package"]:
        if "registry" not in package.get("source", {}):
            continue
        # uv forks its resolution where a package's newest version wants a newer Python.
        bounds = sorted(
            {
                m
                for mark in package.get("resolution-markers", [])
                for m in re.findall(r"python_full_version [<>=]+ '[\d.]+'", mark)
            }
        )
        marker = f" ; {' or '.join(bounds)}" if bounds else ""
        pins.append(f'    "{package["name"]}=={package["version"]}{marker}",\n')
    file.write_text(free.replace("[tool.uv]\n", "[tool.uv]\n" + HEAD + "".join(pins) + "]\n", 1))


if __name__ == "__main__":
    main()
