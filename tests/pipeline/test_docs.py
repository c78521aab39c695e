"""What is generated is up to date, and what the README promises exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.dictionary import DOCS, predict_page, tables_page
from pipeline.params import Params
from tests.conftest import REPOSITORY


def test_the_table_dictionary_is_the_one_the_code_would_write() -> None:
    assert (DOCS / "tables.md").read_text(encoding="utf-8") == tables_page(), "run `make docs`"


def test_the_fields_of_predictions_are_the_ones_the_code_would_write() -> None:
    assert (DOCS / "predict-json.md").read_text(encoding="utf-8") == predict_page(), "run `make docs`"


def test_every_section_of_the_settings_is_explained() -> None:
    text = (DOCS / "params.md").read_text(encoding="utf-8")
    sections = Params.model_fields
    missing = []
    for name, field in sections.items():
        keys = getattr(field.annotation, "model_fields", {})
        missing += [name] if f"`{name}`" not in text else []
        missing += [f"{name}.{k}" for k in keys if f"`{name}.{k}`" not in text]
    assert not missing


def anchors(page: Path) -> set[str]:
    """What a link into a page may name: its headings as GitHub turns them into anchors."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.M)
    plain = (re.sub(r"[^\w\- ]", "", head.lower()) for head in heads)
    return {head.replace(" ", "-") for head in plain}


@pytest.mark.parametrize("page", [REPOSITORY / "README.md", *sorted(DOCS.glob("*.md"))], ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            dead.append(link)
    assert not dead
