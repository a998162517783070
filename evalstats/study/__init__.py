"""Study files: data, metrics, comparisons and outputs of a paper, declared once and run whole."""
