"""V-IRL as a game: routes, the steps along them, judging, and the players it can supply.

Source: "SFT Memorizes, RL Generalizes" (arXiv 2501.17161), section 4.2 and appendix B. ``virl-l`` gives what is
seen in words, ``virl-vl`` in a picture of four views.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any

from labkit.envs.pictures import altered, picture_hash
from labkit.envs.settings import check_attempts, check_templates
from labkit.envs.virl import codec, free, prompts, sources, verifier, words
from labkit.envs.virl import rail as rails
from labkit.envs.virl.answers import answer_text, mistaken
from labkit.envs.virl.headings import ACTIONS, check_actions, other_actions
from labkit.envs.virl.observation import Seen
from labkit.envs.virl.records import Route, Sighting
from labkit.envs.virl.tags import tags
from labkit.envs.virl.walk import instruction_of, rail_of
from labkit.episode import Attempt, Episode, Position, Task
from labkit.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

SUITE_ACTIONS: Mapping[str, str] = {"id": "absolute", "rule-ood": "relative", "visual-ood": "absolute"}
"""The action rule that a suite asks for; ``visual-ood`` asks it in other cities."""
WALKS = ("rail", "free")
"""``rail`` is the paper's: wrong actions are not executed. ``free``: they are, see :mod:`free`."""


class VIRL:
    """The game of the cells ``virl-l`` and ``virl-vl``; see :class:`labkit.envs.Game`."""

    decisive_field = "action"
    typed = ("action",)
    splits = sources.SPLITS
    templates = prompts.DEFAULT
    placeholders = prompts.PLACEHOLDERS
    prompt_variant = staticmethod(prompts.prompt_variant)

    def __init__(self, cell: str) -> None:
        self.cell = cell
        self.pictured = cell == "virl-vl"
        self.suites = ("id", "rule-ood", "visual-ood") if self.pictured else ("id", "rule-ood")

    def task(
        self,
        *,
        route: Route | Mapping[str, Any],
        actions: str = "absolute",
        walk: str = "rail",
        key: str = "0",
        data: str | None = None,
        attempts: int = 2,
        reward: Mapping[str, Any] | None = None,
        prompts: Mapping[str, str] | None = None,
        picture: Mapping[str, Any] | None = None,
        **place: Any,
    ) -> Task:
        """A task on the given route.

        Args:
            route: a route, or its plain data (see :mod:`codec`).
            actions: ``absolute`` or ``relative``, what ``turn_direction`` takes.
            walk: ``rail`` or ``free``.
            key: names the episode for the rail's random choices: first heading, points between milestones.
            data: the folder, in the authors' layout, that the route is from; None for the embedded cities.
            attempts: answers allowed at each step, at least 1; the paper's default is 2.
            reward: entries of :data:`verifier.REWARD` to replace.
            prompts: entries of :data:`prompts.DEFAULT` to replace.
            picture: ``size`` in pixels of the square of four views, and the fields of
                :class:`labkit.envs.virl.render.conditions.Conditions` (image cell).
            place: suite, split, seed and index, for a task from a stream.

        Raises:
            UsageError: an argument is invalid.
        """
        route = route if isinstance(route, Route) else codec.from_plain(route)
        rails.tidy(route)
        if walk not in WALKS:
            raise UsageError(f"no walk {walk!r}; use {' or '.join(WALKS)}")
        check_prompts(prompts)
        shown = sources.check_picture(picture) if self.pictured else None
        if shown and data:
            if shown.keys() - {"size"}:
                names = ", ".join(shown.keys() - {"size"})
                raise UsageError(f"picture {names}: a folder's photographs are as they are; leave it out")
            sources.folder(str(data)).check_panoramas(route)
        return Task(
            cell=self.cell,
            deal={"route": codec.to_plain(route), "key": str(key)} | ({"data": str(data)} if data else {}),
            rule={"actions": check_actions(actions)} | ({"walk": walk} if walk != "rail" else {}),
            attempts=check_attempts(attempts),
            reward=verifier.check_reward(reward),
            prompts=dict(prompts) if prompts else None,
            picture=shown,
            **place,
        )

    def tasks(
        self,
        suite: str = "id",
        split: str = "all",
        *,
        seed: int = 0,
        actions: str | None = None,
        data: str | None = None,
        first: int = 0,
        **settings: Any,
    ) -> Iterator[Task]:
        """An endless stream of routes from number ``first`` on; the same arguments give the same routes.

        All routes come in a seeded order before any comes again, with another rail. The order and the rails
        do not depend on the suite's action rule, so ``id`` and ``rule-ood`` ask about the same steps.
        """
        found = self._routes(suite, split, data)
        actions = SUITE_ACTIONS[suite] if actions is None else actions
        for index in count(first):
            order = _order(len(found), f"virl/{split}/{seed}/{index // len(found)}")
            place: dict[str, Any] = {"suite": suite, "split": split, "seed": seed, "index": index}
            route, key = found[order[index % len(found)]], f"{split}/{seed}/{index}"
            yield self.task(route=route, actions=actions, key=key, data=data, **settings, **place)

    def enumerate_tasks(
        self,
        suite: str = "id",
        split: str = "all",
        *,
        seed: int = 0,
        actions: str | None = None,
        data: str | None = None,
        **settings: Any,
    ) -> Iterator[tuple[Task, float]]:
        """Every route of a suite once, on a seeded rail, with its share (all alike)."""
        found = self._routes(suite, split, data)
        actions = SUITE_ACTIONS[suite] if actions is None else actions
        for index, route in enumerate(found):
            place: dict[str, Any] = {"suite": suite, "split": split, "seed": seed, "index": index}
            key = f"every/{seed}/{index}"
            task = self.task(route=route, actions=actions, key=key, data=data, **settings, **place)
            yield task, 1 / len(found)

    def task_by_id(
        self, suite: str, split: str, wanted: str, *, seed: int = 0, data: str | None = None, **settings: Any
    ) -> Task:
        """The task on a route of a suite by its number, from 0, or its id.

        Raises:
            UsageError: there is no such route.
        """
        found = self._routes(suite, split, data)
        index = next((i for i, route in enumerate(found) if route.id == wanted), None)
        if index is None:
            if not (wanted.isascii() and wanted.isdigit() and int(wanted[:9]) < len(found)):
                raise UsageError(
                    f"no route {wanted[:60]!r}; give a number from 0 to {len(found) - 1}, "
                    f"or an id such as {found[0].id}"
                )
            index = int(wanted)
        place: dict[str, Any] = {"suite": suite, "split": split, "seed": seed, "index": index}
        settings.setdefault("actions", SUITE_ACTIONS[suite])
        return self.task(route=found[index], key=f"route/{seed}", data=data, **settings, **place)

    def _routes(self, suite: str, split: str, data: str | None) -> tuple[Route, ...]:
        if suite not in self.suites:
            raise UsageError(f"{self.cell} has no suite {suite!r}; its suites are {', '.join(self.suites)}")
        return sources.routes(suite, split, data)

    def first(self, task: Task) -> Position:
        return self._position(task, (), free.opening(task) if _free(task) else 0)

    def judge(self, episode: Episode, answer: str) -> Attempt:
        here, task = episode.position, episode.task
        reading, truth = verifier.read(answer), truth_of(task, here.state)
        judged_by = partial(verifier.verdict, reading, reward=task.reward, templates=task.prompts)
        verdict = judged_by(truth)
        other = None
        if here.state["other_action"] != here.state["action"]:
            swapped = truth._replace(action=here.state["other_action"], actions=other_actions(truth.actions))
            other = judged_by(swapped)
        earlier = [verifier.read(a.answer) for a in here.attempts]
        found = tags(reading, verdict, truth, here.attempts, earlier)
        return Attempt(answer, verdict, dict(reading.fields), other, found)

    def advance(self, episode: Episode) -> Position | str | None:
        task, here = episode.task, episode.position
        if _free(task):
            following = free.follow(task, here, len(episode.positions))
        elif not here.attempts[-1].verdict.success:
            following = None
        elif here.state["step"] + 1 == here.state["steps"]:
            following = "success"
        else:
            following = here.state["step"] + 1
        if following is None or isinstance(following, str):
            return following
        return self._position(task, episode.positions, following)

    def _position(self, task: Task, before: tuple[Position, ...], at: Any) -> Position:
        """The position at a step of the rail (its number), or at a state of free navigation (`free.State`)."""
        instruction = instruction_of(task)
        actions = task.rule["actions"]
        state = free.state(task, at) if _free(task) else _rail_state(rail_of(task).steps, at, actions)
        state |= {"actions": actions, "instruction": instruction[state["sentence"]]}
        history = [(observed(task, p.state), verifier.done(p).text) for p in before]
        now = observed(task, state, withheld=self.pictured)
        text = prompts.opening(instruction, actions, history, now, picture=self.pictured, prompts=task.prompts)
        if not self.pictured:
            return Position(state, text)
        recipe = recipe_of(task, state, task.picture or {})
        return Position(state, text, {"recipe": recipe, "hash": picture_hash(self.draw(recipe))})

    def decisive_span(self, answer: str) -> tuple[int, int] | None:
        """Character offsets of the decisive field in an answer; None if it has none."""
        return verifier.read(answer).action_span

    def expert(self, episode: Episode, rng: Random | None = None, among: int = 1) -> str:
        """The right answer. There is only one, so ``rng`` and ``among`` change nothing."""
        state = episode.position.state
        return answer_text(observed(episode.task, state), state["instruction"], state["action"])

    def by_words(self, episode: Episode) -> str:
        """The answer of a rule that never looks; see :mod:`words`."""
        return words.answer(episode)

    def random(self, episode: Episode, rng: Random) -> str:
        """Any action of the action space, any sentence of the instruction, no landmark."""
        task = episode.task
        seen = prompts.observation((), rng.random() < 0.5, prompts=task.prompts)
        turns = [f"turn_direction({word})" for word in ACTIONS[task.rule["actions"]]]
        sentence = rng.choice(instruction_of(task))
        return answer_text(seen, sentence, rng.choice(["forward()", "stop()", *turns]))

    def wrong(self, episode: Episode, rng: Random) -> str:
        """A wrong answer such as models make.

        The other action rule is never followed: what is trained on it must not learn the rule-OOD probe.
        """
        task, state = episode.task, episode.position.state
        truth = truth_of(task, state)
        steps, at = () if _free(task) else rail_of(task).steps, state.get("step", 0)
        instruction, actions = instruction_of(task), task.rule["actions"]
        beside = [_rail_state(steps, n, actions) for n in (at - 1, at + 1) if 0 <= n < len(steps)]
        neighbours = [answer_text(observed(task, s), instruction[s["sentence"]], s["action"]) for s in beside]
        right = observed(task, state), state["instruction"], state["action"]
        while True:
            text = mistaken(rng, *right, actions, swapped=None, neighbours=neighbours)
            if not verifier.verdict(verifier.read(text), truth).success:
                return text

    def typed_answer(self, episode: Episode, typed: Mapping[str, str]) -> str:
        """A bare action in the answer format; a bare direction is a turn to it."""
        text = typed["action"]
        action = verifier.parse_action(text) or verifier.parse_action(f"turn_direction({text})")
        return json.dumps({"action": action.text if action else text}, ensure_ascii=False)

    def editable(self, task: Task) -> dict[str, str]:
        """What a fork may change of a task (:mod:`labkit.whatif`), each as text."""
        return {"instruction": prompts.told(instruction_of(task), task.prompts), "rule": task.rule["actions"]}

    def edited(self, task: Task, name: str, text: str) -> Task:
        """The task with another section of the prompt in place of the instruction, or with another rule for turns.

        The right action stays that of the route, whatever the instruction says.

        Raises:
            UsageError: there is no such rule, or the instruction holds a placeholder of a template.
        """
        if name == "rule":
            return replace(task, rule={**task.rule, "actions": check_actions(text.strip())})
        templates = {**(task.prompts or {}), "instruction": text}
        check_prompts(templates)
        return replace(task, prompts=templates)

    def draw(self, recipe: Mapping[str, Any]) -> Image:
        """The four views of a recipe: the same pixels each time."""
        return altered(recipe, self.draw) or sources.draw(recipe)


def observed(task: Task, state: Mapping[str, Any], *, withheld: bool = False) -> str:
    """What is observed at a position, in words; ``withheld`` leaves the landmarks to the picture."""
    sightings = [Sighting(*s) for s in state["landmarks"]]
    return prompts.observation(sightings, state["intersection"], withheld=withheld, prompts=task.prompts)


def recipe_of(task: Task, state: Mapping[str, Any], knobs: Mapping[str, Any]) -> dict[str, Any]:
    """What the four views at a position are drawn from."""
    data = {"data": task.deal["data"]} if "data" in task.deal else {}
    where = {"city": task.deal["route"]["city"], "place": state["place"], "heading": state["heading"]}
    return {**where, **data, **knobs}


def truth_of(task: Task, state: Mapping[str, Any]) -> verifier.Truth:
    """What an answer at a position is judged against."""
    seen = Seen(tuple(name for name, _ in state["landmarks"]), state["intersection"])
    route = task.deal["route"]
    names = {name for m in route["milestones"] for name, _ in m["sightings"]} | {route["destination"]["name"]}
    also = ("stop()",) if state.get("near") else ()
    return verifier.Truth(state["action"], state["actions"], seen, also, tuple(sorted(names)))


def check_prompts(templates: Mapping[str, str] | None) -> None:
    """Raises UsageError unless the templates are known ones, with placeholders that they are given."""
    check_templates(prompts.DEFAULT, prompts.PLACEHOLDERS, templates)


def _rail_state(steps: tuple[rails.Step, ...], at: int, actions: str) -> dict[str, Any]:
    step = steps[at]
    return {
        "step": at,
        "steps": len(steps),
        "place": list(step.place),
        "heading": step.heading,
        "landmarks": [list(s) for s in step.sightings],
        "intersection": step.intersection,
        "sentence": step.sentence,
        "action": rails.action(step, actions),
        "other_action": rails.action(step, other_actions(actions)),
    }


def _free(task: Task) -> bool:
    return task.rule.get("walk") == "free"


@lru_cache(maxsize=16)
def _order(length: int, key: str) -> tuple[int, ...]:
    return tuple(Random(key).sample(range(length), length))
