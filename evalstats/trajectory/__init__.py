"""Probabilistic trajectory forecasts: AMD, AMV, displacement errors and proper scores."""
