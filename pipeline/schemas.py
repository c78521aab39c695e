"""Every table of the pipeline: column, type, unit, meaning and key, declared once.

Tables are written only through these declarations (`pipeline.tables`), and `docs/tables.md` is generated from them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa

from pipeline import spaces

SCHEMA_VERSION = 1

STATUSES = ("ok", "no_face", "unreadable", "rejected", "poor", "failed")
SPLITS = ("train", "val", "test", "cv", "unused", "all")
LEVELS = ("frame", "track", "video")
SPACES = spaces.STORED
STUDIED = ("lpips", "mse_unit", "psnr_db", "w_distance_std", "share_poor")

_STR = pa.string()
_F32 = pa.float32()
_F64 = pa.float64()
_I32 = pa.int32()
_I8 = pa.int8()
_VECTOR = pa.list_(pa.float32())
_INDICES = pa.list_(pa.int16())


@dataclass(frozen=True)
class Column:
    """One column: its name, Arrow type, unit ('' where it has none), meaning, and the values it may take."""

    name: str
    type: pa.DataType
    meaning: str
    unit: str = ""
    nullable: bool = False
    allowed: tuple[str, ...] = ()
    pattern: str = ""  # regular expression that every value matches; '' for any
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Table:
    """A table: where it lives, its columns, the columns that identify a row, and the order rows are written in."""

    name: str
    folder: str  # 'data': a folder of shards; 'reports': one file; 'tags': one file, written by people, not by a stage
    meaning: str
    key: tuple[str, ...]
    sort: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def arrow(self) -> pa.Schema:
        """Arrow schema with units and meanings in each field's metadata."""
        return pa.schema(
            [
                pa.field(c.name, c.type, nullable=c.nullable, metadata={"unit": c.unit, "meaning": c.meaning})
                for c in self.columns
            ]
        )

    @property
    def column_names(self) -> list[str]:
        """Names in order."""
        return [c.name for c in self.columns]


_STATUS = Column("status", _STR, "what became of this row", allowed=STATUSES)
_REASON = Column("reason", _STR, "why, where status is not 'ok'", nullable=True)
_LABEL = Column("label", _I8, "0 real, 1 fake; empty where unknown", nullable=True, low=0, high=1)
_METHOD = Column("method", _STR, "manipulation method, 'real' for originals", nullable=True)
_GROUP = Column("source_group", _STR, "connected footage: rows that share any stand on one side of a split")
_FACE = Column("face_id", _STR, "content-addressed id of the face, stable over re-runs")
_CLUSTERING = Column("clustering_id", _STR, "as in `clusters`")

VIDEOS = Table(
    "videos",
    "data",
    "One row per catalogued file, whatever became of it.",
    ("video_id",),
    ("video_id",),
    (
        Column(
            "video_id", _STR, "hash of the file's bytes (with its path, where the bytes occur twice or cannot be read)"
        ),
        Column("rel_path", _STR, "path below data.root"),
        Column("dataset", _STR, "layout the file was catalogued under"),
        _LABEL,
        _METHOD,
        Column("compression", _STR, "compression level as the data set names it, such as c23", nullable=True),
        _GROUP,
        Column("identity", _STR, "person shown, where the layout tells", nullable=True),
        Column("fps", _F64, "mean frame rate", "1/s", nullable=True, low=0),
        Column("n_frames", pa.int64(), "frames in the video stream", nullable=True, low=0),
        Column("width_px", _I32, "width, upright", "px", nullable=True, low=1),
        Column("height_px", _I32, "height, upright", "px", nullable=True, low=1),
        Column("duration_s", _F64, "length of the video stream", "s", nullable=True, low=0),
        _STATUS,
        _REASON,
    ),
)

FACES = Table(
    "faces",
    "data",
    "One row per face of a sampled frame; a sampled frame without a usable face has a row with its reason.",
    ("face_id",),
    ("video_id", "frame_index", "track_id"),
    (
        _FACE,
        Column("video_id", _STR, "video the frame belongs to"),
        Column("frame_index", pa.int64(), "position of the frame in the order shown, from 0", low=0),
        Column("time_s", _F64, "presentation time of the frame", "s", nullable=True),
        Column("track_id", _I32, "face track within the video, -1 where there is no face", low=-1),
        _LABEL,
        _METHOD,
        _GROUP,
        Column("box_xyxy_px", pa.list_(_F32), "left, top, right, bottom in the upright frame", "px", nullable=True),
        Column(
            "landmarks_px",
            pa.list_(_F32),
            "x, y of left eye, right eye, nose, left and right mouth corner",
            "px",
            nullable=True,
        ),
        Column("score", _F32, "detector's confidence", nullable=True),
        Column("face_width_px", _F32, "width of the box in the original frame", "px", nullable=True, low=0),
        Column("yaw_deg", _F32, "head yaw estimated from five landmarks", "deg", nullable=True),
        Column(
            "blur", _F32, "variance of the Laplacian of the aligned face's luma; low is blurred", nullable=True, low=0
        ),
        Column("image", pa.binary(), "aligned RGB face, PNG", nullable=True),
        _STATUS,
        _REASON,
    ),
)

BLENDED = Table(
    "blended",
    "data",
    "Self-blended images of genuine faces: extra fakes to train on. They are in no split, metric, map or cluster.",
    ("face_id",),
    ("parent_face_id", "k"),
    (
        _FACE,
        Column("parent_face_id", _STR, "genuine face it was made from"),
        Column("k", _I32, "number among the images made from that face, from 0", low=0),
        Column("video_id", _STR, "video of the genuine face"),
        _GROUP,
        replace(_LABEL, nullable=False),
        replace(_METHOD, nullable=False),
        Column("image", pa.binary(), "RGB face as aligned as its parent, PNG"),
    ),
)

SPLITS_TABLE = Table(
    "splits",
    "data",
    "Which side of the split, and which fold, each labelled video with a face stands on.",
    ("video_id",),
    ("video_id",),
    (
        Column("video_id", _STR, "video"),
        _GROUP,
        Column(
            "unit", _STR, "what was kept whole: the source group, or groups joined by people or likeness", nullable=True
        ),
        Column("split", _STR, "train, val or test; 'unused' where no such split could be made", allowed=SPLITS),
        Column(
            "fold",
            _I32,
            "cross-validation fold; -1 where no folds could be made, or where it is left out of all",
            low=-1,
        ),
        Column("reason", _STR, "why there is no split, or no folds", nullable=True),
    ),
)

LEAKS = Table(
    "leaks",
    "data",
    "Videos of different source groups that show the same footage, or the same named person.",
    ("kind", "first_video", "second_video", "identity"),
    ("kind", "first_video", "second_video", "identity"),
    (
        Column("kind", _STR, "what they share", allowed=("footage", "identity")),
        Column("first_video", _STR, "video"),
        Column("second_video", _STR, "video of another group"),
        Column("first_group", _STR, "its source group"),
        Column("second_group", _STR, "its source group"),
        Column("first_file", _STR, "path below data.root"),
        Column("second_file", _STR, "path below data.root"),
        Column("first_face", _STR, "footage: the face that is most like", nullable=True),
        Column("second_face", _STR, "footage: the face it is most like", nullable=True),
        Column("similarity", _F64, "footage: likeness of the two faces", nullable=True, high=1),
        Column("identity", _STR, "identity: the person", nullable=True),
    ),
)

WPLUS = Table(
    "wplus",
    "data",
    "W+ codes of aligned faces, with the quality of the full generator's image of the stored code.",
    ("face_id", "inverter_id"),
    ("face_id", "inverter_id"),
    (
        _FACE,
        Column("inverter_id", _STR, "generator, encoder, steps and loss that made the code"),
        Column("wplus", _VECTOR, "code, channel after channel of equal length", nullable=True),
        Column("n_channels", _I32, "number of W+ channels", low=1),
        Column("steps_run", _I32, "optimiser steps until the stored code", low=0),
        Column("seed", pa.int64(), "seed of the run"),
        Column(
            "lpips",
            _F32,
            "perceptual distance of reconstruction and face; the metric's name is in the metadata",
            nullable=True,
            low=0,
        ),
        Column("mse_unit", _F32, "mean squared error on the [-1, 1] scale", nullable=True, low=0),
        Column("psnr_db", _F32, "peak signal-to-noise ratio", "dB", nullable=True),
        Column(
            "w_distance_std",
            _F32,
            "root-mean-square distance from the mean code, in standard deviations of W",
            nullable=True,
            low=0,
        ),
        _STATUS,
        _REASON,
    ),
)

RECONSTRUCTIONS = Table(
    "reconstructions",
    "data",
    "The full generator's image of each stored W+ code, reduced to the size of the aligned face.",
    ("face_id", "inverter_id"),
    ("face_id", "inverter_id"),
    (
        _FACE,
        Column("inverter_id", _STR, "what made the code"),
        Column("image", pa.binary(), "RGB image, PNG"),
    ),
)

CURVES = Table(
    "curves",
    "data",
    "The course of each search: quality of the full generator's image after every rated step.",
    ("face_id", "inverter_id", "step"),
    ("face_id", "inverter_id", "step"),
    (
        _FACE,
        Column("inverter_id", _STR, "what makes the codes"),
        Column("step", _I32, "optimiser steps made", low=0),
        Column("seconds_per_face", _F64, "time until then, shared among the faces of a batch", "s", low=0),
        Column("lpips", _F32, "perceptual distance; empty where the face had left the search", nullable=True, low=0),
        Column("mse_unit", _F32, "mean squared error on the [-1, 1] scale; likewise", nullable=True, low=0),
    ),
)

EMBEDDINGS = Table(
    "embeddings",
    "data",
    "Vectors of aligned faces: EfficientNet embeddings and statistics of fine structure.",
    ("face_id", "embedder_id"),
    ("face_id", "embedder_id"),
    (
        _FACE,
        Column("embedder_id", _STR, "network, feature mode, input size and weight hash; or 'frequency-<version>'"),
        Column("embedding", _VECTOR, "feature vector"),
    ),
)

CODES = Table(
    "codes",
    "data",
    "PCA and VQ-VAE-2 codes of aligned faces, with the quality of the image they give back.",
    ("face_id", "codec_id"),
    ("codec_id", "face_id"),
    (
        _FACE,
        Column("codec_id", _STR, "'pca-<components>-<hash>' or 'vqvae-<hash of the weights>-<form of the code>'"),
        Column("code", _VECTOR, "what classifiers, maps and clusters read"),
        Column(
            "indices",
            _INDICES,
            "vqvae: 32 x 32 codebook indices of the top, then 64 x 64 of the bottom level",
            nullable=True,
        ),
        Column("lpips", _F32, "perceptual distance of reconstruction and face, as in `wplus`", low=0),
        Column("mse_unit", _F32, "mean squared error of the reconstruction on the [-1, 1] scale", low=0),
        Column("psnr_db", _F32, "its peak signal-to-noise ratio; empty where it is exact", "dB", nullable=True),
        Column("in_fit", pa.bool_(), "whether the codec was fitted on this face: its quality then says little"),
    ),
)

DECODED = Table(
    "decoded",
    "data",
    "What each code of `codes` is decoded to: the image its quality was measured on.",
    ("face_id", "codec_id"),
    ("codec_id", "face_id"),
    (
        _FACE,
        Column("codec_id", _STR, "what made the code"),
        Column("image", pa.binary(), "RGB image, PNG"),
    ),
)

_MADE = "Like `{}`, of the self-blended faces."
WPLUS_BLENDED = replace(WPLUS, name="wplus_blended", meaning=_MADE.format("wplus"))
EMBEDDINGS_BLENDED = replace(EMBEDDINGS, name="embeddings_blended", meaning=_MADE.format("embeddings"))
CODES_BLENDED = replace(CODES, name="codes_blended", meaning=_MADE.format("codes"))

PREDICTIONS = Table(
    "predictions",
    "reports",
    "P(fake) per face, track and video, by models that never saw the group; for material with as many fakes as reals.",
    ("id", "level", "space", "model"),
    ("level", "space", "model", "id"),
    (
        Column("id", _STR, "face_id, video_id:track_id or video_id"),
        Column("level", _STR, "what is judged", allowed=LEVELS),
        Column("space", _STR, "feature space, channels of one or a sum of several", pattern=spaces.PATTERN),
        Column("model", _STR, "classifier"),
        Column("split", _STR, "side the row stands on; 'cv': predicted out of fold", allowed=SPLITS),
        _LABEL,
        Column("source_group", _STR, "what the split kept on one side: connected footage, and what was joined to it"),
        Column("p_fake", _F64, "probability of being fake, calibrated", low=0, high=1),
        Column(
            "p_fake_raw",
            _F64,
            "the model's own answer, which ranks items; empty where it is p_fake",
            nullable=True,
            low=0,
            high=1,
        ),
        Column("uncertain", pa.bool_(), "inside the band in which no verdict is given"),
    ),
)

METRICS = Table(
    "metrics",
    "reports",
    "Metrics with group-bootstrap intervals.",
    ("level", "space", "model", "split", "metric"),
    ("level", "space", "model", "split", "metric"),
    (
        Column("level", _STR, "what is judged", allowed=LEVELS),
        Column("space", _STR, "feature space; 'faces' for coverage, 'baseline' for a constant answer"),
        Column("model", _STR, "classifier"),
        Column("split", _STR, "rows measured", allowed=SPLITS),
        Column("metric", _STR, "name of the metric"),
        Column("value", _F64, "value", nullable=True),
        Column("ci_low", _F64, "lower end of the 95 % group-bootstrap interval", nullable=True),
        Column("ci_high", _F64, "upper end of the interval", nullable=True),
        Column("n_groups", _I32, "source groups measured", low=0),
        Column("n_items", _I32, "frames, tracks or videos measured", low=0),
        Column("reason", _STR, "why there is no value, or what limits it", nullable=True),
    ),
)

METHOD_METRICS = Table(
    "method_metrics",
    "reports",
    "Metrics of each manipulation method's fakes against all reals, with group-bootstrap intervals.",
    ("level", "space", "model", "split", "method", "metric"),
    ("level", "space", "model", "split", "method", "metric"),
    (
        Column("level", _STR, "what is judged", allowed=LEVELS),
        Column("space", _STR, "feature space", allowed=SPACES),
        Column("model", _STR, "classifier"),
        Column("split", _STR, "rows measured", allowed=SPLITS),
        Column("method", _STR, "manipulation method, 'unknown' where the data set does not tell"),
        Column("metric", _STR, "name of the metric"),
        Column("value", _F64, "value", nullable=True),
        Column("ci_low", _F64, "lower end of the 95 % group-bootstrap interval", nullable=True),
        Column("ci_high", _F64, "upper end of the interval", nullable=True),
        Column("n_groups", _I32, "source groups measured", low=0),
        Column("n_fakes", _I32, "fakes of this method", low=0),
        Column("n_reals", _I32, "reals they are held against", low=0),
        Column("reason", _STR, "why there is no value, or what limits it", nullable=True),
    ),
)

COMPARISONS = Table(
    "comparisons",
    "reports",
    "The best model of each level and split against every other on the same items.",
    ("level", "split", "space_a", "model_a", "space_b", "model_b", "metric", "method"),
    ("level", "split", "space_a", "model_a", "space_b", "model_b", "metric", "method"),
    (
        Column("level", _STR, "what is judged", allowed=LEVELS),
        Column("split", _STR, "rows measured", allowed=SPLITS),
        Column("space_a", _STR, "feature space of the model with the highest ROC-AUC", allowed=SPACES),
        Column("model_a", _STR, "that model; it was picked on these rows, which favours it"),
        Column("space_b", _STR, "feature space of the other model", allowed=SPACES),
        Column("model_b", _STR, "the other model"),
        Column("metric", _STR, "name of the metric"),
        Column("difference", _F64, "metric of a minus metric of b", nullable=True),
        Column("ci_low", _F64, "lower end of its 95 % interval", nullable=True),
        Column("ci_high", _F64, "upper end of the interval", nullable=True),
        Column("p_value", _F64, "two-sided, of no difference", nullable=True, low=0, high=1),
        Column("method", _STR, "how the interval was made", allowed=("group bootstrap", "DeLong")),
        Column("n_groups", _I32, "source groups measured", low=0),
        Column("n_items", _I32, "frames, tracks or videos measured", low=0),
        Column("reason", _STR, "why there is no value, or what limits it", nullable=True),
    ),
)

STUDY = Table(
    "study",
    "reports",
    "The reconstruction study: how well each projector gives back the same faces, with group-bootstrap intervals.",
    ("projector_id", "measure"),
    ("space", "projector_id", "measure"),
    (
        Column("projector_id", _STR, "inverter_id or codec_id"),
        Column("space", _STR, "feature space of its codes", allowed=SPACES),
        Column("perceptual", _STR, "metric behind `lpips`"),
        Column("measure", _STR, "mean over faces of this column, or the share of `poor` ones", allowed=STUDIED),
        Column("value", _F64, "value", nullable=True),
        Column("ci_low", _F64, "lower end of the 95 % group-bootstrap interval", nullable=True),
        Column("ci_high", _F64, "upper end of the interval", nullable=True),
        Column("n_groups", _I32, "source groups measured", low=0),
        Column("n_faces", _I32, "faces measured", low=0),
        Column("n_in_fit", _I32, "of these, faces the projector was fitted on: they say nothing about new ones", low=0),
        Column("reason", _STR, "why there is no value or interval", nullable=True),
    ),
)

EFFORT = Table(
    "effort",
    "reports",
    "Quality against effort: means over faces after each rated step; a face that has left keeps its last values.",
    ("inverter_id", "step"),
    ("inverter_id", "step"),
    (
        Column("inverter_id", _STR, "what makes the codes"),
        Column("step", _I32, "optimiser steps made", low=0),
        Column("seconds_per_face", _F64, "mean time until then, on the machine of the run", "s", low=0),
        Column("lpips", _F64, "mean perceptual distance; the metric's name is in the metadata", low=0),
        Column("ci_low", _F64, "lower end of its 95 % group-bootstrap interval", nullable=True),
        Column("ci_high", _F64, "upper end of the interval", nullable=True),
        Column("mse_unit", _F64, "mean of the mean squared error, on the [-1, 1] scale", low=0),
        Column("n_groups", _I32, "source groups measured", low=0),
        Column("n_faces", _I32, "faces measured", low=0),
        Column("n_left", _I32, "of these, faces whose search had ended before", low=0),
    ),
)

ATTRIBUTES = Table(
    "attributes",
    "reports",
    "What is known of each usable face besides its label: what slices are made by.",
    ("face_id",),
    ("video_id", "face_id"),
    (
        _FACE,
        Column("video_id", _STR, "video the face belongs to"),
        _GROUP,
        _LABEL,
        _METHOD,
        Column("compression", _STR, "compression level as the data set names it", nullable=True),
        Column(
            "ita_deg",
            _F32,
            "individual typology angle of the cheeks; high is light. It carries light and camera too",
            "deg",
            nullable=True,
            low=-90,
            high=90,
        ),
        Column("ita_gap_deg", _F32, "difference between the cheeks: side light", "deg", nullable=True, low=0),
        Column("skin_tone", _STR, "class of the angle after Chardon et al.", nullable=True),
        Column("brightness", _F32, "mean L* of the crop's inner half", "L*", low=0, high=100.5),
        Column("blur", _F32, "variance of the Laplacian, as in `faces`", nullable=True, low=0),
        Column("face_width_px", _F32, "width of the box in the original frame", "px", nullable=True, low=0),
        Column("yaw_deg", _F32, "head yaw, as in `faces`", "deg", nullable=True),
        Column("lpips", _F32, "perceptual distance of the reconstruction, as in `wplus`", nullable=True, low=0),
        Column("reason", _STR, "why there is no angle", nullable=True),
    ),
)

SLICES_TABLE = Table(
    "slices",
    "reports",
    "Who is failed: measures per slice of the material, and against the rest of it.",
    ("space", "model", "attribute", "slice", "measure"),
    ("space", "model", "measure", "attribute", "slice"),
    (
        Column("space", _STR, "feature space; 'faces' for coverage, 'wplus' with model 'inversion' for lpips"),
        Column("model", _STR, "classifier; 'detector' or 'inversion' for what no classifier decides"),
        Column("attribute", _STR, "what the material is sliced by"),
        Column("slice", _STR, "the slice"),
        Column(
            "measure",
            _STR,
            "what is measured",
            allowed=("error_rate", "balanced_accuracy", "roc_auc", "coverage", "lpips"),
        ),
        Column("value", _F64, "in the slice", nullable=True),
        Column("ci_low", _F64, "lower end of its 95 % group-bootstrap interval", nullable=True),
        Column("ci_high", _F64, "upper end of the interval", nullable=True),
        Column("rest", _F64, "in the rest; error rates at the slice's mix of classes", nullable=True),
        Column("difference", _F64, "slice minus rest", nullable=True),
        Column("diff_low", _F64, "lower end of its 95 % interval", nullable=True),
        Column("diff_high", _F64, "upper end of the interval", nullable=True),
        Column("p_value", _F64, "of the difference, two-sided", nullable=True, low=0, high=1),
        Column("p_holm", _F64, "corrected for all comparisons of this measure", nullable=True, low=0, high=1),
        Column("n_faces", _I32, "faces (coverage: frames) in the slice", low=0),
        Column("n_groups", _I32, "source groups in the slice", low=0),
        Column("exemplars", pa.list_(_STR), "error_rate: the slice's most wrongly judged faces", nullable=True),
        Column("reason", _STR, "why there is no value or no comparison", nullable=True),
    ),
)

SHORTCUTS = Table(
    "shortcuts",
    "reports",
    "How well the label can be told from numbers no forgery needs, out of fold, per video.",
    ("feature",),
    ("feature",),
    (
        Column("feature", _STR, "family of numbers a small classifier was given alone"),
        Column("roc_auc", _F64, "out-of-fold ROC-AUC", nullable=True, low=0, high=1),
        Column("ci_low", _F64, "lower end of its 95 % group-bootstrap interval", nullable=True),
        Column("ci_high", _F64, "upper end of the interval", nullable=True),
        Column("p_value", _F64, "share of shufflings of the labels that reach it", nullable=True, low=0, high=1),
        Column("p_holm", _F64, "corrected for the number of families", nullable=True, low=0, high=1),
        Column("flagged", pa.bool_(), "the label can be told from it: p_holm below 0.05"),
        Column("n_videos", _I32, "videos judged", low=0),
        Column("n_groups", _I32, "source groups", low=0),
        Column("reason", _STR, "why there is no value", nullable=True),
    ),
)

IMPORTANCE = Table(
    "importance",
    "reports",
    "How much each W+ channel tells about the label.",
    ("space", "method", "channel"),
    ("space", "method", "channel"),
    (
        Column("space", _STR, "feature space", allowed=SPACES),
        Column("method", _STR, "how importance is measured, with its metric"),
        Column("channel", _I32, "W+ channel, from 0 (coarse)", low=0),
        Column("value", _F64, "mean over repeats", nullable=True),
        Column("ci_low", _F64, "lower end of the 95 % interval", nullable=True),
        Column("ci_high", _F64, "upper end of the interval", nullable=True),
        Column("null_value", _F64, "same measure with labels shuffled between videos", nullable=True),
        Column("n_repeats", _I32, "repetitions over seeds", low=0),
    ),
)

CHANNEL_GROUPS = Table(
    "channel_groups",
    "reports",
    "How much coarse, middle and fine W+ channels tell together.",
    ("space", "method", "part"),
    ("space", "method", "part"),
    (
        Column("space", _STR, "feature space", allowed=SPACES),
        Column("method", _STR, "how importance is measured, with its metric"),
        Column("part", _STR, "which channels", allowed=("coarse", "middle", "fine")),
        Column("channels", pa.list_(_I32), "the channels taken together"),
        Column("value", _F64, "mean over repeats", nullable=True),
        Column("ci_low", _F64, "lower end of the 95 % interval", nullable=True),
        Column("ci_high", _F64, "upper end of the interval", nullable=True),
        Column("null_value", _F64, "same measure with labels shuffled; 0 for permutation", nullable=True),
        Column("n_repeats", _I32, "repetitions over seeds", low=0),
    ),
)

AGREEMENT = Table(
    "agreement",
    "reports",
    "Whether channels are ranked alike by other seeds, other folds and other methods.",
    ("kind", "first", "second"),
    ("kind", "first", "second"),
    (
        Column("kind", _STR, "what is changed", allowed=("seeds", "folds", "methods")),
        Column("first", _STR, "importance method"),
        Column("second", _STR, "the method it is held against; the same for seeds and folds"),
        Column("spearman", _F64, "mean rank correlation of the channels' values", nullable=True, low=-1, high=1),
        Column("ci_low", _F64, "lower end of its 95 % group-bootstrap interval", nullable=True),
        Column("ci_high", _F64, "upper end of the interval", nullable=True),
        Column("n_pairs", _I32, "pairs of rankings compared", low=0),
        Column("reason", _STR, "why there is no value", nullable=True),
    ),
)

CHANNEL_EFFECTS = Table(
    "channel_effects",
    "reports",
    "Where in the image each W+ channel acts: how much the full generator's image changes when it is moved.",
    ("face_id", "channel"),
    ("face_id", "channel"),
    (
        _FACE,
        Column("inverter_id", _STR, "what made the code"),
        Column("channel", _I32, "W+ channel, from 0 (coarse)", low=0),
        Column("mean_change", _F64, "mean absolute change on the [-1, 1] scale, by +-1 standard deviation of W", low=0),
        Column("inner_share", _F64, "share of the change that lies in the image's inner half", low=0, high=1),
        Column("change_map", _VECTOR, "mean absolute change per cell, row after row of a square"),
        Column(
            "strip", pa.binary(), "three pictures side by side, JPEG: moved down, as it is, moved up", nullable=True
        ),
    ),
)

LEARNING = Table(
    "learning",
    "reports",
    "Learning curves: metrics against the number of source groups trained on, measured on groups that never train.",
    ("space", "model", "level", "metric", "n_groups"),
    ("space", "model", "level", "metric", "n_groups"),
    (
        Column("space", _STR, "feature space", allowed=SPACES),
        Column("model", _STR, "classifier"),
        Column("level", _STR, "whether frames or videos are judged", allowed=("frame", "video")),
        Column("metric", _STR, "roc_auc or log_loss", allowed=("roc_auc", "log_loss")),
        Column("n_groups", _I32, "source groups trained on", low=1),
        Column("value", _F64, "mean over draws of training groups", nullable=True),
        Column(
            "ci_low", _F64, "lower end of the 95 % interval of one draw: training and measured groups", nullable=True
        ),
        Column("ci_high", _F64, "upper end of the interval", nullable=True),
        Column("sd_draws", _F64, "standard deviation over draws, on all measured groups", nullable=True, low=0),
        Column(
            "gain", _F64, "change since the next smaller number of groups, paired; empty at the first", nullable=True
        ),
        Column("gain_low", _F64, "lower end of its 95 % interval", nullable=True),
        Column("gain_high", _F64, "upper end of the interval", nullable=True),
        Column("n_draws", _I32, "nested draws of training groups", low=1),
        Column("n_train_items", _F64, "faces trained on, mean over draws; self-blended ones not counted", low=1),
        Column("n_groups_measured", _I32, "source groups measured", low=1),
        Column("n_items_measured", _I32, "frames or videos measured", low=1),
        Column("reason", _STR, "what limits the interval", nullable=True),
    ),
)

MAP = Table(
    "map",
    "reports",
    "Coordinates of faces on 2-D and 3-D maps.",
    ("face_id", "map_id"),
    ("map_id", "face_id"),
    (
        _FACE,
        Column("map_id", _STR, "space, method, dimensions and parameters"),
        Column("x", _F32, "first coordinate"),
        Column("y", _F32, "second coordinate"),
        Column("z", _F32, "third coordinate, empty on 2-D maps", nullable=True),
    ),
)

MAP_QUALITY = Table(
    "map_quality",
    "reports",
    "How far each map keeps what was near, and what was far, in the space it was made from.",
    ("map_id",),
    ("map_id",),
    (
        Column("map_id", _STR, "space, method, dimensions and parameters"),
        Column(
            "trustworthiness", _F64, "near 1: neighbours on the map are neighbours in the data", nullable=True, high=1
        ),
        Column("continuity", _F64, "near 1: neighbours in the data are neighbours on the map", nullable=True, high=1),
        Column("knn_recall", _F64, "share of nearest neighbours that stay nearest", nullable=True, low=0, high=1),
        Column(
            "distance_spearman", _F64, "rank correlation of distances of random pairs", nullable=True, low=-1, high=1
        ),
        Column("n_neighbors", _I32, "neighbours looked at", low=0),
        Column("n_queries", _I32, "points whose neighbours were looked at", low=0),
        Column("n_points", _I32, "points on the map", low=0),
        Column("reason", _STR, "why there are no figures", nullable=True),
    ),
)

CLUSTERS = Table(
    "clusters",
    "reports",
    "Cluster of each face.",
    ("face_id", "clustering_id"),
    ("clustering_id", "face_id"),
    (
        _FACE,
        Column("clustering_id", _STR, "feature space, the space clustered in, method and parameters"),
        Column("cluster", _I32, "cluster, -1 for noise", low=-1),
        Column("membership", _F32, "strength of membership", low=0, high=1),
        Column(
            "outlier_score", _F32, "HDBSCAN's GLOSH outlier score, high is unusual; empty for other methods",
            nullable=True, low=0,
        ),
        Column("exemplar_rank", _I32, "0 for the cluster's most typical face, then 1, 2, ...; -1 for the rest", low=-1),
    ),
)  # fmt: skip

CLUSTER_TREE = Table(
    "cluster_tree",
    "reports",
    "HDBSCAN's condensed tree: what leaves which node at which density. Node 0 holds all faces and is nobody's child.",
    ("clustering_id", "child"),
    ("clustering_id", "child"),
    (
        Column("clustering_id", _STR, "as in `clusters`"),
        Column("parent", _I32, "node that is left", low=0),
        Column("child", _I32, "node, or a number after the last node for a face", low=1),
        Column("face_id", _STR, "the face, where the child is one", nullable=True),
        Column(
            "density", _F64, "lambda at which it leaves: 1 / reachability; empty between equal vectors",
            nullable=True, low=0,
        ),
        Column("size", _I32, "faces in the child", low=1),
        Column("is_cluster", pa.bool_(), "whether the child is a node (min_cluster_size faces or more), not a face"),
        Column("selected", pa.bool_(), "whether the node was kept as a cluster"),
        Column("cluster", _I32, "its number in `clusters`, where it was kept", nullable=True, low=0),
    ),
)  # fmt: skip

CLUSTER_GRID = Table(
    "cluster_grid",
    "reports",
    "HDBSCAN at several settings, each on draws of 80 % of the source groups: how far its clusters can be trusted.",
    ("clustering_id",),
    ("clustering_id",),
    (
        Column("clustering_id", _STR, "as in `clusters`"),
        Column("space", _STR, "feature space", allowed=SPACES),
        Column("min_cluster_size", _I32, "setting", low=2),
        Column("min_samples", _I32, "setting", low=1),
        Column("in_use", pa.bool_(), "whether `clusters` holds this setting"),
        Column("n_clusters", _I32, "clusters of the faces looked at", low=0),
        Column("n_clusters_low", _F64, "lower end of the middle 95 % of draws", nullable=True),
        Column("n_clusters_high", _F64, "upper end", nullable=True),
        Column("noise_share", _F64, "share of noise among the faces looked at", low=0, high=1),
        Column("noise_share_low", _F64, "lower end of the middle 95 % of draws", nullable=True),
        Column("noise_share_high", _F64, "upper end", nullable=True),
        Column(
            "stability", _F64, "adjusted Rand index between a draw's clusters and all, mean over draws; 0 is chance",
            nullable=True, high=1,
        ),
        Column("stability_low", _F64, "lower end of the middle 95 % of draws", nullable=True),
        Column("stability_high", _F64, "upper end", nullable=True),
        Column(
            "validity", _F64, "density-based validity (DBCV), above 0: denser inside than between; empty below two "
            "clusters", nullable=True, low=-1, high=1,
        ),
        Column("validity_low", _F64, "lower end of the middle 95 % of draws", nullable=True),
        Column("validity_high", _F64, "upper end", nullable=True),
        Column("n_faces", _I32, "faces looked at: all, or whole source groups up to cluster.*.max_faces", low=0),
        Column("n_groups", _I32, "their source groups", low=0),
        Column("n_draws", _I32, "draws", low=0),
        Column("reason", _STR, "why there is no stability", nullable=True),
    ),
)  # fmt: skip

CLUSTER_PROFILES = Table(
    "cluster_profiles",
    "reports",
    "What each cluster holds, noise among them: sizes, shares, medians, and the clusters nearest to it.",
    ("clustering_id", "cluster"),
    ("clustering_id", "cluster"),
    (
        _CLUSTERING,
        Column("cluster", _I32, "cluster, -1 for noise", low=-1),
        Column("n_faces", _I32, "faces in it", low=0),
        Column("n_videos", _I32, "videos they come from", low=0),
        Column("n_groups", _I32, "source groups they come from", low=0),
        Column("n_identities", _I32, "people they show, where the layout tells", nullable=True, low=0),
        Column("n_labelled", _I32, "faces of known label", low=0),
        Column("share_fake", _F64, "fakes among the labelled faces", nullable=True, low=0, high=1),
        Column("ci_low", _F64, "lower end of its 95 % Wilson interval, groups as the sample", nullable=True),
        Column("ci_high", _F64, "upper end of the interval", nullable=True),
        Column("top_group_share", _F64, "share of faces from the group that gives most", low=0, high=1),
        Column("top_identity_share", _F64, "likewise of people, among known ones", nullable=True, low=0, high=1),
        Column("methods", pa.list_(_STR), "manipulation methods, the most frequent first"),
        Column("method_shares", _VECTOR, "their shares of the faces of known method"),
        Column("compressions", pa.list_(_STR), "compression levels, likewise"),
        Column("compression_shares", _VECTOR, "their shares"),
        Column("datasets", pa.list_(_STR), "data sets, likewise"),
        Column("dataset_shares", _VECTOR, "their shares"),
        Column("face_width_px", _F64, "median width of the face in its frame", "px", nullable=True),
        Column("blur", _F64, "median sharpness, as in `faces`", nullable=True),
        Column("brightness", _F64, "median L* of the crops", "L*", nullable=True),
        Column("ita_deg", _F64, "median skin-tone angle, as in `attributes`", "deg", nullable=True),
        Column("membership", _F64, "median strength of membership", low=0, high=1),
        Column("nearest", pa.list_(_I32), "nearest clusters, the nearest first; none for noise"),
        Column("nearest_distance", _VECTOR, "distance of centroids in units of the two clusters' spread"),
    ),
)

CLUSTER_INFORMATION = Table(
    "cluster_information",
    "reports",
    "What each clustering is about: mutual information of clusters (without noise) with attributes, and its null.",
    ("clustering_id", "attribute"),
    ("clustering_id", "attribute"),
    (
        _CLUSTERING,
        Column("attribute", _STR, "what is known of the faces; numbers are cut into thirds"),
        Column("nmi", _F64, "normalised mutual information", nullable=True, low=0, high=1),
        Column("null_mean", _F64, "its mean with the attribute shuffled", nullable=True, low=0, high=1),
        Column("null_low", _F64, "lower end of the 95 % interval of shuffled values", nullable=True),
        Column("null_high", _F64, "upper end of the interval", nullable=True),
        Column("adjusted", _F64, "0 as shuffled, 1 where clusters are the attribute", nullable=True, high=1),
        Column("told", _F64, "share of the attribute's entropy that the cluster tells", nullable=True, low=0, high=1),
        Column("p_value", _F64, "share of shufflings that reach nmi", nullable=True, low=0, high=1),
        Column("p_holm", _F64, "corrected for the attributes of this clustering", nullable=True, low=0, high=1),
        Column("is_about", pa.bool_(), "the clusters share this attribute beyond chance: p_holm below 0.05"),
        Column("unit", _STR, "what was shuffled whole", allowed=("face", "video", "source group")),
        Column("n_units", _I32, "units shuffled", low=0),
        Column("n_values", _I32, "different values among the faces measured", low=0),
        Column("n_faces", _I32, "faces in clusters that have a value", low=0),
        Column("reason", _STR, "why there is no value, or what limits it", nullable=True),
    ),
)

CLUSTER_CHANNELS = Table(
    "cluster_channels",
    "reports",
    "Mean W+ code of each cluster, and how far each channel lies from the rest of the faces.",
    ("clustering_id", "cluster", "channel"),
    ("clustering_id", "cluster", "channel"),
    (
        _CLUSTERING,
        Column("cluster", _I32, "cluster", low=0),
        Column("channel", _I32, "W+ channel, from 0 (coarse)", low=0),
        Column("inverter_id", _STR, "what made the codes"),
        Column("distance", _F64, "root mean square difference of means, in standard deviations", nullable=True, low=0),
        Column("null_mean", _F64, "its mean with clusters shuffled by source group", nullable=True, low=0),
        Column("null_high", _F64, "upper 95 % end of the shuffled values", nullable=True, low=0),
        Column("mean_code", _VECTOR, "mean code of this channel"),
        Column("n_coded", _I32, "faces of the cluster that have a code", low=1),
    ),
)

CLUSTER_FACES = Table(
    "cluster_faces",
    "reports",
    "Mean faces of clusters, and walks between nearest ones, drawn from mean W+ codes by the codes' generator.",
    ("clustering_id", "cluster", "kind", "to_cluster", "step"),
    ("clustering_id", "cluster", "kind", "to_cluster", "step"),
    (
        _CLUSTERING,
        Column("cluster", _I32, "cluster, of a walk its start", low=0),
        Column("kind", _STR, "mean face, or one step of a walk", allowed=("mean", "walk")),
        Column("to_cluster", _I32, "walk: where it leads; else the cluster itself", low=0),
        Column("step", _I32, "step of the walk, from 0 (the start's mean face) to the goal's", low=0),
        Column("inverter_id", _STR, "what made the codes"),
        Column("image", pa.binary(), "RGB image, PNG", nullable=True),
        Column("reason", _STR, "why there is no image", nullable=True),
    ),
)

TAG_KINDS = ("label", "exclusion", "note")
OVERRIDES = Table(
    "overrides",
    "data",
    "Faces whose label people corrected, or which they excluded; laid out from the file that `overrides` names.",
    ("face_id",),
    ("face_id",),
    (
        _FACE,
        Column("video_id", _STR, "its video"),
        Column("label_before", _I8, "0 real, 1 fake, as the material has it", nullable=True, low=0, high=1),
        Column("label", _I8, "0 real, 1 fake, as it counts from here on", nullable=True, low=0, high=1),
        Column("excluded", pa.bool_(), "neither trained on nor measured"),
        Column("reason", _STR, "why, as the file says", nullable=True),
    ),
)

TAGS = Table(
    "tags",
    "tags",
    "What people wrote on faces in the dashboard. No stage makes this table, and none overwrites it.",
    ("face_id", "tag"),
    ("face_id", "tag"),
    (
        _FACE,
        Column("tag", _STR, "name of the tag, as it was typed"),
        Column(
            "kind", _STR, "label: what the face is; exclusion: leave it out; note: anything else", allowed=TAG_KINDS
        ),
        Column("value", _STR, "real or fake for a label; a remark or empty for the others", nullable=True),
        Column("created", pa.timestamp("ms", tz="UTC"), "when it was set"),
    ),
)

TABLES: dict[str, Table] = {
    t.name: t
    for t in (
        VIDEOS,
        FACES,
        BLENDED,
        SPLITS_TABLE,
        LEAKS,
        WPLUS,
        RECONSTRUCTIONS,
        CURVES,
        EMBEDDINGS,
        CODES,
        DECODED,
        WPLUS_BLENDED,
        EMBEDDINGS_BLENDED,
        CODES_BLENDED,
        PREDICTIONS,
        METRICS,
        METHOD_METRICS,
        COMPARISONS,
        STUDY,
        EFFORT,
        ATTRIBUTES,
        SLICES_TABLE,
        SHORTCUTS,
        IMPORTANCE,
        CHANNEL_GROUPS,
        AGREEMENT,
        CHANNEL_EFFECTS,
        LEARNING,
        MAP,
        MAP_QUALITY,
        CLUSTERS,
        CLUSTER_TREE,
        CLUSTER_GRID,
        CLUSTER_PROFILES,
        CLUSTER_INFORMATION,
        CLUSTER_CHANNELS,
        CLUSTER_FACES,
        OVERRIDES,
        TAGS,
    )
}
