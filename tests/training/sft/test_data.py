"""Dialogues from the expert, and files of them in both layouts."""

import json
import random
import re
from collections import Counter

import pytest

from labkit.envs import game, judge, start
from labkit.envs.general_points.verifier import read as read_answer
from labkit.envs.virl.geometry import COMPASS
from labkit.episode import Message
from labkit.errors import UsageError
from labkit.models.chat import encode
from labkit.training.sft.data import FORMATS, dialogue, epoch_order, expert_dialogue, expert_dialogues, read, write
from tests import tiny_models

CELLS = ["gp-l", "virl-l"]
TALK = (
    Message("system", "You play."),
    Message("user", 'Say "ü"\u2028\nplease'),
    Message("assistant", "no"),
    Message("user", "Try again."),
    Message("assistant", '"ü"'),
)


# ---- from the expert -------------------------------------------------------------------------------------


def replay(task, told):
    """The verdicts of the answers in a dialogue, and the episode's own feedback, from the game alone."""
    episode, verdicts = start(task), []
    rng = random.Random(0)
    # A walk's dialogue is of one position: walk there.
    while episode.position.prompt != told.messages[0].text:
        episode = judge(episode, game(task.cell).expert(episode, rng))
    for asked, answer in zip(told.messages[::2], told.messages[1::2], strict=True):
        if verdicts:
            assert asked.text == verdicts[-1].feedback
        at = len(episode.positions) - 1
        episode = judge(episode, answer.text)
        verdicts.append(episode.positions[at].attempts[-1].verdict)
    return verdicts


@pytest.mark.parametrize(("cell", "count"), [("gp-l", 80), ("virl-l", 40)])
def test_mistakes_come_before_the_right_answer_each_with_the_games_own_feedback(cell, count):
    tasks = game(cell).tasks("id", "train", seed=1, attempts=4)
    lengths = Counter()
    for _ in range(count):
        task = next(tasks)
        told = expert_dialogue(task, 2, mistakes=3)
        successes = [verdict.success for verdict in replay(task, told)]
        assert successes == [False] * (len(successes) - 1) + [True]
        assert told.trained_turns == tuple(range(1, len(told.messages), 2))
        lengths[len(successes)] += 1
    # None to three, each as likely.
    assert set(lengths) == {1, 2, 3, 4}
    assert min(lengths.values()) > count / 10


def test_the_last_answer_alone_can_be_learnt():
    task = next(game("gp-l").tasks("id", "train", attempts=4))
    told = [expert_dialogue(task, 2, mistakes=3, train_on=which) for which in ("all", "last")]
    assert told[0].messages == told[1].messages
    assert told[1].trained_turns == (len(told[1].messages) - 1,)


@pytest.mark.parametrize("cell", CELLS)
def test_wrong_answers_are_wrong_and_of_several_kinds(cell):
    tasks, rng, categories = game(cell).tasks("id", "train", seed=2), random.Random(5), Counter()
    for _ in range(30):
        episode = start(next(tasks))
        for _ in range(8):
            said = game(cell).wrong(episode, rng)
            verdict = judge(episode, said).attempts[-1].verdict
            assert not verdict.success
            categories[verdict.category] += 1
    assert len(categories) >= 3 if cell == "gp-l" else len(categories) >= 2
    assert categories["unreadable"] < 0.25 * categories.total()


def test_mistakes_never_show_the_rule_of_the_probe():
    hands = [["J", "Q", "K", "2"], ["J", "J", "3", "4"]]
    rng, over_ten, others = random.Random(0), 0, 0
    for hand in hands:
        episode = start(game("gp-l").task(hand=hand))
        for _ in range(400):
            stated = read_answer(game("gp-l").wrong(episode, rng)).stated or ()
            over_ten += any(n > 10 for n in stated)
            others += any(n < 10 for n in stated[:2])
    assert over_ten == 0 < others
    episode = start(next(game("virl-l").tasks("id", "train", seed=3)))
    said = " ".join(game("virl-l").wrong(episode, rng) for _ in range(300))
    words = set(re.findall(r"turn_direction\(([a-z ]+)\)", said))
    assert len(words) > 3 and words <= set(COMPASS)


@pytest.mark.parametrize("cell", CELLS)
def test_prompts_differ_in_words_and_agree_in_what_is_asked(cell):
    one, some = (expert_dialogues(cell, 40, seed=4, prompts=prompts) for prompts in (1, 4))
    built_in = sum(a.messages[0] == b.messages[0] for a, b in zip(one, some, strict=True))
    assert 2 <= built_in <= 20
    # Openings and formats of four prompt variants; the answers do not change.
    assert len({d.messages[0].text.splitlines()[-1] for d in some}) == 4
    facts = r"cards" if cell == "gp-l" else "current instruction"
    for a, b in zip(one, some, strict=True):
        assert a.messages[-1].text.count(facts) == b.messages[-1].text.count(facts) == 1
        told = json.loads(b.messages[-1].text)
        said = b.messages[0].text
        assert all(card in said for card in told["cards"]) if cell == "gp-l" else told[facts] in said


@pytest.mark.parametrize("cell", CELLS)
def test_a_prompt_variant_keeps_every_field_of_the_built_in_one(cell):
    built_in = game(cell).prompt_variant(0)
    for number in range(16):
        variant = game(cell).prompt_variant(number)
        assert variant.keys() == built_in.keys()
        for name, text in variant.items():
            assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", built_in[name]))
            assert set(re.findall(r'"[a-z ]+"', text)) == set(re.findall(r'"[a-z ]+"', built_in[name]))
    assert len({tuple(game(cell).prompt_variant(number).values()) for number in range(16)}) == 16
    first = [game(cell).prompt_variant(number) for number in range(4)]
    assert all(len({variant[name] for variant in first}) == 4 for name in built_in)
    with pytest.raises(UsageError, match="16 variants"):
        game(cell).prompt_variant(16)


@pytest.mark.parametrize("cell", CELLS)
def test_every_step_deals_what_comes_next(cell):
    options = {"seed": 6, "mistakes": 2, "prompts": 3}
    dealt = expert_dialogues(cell, 9, **options)
    assert expert_dialogues(cell, 3, first=6, **options) == dealt[6:]
    assert len({d.messages[0].text for d in dealt}) == 9


def test_a_picture_cell_shows_its_pictures_as_the_settings_say():
    dealt = expert_dialogues("gp-vl", 3, picture={"size": 64, "tilt": 5}, mistakes=2, seed=1)
    recipes = [[message.picture for message in dialogue.messages] for dialogue in dealt]
    assert all(first["size"] == 64 and first["tilt"] == 5 and not any(rest) for first, *rest in recipes)
    # The answer names the cards of the picture.
    for one, (first, *_) in zip(dealt, recipes, strict=True):
        named = json.loads(one.messages[-1].text)["cards"]
        assert named == [rank for rank, _ in first["cards"]]
    assert len({dialogue.messages[0].text for dialogue in dealt}) == 1


def test_a_file_of_text_takes_no_pictures(tmp_path):
    with pytest.raises(UsageError, match="would lose the pictures of its dialogues"):
        write(tmp_path / "d", expert_dialogues("gp-vl", 1, picture={"size": 64}), "messages")
    assert not list(tmp_path.iterdir())


# ---- order -----------------------------------------------------------------------------------------------


def test_every_dialogue_is_read_once_an_epoch_in_a_new_order():
    read_in = [at for step in range(30) for at in epoch_order(step, 4, 10, seed=0)]
    epochs = [read_in[start : start + 10] for start in range(0, 120, 10)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 12
    # A function of the step alone: any step can be asked for by itself, as a resumed run does.
    assert epoch_order(17, 4, 10, seed=0) == read_in[17 * 4 : 18 * 4]
    assert epoch_order(0, 10, 10, seed=1) != epoch_order(0, 10, 10, seed=0)


def test_a_step_may_be_longer_than_the_file():
    assert Counter(epoch_order(0, 25, 10, seed=0)) == Counter(list(range(10)) * 2 + epoch_order(0, 25, 10, seed=0)[20:])


# ---- files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["messages", "llava"])
def test_what_is_written_is_read_back(tmp_path, layout):
    made = [*expert_dialogues("virl-l", 3, mistakes=1), dialogue(TALK, "all")]
    write(tmp_path / "d", made, layout)
    assert read(tmp_path / "d") == made
    assert read(tmp_path / "d", "last")[-1].trained_turns == (4,)
    assert [p.name for p in tmp_path.iterdir()] == ["d"]


def test_the_layouts_as_others_read_them(tmp_path):
    made = [dialogue(TALK[1:3], "all")] * 2
    write(tmp_path / "m.jsonl", made, "messages")
    lines = (tmp_path / "m.jsonl").read_text(encoding="utf-8").split("\n")
    assert json.loads(lines[1]) == {
        "messages": [{"role": "user", "content": TALK[1].text}, {"role": "assistant", "content": "no"}]
    }
    assert "ü" in lines[0] and lines[2:] == [""]
    write(tmp_path / "l.json", made, "llava")
    assert json.loads((tmp_path / "l.json").read_text(encoding="utf-8"))[1] == {
        "id": "1",
        "conversations": [{"from": "human", "value": TALK[1].text}, {"from": "gpt", "value": "no"}],
    }


def test_lone_surrogates_survive(tmp_path):
    made = [dialogue((Message("user", "a\ud800"), Message("assistant", "b")), "all")]
    write(tmp_path / "d", made, "messages")
    assert read(tmp_path / "d") == made


def test_parts_of_text_pretty_json_and_a_byte_order_mark_are_read(tmp_path):
    record = {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "assistant", "content": "c"},
        ]
    }
    (tmp_path / "d.json").write_text("\ufeff" + json.dumps([record, record], indent=2), encoding="utf-8")
    assert read(tmp_path / "d.json") == [dialogue((Message("user", "ab"), Message("assistant", "c")), "all")] * 2


GOOD = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
HUMAN = {"from": "human", "value": "a"}


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"conversations": [HUMAN, {"from": "gpt", "value": "b"}], "image": "x.jpg"}, "has 'image'"),
        ({**GOOD, "images": ["x.jpg"]}, "has 'images'"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "turn 1 is not text"),
        ({"conversations": [HUMAN, {"from": "gtp", "value": "b"}]}, "turn 2 has the from 'gtp'"),
        ({"messages": [{"role": ["user"], "content": "a"}]}, "turn 1 has the role ['user']"),
        ({"conversations": [{"role": "user", "content": "a"}]}, "turn 1 has no 'from' and 'value'"),
        ({"messages": [{"role": "user"}]}, "turn 1 has no 'role' and 'content'"),
        ({"messages": [{"role": "user", "content": None}]}, "turn 1 is not text"),
        ({"messages": ["hello"]}, "turn 1 has no"),
        ({"messages": []}, "no list of 'messages'"),
        ({"prompt": "a"}, "no list of 'messages'"),
        ({"messages": [{"role": "assistant", "content": "b"}]}, "does not begin with a user's turn"),
        ({"messages": [{"role": "user", "content": "a"}]}, "no assistant's turn"),
        ("text", "is not an object"),
    ],
)
def test_a_wrong_record_is_named_by_its_number(tmp_path, bad, said):
    listed, lines = tmp_path / "d.json", tmp_path / "d.jsonl"
    listed.write_text(json.dumps([GOOD, GOOD, bad]))
    lines.write_text("\n".join([json.dumps(GOOD), "", json.dumps(bad)]))
    for path, where in ((listed, f"{listed}: record 3"), (lines, f"{lines}: record in line 3")):
        with pytest.raises(UsageError) as caught:
            read(path)
        assert str(caught.value).startswith(where)
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"messages": [\n', "line 1 is not JSON"),
        (b"[1, 2", "d is not JSON"),
        (b"", "holds no dialogues"),
        (b"[]", "holds no dialogues"),
        (b"\xff\xfe", "is not UTF-8"),
    ],
)
def test_a_file_that_is_something_else_is_refused_in_a_line(tmp_path, content, said):
    (tmp_path / "d").write_bytes(content)
    with pytest.raises(UsageError, match=said) as caught:
        read(tmp_path / "d")
    assert "\n" not in str(caught.value)


def test_no_file_and_nowhere_to_write(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        read(tmp_path / "none")
    with pytest.raises(UsageError, match="cannot write"):
        write(tmp_path / "none/d", [], "llava")


# ---- turns that carry no loss ----------------------------------------------------------------------------


def weighed(role, text, *weights):
    """A record of one question and as many answers as weights; None writes no weight."""
    names = {"role": ("user", "assistant"), "from": ("human", "gpt")}[role]
    turns = []
    for number, weight in enumerate(weights):
        turns += [{role: names[0], text: f"q{number}"}, {role: names[1], text: f"a{number}"}]
        if weight is not None:
            turns[-1]["weight"] = weight
    return {"messages" if role == "role" else "conversations": turns}


@pytest.mark.parametrize(("role", "text"), [("role", "content"), ("from", "value")])
@pytest.mark.parametrize(
    ("weights", "train_on", "turns"),
    [
        ((0, 1), "all", (3,)),
        ((0, None, 0, 1), "all", (3, 7)),
        ((1, 0), "all", (1,)),
        ((0, None), "last", (3,)),
        ((0.0, 1.0), "all", (3,)),
    ],
)
def test_a_turn_of_weight_0_carries_no_loss(tmp_path, role, text, weights, train_on, turns):
    (tmp_path / "d").write_text(json.dumps(weighed(role, text, *weights)))
    (found,) = read(tmp_path / "d", train_on)
    assert found.trained_turns == turns
    assert [m.text for m in found.messages][1::2] == [f"a{n}" for n in range(len(weights))]


@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("trained", [(2,), (4,), (2, 4)])
def test_the_turns_that_carry_loss_are_written_too(tmp_path, layout, trained):
    made = [dialogue(TALK, "all")._replace(trained_turns=trained), *expert_dialogues("gp-l", 3, mistakes=2)]
    made += expert_dialogues("gp-l", 3, mistakes=2, train_on="last")
    write(tmp_path / "d", made, layout)
    assert read(tmp_path / "d") == made


def test_an_answer_that_is_trained_on_in_part_cannot_be_written(tmp_path):
    made = expert_dialogues("gp-l", 60, thought=True)
    assert any(told.untrained for told in made)
    with pytest.raises(UsageError, match="trained on in part"):
        write(tmp_path / "d", made, "messages")
    assert not (tmp_path / "d").exists()


def test_the_tokens_of_a_turn_of_weight_0_are_in_the_context_and_not_in_the_loss(tmp_path):
    (tmp_path / "d").write_text(json.dumps(weighed("role", "content", 0, 1)))
    words = tiny_models.tokenizer()
    (example,) = encode(words, read(tmp_path / "d"))
    assert words.decode(example.ids[example.loss]) == "a1<|im_end|>"
    assert "a0<|im_end|>" in words.decode(example.ids)


@pytest.mark.parametrize(
    ("record", "train_on", "message"),
    [
        (weighed("role", "content", 0, 0), "all", "every assistant's turn has weight 0"),
        (weighed("from", "value", 1, 0), "last", "the last assistant's turn has weight 0"),
        (weighed("role", "content", 0.5), "all", "turn 2 has weight 0.5"),
        (weighed("role", "content", 1, "0"), "all", "turn 4 has weight '0'"),
        ({**weighed("role", "content", 1), "weight": 0}, "all", " has weight 0; records have no weights"),
        (weighed("role", "content", -1), "all", "turn 2 has weight -1"),
        ({"messages": [{"role": "user", "content": "a", "weight": 1}, *GOOD["messages"][1:]]}, "all", "turn 1"),
    ],
)
def test_a_weight_that_cannot_be_kept_is_refused_by_record_and_turn(tmp_path, record, train_on, message):
    path = tmp_path / "d.jsonl"
    path.write_text(f"{json.dumps(GOOD)}\n{json.dumps(record)}")
    with pytest.raises(UsageError, match=re.escape(message)) as error:
        read(path, train_on)
    assert str(error.value).startswith(f"{path}: record in line 2")


def test_an_expert_that_thinks_searches_truly_and_teaches_neither_dead_ends_nor_persistence():
    tries = Counter()
    for index, told in enumerate(expert_dialogues("gp-l", 200, thought=True)):
        answer = told.messages[-1].text
        said = json.loads(answer)
        task = next(game("gp-l").tasks("id", "train", seed=0, first=index, attempts=1))
        assert judge(start(task), answer).attempts[-1].verdict.success
        if "thought" not in said:
            continue
        tries[said["thought"].count(" no") + 1] += 1
        steps = re.findall(r"(\d+[-+*/]\d+)=(\d+)", said["thought"])
        assert all(eval(left) == int(value) for left, value in steps)  # noqa: S307
        left_out = [answer[start:end] for _, start, end in told.untrained]
        assert left_out.count("; ") == said["thought"].count(" no; ")
        last = answer.index(said["thought"]) + said["thought"].rindex("; ") + 2
        assert not [span for _, *span in told.untrained if span[0] <= last < span[1]]
    # Of the searches that are solved, .35 / .594 are at the first try, .65 * .7 * .35 / .594 at the second.
    total = sum(tries.values())
    assert tries[1] / total == pytest.approx(0.59, abs=0.1)
    assert tries[2] / total == pytest.approx(0.27, abs=0.1)
    assert {1, 2, 3} <= set(tries) <= set(range(1, 7))


def test_a_walk_has_no_expert_that_thinks():
    with pytest.raises(UsageError, match="virl-l"):
        expert_dialogues("virl-l", 1, thought=True)
