"""What happens before and behind a network needs no torch: an exported file is served from a process without it."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from pellucid.predictions.detect import BoxPostprocess
from pellucid.preprocess import Preprocess
from pellucid.tasks.classify import Classify
from pellucid.tasks.detect import Detect
from pellucid.tasks.segment import Segment

MODULES = (
    "preprocess",
    "image",
    "drawing",
    "prediction",
    "answers",
    "ranks",
    "predictions.predictor",
    "predictions.classify",
    "predictions.segment",
    "predictions.detect",
    "ops.suppression",
    "ops.resizing",
)
WAY = """
import sys
import numpy as np
from pellucid.catalog import find
from pellucid.preprocess import Preprocess
photo = np.random.default_rng(0).integers(0, 256, (37, 61, 3), dtype=np.uint8)
preprocess = Preprocess((32, 32), "letterbox", 3, (0.5,) * 3, (0.25,) * 3)
np.save(sys.argv[1], preprocess.pixels(photo))
xyxy, scores = [[0, 6, 16, 26], [1, 6, 16, 26]], [[0.9], [0.8]]
decoded = {"xyxy": np.array(xyxy, np.float32), "scores": np.array(scores, np.float32)}
found = find("POSTPROCESSES", "detect")(("bee",)).prediction(decoded, preprocess.frame(37, 61))
print(found.text())
sys.exit("torch" in sys.modules)
"""


@pytest.mark.parametrize("module", MODULES)
def test_it_imports_no_torch(module):
    code = f"import sys, pellucid.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_the_whole_way_without_torch_has_the_same_bits(tmp_path):
    done = subprocess.run([sys.executable, "-c", WAY, str(tmp_path / "a.npy")], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 bee\n", "")
    assert "torch" in sys.modules  # so that here torch's kernel resizes
    photo = np.random.default_rng(0).integers(0, 256, (37, 61, 3), dtype=np.uint8)
    preprocess = Preprocess((32, 32), "letterbox", 3, (0.5,) * 3, (0.25,) * 3)
    assert np.array_equal(np.load(tmp_path / "a.npy"), preprocess.pixels(photo))


def test_a_task_says_what_its_postprocess_says():
    frame = Preprocess((8, 8), "stretch", 3, (0.5,) * 3, (0.25,) * 3).frame(8, 8)
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(8, 8, generator=generator)
    pairs = [
        (Classify(("a", "b")), {"probs": values[0, :2], "logits": values[0, :2]}),
        (Segment(("a", "b")), {"labels": (values > 0.5).to(torch.uint8), "scores": values}),
        (Detect(("a", "b"), learnt={"threshold": 0.4}), {"xyxy": 8 * values[:, :4], "scores": values[:, 4:6]}),
    ]
    for task, tensors in pairs:
        arrays = {name: value.numpy() for name, value in tensors.items()}
        said = task.postprocess.prediction(arrays, frame)
        assert task.prediction(tensors, frame).to_json() == said.to_json()
        assert tuple(said.to_row()) == task.postprocess.columns


def test_the_threshold_is_the_learnt_one():
    assert BoxPostprocess(("a",), {"threshold": 0.4}).threshold == 0.4
    assert BoxPostprocess(("a",)).threshold == 0.25
