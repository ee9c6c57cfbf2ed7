"""From a scene to pixels: sky, ground, the walls on it, and the things before them, ray by ray.

Every ray is a vertical plane, in which the ground is a line and a wall is a stroke (:mod:`camera`). So the
ground is drawn by where its areas' borders cross the rays, and of the walls that a ray meets each shows what
rises above all nearer ones. Windows are looked up in tiles, halved as often as they are seen small.

Pictures have the shape (3, rays, rows) until they are done. All geometry is products, sums, quotients and
square roots of doubles, which round alike everywhere; crossings on the ground are rounded to 1/256 of a row.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from labkit.envs.virl.records import Point
from labkit.envs.virl.render.camera import EYE, OVERSAMPLE, Camera
from labkit.envs.virl.render.facades import LEVELS, SIDE, VARIANTS
from labkit.envs.virl.render.scene import Ground, Scene
from labkit.envs.virl.render.sprites import Standing, standing
from labkit.envs.virl.render.textures import Colour

WALLS_TO = 300.0
"""Metres: how far buildings are drawn."""


class Hits(NamedTuple):
    """Where rays meet upright segments: arrays of shape (hits,)."""

    number: np.ndarray
    """Of the segment."""
    ray: np.ndarray
    t: np.ndarray
    share: np.ndarray
    """How far along the segment."""
    distance: np.ndarray
    """Metres over the ground."""


class Skyline(NamedTuple):
    """Per ray the walls by distance: arrays of shape (deepest, rays), padded with no wall at infinity."""

    t: np.ndarray
    top: np.ndarray
    """Greatest slope that this wall or a nearer one reaches."""
    hit: np.ndarray
    """Index into the hits, -1 for none."""


def render(scene: Scene, eye: Point, camera: Camera) -> np.ndarray:
    """The picture that a camera takes at a point: shape (rows, rays / 2, 3), uint8."""
    picture = _backdrop(scene, eye, camera)
    hits = _walls_met(scene, eye, camera)
    skyline = _skyline(scene, hits, camera)
    _paint_walls(picture, scene, hits, skyline, camera)
    things = standing(scene, eye)
    met = _met(camera, *np.array([thing.ends for thing in things]).reshape(-1, 4).T)
    bounds = np.searchsorted(met.number, np.arange(len(things) + 1))
    for thing, start, end in zip(things, bounds, bounds[1:], strict=False):
        if start < end:
            _paint_thing(picture, thing, Hits(*(part[start:end] for part in met)), scene, skyline, camera)
    _, rays, rows = picture.shape
    smooth = picture.reshape(3, rays // OVERSAMPLE, OVERSAMPLE, rows).mean(axis=2)
    return np.ascontiguousarray(np.rint(smooth).astype(np.uint8).transpose(2, 1, 0))


def _plane(paint: Colour) -> np.ndarray:
    return np.array(paint, dtype=np.float32).reshape(3, 1, 1)


def _haze(scene: Scene, distance: np.ndarray) -> np.ndarray:
    """The share of a colour that the air takes."""
    return (distance / (distance + scene.haze)).astype(np.float32)


def _backdrop(scene: Scene, eye: Point, camera: Camera) -> np.ndarray:
    """Sky and ground."""
    slopes, horizon = camera.slopes, _plane(scene.colours["horizon"])
    start = int(np.searchsorted(-slopes, 0, side="right"))
    picture = np.empty((3, len(camera.east), len(slopes)), dtype=np.float32)
    up = np.clip(slopes[:start] / 0.8, 0, 1).astype(np.float32)
    picture[:, :, :start] = horizon + (_plane(scene.colours["top"]) - horizon) * up
    ground = picture[:, :, start:]
    ground[:] = _plane(scene.colours["ground"])
    for layer in scene.grounds:
        cover = _cover(layer, eye, camera, start)
        if cover is not None:
            ground += (_plane(layer.paint) - ground) * cover
    ground += (horizon - ground) * _haze(scene, camera.lengths[:, None] * (-EYE / slopes[start:]))
    return picture


def _sides(camera: Camera, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Positive where points lie left of rays; shape (points, rays)."""
    return y[:, None] * camera.east - x[:, None] * camera.north


def _in_wedge(camera: Camera, px: np.ndarray, py: np.ndarray, qx: np.ndarray, qy: np.ndarray) -> np.ndarray:
    """Which segments rays may meet: those not wholly left of the first ray or right of the last."""
    if not camera.wedge:
        return np.ones(len(px), dtype=bool)
    (first_east, last_east), (first_north, last_north) = camera.east[[0, -1]], camera.north[[0, -1]]
    left = (py * first_east > px * first_north) & (qy * first_east > qx * first_north)
    right = (py * last_east < px * last_north) & (qy * last_east < qx * last_north)
    return ~(left | right)


def _cover(layer: Ground, eye: Point, camera: Camera, start: int) -> np.ndarray | None:
    """How much of each pixel below the horizon an area covers, 0 to 1; None where it is nowhere near.

    Down a ray's column from the horizon, an area begins where the ray leaves it and ends where the ray enters
    it.
    """
    x, y, radius = layer.circles
    near = (x - eye.x) ** 2 + (y - eye.y) ** 2 < (radius + layer.reach) ** 2
    px, py, qx, qy = layer.edges[:, near] - np.array([[eye.x], [eye.y], [eye.x], [eye.y]])
    kept = _in_wedge(camera, px, py, qx, qy)
    px, py, qx, qy = px[kept], py[kept], qx[kept], qy[kept]
    if not len(px):
        return None
    before, after = _sides(camera, px, py), _sides(camera, qx, qy)
    edge, ray = np.divmod(np.flatnonzero((before >= 0) != (after >= 0)), len(camera.east))
    fall = after[edge, ray] - before[edge, ray]
    t = (px * qy - py * qx)[edge] / fall
    ahead = t > 1e-6
    ray, fall, t = ray[ahead], fall[ahead], t[ahead]
    sign = np.where(fall > 0, 1, -1)
    at = camera.row(-EYE / t).astype(np.intp)
    row = np.maximum(at // 256, start)
    part = at - 256 * row
    # A column has two entries more than rows, for what begins at its lower border.
    deep = len(camera.borders) - 1 - start + 2
    cell, size = ray * deep + row - start, deep * len(camera.east)
    change = np.bincount(cell, sign * (256 - part), size) + np.bincount(cell + 1, sign * part, size)
    cover = np.cumsum(change.reshape(-1, deep)[:, :-2], axis=1)
    return np.clip(cover / 256, 0, 1).astype(np.float32)


def _met(camera: Camera, px: np.ndarray, py: np.ndarray, qx: np.ndarray, qy: np.ndarray) -> Hits:
    """Where rays meet segments whose beginning is on the left; by segment, then by ray."""
    before, after = _sides(camera, px, py), _sides(camera, qx, qy)
    number, ray = np.divmod(np.flatnonzero((before >= 0) & (after < 0)), len(camera.east))
    left, right = before[number, ray], -after[number, ray]
    t = (py * qx - px * qy)[number] / (left + right)
    # Of a segment with its back to the viewer, rays meet only what lies behind them.
    front = t > 1e-6
    number, ray, t, share = number[front], ray[front], t[front], (left / (left + right))[front]
    return Hits(number, ray, t, share, t * camera.lengths[ray])


def _walls_met(scene: Scene, eye: Point, camera: Camera) -> Hits:
    """By ray, the nearest first."""
    px, py, qx, qy = scene.walls.ends - np.array([[eye.x], [eye.y], [eye.x], [eye.y]])
    near = np.minimum(px**2 + py**2, qx**2 + qy**2) < WALLS_TO**2
    kept = np.flatnonzero((px * qy < py * qx) & near & _in_wedge(camera, px, py, qx, qy))
    met = _met(camera, px[kept], py[kept], qx[kept], qy[kept])
    order = np.lexsort((met.t, met.ray))
    return Hits(kept[met.number[order]], *(part[order] for part in met[1:]))


def _skyline(scene: Scene, hits: Hits, camera: Camera) -> Skyline:
    walls, rays = scene.walls, len(camera.east)
    count = np.bincount(hits.ray, minlength=rays)
    depth = np.arange(len(hits.ray)) - (np.cumsum(count) - count)[hits.ray]
    rise = walls.attic[hits.number] * (1 - walls.peaked[hits.number] * np.abs(2 * hits.share - 1))
    shape = (int(count.max(initial=0)) + 1, rays)
    t, top = np.full(shape, np.inf), np.full(shape, -np.inf)
    number = np.full(shape, -1)
    t[depth, hits.ray] = hits.t
    top[depth, hits.ray] = (walls.height[hits.number] + rise - EYE) / hits.t
    number[depth, hits.ray] = np.arange(len(hits.ray))
    return Skyline(t, np.maximum.accumulate(top, axis=0), number)


def _paint_walls(picture: np.ndarray, scene: Scene, hits: Hits, skyline: Skyline, camera: Camera) -> None:
    slopes, rays = camera.slopes.astype(np.float32), len(camera.east)
    depth = np.zeros((rays, len(slopes)), dtype=np.int8)
    # A wall is higher than the eye, so what lies below the horizon is never seen over one.
    upper = depth[:, slopes > 0] if (slopes > 0).any() else depth[:, :0]
    for top in skyline.top[:-1].astype(np.float32):
        below = top[:, None] <= slopes[: upper.shape[1]]
        if not below.any():
            break
        depth[:, : upper.shape[1]] += below
    number = skyline.hit[depth, np.arange(rays)[:, None]]
    foot = (-EYE / skyline.t[0]).astype(np.float32)
    pixel = np.flatnonzero((number >= 0) & (slopes > foot[:, None]))
    colours = _facade(scene, hits, number.ravel()[pixel], slopes[pixel % len(slopes)], camera)
    for plane, values in zip(picture.reshape(3, -1), colours, strict=True):
        plane[pixel] = values


def _facade(scene: Scene, hits: Hits, hit: np.ndarray, slope: np.ndarray, camera: Camera) -> np.ndarray:
    """Colours of pixels on walls; shape (3, pixels).

    Args:
        hit: shape (pixels,), which of the hits a pixel shows.
        slope: shape (pixels,).
    """
    walls, facades, wall = scene.walls, scene.facades, hits.number
    floor_height = walls.height[wall] / walls.floors[wall]
    along = hits.share * walls.bays[wall]
    bay = np.minimum(along.astype(np.int64), walls.bays[wall] - 1)
    down, across = _halvings(hits.t * camera.step / floor_height), _halvings(_stretch(scene, hits, camera))
    high, wide = SIDE >> down, SIDE >> across
    column = np.minimum(((along - bay) * wide).astype(np.int64), wide - 1)
    base = facades.start[down, across] + walls.first[wall] * high * wide + column
    variation = (bay * 7 + walls.seed[wall]) % 1024
    haze = _haze(scene, hits.distance)
    light = walls.light[wall] * (1 - haze)
    # From here on, one entry for each pixel.
    start, climb = ((part / floor_height).astype(np.float32) for part in (EYE, hits.t))
    level = start[hit] + climb[hit] * slope
    np.maximum(level, 0, out=level)
    floor = level.astype(np.int32)
    over = floor - (walls.floors[wall] - 1).astype(np.int32)[hit]
    kind = (floor > 0).astype(np.int32) + (over >= 0) + (over > 0)
    kind[(over == 0) & (floor == 0)] = 0
    tile = kind * VARIANTS + (variation.astype(np.int32)[hit] + floor * (floor + 3)) % VARIANTS
    high, wide = high.astype(np.int32)[hit], wide.astype(np.int32)[hit]
    row = np.minimum(((floor + 1 - level) * high).astype(np.int32), high - 1)
    texel = facades.texels[base[hit] + (tile * high + row) * wide]
    bright, bare = light[hit], texel[:, 3] / 255
    return np.array(
        [
            (texel[:, part] + bare * walls.paint[wall, part][hit]) * bright + (haze * air)[hit]
            for part, air in enumerate(scene.colours["horizon"])
        ]
    )


def _stretch(scene: Scene, hits: Hits, camera: Camera) -> np.ndarray:
    """Bays of a wall from one ray to the next, or more where neighbours show other walls."""
    wide = scene.walls.bays[hits.number] / scene.walls.length[hits.number]
    turn = camera.sweep[hits.ray] * hits.distance
    return wide * turn / np.maximum(_cosine(scene, hits, camera), 0.02)


def _halvings(footprint: np.ndarray) -> np.ndarray:
    """How often to halve a tile of which a pixel sees this share."""
    return np.clip(np.frexp(footprint * (SIDE * 0.7))[1], 0, LEVELS - 1)


def _cosine(scene: Scene, hits: Hits, camera: Camera) -> np.ndarray:
    """Of the angle at which rays fall on walls: 1 where they look straight at them."""
    px, py, qx, qy = scene.walls.ends[:, hits.number]
    east, north = camera.east[hits.ray], camera.north[hits.ray]
    square = (qy - py) * east - (qx - px) * north
    return np.abs(square) / (scene.walls.length[hits.number] * camera.lengths[hits.ray])


def _paint_thing(
    picture: np.ndarray,
    thing: Standing,
    met: Hits,
    scene: Scene,
    skyline: Skyline,
    camera: Camera,
) -> None:
    ray, t = met.ray, met.t
    nearest, farthest, high = t.min(), t.max(), thing.high - thing.low
    edges = [(edge - EYE) / at for edge in (thing.low, thing.high) for at in (nearest, farthest)]
    limits = camera.row(np.array(edges))
    first, last = int(limits.min()) // 256, -(-int(limits.max()) // 256)
    if first >= last:
        return
    slope = camera.slopes[first:last]
    down = (thing.high - EYE - t[:, None] * slope) / high
    footprint = float(nearest) * camera.step / high * thing.texture.height
    seen = thing.texture.sample(met.share[:, None], down, footprint)
    if thing.behind:
        nearer = (skyline.t[:, ray] < t).sum(axis=0)
        roof = np.where(nearer > 0, skyline.top[nearer - 1, ray], -np.inf)
        seen *= slope > roof[:, None]
    haze = _haze(scene, met.distance)[:, None] * np.float32(1 if thing.behind else 0.3)
    alpha = seen[3]
    shown = seen[:3] * (1 - haze) + _plane(scene.colours["horizon"]) * (alpha * haze)
    # In a panorama a thing may stand across the seam.
    whole = len(ray) == ray[-1] - ray[0] + 1
    area = picture[:, ray[0] : ray[-1] + 1, first:last] if whole else picture[:, ray, first:last]
    area *= 1 - alpha
    area += shown
    if not whole:
        picture[:, ray, first:last] = area
