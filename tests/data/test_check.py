import json

import numpy as np
import pytest

from pellucid.data.check import Finding, Report, check
from pellucid.data.dataset import open_dataset
from pellucid.image import write_image
from tests.drawn import draw_images, make_image_folder, make_mask_folder


def found(report: Report) -> dict[str, Finding]:
    return {finding.kind: finding for finding in report.findings}


def test_a_clean_folder_is_ok(image_folder):
    report = check(open_dataset(image_folder))
    assert report.ok
    assert set(found(report)) == {"sizes"}
    assert sum(map(sum, report.counts.values())) == 36
    assert report.made == ("val", "test")
    text = report.text()
    assert "val (cut from train): 3 images, 1 to 1 a class" in text or "val (cut from train)" in text
    assert text.endswith("\nok")


def test_json_holds_everything(image_folder):
    (image_folder / "bars" / "bad.png").write_bytes(b"nothing")
    report = check(open_dataset(image_folder))
    values = json.loads(json.dumps(report.to_json()))
    assert values["ok"] is False
    assert values["classes"] == ["bars", "columns", "disc"]
    assert values["refused"][0]["file"] == "bars/bad.png"
    assert values["findings"][0]["level"] == "error"


def test_images_that_cannot_be_decoded_are_refused(image_folder):
    whole = (image_folder / "bars" / "000.png").read_bytes()
    (image_folder / "bars" / "000.png").write_bytes(whole[:500])
    report = check(open_dataset(image_folder))
    assert not report.ok
    finding = found(report)["refused"]
    assert finding.text == "1 image or label cannot be used."
    assert finding.files[0].startswith("bars/000.png: it is damaged: ")
    assert "bars/000.png" not in report.ledger.used
    assert report.ledger.offered == 36


def test_stray_files_are_mentioned_and_nothing_more(image_folder):
    (image_folder / "README.txt").write_text("x")
    (image_folder / "bars" / "._000.png").write_text("x")
    report = check(open_dataset(image_folder))
    assert report.ok
    assert found(report)["stray"].text == "2 other files left aside."


def test_an_image_in_two_given_splits_is_a_leak(make_image_folder):
    root = make_image_folder(splits={"train": 8, "val": 4, "test": 4})
    (root / "test" / "disc" / "copy.png").write_bytes((root / "train" / "disc" / "003.png").read_bytes())
    report = check(open_dataset(root))
    assert not report.ok
    finding = found(report)["leak"]
    assert finding.level == "error"
    assert finding.files == ("train/disc/003.png (train, disc) = test/disc/copy.png (test, disc)",)


def test_a_copy_in_another_file_format_has_the_same_pixels(make_image_folder):
    root = make_image_folder(splits={"train": 8, "val": 4, "test": 4})
    from PIL import Image as Pillow

    with Pillow.open(root / "train" / "bars" / "000.png") as picture:
        picture.save(root / "val" / "bars" / "copy.bmp")
    assert "leak" in found(check(open_dataset(root)))


def test_copies_that_our_own_cut_divides_are_a_warning(image_folder):
    for number in range(12):
        copy = (image_folder / "bars" / f"{number:03d}.png").read_bytes()
        (image_folder / "bars" / f"copy{number}.png").write_bytes(copy)
    report = check(open_dataset(image_folder, val=0.3, test=0.3))
    assert report.ok
    kinds = found(report)
    assert kinds["leak-cut"].level == kinds["duplicate"].level == "warning"
    assert int(kinds["leak-cut"].text.split()[0]) + int(kinds["duplicate"].text.split()[0]) == 12


def test_one_image_with_two_labels_is_an_error(image_folder):
    (image_folder / "disc" / "zzz.png").write_bytes((image_folder / "bars" / "000.png").read_bytes())
    report = check(open_dataset(image_folder, val=0, test=0))
    assert not report.ok
    assert found(report)["contradiction"].files == ("bars/000.png (train, bars) = disc/zzz.png (train, disc)",)
    assert "duplicate" not in found(report)


def test_images_that_look_the_same_are_warnings_across_and_infos_within(make_image_folder):
    root = make_image_folder(size=128, splits={"train": 8, "val": 4, "test": 4})
    first, second = draw_images([0, 0], 128, seed=77)
    write_image(root / "train" / "bars" / "a.png", first)
    write_image(root / "test" / "bars" / "a.jpg", first)
    write_image(root / "val" / "disc" / "a.jpg", first)
    write_image(root / "train" / "bars" / "b.png", second)
    write_image(root / "train" / "bars" / "b.jpg", second)
    report = check(open_dataset(root))
    kinds = found(report)
    assert kinds["near-leak"].level == kinds["near-contradiction"].level == "warning"
    assert "train/bars/a.png (train, bars) = test/bars/a.jpg (test, bars)" in kinds["near-leak"].files
    assert len(kinds["near-contradiction"].files) in (1, 2)
    assert kinds["near-duplicate"].level == "info"
    assert kinds["near-duplicate"].files == ("train/bars/b.jpg (train, bars) = train/bars/b.png (train, bars)",)


def test_empty_and_missing_classes(make_image_folder):
    root = make_image_folder(splits={"train": 6, "val": 3, "test": 3})
    (root / "train" / "nothing").mkdir()
    for path in (root / "val" / "bars").iterdir():
        path.unlink()
    report = check(open_dataset(root))
    kinds = found(report)
    assert kinds["empty-class"].level == "error"
    assert kinds["empty-class"].text == "1 class without an image that can be used: nothing."
    assert kinds["missing-class"].level == "warning"
    assert kinds["missing-class"].text == "The val split has no image of 1 class: bars."
    assert not report.ok


def test_a_class_that_train_lacks_is_an_error(make_image_folder):
    root = make_image_folder(splits={"train": 6, "val": 3, "test": 3})
    for path in (root / "train" / "disc").iterdir():
        path.unlink()
    finding = found(check(open_dataset(root)))["missing-class"]
    assert (finding.level, finding.text) == ("error", "The train split has no image of 1 class: disc.")


@pytest.mark.parametrize(("count", "level"), [(24, "info"), (40, "warning")])
def test_imbalance_is_measured(tmp_path, count, level):
    make_image_folder(tmp_path, ["a"], count)
    make_image_folder(tmp_path, ["b"], 4, seed=9)
    finding = found(check(open_dataset(tmp_path)))["imbalance"]
    assert finding.level == level
    assert finding.text == f"The largest class (a, {count}) is {count / 4:.1f} times the smallest (b, 4)."


def test_odd_sizes_proportions_and_channels(image_folder):
    noise = np.random.default_rng(0).integers(0, 256, (40, 200, 3), dtype=np.uint8)
    write_image(image_folder / "bars" / "long.png", noise)
    write_image(image_folder / "bars" / "tiny.png", noise[:6, :6])
    write_image(image_folder / "disc" / "grey.png", noise[:, :40, :1])
    report = check(open_dataset(image_folder, val=0, test=0))
    kinds = found(report)
    assert report.ok
    assert kinds["proportions"].files == ("bars/long.png",)
    assert kinds["tiny"].files == ("bars/tiny.png",)
    assert kinds["channels"].files == ("disc/grey.png",)
    assert kinds["channels"].text.startswith("Grey: 1, in colour: 38.")
    assert kinds["sizes"].text == "Images of 4 sizes, 6x6 to 200x40 pixels (width x height)."


def test_notes_of_the_reader_are_gathered(image_folder):
    sixteen = np.random.default_rng(0).integers(0, 65536, (3, 20, 20), dtype=np.uint16)
    from PIL import Image as Pillow

    for number, values in enumerate(sixteen):
        Pillow.fromarray(values).save(image_folder / "disc" / f"deep{number}.png")
    report = check(open_dataset(image_folder, val=0, test=0))
    finding = found(report)["note"]
    assert finding.text.startswith("3 files: grey of 0..65535 reduced to 0..255")
    assert finding.files == tuple(f"disc/deep{number}.png" for number in range(3))
    assert len(report.ledger.notes) == 3


def test_findings_come_with_the_gravest_first(image_folder):
    (image_folder / "README.txt").write_text("x")
    (image_folder / "disc" / "zzz.png").write_bytes((image_folder / "bars" / "000.png").read_bytes())
    levels = [finding.level for finding in check(open_dataset(image_folder, val=0, test=0)).findings]
    assert levels == sorted(levels, key=["error", "warning", "info"].index)


def test_masks_are_counted_in_pixels(tmp_path):
    root = make_mask_folder(tmp_path, {"train": 2, "val": 1}, size=10)
    (root / "classes.txt").write_text("0 background\n1 disc\n2 bar\n")
    for split, number in (("train", 0), ("train", 1), ("val", 0)):
        mask = np.zeros((10, 10), np.uint8)
        mask[:2], mask[2, :5] = (1, 255) if split == "train" else (0, 0)
        mask[5, : 3 * number] = 2
        write_image(root / split / "masks" / f"{number}.png", mask)
    report = check(open_dataset(root, test=0))
    assert report.unit == "pixels"
    assert report.counts == {"train": (147, 40, 3), "val": (100, 0, 0)}
    shares = [finding.text for finding in report.findings if finding.kind == "frequencies"]
    assert shares == [
        "Pixels of train: background 73.50%, disc 20.00%, bar 1.50%, ignored 5.00%.",
        "Pixels of val: background 100.00%.",
    ]
    kinds = found(report)
    assert kinds["missing-class"].text == "The val split has no pixel of 2 classes: disc, bar."
    assert kinds["empty-mask"].files == ("val/images/0.png",)
    assert "  train: 2 images, 3 to 147 pixels a class" in report.text()


def test_a_background_that_shapes_cover_wholly_is_no_error_and_another_class_is(tmp_path):
    root = make_mask_folder(tmp_path, {"train": 1})
    write_image(root / "train" / "masks" / "0.png", np.ones((32, 32), np.uint8))
    report = check(open_dataset(root, val=0, test=0))
    assert found(report)["empty-class"].text == "1 class without a pixel that can be used: bar."
    (root / "classes.txt").write_text("0 background\n1 disc\n")
    assert check(open_dataset(root, val=0, test=0)).ok


def test_real_sets_are_ok(shared):
    for name in ("cifar10-bin", "hymenoptera"):
        report = check(open_dataset(shared / name))
        assert report.ok
        assert not {"leak", "duplicate", "contradiction", "near-leak"} & set(found(report)), name


@pytest.mark.slow
def test_seventy_thousand_images(shared):
    report = check(open_dataset(shared / "fashion-mnist"))
    assert report.ok
    assert 10 < int(found(report)["near-leak"].text.split()[0]) < 100


def test_a_nasty_folder_is_checked_to_the_end(shared):
    report = check(open_dataset(shared / "nasty", "folder", val=0, test=0))
    refused = report.ledger.refused
    assert len(report.ledger.used) == 242
    assert len(report.ledger.used) + len(refused) == 311  # 308 in the manifest, itself, empty.jpg and text.jpg
    assert not report.ok
