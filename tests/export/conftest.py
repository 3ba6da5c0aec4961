"""Networks are exported as users export them: shapes that stand for any size are no numbers to a type check."""

import jaxtyping
import pytest


@pytest.fixture(autouse=True)
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
