"""Discrimination: how well a score ranks positives above negatives, and what its mistakes cost."""
