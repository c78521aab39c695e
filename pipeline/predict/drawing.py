"""Boxes, labels and a banner on a frame. Arrays in, arrays changed; no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipeline.predict.boxes import Place
from pipeline.predict.scoring import Band, verdict

Rgb = tuple[int, int, int]
#: Green, red and amber as promised; amber differs from both in lightness, and each box has its verdict in words.
COLOURS: dict[str, Rgb] = {"real": (34, 160, 75), "fake": (214, 40, 40), "uncertain": (240, 160, 0)}
NOT_JUDGED: Rgb = (150, 150, 150)
_WHITE, _DARK = (255, 255, 255), (25, 25, 25)


@dataclass(frozen=True)
class Overlay:
    """What is written over every frame.

    Attributes
    ----------
    band : no verdict for P(fake) inside.
    banner : sentence at the lower edge; '' for none.
    """

    band: Band
    banner: str = ""

    def draw(self, frame: NDArray[np.uint8], places: Sequence[Place]) -> None:
        """Draw into a frame uint8 [H, W, 3] RGB; largest faces first, so that small ones stay visible."""
        height, width = frame.shape[:2]
        size = max(11, round(min(height, width) * 0.032))
        line = max(2, round(min(height, width) / 240))
        for place in sorted(places, key=lambda p: -float((p.box[2] - p.box[0]) * (p.box[3] - p.box[1]))):
            self._face(frame, place, size, line)
        if self.banner:
            _paste_banner(frame, self.banner, size)

    def _face(self, frame: NDArray[np.uint8], place: Place, size: int, line: int) -> None:
        height, width = frame.shape[:2]
        # Far outside a box would overflow OpenCV's integers; a pixel outside hides an edge just as well.
        limits = [width, height, width, height]
        x0, y0, x1, y1 = (round(min(max(float(v), -line), n + line)) for v, n in zip(place.box, limits, strict=True))
        judged = not np.isnan(place.p_fake)
        says = verdict(place.p_fake, self.band) if judged else None
        colour = COLOURS[says] if says else NOT_JUDGED
        cv2.rectangle(frame, (x0, y0), (x1, y1), colour, line)
        text = f"face {place.track_id}: " + (f"{says} {place.p_fake:.2f}" if judged else "not judged")
        ink = _DARK if says == "uncertain" else _WHITE
        picture = label(text, size, colour, ink)
        top = y0 - len(picture) if y0 >= len(picture) else min(max(y1, 0), height - len(picture))
        _paste(frame, picture, min(max(x0 - line // 2, 0), width - picture.shape[1]), top)


@lru_cache(maxsize=4096)
def label(text: str, size: int, colour: Rgb, ink: Rgb) -> NDArray[np.uint8]:
    """A line of text on a coloured ground: uint8 [h, w, 3], h about 1.4 times `size` (pixels)."""
    font = ImageFont.load_default(size)
    pad = max(2, size // 4)
    image = Image.new("RGB", (round(font.getlength(text)) + 2 * pad, round(1.4 * size)), colour)
    ImageDraw.Draw(image).text((pad, round(0.7 * size)), text, font=font, fill=ink, anchor="lm")
    return np.asarray(image, dtype=np.uint8)


@lru_cache(maxsize=16)
def _banner(text: str, size: int, width: int) -> NDArray[np.uint8]:
    """Text in as many lines as it needs, over the whole width: uint8 [h, width, 3]."""
    font = ImageFont.load_default(size)
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width - size:
            lines.append(word)
        else:
            lines[-1] = longer
    rows = [label(line, size, _DARK, _WHITE) for line in lines]
    out = np.full((sum(len(r) for r in rows), width, 3), _DARK, dtype=np.uint8)
    top = 0
    for row in rows:
        _paste(out, row, 0, top)
        top += len(row)
    return out


def _paste_banner(frame: NDArray[np.uint8], text: str, size: int) -> None:
    height, width = frame.shape[:2]
    picture = _banner(text, size, width)
    while len(picture) > height // 3 and size > 7:  # never over the faces of a small clip
        size -= 1
        picture = _banner(text, size, width)
    _paste(frame, picture, 0, height - len(picture))


def _paste(frame: NDArray[np.uint8], picture: NDArray[np.uint8], left: int, top: int) -> None:
    """Put a picture into a frame; what stands over an edge is cut."""
    height, width = frame.shape[:2]
    left, top = max(left, 0), max(top, 0)
    part = picture[: max(height - top, 0), : max(width - left, 0)]
    frame[top : top + part.shape[0], left : left + part.shape[1]] = part
