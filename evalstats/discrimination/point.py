"""The scale of partial areas."""


def standardised_partial_auroc(area: float, max_fpr: float) -> float:
    """Partial area on the scale where chance is 0.5 and perfection 1 (McClish 1989)."""
    chance = 0.5 * max_fpr**2
    return 0.5 * (1.0 + (area - chance) / (max_fpr - chance))
