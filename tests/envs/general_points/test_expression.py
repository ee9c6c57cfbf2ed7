"""Formulas: what is read and refused, exact values, fewest brackets, sameness up to order and bracketing."""

import copy
import re
from fractions import Fraction
from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.envs.general_points.expression import (
    FormulaError,
    Number,
    Operation,
    canonical,
    evaluate,
    numbers,
    parse,
    render,
)
from tests.cost import loops

# A formula of the tests' own: a whole number, or (operator, formula, formula).
SHAPES = st.recursive(
    st.integers(0, 13),
    lambda parts: st.tuples(st.sampled_from("+-*/"), parts, parts),
    max_leaves=8,
)


def text_of(shape) -> str:
    """Every operation in brackets, so that precedence plays no part."""
    return str(shape) if isinstance(shape, int) else f"({text_of(shape[1])}{shape[0]}{text_of(shape[2])})"


def value_of(shape) -> Fraction:
    if isinstance(shape, int):
        return Fraction(shape)
    op, left, right = shape[0], value_of(shape[1]), value_of(shape[2])
    return {"+": left.__add__, "-": left.__sub__, "*": left.__mul__, "/": left.__truediv__}[op](right)


def leaves_of(shape) -> list[int]:
    return [shape] if isinstance(shape, int) else leaves_of(shape[1]) + leaves_of(shape[2])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2+3*4", 14),
        ("(2+3)*4", 20),
        ("7-2-1", 4),
        ("12/3/2", 2),
        ("12/3*2", 8),
        ("12-3+2", 11),
        ("8/(3-8/3)", 24),
        ("1/3+1/3+1/3", 1),
        ("2/4", Fraction(1, 2)),
        ("((7))", 7),
        ("003 + 4", 7),
        ("\t10 *\n2\u00a0+ 4 ", 24),
        ("2*[3+{4-(1)}]", 12),
        ("1000000-999999", 1),
    ],
)
def test_value(text, value):
    assert evaluate(parse(text)) == value


def test_tree_and_offsets():
    tree = parse("5 - 2*3")
    assert tree == Operation("-", Number(5), Operation("*", Number(2), Number(3)))
    assert tree != parse("5-3*2") and tree != parse("(5-2)*3")
    assert (tree.position, tree.right.position, tree.right.right.position) == (2, 5, 6)
    assert numbers(parse("(7-3)*(10-4)")) == (7, 3, 10, 4)


@pytest.mark.parametrize("sign", "*×·∙⋅∗✕✖xX＊")
def test_spellings_of_times(sign):
    assert parse(f"3{sign}(4 {sign} 2)") == parse("3*(4*2)")


@pytest.mark.parametrize("sign", "/÷∕⁄／")
def test_spellings_of_over(sign):
    assert parse(f"8{sign}2") == parse("8/2")


@pytest.mark.parametrize("sign", "-−–—‐‑－")
def test_spellings_of_minus(sign):
    assert parse(f"8{sign}2") == parse("8-2")


def test_fullwidth_text():
    assert parse("（１０＋２）＊［３－｛１｝］") == parse("(10+2)*(3-1)")


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("", 0, "empty"),
        ("  ", 0, "empty"),
        ("-3+8", 0, "'-' must stand between two numbers; a number has no sign of its own"),
        ("2*-3", 2, "no sign of its own"),
        ("2*(+3)", 3, "no sign of its own"),
        ("2−−3", 2, "'−' must stand between"),
        ("*3", 0, "'*' must stand between two numbers"),
        ("3+", 1, "'+' must stand between two numbers"),
        ("(3+)*2", 2, "'+' must stand between two numbers"),
        ("x3", 0, "'x' must stand between"),
        ("3**2", 1, "'**' is not one of + - * / ( )"),
        ("7//2", 1, "'//' is not one of"),
        ("3^2", 1, "'^' is not one of + - * / ( )"),
        ("3*8=24", 3, "'=' is not one of"),
        ("3!", 1, "'!' is not one of"),
        ("sqrt(9)", 0, "'s' is not one of"),
        ("3²", 1, "'²' is not one of"),
        ("٣+4", 0, "is not one of"),
        ("3+\x004", 2, r"'\x00' is not one of"),
        ("3+\ud800", 2, r"'\ud800' is not one of"),
        ("2.5*4", 0, "2.5 is not a whole number"),
        ("1e3", 1, "'e' is not one of"),
        ("1_000", 1, "'_' is not one of"),
        ("2(3)", 1, "an operator is missing before '('"),
        ("(2)3", 3, "an operator is missing before '3'"),
        ("(2)(3)", 3, "an operator is missing before '('"),
        ("12 34", 3, "an operator is missing before '34'"),
        ("()", 0, "no number between the brackets"),
        ("2*(3+1", 2, "'(' is never closed"),
        ("(", 0, "'(' is never closed"),
        ("(3+1))", 5, "')' closes a bracket that was never opened"),
        (")3", 0, "')' closes a bracket that was never opened"),
        ("[3+1)", 4, "'[' is closed by ')'"),
        ("(3+[1)]", 5, "'[' is closed by ')'"),
        ("1234567+1", 0, "at most 1,000,000"),
        ("1+" * 500 + "1", 1000, "at most 1,000 characters"),
    ],
)
def test_refused(text, position, said):
    with pytest.raises(FormulaError) as caught:
        parse(text)
    assert said in caught.value.reason
    assert caught.value.position == position


@pytest.mark.parametrize(
    ("text", "position"), [("8/(3-3)", 1), ("0/0", 1), ("1+2/(4-2*2)/3", 3), ("1/0*0", 1), ("5/(0/7)", 1)]
)
def test_division_by_zero(text, position):
    with pytest.raises(FormulaError, match="divides by zero") as caught:
        evaluate(parse(text))
    assert caught.value.position == position


def test_an_error_can_be_copied():
    """As it must be to come back from another process."""
    error = copy.copy(FormulaError("'^' is not one of + - * / ( )", 4))
    assert (error.reason, error.position) == ("'^' is not one of + - * / ( )", 4)
    assert str(error) == "'^' is not one of + - * / ( ) (character 5)"


@pytest.mark.parametrize(
    ("part", "times"),
    [("(", 100_000), ("9", 5_000_000), ("\0", 10**6), ("-", 10**6), ("1+", 10**6), (" ", 10**6)]
    + [("(", 1000), ("9", 1000), ("[(", 500), ("1-(", 333), ("\0", 1000), ("1+", 500), (" ", 1000)],
)
def test_hostile_texts_cost_nothing(part, times):
    def refused():
        with pytest.raises(FormulaError):
            parse(text)

    text = part * times
    assert loops(refused) < 5


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("(" * 499 + "1" + ")" * 499, 1),
        ("0" * 999 + "1", 1),
        ("+".join("1" * 500), 500),
        # 1-(1-(1-...)) is 1 with an odd number of ones, and 0 with an even one.
        ("1-(" * 249 + "1" + ")" * 249, 0),
        ("1-(" * 248 + "1" + ")" * 248, 1),
        # x -> 1+2*x from 1 gives 3, 7, 15: after n steps 2^(n+1) - 1.
        ("1+2*(" * 166 + "1" + ")" * 166, 2**167 - 1),
    ],
)
def test_the_deepest_formulas(text, value):
    """Far deeper than the interpreter's own stack would bear, were it used."""
    tree = parse(text)
    assert evaluate(tree) == value
    assert tree == parse(text) and hash(tree) == hash(parse(text)) and repr(tree) == repr(parse(text))
    assert canonical(parse(render(tree))) == canonical(tree)
    assert len(numbers(tree)) == text.count("1") + text.count("2")


@given(st.text(st.sampled_from("0123456789+-*/()[]{} ×÷−x.") | st.characters(), max_size=40))
def test_any_text_is_a_formula_or_a_located_error(text):
    try:
        tree = parse(text)
    except FormulaError as error:
        assert 0 <= error.position <= len(text)
        assert error.reason.isprintable()
    else:
        assert canonical(parse(render(tree))) == canonical(tree)


@given(SHAPES)
def test_value_agrees_with_fractions(shape):
    tree = parse(text_of(shape))
    assert list(numbers(tree)) == leaves_of(shape)
    try:
        value = value_of(shape)
    except ZeroDivisionError:
        with pytest.raises(FormulaError):
            evaluate(tree)
    else:
        assert evaluate(tree) == value


@pytest.mark.parametrize(
    ("text", "fewest"),
    [
        ("((2)+(3*4))", "2+3*4"),
        ("(2+3)*4", "(2+3)*4"),
        ("2+(3-1)", "2+3-1"),
        ("2-(3-1)", "2-(3-1)"),
        ("2-(3*1)", "2-3*1"),
        ("(8/2)/2", "8/2/2"),
        ("8/(2/2)", "8/(2/2)"),
        ("8*(2/2)", "8*2/2"),
        ("8/(2*2)", "8/(2*2)"),
        ("[8] ÷ {3 − 8 ÷ 3}", "8/(3-8/3)"),
    ],
)
def test_render(text, fewest):
    assert render(parse(text)) == fewest


@given(SHAPES)
def test_render_keeps_the_formula_and_no_bracket_to_spare(shape):
    tree = parse(text_of(shape))
    text = render(tree)
    assert re.findall(r"\d+|[-+*/]", text) == re.findall(r"\d+|[-+*/]", text_of(shape))
    assert render(parse(text)) == text
    assert canonical(parse(text)) == canonical(tree)
    opened = []
    for i, character in enumerate(text):
        if character == "(":
            opened.append(i)
        elif character == ")":
            start = opened.pop()
            without = text[:start] + text[start + 1 : i] + text[i + 1 :]
            assert canonical(parse(without)) != canonical(tree)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2+3", "3+2"),
        ("2*3*4", "4*(3*2)"),
        ("9-(5-2)", "9-5+2"),
        ("9-(5+2)", "9-2-5"),
        ("8/(4/2)", "8*2/4"),
        ("8/(4*2)", "8/2/4"),
        ("(7-3)*(10-4)", "(10-4)*(7-3)"),
        ("5+(6-(3-2))", "2+6-3+5"),
        ("1*(2-(3-4))/(5/6)", "6*(4+2-3)*1/5"),
        ("03*8", "8×3"),
    ],
)
def test_same_up_to_order_and_bracketing(one, other):
    assert canonical(parse(one)) == canonical(parse(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("8*3*1", "8*3/1"),
        ("8*3*1*1", "8*3/1*1"),
        ("8*3+1-1", "8*3*1*1"),
        ("7-2", "2-7"),
        ("8/2", "2/8"),
        ("9-5*(3-2)", "9+5*(2-3)"),
        ("(7-3)*(10-4)", "(3-7)*(4-10)"),
        ("2*(3+4)", "2*3+2*4"),
        ("5+0", "5-0"),
        ("4/2", "2"),
        ("2+2", "2*2"),
        ("12+3", "1+23"),
    ],
)
def test_different_ideas_stay_distinct(one, other):
    assert canonical(parse(one)) != canonical(parse(other))


@given(SHAPES)
def test_a_canonical_form_is_its_own(shape):
    tree = parse(text_of(shape))
    form = canonical(tree)
    assert canonical(parse(form)) == form == render(parse(form))
    assert sorted(numbers(parse(form))) == sorted(numbers(tree))


@given(SHAPES, st.data())
def test_laws_of_order_and_bracketing_do_not_change_it(shape, data):
    def rewritten(shape):
        if isinstance(shape, int):
            return shape
        op, left, right = shape[0], rewritten(shape[1]), rewritten(shape[2])
        swap = data.draw(st.booleans())
        if op in "+*":
            left, right = (right, left) if swap else (left, right)
        if not isinstance(right, int) and data.draw(st.booleans()):
            # a+(b-c) = (a+b)-c, a-(b-c) = (a-b)+c, and the same for products
            direct, inverse = ("+", "-") if op in "+-" else ("*", "/")
            if right[0] in (direct, inverse):
                second = direct if op == right[0] else inverse
                return second, (op, left, right[1]), right[2]
        return op, left, right

    assert canonical(parse(text_of(rewritten(shape)))) == canonical(parse(text_of(shape)))


# How many formulas n letters have, up to order and bracketing, each used once. Half are sums, half products
# (turn every + into * and every - into /). A sum of k terms can be signed in 2^k - 1 ways (not all minus),
# and each of its terms is a letter or one of the products p of its letters; p(2) = 2^2 - 1 = 3.
#   p(3) = 1 (a,b,c apart) x 7  +  3 (a pair and one) x p(2) x 3  =  7 + 27  =  34
#   p(4) = 1 x 15  +  6 (a pair, two apart) x 3 x 7  +  3 (two pairs) x 3 x 3 x 3  +  4 (three, one) x 34 x 3
#        = 15 + 126 + 81 + 408  =  630
@pytest.mark.parametrize(("letters", "formulas"), [((2, 3), 6), ((2, 3, 5), 68), ((2, 3, 5, 7), 1260)])
def test_number_of_formulas(letters, formulas):
    def trees(leaves):
        if len(leaves) == 1:
            yield leaves[0]
        for cut in range(1, len(leaves)):
            for left, right, op in product(trees(leaves[:cut]), list(trees(leaves[cut:])), "+-*/"):
                yield op, left, right

    found = {canonical(parse(text_of(tree))) for leaves in permutations(letters) for tree in trees(leaves)}
    assert len(found) == formulas
