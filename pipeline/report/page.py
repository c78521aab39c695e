"""One HTML file that needs nothing else: sections of blocks in the template that all reports share."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources

from jinja2 import Environment, StrictUndefined

from pipeline.report.blocks import Section


def page(
    *,
    title: str,
    lead: str,
    sections: Sequence[Section],
    tiles: Sequence[dict[str, str]],
    warnings: Sequence[str],
    footer: str,
) -> str:
    """A complete page with inline styles and images; all text is escaped.

    Parameters
    ----------
    tiles : each with ``value`` and ``name``, shown large at the top.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = resources.files(__package__).joinpath("template.html").read_text(encoding="utf-8")
    template = environment.from_string(text)
    return (
        template.render(title=title, lead=lead, sections=sections, tiles=tiles, warnings=warnings, footer=footer) + "\n"
    )
