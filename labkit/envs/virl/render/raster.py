"""The pixels of a scene: sky, ground, walls and sprites, ray by ray.

A ray is a vertical plane, in which the ground is a line and a wall is a vertical segment (:mod:`camera`). The ground is
drawn from the crossings of rays with the borders of its areas. Of each wall that a ray meets, the part above all nearer
walls is drawn. Windows are looked up in tiles, at the level of halving that fits their size in the picture.

A picture has the shape (3, rays, rows) until it is finished. The geometry uses only products, sums, quotients and
square roots of doubles, which round alike on every machine. Crossings on the ground are rounded to 1/256 of a row.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from labkit.envs.virl.records import Point
from labkit.envs.virl.render.camera import EYE, OVERSAMPLE, Camera
from labkit.envs.virl.render.facades import LEVELS, SIDE, VARIANTS
from labkit.envs.virl.render.scene import Ground, Scene
from labkit.envs.virl.render.sprites import Sprite, sprites_at
from labkit.envs.virl.render.textures import Colour

WALLS_TO = 300.0
"""Metres within which buildings are drawn."""


class Hits(NamedTuple):
    """The hits of rays on vertical segments: arrays of shape (hits,)."""

    number: np.ndarray
    """Index of the segment."""
    ray: np.ndarray
    """Index of the ray."""
    t: np.ndarray
    """Distance along the ray, see :class:`Camera`."""
    share: np.ndarray
    """The place along the segment, 0 to 1."""
    distance: np.ndarray
    """Metres over the ground."""


class Skyline(NamedTuple):
    """The walls of each ray, the nearest first: arrays of shape (most walls of a ray + 1, rays), padded at infinity."""

    t: np.ndarray
    top: np.ndarray
    """The greatest slope of this wall and all nearer ones."""
    hit: np.ndarray
    """Index into the hits; -1 for none."""


def render(scene: Scene, eye: Point, camera: Camera) -> np.ndarray:
    """The picture of a camera at a point: shape (rows, rays / 2, 3), uint8."""
    picture = _backdrop(scene, eye, camera)
    hits = _walls_met(scene, eye, camera)
    skyline = _skyline(scene, hits, camera)
    _paint_walls(picture, scene, hits, skyline, camera)
    sprites = sprites_at(scene, eye)
    met = _met(camera, *np.array([sprite.ends for sprite in sprites]).reshape(-1, 4).T)
    bounds = np.searchsorted(met.number, np.arange(len(sprites) + 1))
    for sprite, start, end in zip(sprites, bounds, bounds[1:], strict=False):
        if start < end:
            _paint_sprite(picture, sprite, Hits(*(part[start:end] for part in met)), scene, skyline, camera)
    _, rays, rows = picture.shape
    smooth = picture.reshape(3, rays // OVERSAMPLE, OVERSAMPLE, rows).mean(axis=2)
    return np.ascontiguousarray(np.rint(smooth).astype(np.uint8).transpose(2, 1, 0))


def _plane(paint: Colour) -> np.ndarray:
    return np.array(paint, dtype=np.float32).reshape(3, 1, 1)


def _haze(scene: Scene, distance: np.ndarray) -> np.ndarray:
    """The share of the horizon's colour at a distance."""
    return (distance / (distance + scene.haze)).astype(np.float32)


def _backdrop(scene: Scene, eye: Point, camera: Camera) -> np.ndarray:
    """The picture of sky and ground."""
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
    """The side of points from rays, positive to the left; shape (points, rays)."""
    return y[:, None] * camera.east - x[:, None] * camera.north


def _in_wedge(camera: Camera, px: np.ndarray, py: np.ndarray, qx: np.ndarray, qy: np.ndarray) -> np.ndarray:
    """Whether rays may meet each segment: not if it is left of the first ray or right of the last."""
    if not camera.wedge:
        return np.ones(len(px), dtype=bool)
    (first_east, last_east), (first_north, last_north) = camera.east[[0, -1]], camera.north[[0, -1]]
    left = (py * first_east > px * first_north) & (qy * first_east > qx * first_north)
    right = (py * last_east < px * last_north) & (qy * last_east < qx * last_north)
    return ~(left | right)


def _cover(layer: Ground, eye: Point, camera: Camera, start: int) -> np.ndarray | None:
    """The share, 0 to 1, of each pixel below the horizon that an area covers; None where no area is near.

    Down a column from the horizon, an area begins where the ray leaves it and ends where the ray enters it.
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
    # A column has two entries more than rows, for areas that begin at its lower border.
    deep = len(camera.borders) - 1 - start + 2
    cell, size = ray * deep + row - start, deep * len(camera.east)
    change = np.bincount(cell, sign * (256 - part), size) + np.bincount(cell + 1, sign * part, size)
    cover = np.cumsum(change.reshape(-1, deep)[:, :-2], axis=1)
    return np.clip(cover / 256, 0, 1).astype(np.float32)


def _met(camera: Camera, px: np.ndarray, py: np.ndarray, qx: np.ndarray, qy: np.ndarray) -> Hits:
    """The hits of rays on segments that begin on the left, by segment, then by ray."""
    before, after = _sides(camera, px, py), _sides(camera, qx, qy)
    number, ray = np.divmod(np.flatnonzero((before >= 0) & (after < 0)), len(camera.east))
    left, right = before[number, ray], -after[number, ray]
    t = (py * qx - px * qy)[number] / (left + right)
    # A segment that shows its back has only hits behind the viewer.
    front = t > 1e-6
    number, ray, t, share = number[front], ray[front], t[front], (left / (left + right))[front]
    return Hits(number, ray, t, share, t * camera.lengths[ray])


def _walls_met(scene: Scene, eye: Point, camera: Camera) -> Hits:
    """The hits of rays on walls, by ray, the nearest first."""
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
    # Every wall is higher than the eye, so it hides all that is behind it below the horizon.
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
    """The colours of pixels on walls; shape (3, pixels).

    Args:
        hit: shape (pixels,), the index of each pixel's hit.
        slope: shape (pixels,), the slope of each pixel.
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
    # From here on arrays have one entry for each pixel.
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
    """The number of a wall's bays between a ray and the next."""
    wide = scene.walls.bays[hits.number] / scene.walls.length[hits.number]
    turn = camera.sweep[hits.ray] * hits.distance
    return wide * turn / np.maximum(_cosine(scene, hits, camera), 0.02)


def _halvings(footprint: np.ndarray) -> np.ndarray:
    """The number of halvings of a tile, from the share of the tile in a pixel."""
    return np.clip(np.frexp(footprint * (SIDE * 0.7))[1], 0, LEVELS - 1)


def _cosine(scene: Scene, hits: Hits, camera: Camera) -> np.ndarray:
    """The cosine of the angle between rays and the walls' normals: 1 where a ray is at right angles to the wall."""
    px, py, qx, qy = scene.walls.ends[:, hits.number]
    east, north = camera.east[hits.ray], camera.north[hits.ray]
    square = (qy - py) * east - (qx - px) * north
    return np.abs(square) / (scene.walls.length[hits.number] * camera.lengths[hits.ray])


def _paint_sprite(
    picture: np.ndarray,
    sprite: Sprite,
    met: Hits,
    scene: Scene,
    skyline: Skyline,
    camera: Camera,
) -> None:
    ray, t = met.ray, met.t
    nearest, farthest, high = t.min(), t.max(), sprite.high - sprite.low
    edges = [(edge - EYE) / at for edge in (sprite.low, sprite.high) for at in (nearest, farthest)]
    limits = camera.row(np.array(edges))
    first, last = int(limits.min()) // 256, -(-int(limits.max()) // 256)
    if first >= last:
        return
    slope = camera.slopes[first:last]
    down = (sprite.high - EYE - t[:, None] * slope) / high
    footprint = float(nearest) * camera.step / high * sprite.texture.height
    seen = sprite.texture.sample(met.share[:, None], down, footprint)
    if sprite.behind:
        nearer = (skyline.t[:, ray] < t).sum(axis=0)
        roof = np.where(nearer > 0, skyline.top[nearer - 1, ray], -np.inf)
        seen *= slope > roof[:, None]
    haze = _haze(scene, met.distance)[:, None] * np.float32(1 if sprite.behind else 0.3)
    alpha = seen[3]
    shown = seen[:3] * (1 - haze) + _plane(scene.colours["horizon"]) * (alpha * haze)
    # In a panorama a sprite may cross the seam.
    whole = len(ray) == ray[-1] - ray[0] + 1
    area = picture[:, ray[0] : ray[-1] + 1, first:last] if whole else picture[:, ray, first:last]
    area *= 1 - alpha
    area += shown
    if not whole:
        picture[:, ray, first:last] = area
