"""Pixel-level anomaly localisation: AUPIMO and AUPRO, over images as sampling units."""
