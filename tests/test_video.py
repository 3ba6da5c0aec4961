"""Videos frame by frame: numbers, times, orientation; and what cannot be read."""

import sys
from fractions import Fraction

import av
import numpy as np
import pytest

from pellucid.errors import ImageError, UsageError
from pellucid.video import VideoWriter, is_video, read_frames


def colour(number: int) -> np.ndarray:
    """A frame of one colour, 40 x 60, with a white corner at the upper left."""
    pixels = np.full((40, 60, 3), [40 * number, 100, 240 - 40 * number], np.uint8)
    pixels[:16, :16] = 255
    return pixels


def written(path, times):
    with VideoWriter(path) as writer:
        for number, seconds in enumerate(times):
            writer.add(colour(number), seconds)
    return path


@pytest.mark.parametrize("name", ["a.mp4", "b.MOV", "c.mkv", "d.webm", "e.avi"])
def test_a_video_is_told_by_its_name(name):
    assert is_video(name)
    assert not is_video(name + ".png")


def test_frames_come_back_with_number_time_and_colour(tmp_path):
    path = written(tmp_path / "a.mp4", [0, 0.1, 0.2, 0.5, 0.7])
    frames = list(read_frames(path))
    assert [frame.number for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.seconds for frame in frames] == pytest.approx([0, 0.1, 0.2, 0.5, 0.7], abs=1e-3)
    for frame in frames:
        assert frame.pixels.shape == (40, 60, 3)
        assert np.abs(frame.pixels[30, 40].astype(int) - colour(frame.number)[30, 40]).max() < 12  # H.264 loses some
        assert frame.pixels[4, 4].min() > 230


def test_of_every_so_many_frames_the_first(tmp_path):
    path = written(tmp_path / "a.mp4", [0, 0.1, 0.2, 0.3, 0.4])
    assert [frame.number for frame in read_frames(path, 2)] == [0, 2, 4]
    assert [frame.number for frame in read_frames(path, 9)] == [0]


def test_odd_sides_become_even(tmp_path):
    with VideoWriter(tmp_path / "a.mp4") as writer:
        writer.add(np.full((33, 47, 3), 90, np.uint8), 0.0)
    (frame,) = read_frames(tmp_path / "a.mp4")
    assert frame.pixels.shape == (34, 48, 3)
    assert np.abs(frame.pixels.astype(int) - 90).max() < 6


@pytest.mark.parametrize(("degrees", "corner"), [(90, (-8, 8)), (180, (-8, -8)), (-90, (8, -8))])
def test_a_turned_video_is_turned_back(tmp_path, degrees, corner):
    """`degrees` against the clock bring the white corner from the upper left to where it is looked for."""
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 60, 40, "yuv420p"
        stream.set_display_rotation(degrees)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(colour(0), format="rgb24")))
        container.mux(stream.encode())
    (frame,) = read_frames(tmp_path / "a.mp4")
    assert frame.pixels.shape[:2] == ((40, 60) if degrees == 180 else (60, 40))
    assert frame.pixels[corner].min() > 230
    assert frame.pixels[20, 20].min() < 60


def test_times_count_from_the_first_frame(tmp_path):
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 60, 40, "yuv420p"
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(colour(number), format="rgb24")
            frame.pts, frame.time_base = 30 + number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert [frame.seconds for frame in read_frames(tmp_path / "a.mkv")] == pytest.approx([0, 0.1, 0.2], abs=2e-3)


def test_what_is_no_video_or_has_no_pictures_is_refused(tmp_path):
    (tmp_path / "text.mp4").write_text("no video at all" * 30)
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    for name, words in (("text", "cannot be read"), ("sound", "no pictures"), ("gone", "No such file")):
        with pytest.raises(ImageError, match=words):
            list(read_frames(tmp_path / f"{name}.mp4"))


def test_without_pyav_the_cure_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(
        UsageError, match=r"a\.mp4 is a video, which PyAV reads and writes: pip install 'pellucid\[video\]'"
    ):
        list(read_frames(tmp_path / "a.mp4"))


def test_an_error_leaves_no_half_a_video(tmp_path):
    def broken():
        with VideoWriter(tmp_path / "a.mp4") as writer:
            writer.add(colour(0), 0.0)
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        broken()
    assert not list(tmp_path.iterdir())
