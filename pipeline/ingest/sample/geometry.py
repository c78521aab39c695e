"""Landmark geometry of the sample set's forgeries: alignments and warps.

Points are ``(x, y)`` in pixels with pixel centres at integer coordinates, as OpenCV counts them. The five landmarks
are MTCNN's: left eye, right eye, nose tip, left mouth corner, right mouth corner (left and right of the image).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
FloatImage = NDArray[np.float32]

# The face's centre lies this share of the way from the eyes to the mouth.
_CENTRE_DOWN = 0.42
# Distance of the warp's outer anchors from the face's centre, in face scales: outside every mask.
_ANCHOR_RADIUS = 2.0


def check_landmarks(landmarks_px: Points) -> Points:
    """Return the landmarks as float64 [5, 2].

    Raises
    ------
    ValueError
        If the shape is not [5, 2] or a coordinate is not finite.
    """
    points = np.asarray(landmarks_px, dtype=np.float64)
    if points.shape != (5, 2) or not np.isfinite(points).all():
        raise ValueError(f"expected 5 finite landmarks of shape (5, 2), got shape {points.shape}")
    return points


def similarity_transform(source: Points, target: Points) -> Points:
    """Least-squares similarity (rotation, one scale, translation) that takes `source` to `target`.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns", PAMI 1991.

    Parameters
    ----------
    source, target : float array [K, 2]
        Corresponding points, K >= 2.

    Returns
    -------
    float64 array [2, 3]
        Matrix A with ``target ~ A[:, :2] @ source + A[:, 2]``; never a reflection.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 2 or len(source) < 2:
        raise ValueError(f"expected two point sets of one shape [K >= 2, 2], got {source.shape} and {target.shape}")
    mean_s, mean_t = source.mean(0), target.mean(0)
    centred_s, centred_t = source - mean_s, target - mean_t
    variance_s = (centred_s**2).sum()
    if variance_s == 0:
        raise ValueError("the source points coincide, so no similarity transform is defined")
    u, singular, vt = np.linalg.svd(centred_t.T @ centred_s)
    sign = np.array([1.0, np.sign(np.linalg.det(u @ vt)) or 1.0])
    rotation = (u * sign) @ vt
    scale = (singular * sign).sum() / variance_s
    linear = scale * rotation
    return np.column_stack([linear, mean_t - linear @ mean_s])


def transform_points(matrix: Points, points: Points) -> Points:
    """Apply a [2, 3] affine matrix to points [K, 2]."""
    return np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]


def _thin_plate_kernel(squared_distance: Points) -> Points:
    return squared_distance * np.log(np.maximum(squared_distance, 1e-12))


class ThinPlateSpline:
    """The interpolating thin-plate spline from one point set to another (Bookstein, PAMI 1989).

    Parameters
    ----------
    source, target : float array [K, 2]
        Control points, K >= 3 and not on one line; ``spline(source) == target`` up to rounding.
    """

    def __init__(self, source: Points, target: Points) -> None:
        source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
        if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 2 or len(source) < 3:
            raise ValueError(f"expected two point sets of one shape [K >= 3, 2], got {source.shape}, {target.shape}")
        n = len(source)
        self.control = source
        affine = np.column_stack([np.ones(n), source])  # [K, 3]
        system = np.zeros((n + 3, n + 3))
        system[:n, :n] = _thin_plate_kernel(((source[:, None] - source[None]) ** 2).sum(-1))
        system[:n, n:], system[n:, :n] = affine, affine.T
        right = np.zeros((n + 3, 2))
        right[:n] = target
        self.weights = np.linalg.solve(system, right)  # [K + 3, 2]

    def __call__(self, points: Points) -> Points:
        """Map points [M, 2] to float64 [M, 2]."""
        points = np.asarray(points, np.float64)
        kernel = _thin_plate_kernel(((points[:, None] - self.control[None]) ** 2).sum(-1))  # [M, K]
        n = len(self.control)
        return kernel @ self.weights[:n] + self.weights[n] + points @ self.weights[n + 1 :]


def warp_by_landmarks(
    source: FloatImage, source_landmarks: Points, target_landmarks: Points, *, region_yx: tuple[slice, slice]
) -> FloatImage:
    """Warp `source` so that its landmarks fall exactly on the target's.

    Inside the face a thin-plate spline through the five landmarks bends the image; eight anchors around the face
    follow the similarity transform of the landmarks, so that the bending dies away outwards.

    Parameters
    ----------
    source : float32 array [H, W, 3]
    source_landmarks, target_landmarks : float array [5, 2]
        In pixels of the source image and of the target image.
    region_yx : (slice, slice)
        Rows and columns of the target image that are wanted, with start and stop.

    Returns
    -------
    float32 array [rows, columns, 3]
        Cubic interpolation; reflected where the source ends.
    """
    spline = landmark_spline(target_landmarks, source_landmarks)
    grid_y, grid_x = np.mgrid[region_yx]
    map_px = spline(np.column_stack([grid_x.ravel(), grid_y.ravel()])).reshape(*grid_x.shape, 2).astype(np.float32)
    map_x, map_y = np.ascontiguousarray(map_px.transpose(2, 0, 1))
    return cv2.remap(source, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)


def landmark_spline(from_landmarks: Points, to_landmarks: Points) -> ThinPlateSpline:
    """The spline of `warp_by_landmarks`: takes points of one face to points of another."""
    from_landmarks, to_landmarks = check_landmarks(from_landmarks), check_landmarks(to_landmarks)
    similarity = similarity_transform(from_landmarks, to_landmarks)
    centre, right, down = face_frame(from_landmarks)
    angles = np.arange(8) * (np.pi / 4)
    anchors = centre + _ANCHOR_RADIUS * (np.cos(angles)[:, None] * right + np.sin(angles)[:, None] * down)
    return ThinPlateSpline(
        np.vstack([from_landmarks, anchors]), np.vstack([to_landmarks, transform_points(similarity, anchors)])
    )


def face_frame(landmarks_px: Points) -> tuple[Points, Points, Points]:
    """Centre and two half-axis vectors of the face, in pixels.

    Returns
    -------
    centre, right, down : float64 arrays [2]
        `right` runs along the eyes and `down` across them, both as long as the face scale: the larger of the eye
        distance and the eye-to-mouth distance, so that turning the head does not shrink the face at once.
    """
    points = check_landmarks(landmarks_px)
    eyes, mouth = points[:2].mean(0), points[3:].mean(0)
    eye_vector, down_vector = points[1] - points[0], mouth - eyes
    scale = max(np.linalg.norm(eye_vector), np.linalg.norm(down_vector))
    # As in FFHQ's alignment: the x axis averages the eye line and the normal of the eye-to-mouth line.
    x_axis = eye_vector - down_vector[::-1] * np.array([-1.0, 1.0])
    norm = np.linalg.norm(x_axis)
    if norm == 0 or scale == 0:
        raise ValueError("the landmarks span no face: eyes and mouth coincide or are crossed")
    right = x_axis / norm * scale
    down = np.array([-right[1], right[0]])
    return eyes + _CENTRE_DOWN * down_vector, right, down
