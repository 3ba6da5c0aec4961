"""What a check says of boxes, against figures counted by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from pellucid.data.boxes import Box, Boxes
from pellucid.data.check import check
from pellucid.data.check_boxes import FIELD, BoxedPhoto, box_findings
from pellucid.data.dataset import open_dataset
from pellucid.data.finding import Finding
from pellucid.image import write_image
from pellucid.models.base import build_model

CLASSES = ("car", "bee")


def findings(*photos: BoxedPhoto) -> dict[str, Finding]:
    return {finding.kind: finding for finding in box_findings(CLASSES, photos)}


def photo(*boxes: Box, name: str = "a.png", size: tuple[int, int] = (70, 140)) -> BoxedPhoto:
    return BoxedPhoto("train", name, size, Boxes.gathered(boxes))


def square(left: float, top: float, side: float = 4.0, label: int = 0, *, ignored: bool = False) -> Box:
    return Box((left, top, left + side, top + side), label, ignored)


def test_classes_are_counted_and_ignored_boxes_apart():
    found = findings(photo(square(0, 0), square(9, 9), square(20, 20, label=1), square(30, 30, ignored=True)))
    assert found["frequencies"].text == "Boxes of train: car 2 (66.7%), bee 1 (33.3%), ignored 1."
    assert findings(photo())["frequencies"].text == "Boxes of train: none."


def test_photos_without_boxes_are_named():
    found = findings(photo(square(0, 0)), photo(name="b.png"), photo(name="c.png"))
    assert found["no-boxes"].text == "2 images without boxes: all of it is background."
    assert found["no-boxes"].files == ("b.png", "c.png")
    assert "no-boxes" not in findings(photo(square(0, 0)))


def test_one_object_marked_twice_is_a_warning():
    first = Box((0.0, 0.0, 20.0, 20.0), 0)
    near, apart, other = Box((0.0, 0.0, 20.0, 20.5), 0), Box((0.0, 0.0, 20.0, 21.5), 0), Box(first.xyxy, 1)
    found = findings(photo(first, apart, other, near), photo(first, name="b.png"))["box-duplicate"]
    assert found.level == "warning"
    assert found.text.startswith("2 pairs of boxes of one class with an IoU above 0.95")  # apart and near are 0.953
    assert found.files[0] == "a.png: car (0, 0, 20, 20) = car (0, 0, 20, 20.5)"
    assert "box-duplicate" not in findings(photo(first, apart, other))
    assert "box-duplicate" not in findings(photo(first, Box(near.xyxy, 0, ignored=True)))


def test_many_boxes_are_compared_with_all_others():
    boxes = [square(float(at), 0.0, 0.5) for at in range(600)]
    found = findings(photo(*boxes, square(3.0, 0.0, 0.5), size=(70, 1400)))["box-duplicate"]
    assert found.files == ("a.png: car (3, 0, 3.5, 0.5) = car (3, 0, 3.5, 0.5)",)


def test_tiny_boxes_and_sizes_against_strides():
    boxes = [Box((0.0, 0.0, 1.9, 30.0), 0), square(0, 0, 8), square(40, 40, 7.9), square(60, 10, 33)]
    found = findings(photo(*boxes))
    assert found["tiny-box"].files == ("a.png: car (0, 0, 1.9, 30)",)
    assert found["box-sizes"].text == (
        "Longer side of boxes: 19 pixels in the median, 25.0% below 8, 50.0% below 16, 75.0% below 32 "
        "(less than one cell of that stride)."
    )


def test_sizes_as_a_network_sees_them():
    found = findings(
        photo(Box((0.0, 0.0, 1.9, 30.0), 0), square(0, 0, 8), square(9, 9, 7.9), square(60, 10, 31), size=(640, 100))
    )
    assert found["box-field"].text.startswith(
        "Longer side of boxes of letterboxed photos: 10 in the median and 50.0% below 8 in 320 pixels, "
        "19 in the median and 25.0% below 8 in 640 pixels; a cell of yolo_n, yolo_s or yolo_m sees 892 or more"
    )


@pytest.mark.parametrize("name", ["yolo_n", "yolo_s", "yolo_m"])
def test_a_cell_sees_what_the_check_says_of_it(name):
    """The gradient of a score in the middle of positive weights, max pools as means, reaches every pixel it can."""
    model = build_model(name, 1, share=0.125).double().eval()
    for parameter in model.parameters():
        nn.init.constant_(parameter, 1 / max(1, parameter[0].numel()) if parameter.ndim > 1 else 1.0)
    for module in list(model.modules()):
        for place, child in module.named_children():
            if isinstance(child, nn.MaxPool2d):
                setattr(module, place, nn.AvgPool2d(child.kernel_size, child.stride, child.padding))
    x = torch.rand(1, 3, 1344, 64, dtype=torch.float64, requires_grad=True)
    logits = model(x)["logits8"]
    (gradient,) = torch.autograd.grad(logits[0, 0, logits.shape[2] // 2].sum(), x)
    rows = gradient.abs().sum((0, 1, 3)).nonzero()
    reach = int(rows.max() - rows.min() + 1)
    assert reach >= FIELD
    assert (reach == FIELD) == (name == "yolo_s")


def test_centres_that_share_a_cell_are_counted_photo_by_photo():
    """Centres at 2, 7.9 and 8 across: the first two share a cell of 8, all three one of 16."""
    boxes = [square(0, 0), square(5.9, 0), square(6, 0)]
    found = findings(photo(*boxes), photo(square(0, 0), name="b.png"))
    assert found["box-cells"].text == (
        "Centres that share a cell: 2 (50.0%) at stride 8, 3 (75.0%) at stride 16, 3 (75.0%) at stride 32."
    )
    assert found["box-grid"].text == (  # cells of 20 x 10 pixels
        "Centres that share a cell of YOLO v1's 7x7: 3 (75.0%); it finds one object a cell, so 2 (50.0%) are beyond it."
    )


def test_the_grid_follows_the_photo():
    wide = findings(photo(square(0, 0), square(18.1, 0), square(0, 8.1)))["box-grid"]  # the next cell, either way
    assert "7x7: 0 (0.0%)" in wide.text
    high = findings(photo(square(0, 0), square(18.1, 0), square(0, 8.1), size=(140, 70)))["box-grid"]
    assert "7x7: 2 (66.7%)" in high.text


def test_a_set_is_checked_in_boxes(tmp_path):
    rows = ["path,label,left,top,right,bottom,split"]
    for at, split in enumerate(["train", "train", "val"]):
        noise = np.random.default_rng(at).integers(0, 256, (20, 20, 3), dtype=np.uint8)
        write_image(tmp_path / f"{at}.png", noise)
        rows += [f"{at}.png,car,1,1,9,{at + 5},{split}"] * (2 if at == 0 else 1)
    rows += ["0.png,bee,1,1,3,3,train", "0.png,bee,3,3,3,3,train"]
    (tmp_path / "boxes.csv").write_text("\n".join(rows))
    report = check(open_dataset(tmp_path, val=0, test=0))
    assert (report.unit, report.counts) == ("boxes", {"train": (1, 3), "val": (0, 1)})
    found = {finding.kind: finding for finding in report.findings}
    assert not report.ok
    assert found["refused"].files[0].startswith("boxes.csv:7: it has no area: 0 x 0 pixels [0.png,bee,3,3,3,3,train]")
    assert found["missing-class"].text == "The val split has no box of 1 class: bee."
    assert found["box-duplicate"].files == ("0.png: car (1, 1, 9, 5) = car (1, 1, 9, 5)",)
    assert "  train: 2 images, 1 to 3 boxes a class" in report.text()
    assert report.to_json()["unit"] == "boxes"


def test_a_class_without_box_is_an_error(tmp_path):
    write_image(tmp_path / "a.png", np.zeros((20, 20, 3), np.uint8))
    (tmp_path / "boxes.csv").write_text("path,label,left,top,right,bottom\na.png,car,1,1,9,9\n")
    (tmp_path / "classes.txt").write_text("car\nbee\n")
    found = {finding.kind: finding for finding in check(open_dataset(tmp_path, val=0, test=0)).findings}
    assert found["empty-class"].text == "1 class without a box that can be used: bee."


def test_equal_photos_with_other_boxes_contradict_each_other(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    for name in "ab":
        write_image(tmp_path / f"{name}.png", noise)
    rows = ["path,label,left,top,right,bottom", "a.png,car,1,1,9,9", "b.png,car,1,1,9,8"]
    (tmp_path / "boxes.csv").write_text("\n".join(rows))
    found = {finding.kind: finding for finding in check(open_dataset(tmp_path, val=0, test=0)).findings}
    assert found["contradiction"].files == ("a.png (train) = b.png (train)",)


@pytest.mark.slow
def test_bccd_is_checked(shared):
    report = check(open_dataset(shared / "bccd"))
    assert {split: sum(counts) for split, counts in report.counts.items()} == {"train": 2804, "val": 1137, "test": 945}
    refused = next(finding for finding in report.findings if finding.kind == "refused")
    assert len(refused.files) == 2
