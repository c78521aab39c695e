"""Where every artefact lies, relative to the project folder. Nothing here touches the disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.schemas import TABLES


@dataclass(frozen=True)
class Paths:
    """Paths of one project folder (the folder that holds ``params.yaml``)."""

    root: Path = Path()

    def table(self, name: str) -> Path:
        """A folder of shards under ``data/``, or a file under ``reports/`` or ``tags/``; KeyError if unknown."""
        table = TABLES[name]
        return self.root / "data" / name if table.folder == "data" else self.root / table.folder / f"{name}.parquet"

    def model(self, space: str, model: str) -> Path:
        """Folder of one trained classifier."""
        return self.models / f"{space}-{model}"

    def work(self, stage: str, fingerprint: str) -> Path:
        """Folder of a stage's unfinished work."""
        return self.root / "work" / stage / fingerprint

    @property
    def projectors(self) -> Path:
        """Folder of what was fitted to make codes."""
        return self.root / "data" / "projectors"

    @property
    def maps(self) -> Path:
        """Folder of the maps that new faces can be placed on."""
        return self.root / "data" / "maps"

    @property
    def params(self) -> Path:
        """Settings file."""
        return self.root / "params.yaml"

    @property
    def models(self) -> Path:
        """Folder of all trained classifiers."""
        return self.root / "models"

    @property
    def reports(self) -> Path:
        """Folder of results."""
        return self.root / "reports"

    @property
    def report_html(self) -> Path:
        """The self-contained report."""
        return self.reports / "report.html"

    @property
    def figures(self) -> Path:
        """Folder of figures."""
        return self.reports / "figures"

    @property
    def plots(self) -> Path:
        """Folder of the data behind ``dvc plots``."""
        return self.reports / "plots"

    @property
    def metrics_json(self) -> Path:
        """Headline metrics for ``dvc metrics show``."""
        return self.reports / "metrics.json"

    @property
    def cases(self) -> Path:
        """Folder of judged clips that the dashboard shows: `lf predict CLIP --out cases`."""
        return self.root / "cases"

    @property
    def uploads(self) -> Path:
        """Folder of clips that are being judged for the dashboard, each in a private folder that goes afterwards."""
        return self.root / "work" / "uploads"

    @property
    def logs(self) -> Path:
        """Folder of log files."""
        return self.root / "work" / "logs"
