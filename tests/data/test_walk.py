"""What lies in a folder, on the way through it: links, loops, hidden things, and names that are none."""

import os
from pathlib import Path

import pytest

from pellucid.data.intake import Intake
from pellucid.data.walk import Walk, folders_in, holds_images, is_image, stray_reason
from pellucid.errors import DataError


@pytest.fixture
def root(tmp_path) -> Path:
    """Files, and everything that cannot be walked."""
    root = tmp_path / "set"
    for name in ("a.png", "deep/b.png", ".git/c.png", "__MACOSX/d.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    (tmp_path / "outside.png").write_bytes(b"x")
    for name, target in {
        "inside.png": "a.png",
        "out.png": "../outside.png",
        "absolute.png": tmp_path / "outside.png",
        "nothing.png": "absent.png",
        "self.png": "self.png",
        "deep/loop": "../deep",
        "deep/up": "..",
        "away": "/usr",
    }.items():
        (root / name).symlink_to(target)
    os.mkfifo(root / "pipe.png")
    return root


def test_files_that_may_be_used_are_found_and_all_else_is_refused(root):
    walk = Walk(root)
    assert [str(path.relative_to(root)) for path in walk.files(root)] == ["a.png", "inside.png", "deep/b.png"]
    out, back = "a link that leads out of the dataset's folder", "a link that leads back to a folder around it"
    reasons = {refusal.file: refusal.reason for refusal in walk.refused}
    assert reasons.pop("self.png") in ("a link to itself", "a link to nothing")  # the latter since Python 3.13
    assert reasons == {
        ".git": "a hidden folder with 1 files",
        "__MACOSX": "a hidden folder with 1 files",
        "absolute.png": out,
        "away": out,
        "deep/loop": back,
        "deep/up": back,
        "nothing.png": "a link to nothing",
        "out.png": out,
        "pipe.png": "it is not a file",
    }
    assert all(refusal.cure for refusal in walk.refused)


def test_names_that_are_not_utf_8_are_refused_in_signs_that_can_be_shown(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.png")).write_bytes(b"x")
    walk = Walk(tmp_path)
    assert not list(walk.files(tmp_path))
    assert [(refusal.file, refusal.reason) for refusal in walk.refused] == [
        (r"caf\udce9.png", "its name is not valid UTF-8")
    ]


def test_a_folder_that_is_gone_is_refused(tmp_path):
    walk = Walk(tmp_path)
    assert walk.entries(tmp_path / "gone") == ([], [])
    assert walk.refused[0].reason == "the folder cannot be read: No such file or directory"
    assert folders_in(tmp_path / "gone") == []


def test_what_a_name_says(root):
    assert [folder.name for folder in folders_in(root)] == ["away", "deep"]
    assert holds_images(root / "deep")
    assert not holds_images(root / "deep" / "gone")
    assert [is_image(Path(name)) for name in ("a.PNG", "a.jpeg", ".a.png", "a.txt", "png")] == [
        True,
        True,
        *[False] * 3,
    ]
    assert stray_reason(Path(".a")) == "a hidden file"
    assert stray_reason(Path("a.b")) == "its suffix '.b' is no image's"
    assert stray_reason(Path("a")) == "a file without a suffix, no image"


def test_every_file_of_an_intake_is_used_or_refused_once(root):
    intake = Intake(root, [root / "deep", root])
    assert sorted(map(str, intake.waiting)) == ["a.png", "deep/b.png", "inside.png"]
    assert intake.below(Path("deep")) == [Path("deep/b.png")]
    intake.demand(Path("a.png"))
    intake.use(Path("a.png"), 3)
    intake.refuse(Path("inside.png"), "why", "How.")
    assert list(map(str, intake.waiting)) == ["deep/b.png"]
    assert intake.used == {"a.png": 3}
    for name, said in (("out.png", "leads out"), ("away/x.json", "leads out"), ("gone.json", "there is no such file")):
        with pytest.raises(DataError, match=rf"{name} cannot be used: .*{said}"):
            intake.demand(Path(name))


def test_signs_that_no_encoding_has_are_shown_by_their_numbers(tmp_path):
    intake = Intake(tmp_path, [tmp_path])
    intake.note(Path("a"), "b\ud800")
    intake.refuse_label("a#\ud800", "b\ud800", "c", value="\ud800" * 300)
    assert intake.notes[0].text == r"b\ud800"
    assert intake.refused[0].file == r"a#\ud800"
    assert len(intake.refused[0].value) == 200
