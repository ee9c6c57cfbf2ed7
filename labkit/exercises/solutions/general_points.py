"""Solutions of notebooks/01_general_points that later cells use."""

import ast
import operator
from collections import Counter
from fractions import Fraction


def verify(formula, numbers, target=24):
    """The category of a formula: "illegal_formula", "wrong_numbers", "wrong_value" or "correct"."""
    operations = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
    try:
        tree = ast.parse(formula.partition("=")[0].strip(), mode="eval")
    except SyntaxError:
        return "illegal_formula"
    parts = list(ast.walk(tree))
    used = [part.value for part in parts if isinstance(part, ast.Constant)]
    legal = (ast.Expression, ast.BinOp, ast.Constant, *operations)
    if not all(isinstance(part, legal) for part in parts) or not all(type(number) is int for number in used):
        return "illegal_formula"
    if Counter(used) != Counter(numbers):
        return "wrong_numbers"

    def value(part):
        if isinstance(part, ast.Constant):
            return Fraction(part.value)
        return operations[type(part.op)](value(part.left), value(part.right))

    try:
        return "correct" if value(tree.body) == target else "wrong_value"
    except ZeroDivisionError:
        return "wrong_value"
