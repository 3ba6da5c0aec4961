"""Published CIFAR-10 networks give, in our code, exactly the figures measured with their authors' code."""

import numpy as np
import pytest
import torch

from pellucid.models.base import build_model
from pellucid.models.weights import fit_weights, read_weights

FOLDER = "weights/cifar10-resnet-akamaster"
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
LOGITS_0 = [-5.3097, -0.4958, 0.8773, 23.7305, -4.1050, 4.4637, -0.2343, -5.4179, -3.7118, -9.8822]


def cifar_images(shared):
    """Normalised images of the 500 records, and their labels; one record is a label and 3 planes of 32x32."""
    records = np.fromfile(shared / "cifar10-bin/test_batch.bin", np.uint8).reshape(-1, 3073)
    pixels = records[:, 1:].reshape(-1, 3, 32, 32) / 255
    images = (pixels - MEAN[:, None, None]) / STD[:, None, None]
    return torch.from_numpy(images).float(), torch.from_numpy(records[:, 0].astype(np.int64))


@pytest.mark.parametrize(
    ("depth", "digits", "correct", "entropy", "per_class"),
    [
        (20, "12fca82f", 455, 0.374510, [49, 41, 42, 44, 35, 42, 49, 46, 54, 53]),
        (56, "4bfd9763", 470, 0.262683, [51, 40, 49, 42, 38, 43, 52, 46, 56, 53]),
    ],
)
def test_the_published_weights_give_the_published_figures(shared, depth, digits, correct, entropy, per_class):
    model = build_model(f"resnet{depth}", 10).eval()
    assert fit_weights(model, read_weights(shared / FOLDER / f"resnet{depth}-{digits}.th")) == []
    images, labels = cifar_images(shared)
    with torch.inference_mode():
        logits = torch.cat([model(part) for part in images.split(100)])
    hits = logits.argmax(1) == labels
    assert int(hits.sum()) == correct
    assert torch.bincount(labels[hits], minlength=10).tolist() == per_class
    assert float(torch.nn.functional.cross_entropy(logits, labels)) == pytest.approx(entropy, abs=2e-6)
    assert bool((logits.topk(5).indices == labels[:, None]).any(1).all())
    if depth == 20:
        torch.testing.assert_close(logits[0], torch.tensor(LOGITS_0), rtol=0, atol=1e-3)
        assert logits[:5].argmax(1).tolist() == labels[:5].tolist() == [3, 8, 8, 0, 6]
