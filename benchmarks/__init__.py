"""Measurements: run `python benchmarks/load.py`."""
