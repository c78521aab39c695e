"""What is generated is up to date, and what the README promises exists."""

from __future__ import annotations

import re

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


def test_links_of_the_readme_lead_somewhere() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert links
    assert not [link for link in links if not (REPOSITORY / link).exists()]
