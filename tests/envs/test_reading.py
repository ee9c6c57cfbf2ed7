"""Finding the answer object: what is one, where its values stand, and texts made to break the reader."""

import json
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from labkit.envs.reading import LIMIT, last_object, objects
from tests.cost import loops


def fields(text):
    return [found.fields for found in objects(text)]


def test_values_are_strings_lists_and_objects():
    text = """{"a": "x", "b": [1, "2", [-3.5]], "c": {"d": null}, e: true}"""
    inner, outer = fields(text)  # the inner one closes first
    assert inner == {"d": "null"}
    assert outer == {"a": "x", "b": ["1", "2", ["-3.5"]], "c": {"d": "null"}, "e": "true"}


def test_escapes_are_those_of_json():
    written = {"a": 'quote " backslash \\ slash / tab \t line \n return \r back \b feed \f é × 𝄞'}
    plain = fields(json.dumps(written, ensure_ascii=False))
    assert plain == [written]
    # json.dumps writes 𝄞 (U+1D11E) as the pair \ud834\udd1e: one character (RFC 8259, section 7).
    assert fields(json.dumps(written)) == [written]


KEYS = st.text("abcdef", min_size=1, max_size=3)
VALUES = st.recursive(
    st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, VALUES, max_size=4), st.booleans(), st.booleans())
def test_valid_json_is_read_as_json_reads_it(data, ascii_only, indented):
    text = json.dumps(data, ensure_ascii=ascii_only, indent=2 if indented else None)
    assert fields(f"prose before {text} and after")[-1] == data


@given(st.text(max_size=12), st.text("ab\"'[]}:,\\ \n", max_size=12))
def test_a_span_is_where_the_value_stands(formula, before):
    text = f"{before}{json.dumps({'cards': 'x', 'formula': formula})}"
    start, end = last_object(text, "formula").spans["formula"]
    assert text[start - 1] == text[end] == '"'
    assert json.loads(text[start - 1 : end + 1]) == formula


def test_spans_of_every_kind_of_value():
    text = """x {'formula': '1+2', n: 34, list: [5, 6], o: {p: "7"}} y"""
    found = last_object(text, "formula")
    read = {key: text[slice(*span)] for key, span in found.spans.items()}
    assert read == {"formula": "1+2", "n": "34", "list": "[5, 6]", "o": '{p: "7"}'}


@pytest.mark.parametrize(
    "broken",
    [
        '{"a" "b"}',
        '{"a":}',
        '{"a": 1 "b": 2}',
        '{"a": 1,, "b": 2}',
        "{,}",
        "{: 1}",
        '{"a": 1]',
        '{"a": [1}',
        '{"a"}',
        "{[1]: 2}",
        '{"a": "x}',
        '{"a": \'x}',
        '{"a": 1',
        '{"a": {"b": 1',
        "{",
    ],
)
def test_broken_objects_are_no_objects(broken):
    assert not [f for f in fields(broken) if "a" in f]
    # and they do not hide a good one behind them
    assert fields(f'{broken} \n {{"formula": "1"}}')[-1] == {"formula": "1"}


@pytest.mark.parametrize(
    ("text", "read"),
    [
        # Raw line breaks in strings.
        ('{"a": "x\ny", "b": "\n"}', {"a": "x\ny", "b": "\n"}),
        ("{'a': 'one,\r\ntwo'\n, 'b': ['x\n', 'y']}", {"a": "one,\r\ntwo", "b": ["x\n", "y"]}),
        # Comments, in either manner, and what only looks like one.
        ('{"a": 1, // dealt\n "b": 2}', {"a": "1", "b": "2"}),
        ('{ // an answer\n"a": 1}', {"a": "1"}),
        ('{# a: 0\n"a": 1 # one\n}', {"a": "1"}),
        ('{/* a */ "a" /* : */ : /**/ 1/* , "b": 2 */}', {"a": "1"}),
        ('{"a": [1, // {2}\n 3]}', {"a": ["1", "3"]}),
        ('{"a": 8// eight\n, "b": 9}', {"a": "8", "b": "9"}),
        ('{"a": "http://b.c/#d", "e": "/* f */"}', {"a": "http://b.c/#d", "e": "/* f */"}),
        ("{a: 8/2}", {"a": "8/2"}),
        # Full-width punctuation.
        ('｛"a"：［1，2、3］，"b"：｛"c"：＂4＂｝｝', {"a": ["1", "2", "3"], "b": {"c": "4"}}),
        ("｛a：1，＇b＇：2｝", {"a": "1", "b": "2"}),
        ('{"a：": "，｛"}', {"a：": "，｛"}),
        # Characters without width.
        ('{\u200b"a"\ufeff:\u2060 "1"}', {"a": "1"}),
    ],
)
def test_nearly_json_is_read(text, read):
    assert fields(f"Here: {text} So be it.")[-1] == read


@pytest.mark.parametrize("quote", ['"', "'", "“"])
def test_a_string_that_lost_its_quote_does_not_run_into_the_next_object(quote):
    text = f'{{"cards": [{quote}3], "formula": {quote}1+\n1}}\n\nAgain: {{"formula": "2", "x": "3"}}'
    assert last_object(text, "formula").fields == {"formula": "2", "x": "3"}


DRAFT, FINAL = '{"formula": "1"}', '{"formula": "2"}'


@pytest.mark.parametrize(
    ("opened", "closed"),
    [
        ("<think>", "</think>"),
        ("<Thinking>", "</thinking>"),
        ("<reasoning>\n", "\n</reasoning>"),
        ("[THINK]", "[/THINK]"),
        ("◁think▷", "◁/think▷"),
        ("<seed:think>", "</seed:think>"),
        ("<|begin_of_thought|>", "<|end_of_thought|>"),
        ("<|START_THINKING|>", "<|END_THINKING|><|START_RESPONSE|>"),
        ("<|channel>thought\n", "<channel|>"),
        ('<think type="draft">', "</think>"),
        ("< think >", "</ think >"),
        ("<analysis>", "</analysis>"),
        ("<inner_thoughts>", "</inner_thoughts>"),
        ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ],
)
def test_nothing_in_a_thought_is_an_answer(opened, closed):
    def read(text):
        found = last_object(text, "formula")
        return found and found.fields["formula"]

    assert read(f"{opened}maybe {DRAFT}? or") is None
    assert read(f"{opened}maybe {DRAFT}? or {{'formula': '3'}}, I am not sure. {{") is None
    assert read(f"{opened}maybe {DRAFT}?{closed} I give up.") is None
    assert read(f"{opened}maybe {DRAFT}?{closed} {FINAL}") == "2"
    assert read(f"{FINAL} {opened}was it {DRAFT}?") == "2"
    assert read(f"{opened}{DRAFT}{closed}{FINAL}{opened}again: {DRAFT}") == "2"
    start, end = last_object(f"{opened}{DRAFT}{closed}{FINAL}", "formula").spans["formula"]
    assert f"{opened}{DRAFT}{closed}{FINAL}"[start:end] == "2"


def test_what_stands_before_a_lone_closing_mark_is_a_thought():
    """The prompt opened the thought."""
    assert last_object(f"maybe {DRAFT}?</think> I give up.", "formula") is None
    assert last_object(f"maybe {DRAFT}?</think>{FINAL}", "formula").fields["formula"] == "2"
    assert last_object(f"<think>a<think>b</think>{FINAL}</think>", "formula").fields["formula"] == "2"
    assert last_object('{"note": "no </think> here", "formula": "2"}', "formula").fields["formula"] == "2"


def test_a_thought_in_a_string_opens_nothing():
    assert last_object('{"note": "no <think> here", "formula": "2"}', "formula").fields["formula"] == "2"


@pytest.mark.parametrize(
    ("behind", "read"),
    [
        (" That is all.", True),
        ('\n\nAgain: {"formula": "1', True),
        (' Its "formula": 1+1, I am sure.', True),
        (' and more", "formula": "1"}', False),
        ("}, 'formula' : '3'}", False),
        ("， ＂formula＂：＂1＂｝", False),
    ],
)
def test_an_object_that_goes_on_behind_its_closing_brace_is_not_the_answer(behind, read):
    assert (last_object(FINAL + behind, "formula") is not None) == read


def test_the_last_complete_object_with_the_key_counts():
    text = '{"formula": "1"} {"formula": "2"} {"other": "3"} {"formula": "4"'
    assert last_object(text, "formula").fields["formula"] == "2"
    assert last_object(text, "nothing") is None


def test_the_limit_is_64_kb_of_utf8():
    answer = '{"formula": "1"}'
    assert LIMIT == 65_536
    assert last_object(answer + " " * (LIMIT - len(answer)), "formula")
    assert last_object(answer + " " * (LIMIT - len(answer) + 1), "formula") is None
    # Three bytes a character: 16 + 3 * 21,840 = 65,536 bytes, and 65,539.
    assert last_object(answer + "牌" * 21_840, "formula")
    assert last_object(answer + "牌" * 21_841, "formula") is None


@given(st.text())
@example("\ud800{\udfff")
@example('{"formula": "\ud800"}')
@example('{"formula": "\\ud800"}')
@example("{\0}")
def test_no_text_raises(text):
    for found in objects(text):
        assert found.fields.keys() == found.spans.keys()
    last_object(text, "formula")


@given(st.text("{}[]\"'“”‘’`:,\\ \nabu0", max_size=60))
def test_no_text_of_marks_raises(text):
    for found in objects(text):
        for start, end in found.spans.values():
            assert 0 <= start <= end <= len(text)


def filled(unit, before="", after=""):
    """As many units as fit into the limit, behind the key that is looked for."""
    before = f"formula {before}"
    room = LIMIT - len((before + after).encode())
    return before + unit * (room // len(unit.encode())) + after


# Each of these is about as long as the limit allows.
HOSTILE = {
    "open braces": filled("{"),
    "open brackets": filled("[", '{"formula":'),
    "brackets, closed": filled("[", '{"formula":')[:32_000] + "]" * 32_000 + "}",
    "keys, nested": filled('{"a":'),
    "objects, nested and closed": '{"formula":' * 4_500 + "1" + "}" * 4_500,
    "quotes": filled('"'),
    "quotes in an object": filled('"', "{"),
    "quotes, all keys": filled('{"'),
    "single quotes, all keys": filled("{'"),
    "smart quotes that never close": filled("{“"),
    "single smart quotes that never close": filled("{‘"),
    "smart quotes behind keys": filled("{a “"),
    "objects with escaped quotes": filled('{\\"'),
    "an object in a string, again and again": filled('{\\"formula\\": \\"1\\"} '),
    "a string of escapes": filled("\\\\", '{"formula":"', '"}'),
    "a string of unicode escapes": filled("\\u0031", '{"formula":"', '"}'),
    "commas": filled("1,", '{"formula":[', "]}"),
    "fields": filled("a:1,", "{", "}"),
    "objects": filled('{"formula":1}'),
    "empty objects": filled("{}"),
    "spaces": filled(" ", '{"formula"', ":1}"),
    "letters": filled("a", '{"formula":', "}"),
    "block comments that never close": filled('{"a":/*'),
    "a block comment of letters": filled("a", '{"a":/*'),
    "line comments without a line": filled("{//"),
    "line comments with braces": filled("{3}", '{"a": 1 //'),
    "comments": filled("/**/", '{"formula"', ":1}"),
    "hash signs": filled("{#"),
    "strings of line breaks": filled('{"a\n'),
    "strings of line breaks, closed": filled('{"\n"'),
    "full-width braces": filled("｛＂：，"),
    "thoughts that never close": filled("<think>"),
    "thoughts": filled("<think></think>"),
    "half a thought": filled("<think"),
    "brackets of a thought": filled("[think"),
    "keys behind an object": '{"formula": 1}' + filled('"formula"'),
    "NUL bytes": filled("\0", '{"formula":"', '"}'),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_texts_take_linear_time(text):
    # A step of the reader is up to 40 of the loop that it is measured by. A pass that starts over at each character
    # takes thousands of loops, and minutes, so the first 8,000 characters tell first.
    for length, limit in ((8_000, 15), (len(text), 75)):
        assert loops(lambda: last_object(text[:length], "formula")) < limit, f"{length:,} characters"


ANSWER = '{"cards": ["3","3","8","8"], "number": [3,3,8,8], "formula": "8/(3-8/3)=24"}'
LONG = {
    "prose": filled("3*8=24, but then 3 and 8 are left; it's no use. ", after=ANSWER),
    "prose in Chinese": filled("三乘八等于二十四，", after=ANSWER),
    "drafts": filled("No: " + ANSWER.replace("8/(", "8*(") + "\n", after=ANSWER),
    "LaTeX": filled("$\\frac{8}{3-\\frac{8}{3}}$ ", after=ANSWER),
    "sets": filled("left: {3, 8} ", after=ANSWER),
    "a string": filled('it is \\"8 over\\" 1/3\\n', '{"thought": "', '", ' + ANSWER[1:]),
}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_long_answers_take_milliseconds(text):
    assert last_object(text, "formula").fields["formula"] == "8/(3-8/3)=24"
    assert loops(lambda: last_object(text, "formula")) < 30


@pytest.mark.parametrize("text", ["{" * 10**7, " " * 10**7 + '{"formula": "1"}', '{"formula":' * 10**6])
def test_over_the_limit_nothing_is_read(text):
    assert last_object(text, "formula") is None
    assert loops(lambda: last_object(text, "formula")) < 1


def test_memory_is_bounded():
    tracemalloc.start()
    try:
        for text in HOSTILE.values():
            if loops(lambda: last_object(text[:8_000], "formula"), rounds=1) < 15:  # the others fail above
                last_object(text, "formula")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 * 2**20  # 1 kB for each character
