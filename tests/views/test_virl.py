"""What a reader of a walk relies on: cards held against the truth, positions in groups, map and views."""

import base64
import dataclasses
import itertools
import json
import math
import re
from collections.abc import Sequence
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from labkit.envs import game, judge, start
from labkit.envs.virl.city.cities import city
from labkit.envs.virl.city.routes import routes
from labkit.envs.virl.records import LatLng, Milestone, Place, Point, Route, Sighting, to_latlng
from labkit.episode import Episode
from labkit.views.markup import standalone
from labkit.views.street_map import map_svg
from labkit.views.turns import episode_html, strip_html, summary_html, turn_card
from labkit.views.virl import instruction_html, map_html, outcome_html, views_html
from labkit.views.widgets.episodes import EpisodeViewer

ORIGIN = LatLng(0.0, 0.0)
NOTHING = "No landmark is nearby. There is no intersection."
HOSTILE = "</text><img src=x onerror=alert(1)> \" onload='x' ${alert(1)} {{a}} `b`"


def place(x: float, y: float) -> LatLng:
    return to_latlng(Point(x, y), ORIGIN)


def hand_made(cafe: str = "Blue Cafe", bank: str = "Old Bank", where: str = "nowhere") -> Route:
    """100 m to the east, where a cafe is on the left, then 100 m to the north, to a bank on the right."""
    ends = (Sighting(cafe, "left"),), (Sighting(bank, "right"),)
    return Route(
        "r", where, Place("Start Inn", place(0, 0)), Place(bank, place(100, 100)),
        (
            Milestone(place(0, 0), (), 90.0, 90.0, 100.0),
            Milestone(place(100, 0), ends[0], 90.0, 0.0, 100.0),
            Milestone(place(100, 100), ends[1], 0.0, None, 0.0),
        ),
    )  # fmt: skip


def said(action: str, observation: str = NOTHING) -> str:
    return json.dumps({"current observation": observation, "current instruction": "?", "action": action})


def walked(route: Route, wrong: Sequence[int] = (), **settings) -> Episode:
    """The expert's walk, with ``stop()`` tried first at some steps."""
    playing = game("virl-l")
    episode = start(playing.task(route=route, **settings), "someone")
    while not episode.done:
        step = len(episode.positions) - 1
        if step in wrong and not episode.position.attempts:
            episode = judge(episode, said("stop()"))
        episode = judge(episode, playing.expert(episode))
    return episode


def corner(episode: Episode) -> int:
    """The position at the turn to the north."""
    return next(n for n, p in enumerate(episode.positions) if p.state["intersection"])


@pytest.fixture(scope="module")
def episode() -> Episode:
    plain = walked(hand_made())
    return walked(hand_made(), wrong=[corner(plain)])


# The cards


def rows(card) -> list[list[str]]:
    return [[cell.text.strip() for cell in row.all("th") + row.all("td")] for row in card.all("tr")]


def test_each_field_is_held_against_the_truth(episode, parse):
    at = corner(episode)
    first, second = (parse(turn_card(episode, at, n)) for n in range(2))
    seen = "Blue Cafe is on your left. There is an intersection."
    sentence = "Turn left to face north."
    truth = "expected turn_direction(north); relative: turn_direction(left)"
    assert rows(first) == [
        ["current observation", NOTHING, f"✗ not ok there is: {seen}"],
        ["current instruction", "?", f"✗ not ok the sentence now is: {sentence}"],
        ["action", "stop()", f"✗ not ok {truth}"],
    ]
    assert rows(second) == [
        ["current observation", seen, "✓ ok"],
        ["current instruction", sentence, "✓ ok"],
        ["action", "turn_direction(north)", f"✓ ok {truth}"],
    ]
    # Wrong observation: -1.5; the steps before it were right, +1 each.
    assert first.all(".lk-reward")[0].text == f"reward −1.5 · total {at - 1.5:+g}".replace("-", "−")
    assert "premature_stop" in first.text and "stopping before the destination" in first.text


def test_an_answer_in_the_words_of_the_other_rule_is_called_out(parse):
    opened = walked(hand_made())
    at = corner(opened)
    kept = judge(_at(opened, at), said("turn_direction(left)"))
    other = " ".join(parse(turn_card(kept, at, 0)).all(".lk-other")[0].all("summary")[0].text.split())
    assert "would be correct under relative turns (left, right …)" in other


@pytest.mark.parametrize(
    "observation, right",
    [
        ("Blue Cafe is on your left. There is an intersection.", True),
        ("There is an intersection.", False),
        ("Blue Cafe is on your left.", False),
    ],
)
def test_a_right_action_may_come_with_a_wrong_observation(observation, right, parse):
    opened = walked(hand_made())
    at = corner(opened)
    played = judge(_at(opened, at), said("turn_direction(north)", observation))
    first, _, last = rows(parse(turn_card(played, at, 0)))
    assert played.positions[at].attempts[0].verdict.success and last[2].startswith("✓")
    assert first[2].startswith("✓" if right else "✗")


def _at(episode: Episode, position: int) -> Episode:
    """The walk as it stood on coming to a position."""
    playing = game("virl-l")
    again = start(episode.task, episode.player)
    while len(again.positions) <= position:
        again = judge(again, playing.expert(again))
    return again


def test_a_numbered_sentence_counts_as_the_sentence(parse):
    opened = walked(hand_made())
    at = corner(opened)
    fields = {"current instruction": "3. turn left to face NORTH", "action": "turn_direction(north)"}
    answer = json.dumps(fields)
    shown = rows(parse(turn_card(judge(_at(opened, at), answer), at, 0)))
    assert shown[0][:2] == ["current observation", "missing"] and shown[0][2].startswith("✗")
    assert shown[1][2] == "✓ ok"


def test_an_unreadable_answer_has_no_fields(parse):
    shown = parse(turn_card(judge(start(walked(hand_made()).task), "hm"), 0, 0))
    assert not shown.all("table") and "⊘ unreadable" in shown.text


def test_positions_are_grouped_and_what_went_wrong_is_open(episode, parse):
    page = parse(episode_html(episode))
    groups = page.all(".lk-step")
    count, at = len(episode.positions), corner(episode)
    heads = [" ".join(g.all("summary")[0].text.split()) for g in groups]
    names = [re.split(" [✓✗]", head)[0] for head in heads]
    assert names == [f"Step {n} of {count}" for n in range(1, count + 1)]
    marks = "✗ wrong observation ✓ correct"
    assert heads[at] == f"Step {at + 1} of {count} {marks} facing east 90° · turn_direction(north)"
    assert [n for n, g in enumerate(groups) if "open" in g.attributes] == [at, count - 1]
    assert [len(g.all("article")) for g in groups] == [2 if n == at else 1 for n in range(count)]


def test_the_summary_has_a_mark_for_each_step(episode, parse):
    shown = parse(summary_html(episode))
    count, at = len(episode.positions), corner(episode)
    marks = [re.sub(r"\s+", " ", li.text).split(" ")[:2] for li in shown.all("li")]
    assert marks == [[str(n + 1), "✗✓" if n == at else "✓"] for n in range(count)]
    # Every step +1, and -1.5 once.
    assert "arrived" in shown.text and f"return +{count - 1.5:g}" in shown.text
    assert not shown.all("button"), "nothing to click where no script listens"
    pressed = [b.attributes["aria-pressed"] for b in parse(strip_html(episode, 1)).all("button")]
    assert pressed == ["true" if n == 1 else "false" for n in range(count)]


def test_how_a_walk_ends_is_said(parse):
    task = walked(hand_made()).task
    lost = judge(judge(start(task), said("stop()")), said("stop()"))
    assert "✗ not arrived: attempts used up" in parse(summary_html(lost)).text
    free = game("virl-l").task(route=routes(city("oldwick"), 1, split="eval")[0], walk="free")
    stopped = judge(start(free), said("stop()"))
    assert stopped.status == "failed" and "✗ stopped elsewhere" in parse(summary_html(stopped)).text
    assert "Step 1 of 1" in parse(turn_card(stopped, 0, 0)).text


def test_names_and_answers_are_shown_as_text(parse):
    route = hand_made(cafe=HOSTILE, bank=f"{HOSTILE}!")
    episode = walked(route)
    episode = judge(_at(episode, corner(episode)), HOSTILE)
    html = episode_html(episode) + map_html(episode) + instruction_html(episode)
    page = parse(html)
    assert not page.all("img") and not page.all("script")
    for element in page.all("svg") + page.all("g") + page.all("text") + page.all("title"):
        assert not any(name.startswith("on") for name in element.attributes)
    assert "${" not in html and "{{" not in html
    assert HOSTILE in [t.text for t in page.all("title")]


def test_a_name_on_the_map_is_text(parse):
    name = "<b id=x>&"
    shown = parse(map_html(walked(hand_made(cafe=name)), 0))
    assert name in [t.text for t in shown.all("text")] and not shown.all("b")


def test_the_viewer_shows_walks(episode):
    viewer = EpisodeViewer([episode, walked(hand_made())])
    assert viewer.outcomes() == ("all", "success", "correct", "wrong_observation")
    assert viewer.select("wrong_observation") == (0,)
    assert viewer.static(0).data == standalone(episode_html(episode))
    assert "lk-map" in viewer.static(0).data


def test_a_stored_walk_looks_the_same(episode):
    assert episode_html(Episode.from_json(episode.to_json())) == episode_html(episode)


# The instruction and the outcome


def test_the_sentence_that_holds_is_marked_and_those_before_are_ticked(episode, parse):
    at = corner(episode)
    items = parse(instruction_html(episode, at)).all("li")
    # Two sentences lead to the corner: turn, go on; the third turns there.
    assert [li.text[0] for li in items] == ["✓", "✓", "▶", "M"]
    assert [li.attributes.get("aria-current") for li in items] == [None, None, "step", None]
    assert all(li.text.startswith("✓") for li in parse(instruction_html(episode)).all("li")), "arrived"
    before = parse(instruction_html(episode, 0)).all("li")
    assert [li.attributes.get("aria-current") for li in before] == ["step", None, None, None]


def test_the_outcome_tells_both_answers_and_what_was_expected(episode, parse):
    shown = parse(outcome_html(episode, corner(episode)))
    assert [" ".join(li.text.split()) for li in shown.all("li")] == [
        "✗ wrong observation stop()", "✓ correct turn_direction(north)",
    ]  # fmt: skip
    assert "expected turn_direction(north); relative: turn_direction(left)" in shown.text


# The map


def numbers(text: str) -> list[tuple[float, float]]:
    return [tuple(map(float, pair.split(","))) for pair in text.split()]


def placed(element) -> tuple[float, float]:
    return tuple(map(float, re.match(r"translate\((\S+) (\S+)\)", element.attributes["transform"]).groups()))


@pytest.fixture
def drawn(episode, parse):
    return parse(map_svg(episode, corner(episode), "Map"))


def test_north_is_up_and_scales_are_equal(drawn):
    [plan] = drawn.all(".lk-plan")
    (ax, ay), (bx, by), (cx, cy) = numbers(plan.attributes["points"])
    # 100 m to the east, then 100 m to the north.
    assert ay == by and bx > ax and bx == cx and cy < by
    assert math.isclose(bx - ax, by - cy, abs_tol=0.2)


def test_the_walker_stands_and_faces_where_the_position_says(drawn, episode):
    [walker] = drawn.all(".lk-walker")
    corner_at = numbers(drawn.all(".lk-plan")[0].attributes["points"])[1]
    assert math.dist(placed(walker), corner_at) < 0.2
    assert "rotate(90.0)" in walker.attributes["transform"]


def test_what_was_walked_up_to_here_stands_out_from_the_rest(drawn, episode):
    ahead, taken = drawn.all(".lk-taken")
    assert "lk-ahead" in ahead.attributes["class"]
    assert len(numbers(ahead.attributes["points"])) == len(episode.positions)
    assert len(numbers(taken.attributes["points"])) == corner(episode) + 1


def test_one_cross_where_an_answer_was_wrong(drawn, episode):
    nodes = drawn.all(".lk-node")
    assert [n.attributes["data-step"] for n in nodes] == [str(n) for n in range(len(episode.positions))]
    assert [bool(n.all(".lk-cross")) for n in nodes] == [n == corner(episode) for n in range(len(nodes))]


def test_a_click_near_crowded_places_is_the_nearest_ones(parse):
    """On this route two places are 3.8 units apart; a click reaches 11."""
    there = walked(routes(city("latticeport"), 11, split="eval")[10])
    nodes = parse(map_svg(there, len(there.positions) - 1, "Map")).all(".lk-node")
    spots = [placed(node) for node in nodes]
    apart = min(math.dist(a, b) for a, b in itertools.combinations(spots, 2))
    assert len(spots) == len(there.positions) and apart < 4
    outlines = [numbers(node.all(".lk-hit")[0].attributes["points"]) for node in nodes]
    for x, y in itertools.product(range(0, 560, 2), range(0, 400, 2)):
        away = sorted((math.dist(spot, (x, y)), number) for number, spot in enumerate(spots))
        hit = [n for n, spot in enumerate(spots) if inside((x - spot[0], y - spot[1]), outlines[n])]
        if away[0][0] > 11.1:
            assert hit == []
        # The outline has 24 corners, and is rounded to tenths.
        elif away[0][0] < 10.8 and away[1][0] - away[0][0] > 0.5:
            assert hit == [away[0][1]]


def inside(point: tuple[float, float], outline: Sequence[tuple[float, float]]) -> bool:
    """Whether a ray to the right of the point meets the outline an odd number of times."""
    x, y = point
    sides = zip(outline, [*outline[1:], outline[0]], strict=True)
    met = [(ay > y) != (by > y) and x < ax + (y - ay) / (by - ay) * (bx - ax) for (ax, ay), (bx, by) in sides]
    return sum(met) % 2 == 1


def test_a_landmark_known_by_its_direction_alone_is_drawn_there(drawn):
    # On the left of who faces east is the north: straight above the corner.
    x, y = numbers(drawn.all(".lk-plan")[0].attributes["points"])[1]
    [cafe] = [c for c in drawn.all("circle") if c.text == "Blue Cafe"]
    assert math.isclose(float(cafe.attributes["cx"]), x, abs_tol=0.2) and float(cafe.attributes["cy"]) < y
    assert {t.text for t in drawn.all("text")} >= {"Blue Cafe", "Old Bank", "N", "E", "S", "W"}


def test_a_route_without_a_city_has_no_streets(drawn, parse):
    assert not drawn.all(".lk-street")
    there = walked(routes(city("oldwick"), 1, split="eval")[0])
    shown = parse(map_svg(there, 0, "Map"))
    assert len(shown.all(".lk-street")) > 5 and shown.all(".lk-landmark")
    folder = Episode.from_dict(json.loads(there.to_json()))
    folder.task.deal["data"] = "/some/folder"
    assert not parse(map_svg(folder, 0, "Map")).all(".lk-street"), "its streets are not known"


def test_the_plan_can_be_kept_back(episode, parse):
    shown = parse(map_html(episode, 0, plan=False))
    assert not shown.all(".lk-plan") and not shown.all(".lk-goal")
    assert "planned" not in shown.text and "Old Bank" not in [t.text for t in shown.all(".lk-goal-name")]


def test_the_heading_is_told_in_words(episode, parse):
    at = corner(episode)
    shown = parse(map_html(episode, at))
    words = f"Step {at + 1} of {len(episode.positions)}, facing east 90°"
    assert shown.all("strong")[0].text == words
    assert shown.all("svg")[0].attributes["aria-label"] == f"Map: {words}"


def test_names_on_the_map_do_not_overlap(parse):
    route = hand_made()
    crowd = tuple(Sighting(f"{name} Shop", "left") for name in ("Red", "Green", "Blue"))
    corner_of = dataclasses.replace(route.milestones[1], sightings=crowd)
    crowded = dataclasses.replace(route, milestones=(route.milestones[0], corner_of, route.milestones[2]))
    boxes = []
    for name in parse(map_svg(walked(crowded), 0, "Map")).all(".lk-name"):
        x, y = float(name.attributes["x"]), float(name.attributes["y"])
        wide = 8 * len(name.text)
        left = x - {"start": 0, "middle": wide / 2, "end": wide}[name.attributes["text-anchor"]]
        boxes.append((left, y - 12, left + wide, y + 3))
    assert len(boxes) == 4, "the shops and the bank"
    for a, b in itertools.combinations(boxes, 2):
        assert a[2] < b[0] or b[2] < a[0] or a[3] < b[1] or b[3] < a[1]


# The views


def test_views_are_drawn_in_the_text_cell_with_what_the_player_is_told(parse):
    there = start(game("virl-l").task(route=routes(city("oldwick"), 1, split="eval")[0]))
    shown = parse(views_html(there, size=64))
    [picture] = shown.all("img")
    told = there.position.prompt.split("O1: ")[1].split("\n")[0]
    assert picture.attributes["src"].startswith("data:image/jpeg;base64,")
    assert shown.all("figcaption")[0].text == f"What the player is told instead: {told}"


def test_the_image_cell_shows_the_picture_that_was_sent(parse):
    route = routes(city("oldwick"), 1, split="eval")[0]
    there = start(game("virl-vl").task(route=route, picture={"size": 64}))
    [image] = parse(turn_card(judge(there, "?"), 0, 0)).all(".lk-message")[0].all("img")
    assert image.attributes["alt"] == "the four street views: front, right; back, left"
    told = parse(views_html(there, size=64)).all("figcaption")[-1].text
    assert told.startswith("Told besides the picture: Landmarks are in the picture.")


def test_a_place_that_cannot_be_drawn_says_so(parse):
    assert "no city 'nowhere'" in parse(views_html(walked(hand_made()), 0)).text


def test_the_views_of_a_picture_cell_are_the_pixels_that_the_player_sees():
    episode = start(next(game("virl-vl").tasks("id", "test", picture={"size": 64})))
    shown = views_html(episode)
    [data] = re.findall(r'src="data:image/png;base64,([^"]+)"', shown)
    sent = game("virl-vl").draw(episode.position.picture["recipe"])
    assert np.array_equal(np.asarray(Image.open(BytesIO(base64.b64decode(data)))), np.asarray(sent))
    # 7 x 64 = 448.
    assert 'width="448"' in shown and "64 × 64 pixels, as the player sees it" in shown
