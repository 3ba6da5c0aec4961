"""Fixtures every room may use: the shared data, a cache of its own, folders of drawn images."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.drawn import make_image_folder as draw_image_folder

pytest_plugins = ("tests.browser",)  # one browser for all: a second one in the same process would not start

CI = os.environ.get("PELLUCID_CI") == "1"

# Hypothesis' explanations of a failure trace every line and take minutes where torch is called.
PHASES = [phase for phase in Phase if phase is not Phase.explain]
settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow], phases=PHASES)
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True)
settings.load_profile("ci" if CI else "dev")


def pytest_runtest_setup() -> None:
    """One torch thread, so that sums have one order; a run that needs no torch does not import it."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != 1:
        torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Nothing that tests fetch or derive comes from, or goes to, the cache of the person who runs them."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PELLUCID_CACHE", str(folder))
        yield folder


@pytest.fixture(autouse=True, scope="session")
def one_torch_thread() -> Iterator[None]:
    """A training takes one core: if each of two workers took both, threads would wait for one another at every
    operation. What reads and decodes files still takes all there are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pellucid.ranks.usable_cores", lambda: 1)
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the repository, or `$PELLUCID_SHARED`; its absence skips the test."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("PELLUCID_SHARED", beside))
    if folder.is_dir():
        return folder
    reason = f"no shared data at {folder}; set PELLUCID_SHARED to its folder"
    if CI:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """A folder per class: 3 classes of 12 PNGs, 32x32 RGB, that a small network can learn."""
    return draw_image_folder(tmp_path / "drawn")


@pytest.fixture
def make_image_folder(tmp_path: Path) -> Callable[..., Path]:
    """`tests.drawn.make_image_folder` with a root of its own where none is given."""

    def make(root: Path | None = None, *args, **kwargs) -> Path:
        return draw_image_folder(root or tmp_path / "drawn", *args, **kwargs)

    return make
