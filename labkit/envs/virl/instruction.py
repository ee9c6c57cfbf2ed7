"""The instruction of a route: numbered sentences, two for each turning point.

Each turn is given twice, by the relative word and by the compass word, so that an answer in either action
space can be read off the text (paper, appendix B).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from labkit.envs.settings import fill
from labkit.envs.virl import prompts as texts
from labkit.envs.virl.geometry import compass
from labkit.envs.virl.headings import turn_word
from labkit.envs.virl.records import Milestone, Sighting


def sentences(milestones: Sequence[Milestone], prompts: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The instruction for milestones that are tidy and faced as the rail's (see :mod:`rail`).

    Sentence ``2 i`` turns at milestone ``i``, sentence ``2 i + 1`` leads on to the next; a route of one
    milestone has a single sentence, which says to stop.
    """
    templates = texts.merged(prompts)

    def where(sightings: Sequence[Sighting]) -> str:
        return fill(templates["where"], landmarks=texts.landmarks(sightings, prompts)) if sightings else ""

    last = len(milestones) - 1
    if last == 0:
        return (fill(templates["here"], where=where(milestones[0].sightings)),)
    said = []
    for i, here in enumerate(milestones[:-1]):
        words = {"relative": turn_word(here.arriving, here.onward), "compass": compass(here.onward)}
        said.append(fill(templates["turn"], **words))
        onward = templates["arrive" if i + 1 == last else "onward"]
        said.append(fill(onward, where=where(milestones[i + 1].sightings)))
    return tuple(said)
