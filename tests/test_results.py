"""What predictions become as files: drawn pictures and videos, masks, and boxes as datasets that are read again."""

import json

import numpy as np
import pytest

from pellucid.data.boxes import Boxes
from pellucid.data.dataset import open_dataset
from pellucid.errors import UsageError
from pellucid.image import read_image, write_image
from pellucid.metrics.detection import Detections
from pellucid.prediction import Predicted
from pellucid.predictions.classify import ClassPostprocess, ClassScores
from pellucid.predictions.detect import BoxPostprocess, FoundBoxes
from pellucid.predictions.segment import ClassMask, MaskPostprocess
from pellucid.results import BoxDataset, Drawings, Masks
from pellucid.video import read_frames

CLASSES = ("bee", "wasp nest")
WAY = BoxPostprocess(CLASSES)
FORMATS = {"coco": "coco-boxes", "yolo": "yolo-boxes", "voc": "voc"}


def found(image, rows, size=(60, 90), **moment) -> Predicted:
    """Rows of (xyxy, score, class)."""
    xyxy = np.array([row[0] for row in rows], float).reshape(-1, 4)
    scores, labels = np.array([row[1] for row in rows], float), np.array([row[2] for row in rows], int)
    prediction = FoundBoxes(CLASSES, Detections(xyxy, scores, labels))
    return Predicted(str(image), prediction, pixels=np.full((*size, 3), 120, np.uint8), **moment)


ROWS = [((10.123456, 5, 40.98765, 33.3333), 0.912345, 1), ((0, 0, 90, 60), 0.5, 0), ((20, 20, 20.001, 30), 0.4, 0)]


@pytest.fixture
def photos(tmp_path):
    """Two of one name in two folders, and one without any object."""
    paths = [tmp_path / "in" / name for name in ("a/one.png", "b/one.png", "none.jpg")]
    for path in paths:
        write_image(path, np.full((60, 90, 3), 120, np.uint8))
    return paths


@pytest.mark.parametrize("to", FORMATS)
def test_boxes_are_read_again_as_they_were_written(to, photos, tmp_path):
    out = tmp_path / "out"
    with BoxDataset(out, to, WAY) as results:
        for photo, rows in zip(photos, (ROWS, ROWS[1:2], []), strict=True):
            results.take(found(photo, rows))
        results.take(Predicted("gone.png", error="it cannot be opened"))
    dataset = open_dataset(out, val=0, test=0)
    assert dataset.format == FORMATS[to]
    assert dataset.classes == CLASSES
    assert not dataset.ledger.refused
    labels = {record.path.stem: record.label for record in dataset.splits["train"]}
    assert labels == {
        "one": Boxes.of([((10.12, 5, 40.99, 33.33), 1), ((0, 0, 90, 60), 0)]),  # what has no area is left out
        "one-2": Boxes.of([((0, 0, 90, 60), 0)]),
        "none": Boxes.of([]),
    }
    for record in dataset.splits["train"]:
        assert dataset.image(record).pixels.shape == (60, 90, 3)


def test_scores_are_kept_where_the_format_has_a_place_for_them(photos, tmp_path):
    for to in FORMATS:
        with BoxDataset(tmp_path / to, to, WAY) as results:
            results.take(found(photos[0], ROWS))
    annotations = json.loads((tmp_path / "coco" / "annotations" / "instances_train.json").read_text())["annotations"]
    assert [entry["score"] for entry in annotations] == [0.912345, 0.5]
    lines = (tmp_path / "yolo" / "labels" / "train" / "one.txt").read_text().splitlines()
    assert [line.split()[0::5] for line in lines] == [["1", "0.912345"], ["0", "0.5"]]
    assert "0.912345" not in (tmp_path / "voc" / "Annotations" / "one.xml").read_text()
    notes = [note.text for note in open_dataset(tmp_path / "yolo", val=0, test=0).ledger.notes]
    assert "its scores, the sixth numbers, are not used: its boxes are a model's" in notes


def test_a_dataset_is_written_whole_or_not_at_all(photos, tmp_path):
    def interrupted():
        with BoxDataset(tmp_path / "out", "coco", WAY) as results:
            results.take(found(photos[0], ROWS))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not list((tmp_path / "out").iterdir())


def test_what_is_no_dataset_of_boxes_is_refused(photos, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(UsageError, match="not an empty folder"):
        BoxDataset(tmp_path / "full", "coco", WAY)
    results = BoxDataset(tmp_path / "out", "voc", WAY)
    with pytest.raises(UsageError, match=r"clip\.mp4 is a video"):
        results.take(found("clip.mp4", ROWS, frame=0, seconds=0.0))
    with pytest.raises(UsageError, match="this model finds none"):
        results.take(Predicted(str(photos[0]), ClassScores(("a",), (1.0,))))


def test_pictures_have_the_images_names_and_videos_keep_their_times(photos, tmp_path):
    with Drawings(tmp_path / "out", WAY) as results:
        results.take(found(photos[0], ROWS[:1], size=(300, 400)))
        for clip in ("x/clip.mov", "y/clip.mov"):
            for number in range(3):
                results.take(found(clip, ROWS[:number], size=(300, 400), frame=2 * number, seconds=0.25 * number))
            results.take(Predicted(clip, error="the video cannot be read: it ends here"))
        results.take(found(photos[1], ROWS[:1], size=(300, 400)))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"one.png", "one-2.png", "clip.mp4", "clip-2.mp4"}
    for name in ("clip.mp4", "clip-2.mp4"):
        frames = list(read_frames(tmp_path / "out" / name))
        assert [frame.seconds for frame in frames] == pytest.approx([0, 0.25, 0.5], abs=1e-3)
        assert frames[0].pixels.shape == (300, 400, 3)
        assert frames[0].pixels.std() < 4  # nothing was found in the first, but something in the last
        assert frames[2].pixels.std() > 8


def test_the_frames_of_a_segmented_video_have_one_size_whatever_occurs_in_them(tmp_path):
    way = MaskPostprocess(tuple(f"class {at} of many words" for at in range(9)))
    with Drawings(tmp_path, way) as results:
        for number in range(3):
            labels = (
                (np.indices((120, 160))[0] // 14).astype(np.uint8) if number == 1 else np.zeros((120, 160), np.uint8)
            )
            mask = ClassMask(way.classes, labels, (1.0,) * 9)
            pixels = np.zeros((120, 160, 3), np.uint8)
            results.take(Predicted("clip.mp4", mask, pixels=pixels, frame=number, seconds=number / 5))
    assert len({frame.pixels.shape for frame in read_frames(tmp_path / "clip.mp4")}) == 1


def test_masks_of_frames_are_numbered(tmp_path):
    way = MaskPostprocess(("background", "leaf"))
    mask = ClassMask(way.classes, np.eye(12, dtype=np.uint8), (1.0, 1.0))
    with Masks(tmp_path, way) as results:
        results.take(Predicted("a.png", mask))
        results.take(Predicted("clip.mp4", mask, frame=7, seconds=0.7))
    names = {"a.png", "a-color.png", "clip-000007.png", "clip-000007-color.png"}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert np.array_equal(read_image(tmp_path / "clip-000007.png").pixels[..., 0], mask.labels)


def test_a_label_is_no_file(tmp_path):
    with pytest.raises(UsageError, match="--save has no effect"), Masks(tmp_path, ClassPostprocess(("a",))) as results:
        results.take(Predicted("a.png", ClassScores(("a",), (1.0,))))
