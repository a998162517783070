"""Distance-covariance fairness: how far predictions depend on several protected attributes."""
