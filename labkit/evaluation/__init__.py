"""Evaluation: suites to play, metrics with their intervals."""

from labkit.evaluation.metrics import Estimate, wilson
from labkit.evaluation.suites import SuiteResult, evaluate, headline, measure

__all__ = ["Estimate", "SuiteResult", "evaluate", "headline", "measure", "wilson"]
