"""``docs/tables.md``, generated from the declarations: ``python -m pipeline.dictionary``."""

from __future__ import annotations

from pathlib import Path

from pipeline.schemas import TABLES
from pipeline.tables import describe

DOCS = Path(__file__).resolve().parent.parent / "docs"


def tables_page() -> str:
    """The table dictionary in Markdown."""
    head = (
        "# Tables\n\nGenerated from `pipeline/schemas.py` by `make docs`. Tables under `data/` are folders of Parquet\n"
        "shards, tables under `reports/` one file each. A file's metadata (key `latentforensics`) holds the schema\n"
        "version, the fingerprint of settings, code, weights and inputs, and the settings and weight hashes.\n"
        "`P(fake)` is in [0, 1], 1 = fake, everywhere.\n\n"
    )
    return head + "\n".join(describe(t) for t in TABLES.values())


def main() -> None:
    """Write the page."""
    DOCS.mkdir(exist_ok=True)
    (DOCS / "tables.md").write_text(tables_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
