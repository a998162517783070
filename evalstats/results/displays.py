"""Plots for a paper; each returns the matplotlib Axes that it drew on."""

from evalstats.results.curve_displays import plot_pr_curves, plot_roc_curves
from evalstats.results.fairness_display import (
    plot_distributions,
    plot_fairness_path,
    plot_groups,
    plot_interactions,
)
from evalstats.results.forest import plot_differences, plot_estimates
from evalstats.results.mistake_display import plot_mistakes
from evalstats.results.winrate_display import plot_leaderboard, plot_win_matrix

__all__ = [
    "plot_differences",
    "plot_distributions",
    "plot_estimates",
    "plot_fairness_path",
    "plot_groups",
    "plot_interactions",
    "plot_leaderboard",
    "plot_mistakes",
    "plot_pr_curves",
    "plot_roc_curves",
    "plot_win_matrix",
]
