"""One studio for all tests of its page."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def studio() -> Iterator[str]:
    """`http://127.0.0.1:PORT` of a running studio."""
    from tests.studio.served import running

    with running() as address:
        yield address
