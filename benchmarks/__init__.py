"""Measurements, one command a table: `python -m benchmarks.NAME`. Ratios are taken side by side in one process."""
