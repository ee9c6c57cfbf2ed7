"""The sprites that are visible from a point, in the order of painting: trees, lamps, fronts, towers, signs.

Every landmark whose front no wall hides has a sign above it. A sign faces the viewer. Up to :data:`SIGN_FAR` its size
grows with the distance, so that it is as easy to read from across a junction as from the door.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from labkit.envs.virl.records import Landmark, Point
from labkit.envs.virl.render import signs
from labkit.envs.virl.render.camera import EYE
from labkit.envs.virl.render.scene import Scene
from labkit.envs.virl.render.textures import Texture

SIGNS_TO = 75.0
"""Metres within which signs are drawn."""
SIGN_NEAR, SIGN_FAR = 4.0, 32.0
"""Metres between which a sign grows with the distance."""
SIGN_LOW = 0.13
"""The slope of a sign's lower edge."""
SIGN_TALL = 0.17
"""The height of a sign over its distance, up to :data:`SIGN_FAR`."""
SIGN_LEVELS = 3
"""Signs that would overlap are placed one above the other, on this many levels."""
POST = 0.004
"""Half the width of a sign's post over its distance, up to :data:`SIGN_FAR`."""


class Sprite(NamedTuple):
    """An upright picture in the coordinates of the viewer, who is at the origin."""

    ends: tuple[float, float, float, float]
    """Metres: x and y of the left end and of the right end."""
    low: float
    """Metres above the ground: the lower edge."""
    high: float
    """Metres above the ground: the upper edge."""
    texture: Texture
    behind: bool
    """Whether walls may hide it."""


def sprites_at(scene: Scene, eye: Point) -> list[Sprite]:
    """The sprites around a point, the farthest first; then the signs, which only nearer signs cover."""
    things = scene.things
    x, y = things.place[0] - eye.x, things.place[1] - eye.y
    away = np.sqrt(x**2 + y**2)
    # Leave out what is too near the viewer.
    near = np.flatnonzero((away < things.reach) & (away > things.half * 0.3 + 0.5))
    x, y, away = x[near], y[near], away[near]
    side = things.side[:, near]
    turning = (side == 0).all(axis=0)
    right = np.where(turning, things.half[near] * np.array([y, -x]) / away, side)
    px, py, qx, qy = x - right[0], y - right[1], x + right[0], y + right[1]
    shown = np.flatnonzero(px * qy < py * qx)
    return [
        Sprite((px[i], py[i], qx[i], qy[i]), 0.0, things.high[near[i]], things.textures[near[i]], True)
        for i in shown[np.argsort(-away[shown], kind="stable")]
    ] + _signs(scene, eye)


def _signs(scene: Scene, eye: Point) -> list[Sprite]:
    """The signs, the farthest first. The nearest get their level first."""
    placed: list[tuple[float, float, float, int]] = []
    found: list[Sprite] = []
    for away, x, y, landmark in visible(scene, eye):
        texture = signs.sign(landmark.name, landmark.category, scene.signage)
        scale = min(max(away, SIGN_NEAR), SIGN_FAR)
        half = scale * SIGN_TALL * texture.width / texture.height / 2
        taken = {level for x2, y2, half2, level in placed if _overlap(x, y, half, x2, y2, half2)}
        level = min(set(range(SIGN_LEVELS)) - taken, default=SIGN_LEVELS - 1)
        placed.append((x, y, half, level))
        low = EYE + away * (SIGN_LOW + level * (SIGN_TALL + 0.02))
        high = low + scale * SIGN_TALL
        right = (y / away, -x / away)
        found = [
            _facing(x, y, right, POST * scale, 0.0, low, signs.post()),
            _facing(x, y, right, half, low, high, texture),
            *found,
        ]
    return found


def _facing(
    x: float,
    y: float,
    right: tuple[float, float],
    half: float,
    low: float,
    high: float,
    texture: Texture,
) -> Sprite:
    east, north = right[0] * half, right[1] * half
    return Sprite((x - east, y - north, x + east, y + north), low, high, texture, behind=False)


def _overlap(x: float, y: float, half: float, x2: float, y2: float, half2: float) -> bool:
    """Whether two signs overlap horizontally, by the tangent of the angle between them."""
    across, along = abs(x * y2 - y * x2), x * x2 + y * y2
    reach = half / (x * x + y * y) ** 0.5 + half2 / (x2 * x2 + y2 * y2) ** 0.5
    return along > 0 and across < reach * along


def visible(scene: Scene, eye: Point) -> list[tuple[float, float, float, Landmark]]:
    """The landmarks near a point whose front no wall hides: distance, x and y from the eye; the nearest first."""
    px, py, qx, qy = scene.walls.ends - np.array([[eye.x], [eye.y], [eye.x], [eye.y]])
    front = (px * qy < py * qx) & (np.minimum(px**2 + py**2, qx**2 + qy**2) < (2 * SIGNS_TO) ** 2)
    px, py, qx, qy = px[front], py[front], qx[front], qy[front]
    found = []
    for landmark, (east, north) in zip(scene.landmarks, scene.anchors, strict=True):
        x, y = float(east - eye.x), float(north - eye.y)
        away = (x * x + y * y) ** 0.5
        if 0.5 < away < SIGNS_TO:
            before, after = py * x - px * y, qy * x - qx * y
            if not ((before >= 0) & (after < 0) & (py * qx - px * qy < before - after)).any():
                found.append((away, x, y, landmark))
    return sorted(found, key=lambda entry: entry[:3])
