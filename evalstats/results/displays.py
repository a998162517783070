"""Plots for a paper; each returns the matplotlib Axes that it drew on."""

from evalstats.results.curve_displays import plot_pr_curves, plot_roc_curves
from evalstats.results.forest import plot_differences, plot_estimates
from evalstats.results.mistake_display import plot_mistakes
from evalstats.results.rdd_display import (
    plot_bandwidth_path,
    plot_discontinuity,
    plot_effect_curve,
    plot_limit_curves,
    plot_quantile_heatmap,
)
from evalstats.results.winrate_display import plot_leaderboard, plot_win_matrix

__all__ = [
    "plot_bandwidth_path",
    "plot_differences",
    "plot_discontinuity",
    "plot_effect_curve",
    "plot_estimates",
    "plot_leaderboard",
    "plot_limit_curves",
    "plot_mistakes",
    "plot_pr_curves",
    "plot_quantile_heatmap",
    "plot_roc_curves",
    "plot_win_matrix",
]
