"""Evaluation: suites to play, metrics with their intervals."""

from labkit.evaluation.metrics import Estimate, Measured, wilson
from labkit.evaluation.suites import SuiteResult, evaluate, headline, measure

__all__ = ["Estimate", "Measured", "SuiteResult", "evaluate", "headline", "measure", "wilson"]
