"""Coverage laboratory: simulated studies with known truth for every estimator and interval.

``python -m benchmarks.coverage`` runs all designs of :mod:`benchmarks.coverage.designs` and writes
``docs/generated/coverage.parquet`` and the page made of it.
"""
