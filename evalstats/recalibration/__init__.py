"""Maps from scores to probabilities: a floor that several families share."""
