"""Solutions of notebooks/12_failure_clinic that later cells use."""


def failure_rates(groups, failed):
    """{group: share of its hands that failed}; `groups` and `failed` have one entry for each hand."""
    return {
        group: sum(bad for g, bad in zip(groups, failed, strict=True) if g == group) / groups.count(group)
        for group in set(groups)
    }


def search_of(thought):
    """(tries, found): how many tries a thought tells, and whether its last one makes 24."""
    tries = [step for step in thought.split("; ") if "=" in step and ":" not in step]
    return len(tries), bool(tries) and thought.endswith("=24")


def hard_set(evaluations):
    """The deals that every evaluation failed; an evaluation is a dictionary {deal: solved}."""
    return [deal for deal in evaluations[0] if not any(solved[deal] for solved in evaluations)]


def expected_again(chances):
    """Expected success in a second play of the hands that a first play failed; a list of chances, one a hand."""
    failed = sum(1 - p for p in chances)
    return sum(p * (1 - p) for p in chances) / failed if failed else 0.0
