"""What the words of the command line mean: a model or a run, a photo or data."""

import pytest

from pellucid.cli import main
from pellucid.errors import UsageError
from pellucid.studio.page import PAGES
from pellucid.studio.subject import Subject, subject_of
from tests.studio.glass import make_model, make_photo
from tests.studio.served import ask, running


def test_a_file_is_a_model_and_a_photo(tmp_path):
    model, photo = make_model("classify", tmp_path), make_photo(tmp_path)
    assert subject_of(str(model), str(photo)) == Subject(model, None, photo, None)
    assert subject_of(str(model), str(tmp_path)) == Subject(model, None, None, str(tmp_path))


def test_a_folder_is_a_run_whose_model_may_be_to_come(tmp_path):
    (tmp_path / "events.jsonl").write_text("")
    found = subject_of(str(tmp_path), None)
    assert (found.run, found.model) == (tmp_path, None)
    model = make_model("classify", tmp_path)
    assert subject_of(str(tmp_path), None).model == model
    assert subject_of(str(model), None).run == tmp_path


def test_nothing_is_no_model(tmp_path):
    with pytest.raises(UsageError, match="is no model"):
        subject_of(str(tmp_path / "none"), None)


def test_a_mistake_is_one_line(tmp_path, capsys):
    model = make_model("classify", tmp_path)
    for words, told in (
        ([str(tmp_path / "none.safetensors")], "is no model"),
        ([str(make_photo(tmp_path))], "is not a readable safetensors file"),
        ([str(model), str(tmp_path / "nowhere")], "nowhere"),
    ):
        assert main(["studio", *words, "--port", "0"]) == 2
        told_lines = capsys.readouterr().err.splitlines()
        assert len(told_lines) == 1, told_lines
        assert told in told_lines[0]


@pytest.mark.parametrize("path", [path for path in PAGES if path != "/arithmetic"])
def test_without_a_model_a_page_says_how_to_start(studio, path):
    body = ask(studio, path).body.decode()
    assert "pellucid studio" in body
    assert 'aria-current="page"' in body


def test_with_a_model_the_first_page_is_its_network(tmp_path):
    with running(None, Subject(make_model("classify", tmp_path), None, make_photo(tmp_path))) as address:
        assert ask(address, "/").headers["location"] == "/network"
        policy = ask(address, "/network").headers["content-security-policy"]
        assert "unsafe" not in policy
        body = ask(address, "/why").body.decode()
    for forbidden in ("<style", " style=", " onclick=", "<script>", "http://", "https://"):
        assert forbidden not in body.replace("http://www.w3.org/2000/svg", "")
