"""Videos as frames, and frames as videos, through PyAV, which comes with `pellucid[video]`."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from pellucid.errors import ImageError, UsageError
from pellucid.files import atomic_path

__all__ = ["VIDEO_SUFFIXES", "VideoFrame", "VideoWriter", "is_video", "read_frames"]

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg")
ENCODERS = {"libx264": {"crf": "18", "preset": "veryfast"}, "mpeg4": {"qscale": "2"}}
"""H.264 plays in every browser; where FFmpeg was built without it, MPEG-4 plays nearly everywhere."""
TICKS = 90_000  # a second: the clock of MPEG, in which common rates are whole numbers


@dataclass(frozen=True, slots=True, eq=False)
class VideoFrame:
    """A frame: its `number` counts from 0, `seconds` from the first one; pixels uint8 H W 3, the right way up."""

    number: int
    seconds: float
    pixels: UInt8[ndarray, "h w 3"]


def is_video(path: str | Path) -> bool:
    """Whether a file's name ends like a video's."""
    return Path(path).suffix.lower() in VIDEO_SUFFIXES


def read_frames(path: str | Path, every: int = 1) -> Iterator[VideoFrame]:
    """The frames of a video in their order, of `every` so many the first; damage is an `ImageError` where it comes."""
    av = _av(path)
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ImageError("it has no pictures", "give a file with a video stream")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            start = None
            for number, frame in enumerate(container.decode(stream)):
                seconds = number / float(stream.average_rate or 1) if frame.time is None else frame.time
                start = seconds if start is None else start
                if number % every == 0:
                    yield VideoFrame(number, seconds - start, _upright(frame))
    except av.error.FFmpegError as error:
        reason = error.strerror or type(error).__name__
        raise ImageError(
            f"the video cannot be read: {reason}", "replace it with an intact copy, or convert it"
        ) from error


def _upright(frame: Any) -> UInt8[ndarray, "h w 3"]:
    """Turned as the camera noted: by multiples of 90 degrees against the clock."""
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90) % 4))


class VideoWriter:
    """Writes frames, all of the size of the first, as an MP4 file; whole or, where an error comes between, not at all.

    Sides are made even, as encoders want them, by a last row or column that is seen twice.
    """

    def __init__(self, path: Path) -> None:
        self._av = _av(path)
        self._path = path
        self._stack = ExitStack()
        self._stream: Any = None
        self._container: Any = None

    def __enter__(self) -> Self:
        draft = self._stack.enter_context(atomic_path(self._path))
        self._container = self._stack.enter_context(self._av.open(str(draft), "w", format="mp4"))
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is None and self._stream is not None:
            self._container.mux(self._stream.encode())
        self._stack.__exit__(kind, error, trace)

    def add(self, pixels: UInt8[ndarray, "h w 3"], seconds: float) -> None:
        """One more frame, to be shown at that time."""
        even = np.pad(pixels, [(0, pixels.shape[0] % 2), (0, pixels.shape[1] % 2), (0, 0)], mode="edge")
        if self._stream is None:
            self._stream = self._begun(*even.shape[:2])
        frame = self._av.VideoFrame.from_ndarray(even, format="rgb24")
        frame.pts, frame.time_base = round(seconds * TICKS), Fraction(1, TICKS)
        self._container.mux(self._stream.encode(frame))

    def _begun(self, height: int, width: int) -> Any:
        codec = next(name for name in ENCODERS if name in self._av.codecs_available)
        stream = self._container.add_stream(codec, options=ENCODERS[codec])
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, TICKS)
        return stream


def _av(path: str | Path) -> Any:
    try:
        import av
    except ImportError as error:
        raise UsageError(f"{path} is a video, which PyAV reads and writes: pip install 'pellucid[video]'.") from error
    return av
