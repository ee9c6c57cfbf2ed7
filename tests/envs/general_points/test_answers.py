"""Answers in the shapes that models write, each with the verdict a teacher would give it.

The cards are 3 3 8 8 unless a row says otherwise: their one solution, 8/(3-8/3), needs exact fractions. Every
row says why; the categories and their order are those of the paper's appendix A.3.
"""

import pytest

from labkit.envs.general_points.verifier import read, verdict

HAND = ("3", "3", "8", "8")
GOOD = "8/(3-8/3)=24"


def category(answer, ranks=HAND, faces="ten", target=24, picture=False):
    return verdict(read(answer), ranks, faces, target, picture=picture).category


def full(formula, cards='["3","3","8","8"]', number="[3,3,8,8]"):
    """A whole answer around a formula, the formula escaped by hand."""
    return f'{{"cards": {cards}, "number": {number}, "formula": "{formula}"}}'


# How the answer is wrapped: (why, answer, category).
WRAPPINGS = [
    ("the format that is asked for", full(GOOD), "correct"),
    ("fenced, with a language tag", f"```json\n{full(GOOD)}\n```", "correct"),
    ("fenced, without a language tag", f"```\n{full(GOOD)}\n```", "correct"),
    ("a fence that never ends", f"```json\n{full(GOOD)}", "correct"),
    ("prose before", f"Let me see: 8/3 is under 3, so the answer is {full(GOOD)}", "correct"),
    ("prose after", f"{full(GOOD)}\n\nThis works because 3 - 8/3 = 1/3.", "correct"),
    ("Chinese prose around it", f"我们有四张牌：3、3、8、8。答案是：{full(GOOD)}，希望对你有帮助！", "correct"),
    ("Arabic prose around it", f"الجواب هو: {full(GOOD)} وهذا صحيح", "correct"),
    ("German prose with quotation marks", f"Es heißt „durch ein Drittel“: {full(GOOD)}", "correct"),
    ("an apostrophe in the prose opens no string", f"It's what I'd say, don't you? {full(GOOD)}", "correct"),
    ("a lone quotation mark in the prose", f'The 8" card. {full(GOOD)}', "correct"),
    ("a set in braces in the prose is no object", f"I have {{3, 3, 8, 8}}. {full(GOOD)}", "correct"),
    ("an open brace in the prose", f"Use {{ as a bracket. {full(GOOD)}", "correct"),
    ("empty braces in the prose", f"Start with {{}} and end with {full(GOOD)}", "correct"),
    ("LaTeX in the prose", f"$\\frac{{8}}{{3-\\frac{{8}}{{3}}}}$ so {full(GOOD)}", "correct"),
    ("thinking aloud first", f"<think>3*8=24, but 3 and 8 are left</think>\n{full(GOOD)}", "correct"),
    ("a draft first: the last object counts", f"<think>{full('3+3+8+8')}</think>{full(GOOD)}", "correct"),
    ("two objects, the last wrong", f"{full(GOOD)} or rather {full('3+3+8+8=24')}", "wrong_value"),
    ("two objects, the last cut off", f"{full(GOOD)}\nAgain: {full(GOOD)[:-9]}", "correct"),
    ("two objects, the last without a formula", f'{full(GOOD)} {{"checked": true}}', "correct"),
    ("a list of objects", f"[{full('3+3+8+8=24')}, {full(GOOD)}]", "correct"),
    ("markdown bold around the object", f"**{full(GOOD)}**", "correct"),
    ("in a box", f"\\boxed{{{full(GOOD)}}}", "correct"),
    ("double braces, as out of a template", f"{{{full(GOOD)}}}", "correct"),
    ("one closing brace too many", full(GOOD) + "}", "correct"),
    ("lines, tabs and spaces", full(GOOD).replace(", ", ",\n\t\u00a0 ").replace(":", " :"), "correct"),
    ("Windows line ends", full(GOOD).replace(", ", ",\r\n"), "correct"),
    ("single quotes", full(GOOD).replace('"', "'"), "correct"),
    ("mixed quotes", "{'cards': [\"3\",'3',\"8\",'8'], \"formula\": '8/(3-8/3)=24'}", "correct"),
    ("smart quotes", f"{{“cards”: [“3”, “3”, “8”, “8”], “formula”: “{GOOD}”}}", "correct"),
    ("single smart quotes", f"{{‘cards’: [‘3’, ‘3’, ‘8’, ‘8’], ‘formula’: ‘{GOOD}’}}", "correct"),
    ("unquoted keys", f'{{cards: ["3","3","8","8"], number: [3,3,8,8], formula: "{GOOD}"}}', "correct"),
    ("trailing commas", f'{{"cards": ["3","3","8","8",], "number": [3,], "formula": "{GOOD}",}}', "correct"),
    ("keys in capitals", f'{{"Cards": ["3","3","8","8"], "FORMULA": "{GOOD}"}}', "correct"),
    ("fields in another order", f'{{"formula": "{GOOD}", "cards": ["3"], "number": []}}', "correct"),
    ("a field more", f'{{"thought": "8 over \\"a third\\"", "formula": "{GOOD}"}}', "correct"),
    ("an apostrophe in a string", f'{{"note": "it\'s easy", "formula": "{GOOD}"}}', "correct"),
    ("braces in a string", f'{{"note": "{{ [ , : ] }}", "formula": "{GOOD}"}}', "correct"),
    ("the answer as a nested object", f'{{"answer": {full(GOOD)}}}', "correct"),
    ("an object beside the formula", f'{{"formula": "{GOOD}", "draft": {full("3+3+8+8=24")}}}', "correct"),
    ("the same key twice: the last counts", f'{{"formula": "3+3+8+8=24", "formula": "{GOOD}"}}', "correct"),
    ("only the formula: nothing else is judged in text", f'{{"formula": "{GOOD}"}}', "correct"),
    ("cards misread: not judged in text", full(GOOD, cards='["K","K","K","K"]'), "correct"),
    ("number misread: never judged", full(GOOD, number="[1,2]"), "correct"),
    ("numbers as strings", full(GOOD, number='["3","3","8","8"]'), "correct"),
    ("null and true beside it", full(GOOD, cards="null", number="true"), "correct"),
    ("a byte order mark", "\ufeff" + full(GOOD), "correct"),
    ("NUL bytes around", "\0" + full(GOOD) + "\0", "correct"),
    ("a comment", f'{{"cards": ["3","3","8","8"], // as dealt\n "formula": "{GOOD}"}}', "correct"),
    ("a raw line break in a string", '{"note": "8/3,\nthen", "formula": "8/\n(3-8/3)=24"}', "correct"),
    ("full-width punctuation", f"｛“cards”：［“3”，“3”，“8”，“8”］，“formula”：“{GOOD}”｝", "correct"),
    ("number unreadable: never judged", full(GOOD, number="[3, 3, 8, by]"), "correct"),
    ("a draft in a thought that was cut off", f"<think>maybe {full(GOOD)}? let me check, 8/3 is", "unreadable"),
    ("a draft in a thought, and no answer", f"<think>maybe {full(GOOD)}</think> I give up.", "unreadable"),
    ("goes on behind the closing brace", f'{full(GOOD)} of 3", "formula": "3+3+8+8=24"}}', "unreadable"),
    ("empty", "", "unreadable"),
    ("only spaces", " \n\t ", "unreadable"),
    ("only prose", "I think that 8/(3-8/3)=24 is the answer.", "unreadable"),
    ("only the formula, no object", GOOD, "unreadable"),
    ("a key and no object", f'"formula": "{GOOD}"', "unreadable"),
    ("YAML", f"cards: [3, 3, 8, 8]\nformula: {GOOD}", "unreadable"),
    ("XML", f"<formula>{GOOD}</formula>", "unreadable"),
    ("an empty object", "{}", "unreadable"),
    ("no formula", '{"cards": ["3","3","8","8"], "number": [3,3,8,8]}', "unreadable"),
    ("another key", f'{{"equation": "{GOOD}"}}', "unreadable"),
    ("the word formula as a value", '{"answer": "formula"}', "unreadable"),
    ("the formula in a list, not in an object", f'["{GOOD}"]', "unreadable"),
    ("cut off in the cards", '{"cards": ["3","3"', "unreadable"),
    ("cut off in the formula", full(GOOD)[:-8], "unreadable"),
    ("cut off before the last brace", full(GOOD)[:-1], "unreadable"),
    ("cut off behind an escape", '{"formula": "8/(3-8/3)\\', "unreadable"),
    ("a quotation mark missing", '{"formula: "8/(3-8/3)=24"}', "unreadable"),
    ("a list that is closed by a brace", '{"cards": ["3","3"}, "formula": "8/(3-8/3)=24"}', "unreadable"),
    ("over 64 kB", full(GOOD) + " " * 65_536, "unreadable"),
]

# What the formula says: (why, formula as it stands between double quotes, category).
FORMULAS = [
    ("no right-hand side", "8/(3-8/3)", "correct"),
    ("spaces", " 8 / ( 3 - 8 / 3 ) = 24 ", "correct"),
    ("brackets that change nothing", "((8)/((3)-((8)/(3))))=24", "correct"),
    ("square brackets", "8/[3-8/3]=24", "correct"),
    ("an escaped line break is a space", "8/(3-8/3)\\n= 24", "correct"),
    ("an escaped tab is a space", "8\\t/(3-8/3)=24", "correct"),
    ("JSON lets / be escaped", "8\\/(3-8\\/3)=24", "correct"),
    ("unicode signs", "8÷(3−8÷3)=24", "correct"),
    ("unicode signs as escapes", "8\\u00f7(3\\u22128\\u00F73)=24", "correct"),
    ("full-width signs and brackets", "８／（３－８／３）=24", "correct"),
    ("a full-width equals sign", "8/(3-8/3)＝24", "correct"),
    ("x for times: 8 - 8 is 0", "3x8-3X8", "wrong_value"),
    ("fraction and division slashes", "8∕(3−8⁄3)=24", "correct"),
    ("a full stop", "8/(3-8/3)=24.", "correct"),
    ("24.0 is 24", "8/(3-8/3)=24.0", "correct"),
    ("a doubled equals sign", "8/(3-8/3)==24", "correct"),
    ("wrong right-hand side", "8/(3-8/3)=25", "wrong_value"),
    ("negative right-hand side", "8/(3-8/3)=-24", "wrong_value"),
    ("negative right-hand side, in unicode", "8/(3-8/3) = −24", "wrong_value"),
    ("a fraction as right-hand side", "8/(3-8/3)=23.5", "wrong_value"),
    ("a huge right-hand side is a number too", "8/(3-8/3)=24000000", "wrong_value"),
    ("not 24 and does not say so", "3+3+8+8", "wrong_value"),
    ("not 24 but says so", "3+3+8+8=24", "wrong_value"),
    ("not 24 and says what it is", "3+3+8+8=22", "wrong_value"),
    ("a whole value out of fractions, but 6", "8/(8/3)+3", "wrong_value"),
    ("negative value", "3-8-8-3=24", "wrong_value"),
    ("divides by zero: legal, every card, no value", "8/(3-3)+8=24", "wrong_value"),
    ("nothing divided by zero", "(3-3)/(8-8)=24", "wrong_value"),
    ("reaches 24 with two cards", "3*8=24", "wrong_numbers"),
    ("a card left out", "8+8+8=24", "wrong_numbers"),
    ("a number reused", "8*3*8/8=24", "wrong_numbers"),
    ("every card and one more", "3*8+3*8-8*3=24", "wrong_numbers"),
    ("foreign numbers", "4*6=24", "wrong_numbers"),
    ("the target itself", "24=24", "wrong_numbers"),
    ("digits put together", "33-8/8=24", "wrong_numbers"),
    ("no card counts as 0", "8*3+0*8*3=24", "wrong_numbers"),
    ("0x8 is 0 times 8, not a number in hexadecimal", "0x8*3=24", "wrong_numbers"),
    ("wrong numbers come before division by zero", "8/(8-8)=24", "wrong_numbers"),
    ("wrong numbers come before a wrong right-hand side", "3*8=23", "wrong_numbers"),
    ("wrong numbers and an illegal sign", "4^2+8=24", "illegal_formula"),
    ("empty", "", "illegal_formula"),
    ("only spaces", "   ", "illegal_formula"),
    ("only a right-hand side", "=24", "illegal_formula"),
    ("words", "eight over a third", "illegal_formula"),
    ("ranks for numbers", "K+J+3+A=24", "illegal_formula"),
    ("a bracket is not closed", "8/(3-8/3=24", "illegal_formula"),
    ("a bracket is not opened", "8/3-8/3)=24", "illegal_formula"),
    ("brackets of two kinds", "8/(3-8/3]=24", "illegal_formula"),
    ("empty brackets", "8/(3-8/3)+()=24", "illegal_formula"),
    ("an operator at the end", "8/(3-8/3)+=24", "illegal_formula"),
    ("two operators", "8/*(3-8/3)=24", "illegal_formula"),
    ("no operator between numbers", "8 (3-8/3)=24", "illegal_formula"),
    ("space inside a number", "3 3 - 8/8=24", "illegal_formula"),
    ("a power", "8**3-8*3=24", "illegal_formula"),
    ("a power, as ^", "3^3-8/8=24", "illegal_formula"),
    ("a superscript", "3²*8/3=24", "illegal_formula"),
    ("integer division", "8//3*8+3=24", "illegal_formula"),
    ("modulo", "8%3*8+3=24", "illegal_formula"),
    ("factorial", "3!+3!+8+8=24", "illegal_formula"),
    ("a root as a word", "sqrt(8*8)*3=24", "illegal_formula"),
    ("a root as a sign", "√(8*8)*3=24", "illegal_formula"),
    ("a function", "max(8,8)*3=24", "illegal_formula"),
    ("decimals", "8.0/(3-8/3)=24", "illegal_formula"),
    ("a decimal comma", "8,0/(3-8/3)=24", "illegal_formula"),
    ("an exponent in a number", "8e0*3=24", "illegal_formula"),
    ("a sign in front of a number", "8/(-8/3+3)=24", "illegal_formula"),
    ("a plus in front of a number", "+8/(3-8/3)=24", "illegal_formula"),
    ("code that imports", "__import__('os').system('true')", "illegal_formula"),
    ("code behind a right formula", "8/(3-8/3) and exit()", "illegal_formula"),
    ("code on the right-hand side", "8/(3-8/3)=__import__('os')", "illegal_formula"),
    ("a lambda", "(lambda: 24)()", "illegal_formula"),
    ("two formulas", "8/(3-8/3)=24, 8*3=24", "illegal_formula"),
    ("a chain of equations", "8/(3-8/3)=8/(1/3)=24", "illegal_formula"),
    ("an equation the wrong way round", "24=8/(3-8/3)", "illegal_formula"),
    ("an equation without its right side", "8/(3-8/3)=", "illegal_formula"),
    ("an inequality", "8/(3-8/3)>=24", "illegal_formula"),
    ("LaTeX, with JSON's backslash doubled", "8 \\\\div (3 - 8 \\\\div 3) = 24", "illegal_formula"),
    ("LaTeX times: JSON reads backslash t as a tab", "3 \\times 8 + 3 \\times 8=24", "illegal_formula"),
    ("a LaTeX fraction", "\\\\frac{8}{3-\\\\frac{8}{3}}=24", "illegal_formula"),
    ("dollars around it", "$8/(3-8/3)=24$", "illegal_formula"),
    ("bold", "**8/(3-8/3)=24**", "illegal_formula"),
    ("prose in the formula", "8/(3-8/3)=24 because 3-8/3 is 1/3", "illegal_formula"),
    ("Arabic digits", "٨/(٣-٨/٣)=24", "illegal_formula"),
    ("Chinese numerals", "八/(三-八/三)=24", "illegal_formula"),
    ("a NUL byte", "8/(3-8/3)\\u0000=24", "illegal_formula"),
    ("half an emoji", "8/(3-8/3)\\ud83d=24", "illegal_formula"),
]

# The formula field is there but is no text.
NO_TEXT = [
    ("a bare number is the formula 24, which no card is", '{"formula": 24}', "wrong_numbers"),
    ("a bare formula", "{formula: 8/(3-8/3)=24}", "correct"),
    ("a list", '{"formula": ["8/(3-8/3)=24"]}', "illegal_formula"),
    ("an object", '{"formula": {"text": "8/(3-8/3)=24"}}', "illegal_formula"),
    ("an object with a formula of its own", '{"formula": {"formula": "8/(3-8/3)=24"}}', "illegal_formula"),
    ("null", '{"formula": null}', "illegal_formula"),
]

# Under a rule: (why, ranks, faces, target, formula, category). 13+11 is 24, so 24*(2-1) and 10+10+3+1 do.
RULES = [
    ("K and J are 10", "K J 3 A", "ten", 24, "10+10+3+1=24", "correct"),
    ("K and J are not 13 and 11 here", "K J 2 A", "ten", 24, "(13+11)*(2-1)=24", "wrong_numbers"),
    ("K and J are 13 and 11", "K J 2 A", "eleven-twelve-thirteen", 24, "(13+11)*(2-1)=24", "correct"),
    ("kept the old rule", "K J 3 A", "eleven-twelve-thirteen", 24, "10+10+3+1=24", "wrong_numbers"),
    ("one card by the old rule", "K J 3 A", "eleven-twelve-thirteen", 24, "13+10+1=24", "wrong_numbers"),
    ("Q is 12, the ace 1", "Q 2 A A", "eleven-twelve-thirteen", 24, "12*2*1*1=24", "correct"),
    ("the ace is not 11", "A 10 2 A", "ten", 24, "11+10+2+1=24", "wrong_numbers"),
    ("the ace is not 14", "A 10 2 2", "ten", 24, "14+10*(2-2)=24", "wrong_numbers"),
    ("a rule of one's own", "J Q K 9", {"J": 5, "Q": 5, "K": 5}, 24, "5+5+5+9=24", "correct"),
    ("another target", "3 3 8 8", "ten", 22, "3+3+8+8=22", "correct"),
    ("another target, and an answer for 24", "3 3 8 8", "ten", 22, "8/(3-8/3)=24", "wrong_value"),
    ("three cards", "2 3 4", "ten", 24, "2*3*4=24", "correct"),
    ("six cards", "4 4 4 4 4 4", "ten", 24, "4+4+4+4+4+4=24", "correct"),
]

# In an image cell the cards are judged first: (why, answer, category). 10+10+3+1 solves K J 3 A under ten.
SEEN = '"formula": "10+10+3+1=24"}'
PICTURES = [
    ("as dealt", f'{{"cards": ["K","J","3","A"], {SEEN}', "correct"),
    ("in another order", f'{{"cards": ["A","3","J","K"], {SEEN}', "correct"),
    ("in small letters", f'{{"cards": ["k","j","3","a"], {SEEN}', "correct"),
    ("in words", f'{{"cards": ["King","Jack","3","Ace"], {SEEN}', "correct"),
    ("the 3 without quotes", f'{{"cards": ["K","J",3,"A"], {SEEN}', "correct"),
    ("with suits", f'{{"cards": ["K♠","♥J","3️♦","A ♣"], {SEEN}', "correct"),
    ("with suits in words", f'{{"cards": ["King of spades","jack-of-hearts","3 of clubs","ace"], {SEEN}', "correct"),
    ("with suits in letters", f'{{"cards": ["KS","Jh","D3","AC"], {SEEN}', "correct"),
    ("full-width", f'{{"cards": ["Ｋ","Ｊ","３","Ａ"], {SEEN}', "correct"),
    ("as one text", f'{{"cards": "K♠, J♥, 3♦, A♣", {SEEN}', "correct"),
    ("as objects", f'{{"cards": [{{"rank": "K", "suit": "S"}}, {{"rank": "J"}}, "3", "A"], {SEEN}', "correct"),
    ("an ace as 1", f'{{"cards": ["K","J","3","1"], {SEEN}', "correct"),
    ("one misread, with suits", f'{{"cards": ["K♠","J♥","8♦","A♣"], {SEEN}', "wrong_cards"),
    ("two cards in one text", f'{{"cards": ["K","J","3A"], {SEEN}', "wrong_cards"),
    ("numbers of face cards are not their ranks", f'{{"cards": ["13","11","3","A"], {SEEN}', "wrong_cards"),
    ("one misread", f'{{"cards": ["K","J","8","A"], {SEEN}', "wrong_cards"),
    ("a Q for the J, of equal value", f'{{"cards": ["K","Q","3","A"], {SEEN}', "wrong_cards"),
    ("what they count as, not what they are", f'{{"cards": ["10","10","3","1"], {SEEN}', "wrong_cards"),
    ("one too few", f'{{"cards": ["K","J","3"], {SEEN}', "wrong_cards"),
    ("one too many", f'{{"cards": ["K","J","3","A","A"], {SEEN}', "wrong_cards"),
    ("one twice, one not at all", f'{{"cards": ["K","K","3","A"], {SEEN}', "wrong_cards"),
    ("no cards field", f"{{{SEEN}", "wrong_cards"),
    ("cards is null", f'{{"cards": null, {SEEN}', "wrong_cards"),
    ("cards is empty", f'{{"cards": [], {SEEN}', "wrong_cards"),
    ("wrong cards come before an illegal formula", '{"cards": ["Q"], "formula": "("}', "wrong_cards"),
    ("cards right, formula illegal", '{"cards": ["K","J","3","A"], "formula": "("}', "illegal_formula"),
    ("cards right, numbers wrong", '{"cards": ["K","J","3","A"], "formula": "4*6"}', "wrong_numbers"),
    ("cards right, value wrong", '{"cards": ["K","J","3","A"], "formula": "10+10+3-1"}', "wrong_value"),
    ("unreadable comes before wrong cards", '{"cards": ["Q"]', "unreadable"),
]


def rows(table):
    return [pytest.param(*row[1:], id=row[0]) for row in table]


@pytest.mark.parametrize(("answer", "expected"), rows(WRAPPINGS))
def test_wrapping(answer, expected):
    assert category(answer) == expected


@pytest.mark.parametrize(("formula", "expected"), rows(FORMULAS))
def test_formula(formula, expected):
    assert category(full(formula)) == expected


@pytest.mark.parametrize(("answer", "expected"), rows(NO_TEXT))
def test_formula_that_is_no_text(answer, expected):
    assert category(answer) == expected


@pytest.mark.parametrize("formula", ["null", "None", '""', '" "'])
def test_a_formula_that_is_not_given_is_said_to_be_none(formula):
    said = verdict(read(f'{{"formula": {formula}}}'), HAND, "ten").feedback
    assert said.startswith("The formula cannot be read: ") and "is not a formula. Try again." in said


@pytest.mark.parametrize(("ranks", "faces", "target", "formula", "expected"), rows(RULES))
def test_rule(ranks, faces, target, formula, expected):
    assert category(full(formula), tuple(ranks.split()), faces, target) == expected


@pytest.mark.parametrize(("answer", "expected"), rows(PICTURES))
def test_picture(answer, expected):
    assert category(answer, ("K", "J", "3", "A"), picture=True) == expected
