"""Calibration of predicted probabilities: balance, binned errors, scores, reliability."""
