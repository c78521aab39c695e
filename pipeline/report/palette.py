"""Colours and names that the report and the dashboard share; blue and vermillion suit colour-blind readers."""

from __future__ import annotations

REAL = "#0072B2"
FAKE = "#D55E00"
UNKNOWN = "#8C8C8C"
NOISE = "#C4C7CC"
ACCENT = "#1F4E79"
INK = "#1B2330"
MUTED = "#5B6675"
GRID = "#E3E7EC"
OK = "#009E73"

# Paul Tol's "muted" set: nine hues that hold for red-green and blue-yellow blindness, none of them the label colours.
CATEGORIES = ("#332288", "#88CCEE", "#44AA99", "#117733", "#999933", "#DDCC77", "#CC6677", "#882255", "#AA4499")
# Once the hues are used up, the marker changes; both plotly's 2-D and 3-D scatter and matplotlib know these.
SYMBOLS = ("circle", "diamond", "square", "cross", "x")
MATPLOTLIB_MARKERS = {"circle": "o", "diamond": "D", "square": "s", "cross": "P", "x": "X"}

FIGURE_DPI = 170  # figures are drawn finer than they are shown, for sharp screens and print
SCREEN_DPI = 102

_METRIC_NAMES = {
    "roc_auc": "ROC-AUC",
    "average_precision": "Average precision",
    "balanced_accuracy": "Balanced accuracy",
    "accuracy": "Accuracy",
    "log_loss": "Log-loss",
    "brier": "Brier score",
    "eer": "Equal error rate",
    "tpr_at_fpr_01": "TPR at 1 % FPR",
    "ece": "Calibration error (ECE)",
    "accuracy_over_majority": "Accuracy over majority",
    "accuracy_reversed": "Accuracy, reversed",
    "roc_auc_reversed": "ROC-AUC, reversed",
    "band_coverage": "Answered outside the band",
    "band_risk": "Wrong outside the band",
    "aurc": "Area under risk-coverage",
    "accuracy_at_prior": "Accuracy at prior",
    "precision_at_prior": "Precision at prior",
    "recall_at_prior": "Recall at prior",
    "log_loss_at_prior": "Log-loss at prior",
    "cost_at_prior": "Cost at prior",
    "coverage": "Face coverage",
}
_LOWER_IS_BETTER = frozenset(
    {"log_loss", "brier", "eer", "ece", "aurc", "band_risk", "cost_at_prior", "log_loss_at_prior", "lpips", "mse_unit"}
)
_MODEL_NAMES = {
    "rf": "random forest",
    "logistic": "logistic",
    "mlp2": "MLP, 2 layers",
    "mlp5": "MLP, 5 layers",
    "svm_linear": "linear SVM",
    "svm_rbf": "RBF SVM",
    "gboost": "gradient boosting",
    "stack": "stack",
}
_LABEL_NAMES = {0: "real", 1: "fake"}
_LABEL_COLOURS = {"real": REAL, "fake": FAKE, "unknown": UNKNOWN}


def metric_name(metric: str) -> str:
    """Readable name of a metric; an unknown one is shown as it is written."""
    return _METRIC_NAMES.get(metric, metric.replace("_", " "))


def model_name(model: str) -> str:
    """Readable name of a classifier."""
    return _MODEL_NAMES.get(model, model)


def label_name(label: float | int | None) -> str:
    """``real``, ``fake`` or ``unknown`` for 0, 1 or anything else (None and NaN included)."""
    return _LABEL_NAMES.get(label, "unknown") if label in (0, 1) else "unknown"  # type: ignore[arg-type]


def label_colour(name: str) -> str:
    """Colour of ``real``, ``fake`` or ``unknown``."""
    return _LABEL_COLOURS.get(name, UNKNOWN)


def category_style(index: int) -> tuple[str, str]:
    """Colour and marker of the ``index``-th category (from 0); -1 is noise."""
    if index < 0:
        return NOISE, "circle"
    return CATEGORIES[index % len(CATEGORIES)], SYMBOLS[index // len(CATEGORIES) % len(SYMBOLS)]


def lower_is_better(metric: str) -> bool:
    """Whether a small value of ``metric`` is a good one."""
    return metric in _LOWER_IS_BETTER


def chance_level(metric: str) -> float | None:
    """Value that an answer without knowledge reaches whatever the class shares; None where it depends on them."""
    if metric == "accuracy_over_majority":
        return 0.0
    return 0.5 if metric in {"roc_auc", "roc_auc_reversed", "balanced_accuracy", "eer"} else None


def measure_name(method: str) -> str:
    """Readable name of an importance method such as ``rf-alone-balanced_accuracy``."""
    start, _, metric = method.rpartition("-")
    if start == "rf-alone":
        return f"{metric_name(metric)}, one-channel forest"
    if start == "rf-permuted":
        return f"Fall of {metric_name(metric)}, channel permuted"
    if start.endswith("-alone"):
        return f"{metric_name(metric)}, one-channel {model_name(start.removesuffix('-alone'))}"
    return method.replace("_", " ")


def importance_chance(method: str) -> float | None:
    """Chance level of an importance method, None where it depends on the class shares."""
    if method.rpartition("-")[0].endswith("-permuted"):
        return 0.0  # what a part that tells nothing costs
    return chance_level(method.rpartition("-")[2])
