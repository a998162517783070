"""Regression discontinuity with distribution-valued outcomes."""
