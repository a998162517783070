"""Averages of judgements, by the definition."""


def win_rate(preference):
    """Percent of wins on AlpacaEval's scale: 1 loses, 2 wins, 0 and 1.5 are draws."""
    return 100.0 * sum(0.5 if p == 0 else p - 1.0 for p in preference) / len(preference)


def wildbench_reward(outcome):
    """Mean of -100, -50, 0, 50 and 100."""
    worth = {"win_much": 100, "win": 50, "tie": 0, "lose": -50, "lose_much": -100}
    return sum(worth[item] for item in outcome) / len(outcome)


def wildbench_score(score):
    """Twice the distance of the mean mark from 5."""
    return 2.0 * (sum(score) / len(score) - 5.0)
