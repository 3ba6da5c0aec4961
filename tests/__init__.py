"""The tests have the shape of `src/pellucid`; what they share is in `conftest.py` and `drawn.py`."""
