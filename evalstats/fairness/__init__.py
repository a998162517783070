"""Distance-covariance fairness: is a prediction independent of several protected attributes?"""
