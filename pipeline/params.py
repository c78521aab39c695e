"""``params.yaml`` as frozen, validated settings. An unknown key or a value out of range is an error that names it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pipeline import spaces as space_names
from pipeline.errors import UserError

Source = Literal["sample", "folder", "dfdc", "ffpp", "celebdf", "crops"]
Profile = Literal["quick", "paper"]
Space = Literal["wplus", "pca", "vqvae", "efficientnet", "frequency"]
Model = Literal["rf", "logistic", "mlp2", "mlp5", "svm_linear", "svm_rbf", "gboost", "stack"]
Precision = Literal["auto", "bf16", "fp32"]
Generator = Literal["mobile", "stylegan2-ffhq-256", "stylegan2-ffhq-512", "stylegan2-ffhq-1024"]
Encoder = Literal["auto", "none", "own", "e4e"]
# An encoder gives codes for the one generator it was trained with.
ENCODER_OF: dict[str, Encoder] = {"mobile": "own", "stylegan2-ffhq-1024": "e4e"}
Metric = Literal["stlpips-alex", "stlpips-vgg", "lpips-alex", "lpips-vgg", "lpips-squeeze"]
Perceptual = Literal["auto"] | Metric


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="after")
    def _nothing_twice(self) -> Self:
        for name in ("spaces", "models", "methods", "dims"):
            values = getattr(self, name, None) or ()
            if len(set(values)) < len(values):
                raise ValueError(f"{name} names something twice: {list(values)}")
        return self


class Workers(_Section):
    """How many processes work on videos and shards. Never changes a result."""

    n_workers: int = Field(ge=1, le=1024)
    scheduler: str | None = Field(pattern=r"^[a-z]+://\S+$")


class Weights(_Section):
    """Which networks may be used."""

    allow_noncommercial: bool


class Data(_Section):
    """Where the material lies and how its folder is laid out."""

    source: Source
    root: Path

    @field_validator("root")
    @classmethod
    def _written_out(cls, root: Path) -> Path:
        # DVC tracks the folder under the name that stands here and takes '~' for a name like any other.
        if str(root).startswith("~"):
            raise ValueError("write the home folder out, '~' is not understood here")
        return root


class Sampling(_Section):
    """Which frames of a video are looked at."""

    mode: Literal["every_k", "uniform", "random", "per_class"]
    every_k: int = Field(ge=1)
    n: int = Field(ge=1)
    n_real: int = Field(ge=1)
    n_fake: int = Field(ge=1)


class Faces(_Section):
    """Detection, tracking and cropping of faces."""

    detector: Literal["mtcnn"]
    short_side_px: int = Field(ge=64, le=4096)
    min_score: float = Field(ge=0, le=1)
    min_face_px: int = Field(ge=1)
    keep: Literal["largest", "all"]
    crop: Literal["ffhq", "margin", "whole"]
    margin: float = Field(ge=0, le=2)
    size_px: int = Field(ge=32, le=1024)


class Split(_Section):
    """What is kept on one side, what happens to leaks, shares of train, val and test, and the number of folds."""

    by: Literal["group", "identity", "person", "method", "dataset", "compression"]
    leaks: Literal["stop", "join", "warn"]
    alike_above: float = Field(gt=0, le=1)
    person_distance: float = Field(gt=0, lt=2)
    fractions: tuple[float, float, float]
    n_folds: int = Field(ge=2, le=50)

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        train, val, test = self.fractions
        if train <= 0 or val < 0 or test < 0 or abs(train + val + test - 1) > 1e-6:
            raise ValueError(f"fractions must be non-negative, train above 0, and sum to 1, not {list(self.fractions)}")
        return self


class InvertEffort(_Section):
    """How long the search works on a face."""

    effort: Literal["encoder", "fast", "paper", "max"]
    steps: int | None = Field(ge=0, le=10_000)


class Invert(_Section):
    """Image to W+ code."""

    generator: Generator
    encoder: Encoder
    perceptual: Perceptual
    # One threshold per metric, for each has its own scale: a number cannot be taken for another metric's.
    poor_above: dict[Metric, Annotated[float, Field(gt=0, allow_inf_nan=False)]]
    precision: Precision
    batch_size: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"]
    latent: Literal["w+", "w"]
    mse_weight: float = Field(ge=0, le=1000)
    prior_weight: float = Field(ge=0, le=1000)
    in_domain_weight: float = Field(ge=0, le=1000)
    code_noise: float = Field(ge=0, le=10)
    quick: InvertEffort
    paper: InvertEffort

    @model_validator(mode="after")
    def _encoder_fits(self) -> Self:
        fitting = ENCODER_OF.get(self.generator)
        if self.encoder not in ("auto", "none", fitting):
            known = ", ".join(["auto", "none", *([fitting] if fitting else [])])
            raise ValueError(f"encoder: '{self.encoder}' does not fit generator '{self.generator}', expected {known}")
        if self.in_domain_weight > 0 and self.encoder == "none":
            raise ValueError(
                "in_domain_weight above 0 needs an encoder to read codes off images, and encoder is 'none'"
            )
        return self


class Embed(_Section):
    """Image to EfficientNet embedding."""

    network: str
    weights_file: Path | None
    features: Literal["stages", "blocks", "texture", "pooled", "logits"]
    input_px: int | None = Field(ge=32, le=1024)
    precision: Precision
    engine: Literal["auto", "torch", "onnx"]
    batch_size: int = Field(ge=1, le=4096)


class Pca(_Section):
    """Principal components of whole faces."""

    n_components: int = Field(ge=1, le=4096)


class VqVae(_Section):
    """VQ-VAE-2 codes."""

    weights_file: Path | None
    features: Literal["embedded", "onehot", "histogram", "indices"] = Field(alias="as")


class Sbi(_Section):
    """Self-blended images."""

    n_per_real_face: int = Field(ge=0, le=100)


class Codes(_Section):
    """Image to PCA and VQ-VAE-2 code."""

    batch_size: int = Field(ge=1, le=4096)
    pca: Pca
    vqvae: VqVae


class Train(_Section):
    """Classifiers and how they are validated."""

    protocol: Literal["cv", "holdout"]
    models: tuple[Model, ...] = Field(min_length=1)
    spaces: tuple[str, ...] | None = Field(min_length=1)
    balance: Literal["auto", "weights", "frames", "none"]
    aggregate: Literal["mean", "median", "topk", "noisy_or"]
    uncertain_band: tuple[float, float]
    warm_start: str | None
    calibration: Literal["none", "platt", "isotonic"]

    @field_validator("spaces")
    @classmethod
    def _known(cls, spaces: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for space in spaces or ():
            space_names.parse(space)
        return spaces

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high = self.uncertain_band
        if not 0 <= low <= high <= 1:
            raise ValueError(f"uncertain_band must be two probabilities in order, not {list(self.uncertain_band)}")
        if not low <= 0.5 <= high:  # metrics call fake what is 0.5 and above; verdicts must not contradict them
            raise ValueError(f"uncertain_band must hold 0.5, not {list(self.uncertain_band)}")
        return self


class Evaluate(_Section):
    """Metrics."""

    n_boot: int = Field(ge=100, le=100_000)
    prior_fake: float | None = Field(gt=0, lt=1)
    cost_false_alarm: float = Field(gt=0, le=1e6)
    cost_miss: float = Field(gt=0, le=1e6)
    n_study_faces: int | None = Field(ge=2)


class Slices(_Section):
    """Who is failed."""

    classifiers: Literal["best", "all"]
    n_boot: int = Field(ge=100, le=100_000)
    min_groups: int = Field(ge=2, le=1000)
    n_exemplars: int = Field(ge=0, le=50)


class ImportanceEffort(_Section):
    """Which models are trained on single channels, their size and number, and how much is spent beyond."""

    models: tuple[Literal["rf", "mlp5"], ...] = Field(min_length=1)
    n_trees: int = Field(ge=1, le=10_000)
    n_repeats: int = Field(ge=1, le=100)
    parts_alone: bool
    n_permutations: int = Field(ge=0, le=1000)
    n_effect_faces: int = Field(ge=0, le=1000)


class Importance(_Section):
    """Accuracy per W+ channel."""

    metric: Literal["accuracy", "balanced_accuracy"]
    quick: ImportanceEffort
    paper: ImportanceEffort


class LearningEffort(_Section):
    """Numbers of training groups, and nested draws of each."""

    sizes: tuple[Annotated[int, Field(ge=4)], ...] = Field(min_length=1)
    n_draws: int = Field(ge=1, le=100)

    @field_validator("sizes")
    @classmethod
    def _rising(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if list(sizes) != sorted(set(sizes)):
            raise ValueError("sizes must rise")
        return sizes


class Learning(_Section):
    """Learning curves."""

    model: Model
    held_out: float = Field(gt=0, lt=1)
    quick: LearningEffort
    paper: LearningEffort


class Map(_Section):
    """2-D and 3-D maps."""

    methods: tuple[Literal["tsne", "umap", "pca"], ...] = Field(min_length=1)
    dims: tuple[Literal[2, 3], ...] = Field(min_length=1)
    pca_dims: int = Field(ge=2)
    pca_method: Literal["auto", "exact", "randomised", "incremental"]
    perplexity: (
        Annotated[float, Field(ge=1)] | Annotated[tuple[Annotated[float, Field(ge=1)], ...], Field(min_length=1)]
    )
    exaggeration: float = Field(ge=1, le=100)
    start: Literal["pca", "spectral"]
    n_neighbors: int = Field(ge=2)
    min_dist: float = Field(ge=0, le=1)


class ClusterEffort(_Section):
    """Settings of HDBSCAN that are tried beside the one in use, and how often."""

    min_cluster_sizes: tuple[Annotated[int, Field(ge=2)], ...]
    min_samples: tuple[Annotated[int, Field(ge=1)] | None, ...]
    n_draws: int = Field(ge=0, le=1000)
    max_faces: int = Field(ge=10, le=20_000)


class Cluster(_Section):
    """Clusterings: methods, the spaces they work in, and how far HDBSCAN's can be trusted."""

    methods: tuple[Literal["hdbscan", "kmeans", "dbscan"], ...] = Field(min_length=1)
    spaces: tuple[Literal["pca", "umap", "map"], ...] = Field(min_length=1)
    pca_dims: int = Field(ge=2)
    umap_dims: int = Field(ge=3, le=100)
    umap_neighbors: int = Field(ge=2, le=1000)
    min_cluster_size: int = Field(ge=2)
    min_samples: int | None = Field(ge=1)
    kmeans_k: int | None = Field(ge=2)
    dbscan_eps: float | None = Field(gt=0, allow_inf_nan=False)
    n_exemplars: int = Field(ge=1)
    quick: ClusterEffort
    paper: ClusterEffort


class AboutEffort(_Section):
    """How many faces of clusters are drawn, and shufflings of clusters behind the channels' null."""

    n_mean_faces: int = Field(ge=0, le=10_000)
    n_walks: int = Field(ge=0, le=10_000)
    n_channel_shuffles: int = Field(ge=20, le=10_000)


class About(_Section):
    """What clusters are about."""

    n_shuffles: int = Field(ge=400, le=100_000)
    n_steps: int = Field(ge=2, le=100)
    quick: AboutEffort
    paper: AboutEffort


class Params(_Section):
    """All settings."""

    seed: int = Field(ge=0, lt=2**31)
    device: Literal["auto", "cpu", "cuda"]
    profile: Profile
    spaces: tuple[Space, ...] = Field(min_length=1)
    workers: Workers
    weights: Weights
    data: Data
    sampling: Sampling
    faces: Faces
    overrides: Path
    sbi: Sbi
    split: Split
    invert: Invert
    embed: Embed
    codes: Codes
    train: Train
    evaluate: Evaluate
    slices: Slices
    importance: Importance
    learning: Learning
    map: Map
    cluster: Cluster
    about: About

    @field_validator("overrides")
    @classmethod
    def _inside(cls, overrides: Path) -> Path:
        if overrides.is_absolute() or ".." in overrides.parts:  # the dashboard writes it
            raise ValueError("expected a file below the project's folder")
        return overrides

    @model_validator(mode="after")
    def _something_to_judge(self) -> Self:
        if self.train.protocol == "holdout" and self.split.fractions[0] == 1:
            raise ValueError("train.protocol: holdout needs a val or test part above 0 in split.fractions")
        made = {*self.spaces, *(["residual"] if "wplus" in self.spaces else [])}
        for space in self.train.spaces or ():
            if lacking := [base for base in space_names.bases(space) if base not in made]:
                needs = "wplus" if lacking[0] == "residual" else lacking[0]
                raise ValueError(f"train.spaces: '{space}' needs '{needs}' among spaces ({', '.join(self.spaces)})")
        if self.train.protocol == "holdout" and self.split.by in ("method", "dataset", "compression"):
            raise ValueError(f"split.by: {self.split.by} makes folds only, so it needs train.protocol: cv")
        return self


# Where and on how many processes work is done is not part of what a result depends on.
EXECUTION_ONLY = frozenset({"device", "workers"})
# Nor is which licences are accepted (a refusal has no result), nor which other spaces are wanted: pieces are per space.
_NOT_IN_RESULT = EXECUTION_ONLY | {"weights", "spaces"}
# Settings of a section that mark finished pieces and make none: another threshold must not invert every face anew.
_MARKS_ONLY = frozenset({"poor_above"})
# Settings of `train` that say which pieces are made, not what is in one: another model must not train all anew.
_WHICH_PIECES = frozenset({"models", "spaces"})


class StageParams:
    """The sections one stage declared; reading any other raises, so ``dvc.yaml`` cannot miss a dependency.

    A section may also be one setting, such as ``train.protocol``, which `one` reads: a stage that needs no more of a
    section is not run again when the rest changes.
    """

    def __init__(self, params: Params, sections: tuple[str, ...]) -> None:
        unknown = [s for s in sections if not _declared(s)]
        if unknown:
            raise KeyError(f"no such section in params.yaml: {sorted(unknown)}")
        self._params = params
        self._sections = sections

    def __getattr__(self, name: str) -> Any:
        if name not in self._sections:
            raise AttributeError(f"this stage did not declare the parameter '{name}'; declared: {self._sections}")
        return getattr(self._params, name)

    def one(self, name: str) -> Any:
        """A setting that was declared by itself, such as ``train.protocol``."""
        if name not in self._sections:
            raise AttributeError(f"this stage did not declare the parameter '{name}'; declared: {self._sections}")
        section, _, key = name.partition(".")
        return getattr(getattr(self._params, section), key)

    def effort(self, section: str) -> Any:
        """The ``quick`` or ``paper`` part of a section, as ``profile`` says."""
        return getattr(getattr(self, section), self.profile)

    def as_dict(self) -> dict[str, Any]:
        """Everything a piece of the stage's result depends on, ready for a fingerprint.

        Of settings with a ``quick`` and a ``paper`` column only the one in use is part of it.
        """
        dumped = self._params.model_dump(mode="json", by_alias=True)
        unused = "paper" if self._params.profile == "quick" else "quick"
        found = {}
        for name in sorted(set(self._sections) - _NOT_IN_RESULT):
            section, _, key = name.partition(".")
            value = dumped[section][key] if key else dumped[section]
            if isinstance(value, dict) and not key:
                left_out = _MARKS_ONLY | (_WHICH_PIECES if section == "train" else frozenset()) | {unused}
                value = {k: v for k, v in value.items() if k not in left_out}
            found[name] = value
        return found


def _declared(name: str) -> bool:
    section, _, key = name.partition(".")
    field = Params.model_fields.get(section)
    return field is not None and (not key or key in getattr(field.annotation, "model_fields", {}))


def load(path: Path) -> Params:
    """Read and check a settings file.

    Raises
    ------
    UserError
        The file is missing, is not YAML, has an unknown key, lacks one, or has a value out of range.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path} is not there: run this in a folder that holds params.yaml") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(raw, dict):
        raise UserError(f"{path} holds {type(raw).__name__}, expected a mapping of settings")
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        problems = [f"{'.'.join(str(p) for p in e['loc'])}: {_explain(e)}" for e in error.errors()]
        raise UserError(f"{path}: " + "; ".join(problems)) from error


def _explain(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "unknown key"
    if error["type"] == "missing":
        return "missing"
    return f"{error['msg'][0].lower()}{error['msg'][1:]} (got {error['input']!r})"
