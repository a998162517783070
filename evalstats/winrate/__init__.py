"""Win rates: pairwise preferences, raw and controlled for length and other mediators."""
