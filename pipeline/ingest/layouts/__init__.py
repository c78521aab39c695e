"""One small function per data-set layout: a root folder in, catalogue records out."""

from __future__ import annotations

from pipeline.ingest.layouts.listed import crops, dfdc, folder, sample
from pipeline.ingest.layouts.official import celebdf, ffpp

__all__ = ["celebdf", "crops", "dfdc", "ffpp", "folder", "sample"]
