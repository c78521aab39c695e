"""``docs/tables.md`` and ``docs/predict-json.md``, from the declarations: ``python -m pipeline.dictionary``."""

from __future__ import annotations

from pathlib import Path

from pipeline.predict import result
from pipeline.schemas import TABLES
from pipeline.tables import describe

DOCS = Path(__file__).resolve().parent.parent / "docs"


def tables_page() -> str:
    """The table dictionary in Markdown."""
    head = (
        "# Tables\n\nGenerated from `pipeline/schemas.py` by `make docs`. Tables under `data/` are folders of Parquet\n"
        "shards, tables under `reports/` and `tags/` one file each. A file's metadata (`latentforensics`) holds the\n"
        "schema version, and, where a stage made it, the fingerprint of settings, code, weights and inputs, and the\n"
        "settings and weight hashes.\n"
        "`P(fake)` is in [0, 1], 1 = fake, everywhere.\n\n"
    )
    return head + "\n".join(describe(t) for t in TABLES.values())


def predict_page() -> str:
    """The fields of what ``lf predict`` writes, in Markdown."""
    head = (
        "# result.json and summary.json\n\nGenerated from `pipeline/predict/result.py` by `make docs`; how to read "
        "them is in\n[predict.md](predict.md). Sizes are in pixels of the upright frame, times in seconds; `P(fake)` "
        "is in [0, 1],\n1 = fake. What is unknown is `null`.\n\n"
    )
    return head + result.describe()


def main() -> None:
    """Write both pages."""
    DOCS.mkdir(exist_ok=True)
    (DOCS / "predict-json.md").write_text(predict_page(), encoding="utf-8")
    (DOCS / "tables.md").write_text(tables_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
