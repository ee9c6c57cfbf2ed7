"""The map of a walk as SVG: streets, the planned and the walked way, landmarks.

A pure function of the episode. North is up, and the scale is the same in both directions. Elements have classes;
``static/map.css`` gives these the page's colours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from labkit.envs.virl import codec
from labkit.envs.virl.city.cities import city
from labkit.envs.virl.geometry import RELATIONS, ahead, point_distance
from labkit.envs.virl.records import City, Landmark, LatLng, Point, to_point
from labkit.envs.virl.walk import rail_of
from labkit.episode import Episode, Position, Task
from labkit.errors import UsageError
from labkit.views.map_icons import icon
from labkit.views.markup import mark_of, text

WIDE, HIGH = 560, 400
"""Width and height in units of the drawing; text is 17 units high."""
MARGIN = 46
"""Units between the way and the edge."""
SMALLEST = 160.0
"""Metres: the least width of the shown area, so that a short walk is not enlarged."""
BESIDE = 12.0
"""Metres from a milestone to the icon of a landmark whose place is unknown."""
NEARBY = 40.0
"""Metres from the way within which further landmarks are shown."""
SCALES = (20, 50, 100, 200, 500)
REACH = 11.0
"""Units around a place within which a click is the place's."""


def map_svg(episode: Episode, at: int, label: str, *, plan: bool = True) -> str:
    """The map with the walker at a position.

    Args:
        at: index into ``episode.positions``; the way up to it is emphasised.
        label: the map's label for screen readers.
        plan: whether the planned path and the destination are shown.
    """
    task = episode.task
    known_city = _city(task)
    origin = known_city.origin if known_city else LatLng(*task.deal["route"]["milestones"][0]["place"])
    planned = [to_point(m.place, origin) for m in rail_of(task).milestones]
    walked = [to_point(LatLng(*p.state["place"]), origin) for p in episode.positions]
    frame = _frame([*planned, *walked])
    sheet = _Sheet(frame)
    heading = float(episode.positions[at].state["heading"])
    x, y = frame.at(walked[at])
    sheet.mark(x, y, 32)
    body = [
        *(_ground(known_city, frame) if known_city else ()),
        f'<polyline class="lk-plan" points="{frame.line(planned)}"/>' if plan else "",
        f'<polyline class="lk-taken lk-ahead" points="{frame.line(walked)}"/>',
        f'<polyline class="lk-taken" points="{frame.line(walked[: at + 1])}"/>',
        *_landmarks(task, known_city, planned, origin, sheet),
        *_nodes(episode, walked, walked[at], frame),
        *(_goal(task, planned, walked[at], sheet) if plan else ()),
        *sheet.names(),
        f'<g class="lk-walker" transform="translate({x:.1f} {y:.1f}) rotate({heading:.1f})">'
        '<circle r="15"/><path d="M0-13 8 9 0 5-8 9z"/></g>',
        _rose(),
        _bar(frame),
    ]
    return (
        f'<svg viewBox="0 0 {WIDE} {HIGH}" role="img" aria-label="{text(label)}" '
        f'xmlns="http://www.w3.org/2000/svg"><rect class="lk-land" width="{WIDE}" height="{HIGH}"/>'
        f"{''.join(body)}</svg>"
    )


@dataclass(frozen=True, slots=True)
class _Frame:
    """The conversion from metres to units: north is up, equal scales."""

    left: float
    top: float
    scale: float
    """Units per metre."""

    def at(self, point: Point) -> tuple[float, float]:
        return (point.x - self.left) * self.scale, (self.top - point.y) * self.scale

    def line(self, points: Iterable[Point]) -> str:
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in map(self.at, points))

    def meets(self, points: Iterable[Point]) -> bool:
        """Whether the box around points overlaps the drawing."""
        xs, ys = zip(*map(self.at, points), strict=True)
        return min(xs) < WIDE and max(xs) > 0 and min(ys) < HIGH and max(ys) > 0


def _frame(points: Sequence[Point]) -> _Frame:
    xs, ys = [p.x for p in points], [p.y for p in points]
    wide, high = max(xs) - min(xs), max(ys) - min(ys)
    scale = min((WIDE - 2 * MARGIN) / max(wide, SMALLEST), (HIGH - 2 * MARGIN) / max(high, SMALLEST * HIGH / WIDE))
    middle_x, middle_y = (max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2
    return _Frame(middle_x - WIDE / 2 / scale, middle_y + HIGH / 2 / scale, scale)


_Spot = tuple[float, float]
_Box = tuple[float, float, float, float]


@dataclass(slots=True)
class _Sheet:
    """Icons and their names. A name is placed where it covers no icon and no other name."""

    frame: _Frame
    taken: list[_Box] = field(default_factory=lambda: [(WIDE - 62, 0, WIDE, 66), (0, HIGH - 34, 130, HIGH)])
    waiting: list[tuple[float, float, float, str, str]] = field(default_factory=list)

    def mark(self, x: float, y: float, size: float, name: str = "", css_class: str = "lk-name") -> None:
        """Keep an icon's square free, and note its name for later."""
        self.taken.append((x - size / 2, y - size / 2, x + size / 2, y + size / 2))
        if name:
            self.waiting.append((x, y, size, name, css_class))

    def names(self) -> Iterator[str]:
        """The names, the latest first; a name without room is left out."""
        for x, y, size, name, css_class in reversed(self.waiting):
            wide, gap = 8.8 * len(name), size / 2 + 6
            places = (
                (x + gap, y + 6, "start", x + gap), (x - gap, y + 6, "end", x - gap - wide),
                (x, y + gap + 14, "middle", x - wide / 2), (x, y - gap, "middle", x - wide / 2),
            )  # fmt: skip
            for tx, ty, anchor, left in places:
                box = (left, ty - 13, left + wide, ty + 4)
                if self._free(box):
                    self.taken.append(box)
                    yield (
                        f'<text class="{css_class}" x="{tx:.1f}" y="{ty:.1f}" text-anchor="{anchor}">'
                        f"{text(name)}</text>"
                    )
                    break

    def _free(self, box: _Box) -> bool:
        inside = box[0] >= 2 and box[2] <= WIDE - 2 and box[1] >= 2 and box[3] <= HIGH - 2
        return inside and all(box[2] < b[0] or box[0] > b[2] or box[3] < b[1] or box[1] > b[3] for b in self.taken)


def _city(task: Task) -> City | None:
    """The generated city of a task; None for the routes of a folder and for any other place."""
    if "data" in task.deal:
        return None
    try:
        return city(task.deal["route"]["city"])
    except UsageError:
        return None


def _ground(known_city: City, frame: _Frame) -> Iterator[str]:
    """The parks, water and streets inside the drawing."""
    for kind, outlines in (("park", known_city.parks), ("water", known_city.water)):
        for outline in outlines:
            if frame.meets(outline):
                yield f'<polygon class="lk-{kind}" points="{frame.line(outline)}"/>'
    streets = [s for s in known_city.streets if frame.meets(s.points)]
    for kind, extra in (("kerb", 2.0), ("street", 0.0)):
        for street in streets:
            wide = max(5.0, street.width * 0.62 * frame.scale) + extra
            points = frame.line(street.points)
            yield f'<polyline class="lk-{kind}" stroke-width="{wide:.1f}" points="{points}"/>'


def _nodes(episode: Episode, walked: Sequence[Point], walker: Point, frame: _Frame) -> Iterator[str]:
    """One mark for each place that was stood at: a dot, or a cross where an answer was wrong, which the
    walker does not hide. Around each lies what takes its clicks."""
    places: dict[Point, list[int]] = {}
    for number, point in enumerate(walked):
        places.setdefault(point, []).append(number)
    # Number of the step -> where its mark is drawn, and whether an answer was wrong.
    marks: dict[int, tuple[_Spot, bool]] = {}
    for point, numbers in places.items():
        wrong = [n for n in numbers if _wrong(episode.positions[n])]
        x, y = frame.at(point)
        if wrong and math.dist((x, y), frame.at(walker)) < 12:
            x, y = x + 22, y + 12
        marks[(wrong or numbers)[0]] = (x, y), bool(wrong)
    spots = [spot for spot, _ in marks.values()]
    for number, ((x, y), crossed) in marks.items():
        words = ", ".join(mark_of(a.verdict).word for a in episode.positions[number].attempts)
        title = f"<title>Step {number + 1}{f': {text(words)}' if words else ''}</title>"
        mark = '<path class="lk-cross" d="M-7-7 7 7M7-7-7 7"/>' if crossed else '<circle class="lk-dot" r="4"/>'
        hit = " ".join(f"{px:.1f},{py:.1f}" for px, py in _nearest_to((x, y), spots))
        yield (
            f'<g class="lk-node" data-step="{number}" transform="translate({x:.1f} {y:.1f})">{title}'
            f'<polygon class="lk-hit" points="{hit}"/>{mark}</g>'
        )


def _nearest_to(spot: _Spot, spots: Iterable[_Spot]) -> list[_Spot]:
    """Outline of what lies within :data:`REACH` of a spot and no nearer to another one, around the spot as origin."""
    outline = [(REACH * math.cos(math.pi * k / 12), REACH * math.sin(math.pi * k / 12)) for k in range(24)]
    for other in spots:
        dx, dy = other[0] - spot[0], other[1] - spot[1]
        if not 0 < math.hypot(dx, dy) < 2 * REACH:
            continue
        # Keep the near side of the line halfway between the two.
        beyond = [px * dx + py * dy - (dx * dx + dy * dy) / 2 for px, py in outline]
        kept: list[_Spot] = []
        for (a, far_a), (b, far_b) in zip(
            zip(outline, beyond, strict=True),
            zip(outline[1:] + outline[:1], beyond[1:] + beyond[:1], strict=True),
            strict=True,
        ):
            if far_a <= 0:
                kept.append(a)
            if far_a * far_b < 0:
                t = far_a / (far_a - far_b)
                kept.append((a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])))
        outline = kept
    return outline


def _wrong(position: Position) -> bool:
    return any(not attempt.verdict.success for attempt in position.attempts)


def _landmarks(
    task: Task, known_city: City | None, planned: Sequence[Point], origin: LatLng, sheet: _Sheet
) -> Iterator[str]:
    """The landmarks of the route with their names, and further landmarks near the way as dots."""
    route = codec.from_plain(task.deal["route"])
    named = {s.name for m in route.milestones for s in m.sightings} | {route.start.name}
    goal = route.destination.name
    known = {mark.name: mark for mark in known_city.landmarks} if known_city else {}
    if known_city:
        for mark in known_city.landmarks:
            near = mark.name not in named and mark.name != goal and _away(mark.point, planned) < NEARBY
            if near and sheet.frame.meets([mark.point]):
                x, y = sheet.frame.at(mark.point)
                yield icon(x, y, 9, mark.category, mark.name, plain=True)
    spots: dict[str, tuple[Point, Landmark | None]] = {
        name: (known[name].point, known[name]) for name in sorted(named) if name in known and name != goal
    }
    for milestone in route.milestones:
        for name, relation in milestone.sightings:
            if name not in spots and name not in known and name != goal:
                towards = milestone.arriving + 45.0 * RELATIONS.index(relation)
                spots[name] = (ahead(to_point(milestone.place, origin), towards, BESIDE), None)
    for name, (point, landmark) in spots.items():
        x, y = sheet.frame.at(point)
        sheet.mark(x, y, 20, name)
        yield icon(x, y, 20, landmark.category if landmark else "", name)


def _away(point: Point, line: Sequence[Point]) -> float:
    """Metres from a point to a line."""
    return min((point_distance(point, a, b) for a, b in pairwise(line)), default=math.inf)


def _goal(task: Task, planned: Sequence[Point], walker: Point, sheet: _Sheet) -> Iterator[str]:
    """A ring at the start, and a star with a name at the destination, above the walker if it is there."""
    x, y = sheet.frame.at(planned[0])
    yield f'<circle class="lk-start" cx="{x:.1f}" cy="{y:.1f}" r="9"><title>start</title></circle>'
    name = task.deal["route"]["destination"]["name"]
    x, y = sheet.frame.at(planned[-1])
    if math.dist((x, y), sheet.frame.at(walker)) < 16:
        y -= 28
    tips = ((x + r * math.sin(math.pi * k / 5), y - r * math.cos(math.pi * k / 5)) for k, r in enumerate((13, 5.5) * 5))
    points = " ".join(f"{px:.1f},{py:.1f}" for px, py in tips)
    sheet.mark(x, y, 26, name, "lk-name lk-goal-name")
    yield f'<polygon class="lk-goal" points="{points}"><title>destination: {text(name)}</title></polygon>'


def _rose() -> str:
    """A compass rose in the corner."""
    letters = "".join(
        f'<text x="{x}" y="{y}" text-anchor="middle">{letter}</text>'
        for letter, x, y in (("N", 0, -14), ("E", 19, 5), ("S", 0, 23), ("W", -19, 5))
    )
    return (
        f'<g class="lk-rose" transform="translate({WIDE - 32} 32)"><circle r="29"/>'
        f'<path d="M0-12 3-3 12 0 3 3 0 12-3 3-12 0-3-3z"/><path class="lk-north" d="M0-12 3-3H-3z"/>'
        f"{letters}</g>"
    )


def _bar(frame: _Frame) -> str:
    """The scale bar."""
    metres = max((m for m in SCALES if m * frame.scale <= 110), default=SCALES[0])
    wide = metres * frame.scale
    return (
        f'<g class="lk-bar" transform="translate(12 {HIGH - 12})"><path d="M0-5V0H{wide:.1f}V-5"/>'
        f'<text x="{wide + 6:.1f}" y="2">{metres} m</text></g>'
    )
