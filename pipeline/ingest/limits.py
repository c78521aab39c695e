"""What makes a file unusable, as exceptions whose text goes into the tables, and the largest picture that is read."""

from __future__ import annotations

MAX_SIDE_PX = 16_384
# 400 MB as RGB. Holds the largest phone photograph (108 megapixels) and 8K video four times over.
MAX_PIXELS = 2**27


class UnreadableVideo(ValueError):  # noqa: N818 - what the file is, not what the code did
    """Nothing of the file can be used; the message is one clause that says why, without the file's name."""


class TruncatedVideo(ValueError):  # noqa: N818
    """Raised after the last frame that could be had: some of the wanted ones are missing.

    Attributes
    ----------
    n_decoded : frames decoded up to the last wanted one, or to the end.
    missing : wanted indices, ascending, that were damaged or never came.
    """

    def __init__(self, n_decoded: int, missing: tuple[int, ...]) -> None:
        super().__init__(n_decoded, missing)  # as args, so that the exception survives a trip between processes
        self.n_decoded = n_decoded
        self.missing = missing

    def __str__(self) -> str:
        return f"the video is damaged or cut short: {self.n_decoded} frames can be decoded, this one cannot"


def check_size(width_px: int, height_px: int) -> None:
    """Refuse pictures past the limits before memory is taken for them.

    Raises
    ------
    UnreadableVideo : a side over `MAX_SIDE_PX`, or more than `MAX_PIXELS` in all.
    """
    if max(width_px, height_px) > MAX_SIDE_PX:
        raise UnreadableVideo(f"{width_px} x {height_px} px is larger than {MAX_SIDE_PX} px a side")
    if width_px * height_px > MAX_PIXELS:
        raise UnreadableVideo(f"{width_px} x {height_px} px is more than {MAX_PIXELS} pixels")
