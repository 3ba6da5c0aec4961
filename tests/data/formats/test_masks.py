"""An image beside a mask: how pairs are found, what values mean, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from pellucid.data.check import check
from pellucid.data.dataset import Dataset, open_dataset
from pellucid.data.formats.masks import MasksFormat
from pellucid.data.masks import IGNORE
from pellucid.errors import DataError, ImageError, PellucidError
from pellucid.image import write_image, write_palette_image
from tests.drawn import make_mask_folder

MASK = np.array([[0, 1, 2], [2, 1, 255]], np.uint8)
COLORS = np.array([[0, 0, 0], [128, 0, 64], [1, 2, 3], *[[9, 9, 9]] * 253], np.uint8)
TABLE = "0 sky\n1 car\n2 road\n"


def pictured(path: Path, size: tuple[int, int] = MASK.shape, seed: int = 0) -> None:
    write_image(path, np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8))


def paired(root: Path, mask: np.ndarray = MASK, table: str | None = TABLE, name: str = "a") -> Path:
    """One image with its mask."""
    pictured(root / "images" / f"{name}.png", mask.shape[:2])
    write_image(root / "masks" / f"{name}.png", mask)
    if table is not None:
        (root / "classes.txt").write_text(table, "utf-8")
    return root


def read_masks(dataset: Dataset) -> dict[str, list]:
    return {
        record.path.stem: record.label.read(dataset.root, dataset.image(record).pixels.shape[:2]).tolist()
        for records in dataset.splits.values()
        for record in records
    }


def notes(dataset: Dataset) -> list[str]:
    return [f"{note.file}: {note.text}" for note in dataset.ledger.notes]


def refusals(dataset: Dataset) -> list[str]:
    return sorted(map(str, dataset.ledger.refused))


@pytest.mark.parametrize(
    ("images", "masks", "split"),
    [
        ("images", "masks", "train"),
        ("Images", "Labels", "train"),
        ("image", "annotations", "train"),
        ("train", "trainannot", "train"),
        ("valid", "valid_mask", "val"),
        ("train", "train_labels", "train"),
        ("val/images", "val/masks", "val"),
        ("images/test", "masks/test", "test"),
        ("images/train", "labels/train", "train"),
    ],
)
def test_folders_are_found_by_their_names(tmp_path, images, masks, split):
    pictured(tmp_path / images / "deep" / "a.png")
    write_image(tmp_path / masks / "deep" / "a.png", MASK)
    (tmp_path / "classes.txt").write_text(TABLE)
    dataset = open_dataset(tmp_path, val=0, test=0)
    assert dataset.format == "masks"
    assert {name: len(records) for name, records in dataset.splits.items()} == {split: 1}
    assert dataset.classes == ("sky", "car", "road")
    assert read_masks(dataset) == {"a": MASK.tolist()}
    assert dataset.ledger.used == {f"{images}/deep/a.png": 1, f"{masks}/deep/a.png": 1, "classes.txt": 3}
    assert not dataset.ledger.refused


@pytest.mark.parametrize("kind", ["grey", "palette", "2 bits", "colours", "colours with alpha"])
def test_one_mask_in_many_dresses(tmp_path, kind):
    """Index, palette and colour files of the same classes give the same mask."""
    pictured(tmp_path / "images" / "a.png")
    path = tmp_path / "masks" / "a.png"
    mask = np.where(MASK == 255, 0, MASK)
    path.parent.mkdir()
    table = TABLE
    if kind == "palette":
        write_palette_image(path, mask, COLORS)
    elif kind == "2 bits":
        picture = Pillow.fromarray(mask)
        picture.putpalette(COLORS[:4].tobytes())
        picture.save(path, bits=2)
    elif kind.startswith("colours"):
        alpha = np.full((*mask.shape, 1), 255, np.uint8)
        Pillow.fromarray(np.concatenate([COLORS[mask], alpha][: 1 + kind.endswith("alpha")], axis=2)).save(path)
        table = "sky 0 0 0\ncar 128 0 64\nroad 1 2 3\n"
    else:
        write_image(path, mask)
    (tmp_path / "classes.txt").write_text(table)
    assert read_masks(MasksFormat().read(tmp_path)) == {"a": mask.tolist()}


def test_255_and_classes_of_a_telling_name_are_ignored(tmp_path):
    dataset = MasksFormat().read(paired(tmp_path, table="0 sky\n1 Unlabelled\n2 road\n"))
    assert dataset.classes == ("sky", "road")
    assert read_masks(dataset) == {"a": [[0, IGNORE, 1], [1, IGNORE, IGNORE]]}


def test_a_table_may_name_255(tmp_path):
    dataset = MasksFormat().read(paired(tmp_path, table=TABLE + "255 border\n"))
    assert read_masks(dataset)["a"][1][2] == dataset.classes.index("border") == 3


def test_ids_that_are_not_written_are_counted_and_that_is_said(tmp_path):
    dataset = MasksFormat().read(paired(tmp_path, table="sky\ncar\nroad\n"))
    assert notes(dataset) == ["classes.txt: it gives no ids; counted from 0: 0 sky, 1 car, 2 road"]
    assert not notes(MasksFormat().read(paired(tmp_path, table=TABLE)))


@pytest.mark.parametrize(
    ("values", "classes", "found"),
    [
        ([[0, 1]], ("background", "foreground"), [[0, 1]]),
        ([[0, 255]], ("background", "foreground"), [[0, 1]]),
        ([[0, 0]], ("background", "foreground"), [[0, 0]]),
        ([[0, 1, 255]], ("background", "1"), [[0, 1, IGNORE]]),
        ([[7, 30, 7]], ("7", "30"), [[0, 1, 0]]),
    ],
)
def test_without_a_table_classes_are_called_by_their_values_and_that_is_said(tmp_path, values, classes, found):
    dataset = MasksFormat().read(paired(tmp_path, np.array(values, np.uint8), table=None))
    assert dataset.classes == classes
    assert read_masks(dataset) == {"a": found}
    (said,) = notes(dataset)
    assert said.startswith("classes.txt: there is none; by the values in the masks: ")


def test_coloured_masks_without_colours_say_what_to_write_and_that_helps(tmp_path):
    paired(tmp_path, COLORS[[[0, 1], [2, 0]]], table=None)
    for table, why in ((None, "nothing says what they mean"), ("sky\ncar\n", "classes.txt gives no colours")):
        if table:
            (tmp_path / "classes.txt").write_text(table)
        with pytest.raises(DataError) as error:
            open_dataset(tmp_path)
        said, _, lines = str(error.value).partition(":\n")
        assert "coloured, in 3 colours" in said
        assert why in said
        assert "classes.txt" in said
        assert lines.splitlines() == ["  0 0 0 class0", "  1 2 3 class1", "  128 0 64 class2"]
    (tmp_path / "classes.txt").write_text(lines.replace("class0", "void"))
    assert read_masks(open_dataset(tmp_path, val=0, test=0)) == {"a": [[IGNORE, 1], [0, IGNORE]]}


def test_one_coloured_mask_among_others_makes_no_class_and_is_refused(tmp_path):
    paired(tmp_path, table=None)
    paired(tmp_path, COLORS[MASK % 3], table=None, name="b")
    dataset = open_dataset(tmp_path, val=0, test=0)
    assert dataset.classes == ("background", "1", "2")
    with pytest.raises(
        ImageError, match=r"masks/b.png holds the value 0 \(red, green, blue \[0, 0, 0\]\) in row 0, column 0"
    ):
        dataset.splits["train"][1].label.read(tmp_path, MASK.shape)


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (
            np.array([[0, 1, 2], [2, 9, 9]], np.uint8),
            "holds the value 9 in row 1, column 1, which is no class's (2 pixels",
        ),
        (np.array([[0, 1, 700], [2, 1, 1]], np.uint16), "holds the value 700 in row 0, column 2"),
        (np.zeros((2, 4), np.uint8), "4x2 pixels in its mask masks/a.png, 3x2 in its image"),
        (np.zeros((2, 3, 3), np.uint8), "holds the value 0 (red, green, blue [0, 0, 0]) in row 0, column 0"),
    ],
)
def test_a_mask_that_does_not_fit_names_file_and_value(tmp_path, mask, said):
    paired(tmp_path)
    paired(tmp_path, name="good")
    Pillow.fromarray(mask).save(tmp_path / "masks" / "a.png")
    report = check(open_dataset(tmp_path, val=0, test=0))
    (refusal,) = report.ledger.refused
    assert refusal.file == "images/a.png"
    assert "masks/a.png" in refusal.reason
    assert said in refusal.reason
    assert not report.ok


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:50]), "its mask masks/a.png: it is damaged"),
        (lambda path: path.write_bytes(b""), "its mask masks/a.png: it has 0 bytes"),
        (
            lambda path: Pillow.fromarray(MASK).save(path, "JPEG"),
            "its mask masks/a.png: it is a JPEG, which blurs values",
        ),
        (
            lambda path: Pillow.fromarray(MASK.astype(np.float32)).save(path, "TIFF"),
            "its mask masks/a.png: it is of mode F",
        ),
        (lambda path: Pillow.new("RGBA", (3, 2), (1, 2, 3, 4)).save(path), "it has transparent pixels, whose value"),
    ],
)
def test_a_file_that_is_no_mask_is_refused(tmp_path, make, said):
    make(paired(tmp_path) / "masks" / "a.png")
    paired(tmp_path, name="good")
    (refusal,) = check(open_dataset(tmp_path, val=0, test=0)).ledger.refused
    assert refusal.file == "images/a.png"
    assert said in refusal.reason
    assert refusal.cure


def test_what_has_no_partner_or_one_too_many_is_refused(tmp_path):
    for name in ("a", "b", "lone", "twice"):
        paired(tmp_path, name=name)
    (tmp_path / "masks" / "lone.png").unlink()
    (tmp_path / "images" / "b.png").unlink()
    pictured(tmp_path / "images" / "twice.bmp.png")
    (tmp_path / "images" / "twice.bmp.png").rename(tmp_path / "images" / "twice.PNG")
    write_image(tmp_path / "masks" / "a_mask.png", MASK)
    (tmp_path / "notes.md").write_text("x")
    dataset = MasksFormat().read(tmp_path)
    assert sorted(read_masks(dataset)) == ["a", "twice"]
    assert refusals(dataset) == [
        "images/lone.png: there is no mask of its name in masks. Put its mask there.",
        "images/twice.png: it has the same name as images/twice.PNG. Rename one of the two, and its mask.",
        "masks/a_mask.png: it has the same name as masks/a.png. Rename one of the two, and its mask.",
        "masks/b.png: a mask without an image of its name in images. Put its image there.",
        "notes.md: its suffix '.md' is no image's. Nothing needs to be done if it is no part of the data.",
    ]


def test_masks_may_end_in_what_they_are(tmp_path):
    paired(tmp_path)
    for name, mask in (("b", "b_mask"), ("c", "c_L"), ("d_mask", "d_mask")):
        pictured(tmp_path / "images" / f"{name}.png")
        write_image(tmp_path / "masks" / f"{mask}.png", MASK)
    assert sorted(read_masks(MasksFormat().read(tmp_path))) == ["a", "b", "c", "d_mask"]


def test_links_out_of_the_folder_are_not_followed(tmp_path):
    paired(tmp_path / "set")
    write_image(tmp_path / "b.png", MASK)
    pictured(tmp_path / "set" / "images" / "b.png")
    (tmp_path / "set" / "masks" / "b.png").symlink_to(tmp_path / "b.png")
    (tmp_path / "set" / "label_colors.txt").symlink_to("/etc/passwd")
    assert refusals(MasksFormat().read(tmp_path / "set")) == [
        "images/b.png: there is no mask of its name in masks. Put its mask there.",
        "label_colors.txt: a link that leads out of the dataset's folder. Put the files themselves there.",
        "masks/b.png: a link that leads out of the dataset's folder. Put the files themselves there.",
    ]


def test_empty_masks_are_reported_and_used(tmp_path):
    make_mask_folder(tmp_path, {"train": 3})
    write_image(tmp_path / "train" / "masks" / "1.png", np.zeros((32, 32), np.uint8))
    write_image(tmp_path / "train" / "masks" / "2.png", np.full((32, 32), 255, np.uint8))
    report = check(open_dataset(tmp_path, val=0, test=0))
    (finding,) = [finding for finding in report.findings if finding.kind == "empty-mask"]
    assert (finding.level, finding.files) == ("info", ("train/images/1.png", "train/images/2.png"))
    assert report.ok
    assert report.images == {"train": 3}


def test_a_folder_without_pairs_says_what_is_wanted(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match=r"has no folder of masks beside one of images, such as images/ and masks/"):
        open_dataset(tmp_path, "masks")


def test_a_yaml_file_names_the_folders_and_the_ids(tmp_path):
    for name in ("a", "b"):
        paired(tmp_path / "data", table=None, name=name)
    folders = "train: {images: data/images, masks: data/masks}\n"
    text = folders + "val: {images: x, masks: y}\nclasses: {0: sky, 1: car, 2: road}\n"
    (tmp_path / "set.yaml").write_text(text)
    for place in (tmp_path, tmp_path / "set.yaml"):
        dataset = open_dataset(place, val=0, test=0)
        assert (dataset.format, dataset.classes) == ("masks", ("sky", "car", "road"))
        assert read_masks(dataset) == dict.fromkeys("ab", MASK.tolist())
        assert notes(dataset)[0].startswith("set.yaml: its split 'val' is not here: there is no ")
    (tmp_path / "set.yaml").write_text(folders)
    with pytest.raises(DataError, match=r"set.yaml must list its classes as `0: sky`, a line each; it holds None"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("table", [b"\xff\xfe", b"0 a\n0 b\n", b"", b"1 2 3 a\nb\n"])
def test_a_table_that_cannot_be_read_is_an_error_of_its_own(tmp_path, table):
    paired(tmp_path)
    (tmp_path / "classes.txt").write_bytes(table)
    with pytest.raises(PellucidError, match=r"classes.txt"):
        open_dataset(tmp_path)


def test_camvid(shared):
    dataset = open_dataset(shared / "camvid", test=0)
    report = check(dataset)
    assert report.ok
    assert report.images == {"train": 40, "val": 16}
    assert len(dataset.classes) == 11
    assert dataset.classes[::10] == ("Sky", "Bicyclist")
    shares = {
        split: 100 * np.array(counts) / (report.images[split] * 480 * 360) for split, counts in report.counts.items()
    }
    train = [17.2, 23.6, 1.0, 30.8, 4.8, 9.8, 1.3, 1.2, 5.8, 0.6, 0.2]
    val = [9.2, 26.3, 0.6, 28.6, 9.0, 16.2, 0.9, 2.8, 1.9, 0.7, 2.1]
    assert shares["train"].round(1).tolist() == train
    assert shares["val"].round(1).tolist() == val
    assert (100 - shares["train"].sum()).round(1) == 3.6
    first = dataset.splits["val"][0]
    with Pillow.open(shared / "camvid" / "valannot" / first.path.name) as picture:
        values = np.asarray(picture)
    assert np.array_equal(first.label.read(dataset.root, (360, 480)), np.where(values == 11, IGNORE, values))


def test_nuclei(shared):
    dataset = open_dataset(shared / "nuclei", test=0)
    report = check(dataset)
    assert report.ok
    assert report.images == {"train": 110, "val": 20}
    assert dataset.classes == ("background", "foreground")
    assert dataset.image(dataset.splits["val"][0]).mode == "RGBA"
    shares = [round(100 * counts[1] / sum(counts), 1) for counts in report.counts.values()]
    assert shares == [7.5, 8.0]


def test_coco128(shared):
    dataset = open_dataset(shared / "coco128" / "semantic_segmentation", val=0, test=0)
    assert dataset.format == "masks"
    assert len(dataset.splits["train"]) == 100
    reasons = {refusal.reason for refusal in dataset.ledger.refused if refusal.file.endswith(".jpg")}
    assert reasons == {"there is no mask of its name in semantic_segmentation/masks/train2017"}
    assert sum(refusal.file.endswith(".jpg") for refusal in dataset.ledger.refused) == 28
    assert len(dataset.classes) == 129  # of 130 entries one is called unlabeled
    report = check(dataset)
    pixels = sum(np.prod(dataset.image(record).pixels.shape[:2]) for record in dataset.splits["train"])
    assert round(100 - 100 * sum(report.counts["train"]) / pixels, 1) == 10.0
    assert sum(count > 0 for count in report.counts["train"]) == 119
