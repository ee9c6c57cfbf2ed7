"""Formulas as language models write them: read safely, valued exactly, compared up to order and bracketing.

A formula is made of whole numbers, the binary operators ``+ - * /`` and brackets. It is read by Dijkstra's
shunting-yard algorithm and valued in fractions; nothing here calls itself, so no text, however it is nested,
can exhaust the stack, and texts beyond `MAX_LENGTH` are turned away unread.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple, TypeAlias, TypeVar

MAX_LENGTH = 1000  # characters in a formula
MAX_NUMBER = 10**6  # the largest number in a formula or a hand

_Folded = TypeVar("_Folded")

_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2}
_BRACKETS = {"(": ")", "[": "]", "{": "}"}
# One character for one character, so that offsets in the text as it was written stay true.
_SPELLINGS = str.maketrans(
    "×·∙⋅∗✕✖xX＊÷∕⁄／−–—‐‑－＋（）［］｛｝０１２３４５６７８９",
    "**********////------+()[]{}0123456789",
)
_TOKEN = re.compile(r"[0-9]+(?:\.[0-9]+)?|\*\*|//|\s+|.", re.DOTALL)


class FormulaError(ValueError):
    """A text that is not a formula, or a formula that has no value.

    `reason` is a fragment that a player can act on ("'^' is not one of + - * / ( )") and `position` the
    offset, in characters from the start of the text, of what it speaks of.
    """

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(reason, position)
        self.reason = reason
        self.position = position

    def __str__(self) -> str:
        return f"{self.reason} (character {self.position + 1})"


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number, at least 0."""

    value: int
    position: int = field(default=0, compare=False, repr=False)  # offset of its first digit


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Operation:
    """Two formulas joined by an operator, one of ``+ - * /``.

    Equality means the same tree. It, the hash and the repr are spelt out because those that dataclasses
    generate call themselves once a level.
    """

    op: str
    left: "Node"
    right: "Node"
    position: int = 0  # offset of the operator

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Operation) and _postfix(self) == _postfix(other)

    def __hash__(self) -> int:
        return hash(_postfix(self))

    def __repr__(self) -> str:
        return f"parse({_fold(self, lambda leaf: str(leaf.value), lambda at, a, b: f'({a}{at.op}{b})')!r})"


Node: TypeAlias = Number | Operation


def parse(text: str) -> Node:
    """Read one formula.

    The usual unicode spellings of operators, digits and brackets count as their ASCII ones, ``x`` as ``*``,
    and ``[ ]`` and ``{ }`` as brackets. Every operator stands between two operands: signs (``-3``), implicit
    products (``2(3)``) and decimals (``2.5``) are errors, since the game is played with the dealt numbers
    only. Leading zeros are read over.

    Raises:
        FormulaError: the text is not a formula, is longer than `MAX_LENGTH` characters, or holds a number
            above `MAX_NUMBER`.
    """
    if len(text) > MAX_LENGTH:
        raise FormulaError(f"a formula may have at most {MAX_LENGTH:,} characters", MAX_LENGTH)
    parser = _Parser(text)
    for match in _TOKEN.finditer(text.translate(_SPELLINGS)):
        token = match.group()
        if not token.isspace():
            parser.read(token, match.start())
    return parser.finish()


def numbers(node: Node) -> tuple[int, ...]:
    """The numbers of a formula, from left to right."""
    return tuple(part.value for part in _postorder(node) if isinstance(part, Number))


def evaluate(node: Node) -> Fraction:
    """The exact value of a formula.

    Raises:
        FormulaError: a divisor is 0; `position` is the offset of its ``/``.
    """
    return _fold(node, lambda leaf: Fraction(leaf.value), _calculate)


def render(node: Node) -> str:
    """A formula in ASCII, without spaces, with the fewest brackets.

    Numbers and operators keep their order: ``2+(3-1)`` becomes ``2+3-1``, but ``2-(3-1)`` stays. Read back,
    the text has the same `canonical` form, though not always the same tree.
    """
    return _fold(node, lambda leaf: _Text(str(leaf.value), 3), _write).text


def canonical(node: Node) -> str:
    """The one formula that stands for all that differ from this one only in order and bracketing.

    Two formulas have the same canonical form exactly when the laws of order and bracketing lead from one to
    the other: ``+`` and ``*`` commute and associate, ``a-(b-c) = a-b+c`` and ``a/(b/c) = a*c/b``. In other
    words a sum is a multiset of added and subtracted terms, and a product one of multiplying and dividing
    factors. No other law is used, for each would hide a difference in the idea: ``8*3*1`` and ``8*3/1``,
    ``a-b*(c-d)`` and ``a+b*(d-c)``, ``(a-b)*(c-d)`` and ``(b-a)*(d-c)``, ``a*(b+c)`` and ``a*b+a*c`` all stay
    distinct.

    The form is itself a formula, with the fewest brackets: added terms before subtracted ones, factors
    before divisors, and each of these in `operand_order`.
    """
    return _fold(node, lambda leaf: _Flat("", (str(leaf.value),), ()), _flatten).text()


def operand_order(text: str) -> tuple[bool, int, str]:
    """Sort key of operands in a canonical formula: composite ones first, then numbers from large to small."""
    return (True, -int(text), "") if text.isdigit() else (False, 0, text)


class _Parser:
    """The state of the shunting-yard: operands read, and operators and open brackets that wait."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._operands: list[Node] = []
        self._waiting: list[tuple[str, int]] = []  # an operator or an open bracket, and its offset
        self._expects_operand = True

    def read(self, token: str, position: int) -> None:
        if token[0] in "0123456789":
            self._operand(token, position)
        elif token in _BRACKETS:
            self._open(token, position)
        elif token in _BRACKETS.values():
            self._close(token, position)
        elif token in _PRECEDENCE:
            self._operator(token, position)
        else:
            raise FormulaError(f"{self._quote(position, len(token))} is not one of + - * / ( )", position)

    def finish(self) -> Node:
        if self._expects_operand:
            if not self._waiting:
                raise FormulaError("the formula is empty", 0)
            raise self._missing_operand(len(self._text))
        self._apply(1)
        if self._waiting:
            position = self._waiting[-1][1]
            raise FormulaError(f"{self._quote(position)} is never closed", position)
        return self._operands.pop()

    def _operand(self, token: str, position: int) -> None:
        self._expect_operand(position, len(token))
        if "." in token:
            raise FormulaError(f"{token} is not a whole number", position)
        value = int(token)
        if value > MAX_NUMBER:
            raise FormulaError(f"a number may be at most {MAX_NUMBER:,}", position)
        self._operands.append(Number(value, position))
        self._expects_operand = False

    def _open(self, token: str, position: int) -> None:
        self._expect_operand(position)
        self._waiting.append((token, position))

    def _close(self, token: str, position: int) -> None:
        if self._expects_operand and self._waiting:
            raise self._missing_operand(position)
        self._apply(1)
        if not self._waiting:
            raise FormulaError(f"{self._quote(position)} closes a bracket that was never opened", position)
        opened, opened_at = self._waiting.pop()
        if _BRACKETS[opened] != token:
            raise FormulaError(f"{self._quote(opened_at)} is closed by {self._quote(position)}", position)

    def _operator(self, token: str, position: int) -> None:
        if self._expects_operand:
            reason = f"{self._quote(position)} must stand between two numbers"
            signed = "; a number has no sign of its own" if token in "+-" else ""
            raise FormulaError(reason + signed, position)
        self._apply(_PRECEDENCE[token])
        self._waiting.append((token, position))
        self._expects_operand = True

    def _apply(self, precedence: int) -> None:
        """Apply the operators that wait since the last open bracket and bind at least as tightly."""
        while self._waiting and _PRECEDENCE.get(self._waiting[-1][0], 0) >= precedence:
            op, position = self._waiting.pop()
            right, left = self._operands.pop(), self._operands.pop()
            self._operands.append(Operation(op, left, right, position))

    def _expect_operand(self, position: int, length: int = 1) -> None:
        if not self._expects_operand:
            raise FormulaError(f"an operator is missing before {self._quote(position, length)}", position)

    def _missing_operand(self, end: int) -> FormulaError:
        last, position = self._waiting[-1]
        if last not in _BRACKETS:
            return FormulaError(f"{self._quote(position)} must stand between two numbers", position)
        if end == len(self._text):
            return FormulaError(f"{self._quote(position)} is never closed", position)
        return FormulaError("there is no number between the brackets", position)

    def _quote(self, position: int, length: int = 1) -> str:
        written = self._text[position : position + length]
        return f"'{written}'" if written.isprintable() else repr(written)


class _Text(NamedTuple):
    text: str
    precedence: int


class _Flat(NamedTuple):
    """A sum (`op` is "+"), a product ("*") or a number (""), its operands written out."""

    op: str
    direct: tuple[str, ...]  # terms added, or factors
    inverse: tuple[str, ...]  # terms subtracted, or divisors

    def text(self) -> str:
        inverse_op = "-" if self.op == "+" else "/"
        direct, inverse = (sorted(part, key=operand_order) for part in (self.direct, self.inverse))
        return self.op.join(direct) + "".join(inverse_op + operand for operand in inverse)

    def within(self, op: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The operands that this formula brings to a sum or a product around it."""
        if self.op in ("", op):
            return self.direct, self.inverse
        return (f"({self.text()})" if self.op == "+" else self.text(),), ()


def _flatten(operation: Operation, left: _Flat, right: _Flat) -> _Flat:
    op = "+" if operation.op in "+-" else "*"
    direct, inverse = left.within(op)
    more_direct, more_inverse = right.within(op)
    if operation.op in "-/":
        more_direct, more_inverse = more_inverse, more_direct
    return _Flat(op, direct + more_direct, inverse + more_inverse)


def _calculate(operation: Operation, left: Fraction, right: Fraction) -> Fraction:
    match operation.op:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
    if right == 0:
        raise FormulaError("'/' divides by zero", operation.position)
    return left / right


def _write(operation: Operation, left: _Text, right: _Text) -> _Text:
    precedence = _PRECEDENCE[operation.op]
    # a-(b+c) and a/(b*c) need their brackets, a+(b-c) and a*(b/c) do not.
    right_needs = precedence + 1 if operation.op in "-/" else precedence
    before = left.text if left.precedence >= precedence else f"({left.text})"
    after = right.text if right.precedence >= right_needs else f"({right.text})"
    return _Text(before + operation.op + after, precedence)


def _postorder(node: Node) -> Iterator[Node]:
    """Every part of a formula, operands from left to right before their operation."""
    found, stack = [], [node]
    while stack:
        part = stack.pop()
        found.append(part)
        if isinstance(part, Operation):
            stack += (part.left, part.right)
    return reversed(found)


def _postfix(node: Node) -> tuple[int | str, ...]:
    """Reverse Polish notation, which determines the tree."""
    return tuple(part.value if isinstance(part, Number) else part.op for part in _postorder(node))


def _fold(
    node: Node,
    leaf: Callable[[Number], _Folded],
    join: Callable[[Operation, _Folded, _Folded], _Folded],
) -> _Folded:
    """Work out a formula from its numbers up."""
    results: list[_Folded] = []
    for part in _postorder(node):
        if isinstance(part, Number):
            results.append(leaf(part))
        else:
            right, left = results.pop(), results.pop()
            results.append(join(part, left, right))
    return results.pop()
