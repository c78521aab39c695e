"""The MTCNN cascade (Zhang et al. 2016, arXiv:1604.02878) on the networks and weights of facenet-pytorch.

Only the three networks are taken from facenet-pytorch 2.6.0. Its cascade is not used, because

* it suppresses boxes of different frames together, told apart by an offset that is too small where a box starts
  left of or above the frame, so a frame's result can depend on its neighbours in the batch;
* a candidate wholly outside the frame is left out of the network's input but not out of the box list (shape error),
  a frame smaller than the smallest face is an error, and results come as ragged object arrays;
* it regresses from the candidate's exact box, though the networks saw that box cut down to whole pixels and to the
  frame: landmarks lie half a pixel too far right and down (measured by mirroring), and far off where a face is cut
  by the frame's edge;
* it reads its weights without a check.

Here every frame is suppressed by itself, candidates outside are dropped, what the networks regress is placed in
the crop they saw, and the weight files are checked by SHA-256. Away from the frame's edge boxes and scores agree
with the package's own (a test compares them).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import facenet_pytorch
import numpy as np
import torch
from facenet_pytorch.models.mtcnn import ONet, PNet, RNet
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.ops import nms

from pipeline.errors import UserError
from pipeline.ingest.area_means import AreaMeans

WEIGHT_SHA256 = {
    "pnet.pt": "a2a71925e0b9996a42f63e47efc1ca19043e69558b5c523b978d611dfae49c8f",
    "rnet.pt": "bbb937de72efc9ef83b186c49f5f558467a1d7e3453a8ece0d71a886633f6a86",
    "onet.pt": "165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d",
}
PYRAMID_FACTOR = 0.709  # about sqrt(1/2): each level halves the area
THRESHOLDS = (0.6, 0.7, 0.7)  # P-, R-, O-Net
PNET_CELL_PX, PNET_STRIDE_PX = 12, 2
NETWORK_BATCH = 512  # candidates per R-/O-Net call; bounds memory only


class MissingDetectorWeightsError(UserError):
    """A weight file of the detector is absent or is not the published one."""


@dataclass(frozen=True)
class FrameFaces:
    """Faces of one frame: boxes float32 [n, 4] (x0, y0, x1, y1), landmarks float32 [n, 5, 2], scores float32 [n]."""

    boxes: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    scores: NDArray[np.float32]


def weight_files() -> dict[str, Path]:
    """Paths of the three weight files inside the installed facenet-pytorch, by file name (existence not checked)."""
    folder = Path(facenet_pytorch.__file__).parent / "data"
    return {name: folder / name for name in WEIGHT_SHA256}


def _load(network: nn.Module, name: str, device: torch.device) -> nn.Module:
    path = weight_files()[name]
    if not path.is_file():
        raise MissingDetectorWeightsError(
            f"MTCNN weight file {name} is missing: expected it inside facenet-pytorch at {path}"
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != WEIGHT_SHA256[name]:
        raise MissingDetectorWeightsError(
            f"MTCNN weight file {path} has SHA-256 {digest}, expected {WEIGHT_SHA256[name]}"
        )
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    # Channels last halves the time of these small networks on a processor.
    return network.to(memory_format=torch.channels_last).to(device).eval().requires_grad_(False)


def _standardise(pixels: Tensor) -> Tensor:
    return (pixels - 127.5) / 128.0  # the scale the networks were trained on


class Mtcnn:
    """Batched MTCNN.

    Parameters
    ----------
    device : where the networks run.
    min_face_px : smallest face looked for, in pixels of the frames given (not below 12, P-Net's window).
    """

    def __init__(self, *, device: str | torch.device = "cpu", min_face_px: float = 20.0) -> None:
        if not min_face_px >= PNET_CELL_PX:
            raise ValueError(f"min_face_px must be at least {PNET_CELL_PX} (P-Net's window), got {min_face_px}")
        self.device = torch.device(device)
        self.min_face_px = float(min_face_px)
        self.pnet = _load(PNet(pretrained=False), "pnet.pt", self.device)
        self.rnet = _load(RNet(pretrained=False), "rnet.pt", self.device)
        self.onet = _load(ONet(pretrained=False), "onet.pt", self.device)

    @torch.inference_mode()
    def __call__(self, frames: NDArray[np.uint8]) -> list[FrameFaces]:
        """Find the faces of each frame.

        Parameters
        ----------
        frames : uint8 [B, H, W, 3] RGB.

        Returns
        -------
        one FrameFaces per frame, highest score first. Coordinates are continuous: pixel i covers [i, i + 1).
        """
        areas = AreaMeans(torch.from_numpy(np.ascontiguousarray(frames)).to(self.device))
        boxes, frame_of = self._propose(areas)  # [n,4], [n]
        boxes, frame_of = self._refine(areas, boxes, frame_of)
        boxes, scores, landmarks, frame_of = self._output(areas, boxes, frame_of)
        found = []
        for index in range(len(frames)):
            rows = (frame_of == index).nonzero().flatten()
            b, s = boxes[rows].cpu().numpy(), scores[rows].cpu().numpy()
            keep = _nms_by_smaller_area(b, s, 0.7)
            b[:, :2] -= 1.0  # the networks count a box's first pixel from 1: now a box's edges
            found.append(FrameFaces(b[keep], landmarks[rows].cpu().numpy()[keep], s[keep]))
        return found

    def _propose(self, areas: AreaMeans) -> tuple[Tensor, Tensor]:
        """P-Net over an image pyramid -> square candidates [n, 4] and their frames [n]."""
        height, width = areas.height_px, areas.width_px
        none = torch.zeros(0, 5, device=self.device), torch.zeros(0, dtype=torch.long, device=self.device)
        found: list[tuple[Tensor, Tensor]] = [none]
        scale = PNET_CELL_PX / self.min_face_px
        while min(height, width) * scale >= PNET_CELL_PX:
            level = areas.pooled(int(height * scale + 1), int(width * scale + 1))
            regression, probability = self.pnet(_standardise(level))  # [B,4,h,w], [B,2,h,w]
            frame_of, row, column = (probability[:, 1] >= THRESHOLDS[0]).nonzero(as_tuple=True)
            score = probability[frame_of, 1, row, column]
            corner = torch.stack([column, row], dim=1) * PNET_STRIDE_PX + 1
            window = torch.cat([(corner / scale).floor(), ((corner + PNET_CELL_PX - 1) / scale).floor()], dim=1)
            keep = _nms_per_frame(window, score, frame_of, 0.5)
            side = window[:, 2:] - window[:, :2]
            shift = regression[frame_of, :, row, column] * torch.cat([side, side], dim=1)
            # windows suppress each other before regression, the regressed boxes are what goes on
            found.append((torch.cat([window, score[:, None], window + shift], dim=1)[keep], frame_of[keep]))
            scale *= PYRAMID_FACTOR
        rows = torch.cat([table for table, _ in found[1:]] or [torch.zeros(0, 9, device=self.device)])
        frame_of = torch.cat([frames for _, frames in found])
        keep = _nms_per_frame(rows[:, :4], rows[:, 4], frame_of, 0.7)
        return _squared(rows[keep, 5:]), frame_of[keep]

    def _refine(self, areas: AreaMeans, boxes: Tensor, frame_of: Tensor) -> tuple[Tensor, Tensor]:
        """R-Net -> fewer, better square candidates."""
        crops, _, inside = _cut(areas, boxes, frame_of, 24)
        boxes, frame_of = _within(areas, boxes[inside]), frame_of[inside]
        if not len(boxes):
            return boxes, frame_of
        regression, probability = _in_chunks(self.rnet, crops)
        passed = probability[:, 1] > THRESHOLDS[1]
        boxes, frame_of, score = boxes[passed], frame_of[passed], probability[passed, 1]
        keep = _nms_per_frame(boxes, score, frame_of, 0.7)
        return _squared(_regressed(boxes[keep], regression[passed][keep])), frame_of[keep]

    def _output(self, areas: AreaMeans, boxes: Tensor, frame_of: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """O-Net -> boxes [n, 4], scores [n], landmarks [n, 5, 2], frames [n]; still overlapping."""
        crops, edges, inside = _cut(areas, boxes, frame_of, 48)
        boxes, frame_of = _within(areas, boxes[inside]), frame_of[inside]
        if not len(boxes):
            return boxes, boxes.new_zeros(0), boxes.new_zeros(0, 5, 2), frame_of
        regression, points, probability = _in_chunks(self.onet, crops)  # [n,4], [n,10], [n,2]
        passed = probability[:, 1] > THRESHOLDS[2]
        boxes, frame_of, score = boxes[passed], frame_of[passed], probability[passed, 1]
        seen = edges[inside][passed][:, None].to(points.dtype)  # [n,1,4]
        relative = points[passed].reshape(-1, 2, 5).transpose(1, 2)  # five x then five y -> [n,5,2]
        landmarks = seen[..., :2] + relative * (seen[..., 2:] - seen[..., :2])
        return _regressed(boxes, regression[passed]), score, landmarks, frame_of


def _in_chunks(network: nn.Module, crops: Tensor) -> tuple[Tensor, ...]:
    parts = [network(_standardise(chunk)) for chunk in crops.split(NETWORK_BATCH)]
    return tuple(torch.cat(column) for column in zip(*parts, strict=True))


def _regressed(boxes: Tensor, regression: Tensor) -> Tensor:
    size = boxes[:, 2:] - boxes[:, :2] + 1
    return boxes + regression * torch.cat([size, size], dim=1)


def _squared(boxes: Tensor) -> Tensor:
    size = boxes[:, 2:] - boxes[:, :2]
    side = size.max(dim=1, keepdim=True).values
    corner = boxes[:, :2] + (size - side) / 2
    return torch.cat([corner, corner + side], dim=1)


def _cut(areas: AreaMeans, boxes: Tensor, frame_of: Tensor, side_px: int) -> tuple[Tensor, Tensor, Tensor]:
    """Bring each candidate's part inside its frame to side_px.

    Returns crops [m, 3, side, side], the edges of every candidate's part int64 [n, 4], and which candidates have
    any bool [n].
    """
    whole = boxes.trunc().long()
    low = whole[:, :2].clamp(min=1) - 1
    high = torch.minimum(whole[:, 2:], torch.tensor([areas.width_px, areas.height_px], device=boxes.device))
    edges = torch.cat([low, high], dim=1)
    inside = (high > low).all(dim=1)
    return areas.crops(frame_of[inside], edges[inside], side_px), edges, inside


def _within(areas: AreaMeans, boxes: Tensor) -> Tensor:
    """Boxes cut to the frame, as the networks see them: what they regress is relative to that."""
    limit = torch.tensor([areas.width_px, areas.height_px] * 2, device=boxes.device, dtype=boxes.dtype)
    return torch.minimum(boxes.clamp(min=1.0), limit)


def _nms_per_frame(boxes: Tensor, scores: Tensor, frame_of: Tensor, iou_max: float) -> Tensor:
    """Indices kept, frame by frame: a frame's boxes never meet another's."""
    kept = [torch.zeros(0, dtype=torch.long, device=boxes.device)]
    for frame in torch.unique(frame_of).tolist():
        rows = (frame_of == frame).nonzero().flatten()
        kept.append(rows[nms(boxes[rows], scores[rows], iou_max)])
    return torch.cat(kept)


def _nms_by_smaller_area(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], overlap_max: float
) -> NDArray[np.intp]:
    """Indices kept, best first; overlap is measured against the smaller box, so a box inside another goes."""
    order = np.argsort(-scores, kind="stable")
    size = boxes[:, 2:] - boxes[:, :2] + 1
    area = size[:, 0] * size[:, 1]
    kept: list[int] = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(int(best))
        shared = np.minimum(boxes[best, 2:], boxes[rest, 2:]) - np.maximum(boxes[best, :2], boxes[rest, :2]) + 1
        overlap = shared.clip(min=0).prod(axis=1) / np.minimum(area[best], area[rest])
        order = rest[overlap <= overlap_max]
    return np.asarray(kept, dtype=np.intp)
