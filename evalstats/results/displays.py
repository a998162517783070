"""Plots for a paper; each returns the matplotlib Axes that it drew on."""

from evalstats.results.anomaly_display import plot_image_scores, plot_localisation, plot_pimo_curves
from evalstats.results.curve_displays import plot_pr_curves, plot_roc_curves
from evalstats.results.detection_display import plot_budgets, plot_category_differences
from evalstats.results.fairness_display import (
    plot_distributions,
    plot_fairness_path,
    plot_groups,
    plot_interactions,
)
from evalstats.results.forest import plot_differences, plot_estimates
from evalstats.results.mistake_display import plot_mistakes
from evalstats.results.rank_display import plot_average_ranks
from evalstats.results.rdd_display import (
    plot_bandwidth_path,
    plot_discontinuity,
    plot_effect_curve,
    plot_limit_curves,
    plot_quantile_heatmap,
)
from evalstats.results.reliability_display import plot_reliability
from evalstats.results.trajectory_display import (
    plot_cells,
    plot_distance_calibration,
    plot_distance_spread,
    plot_horizon,
)
from evalstats.results.winrate_display import plot_leaderboard, plot_win_matrix

__all__ = [
    "plot_average_ranks",
    "plot_bandwidth_path",
    "plot_budgets",
    "plot_category_differences",
    "plot_cells",
    "plot_differences",
    "plot_discontinuity",
    "plot_distance_calibration",
    "plot_distance_spread",
    "plot_distributions",
    "plot_effect_curve",
    "plot_estimates",
    "plot_fairness_path",
    "plot_groups",
    "plot_horizon",
    "plot_image_scores",
    "plot_interactions",
    "plot_leaderboard",
    "plot_limit_curves",
    "plot_localisation",
    "plot_mistakes",
    "plot_pimo_curves",
    "plot_pr_curves",
    "plot_quantile_heatmap",
    "plot_reliability",
    "plot_roc_curves",
    "plot_win_matrix",
]
