"""Solutions of notebooks/10_when_rl_fails that later cells use."""


def can_be_hacked(reward, attempts):
    """True if some way of playing earns more than being right at once."""
    best = max(value for name, value in reward.items() if name not in ("correct", "exhausted"))
    late = [wrong * best + reward["correct"] for wrong in range(1, attempts)]
    never = attempts * best + reward["exhausted"]
    return max([*late, never]) > reward["correct"]


def mended(reward):
    """The same table with other pay for wrong answers, so that nothing earns more than being right at once."""
    return reward | {name: min(value, -1) for name, value in reward.items() if name not in ("correct", "exhausted")}
