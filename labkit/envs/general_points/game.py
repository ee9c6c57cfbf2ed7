"""GeneralPoints as a game: deals, the opening position, judging, and the players it can supply.

Source: "SFT Memorizes, RL Generalizes" (arXiv 2501.17161), section 4.1. ``gp-l`` gives the cards in words,
``gp-vl`` in a picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import cycle
from random import Random
from typing import TYPE_CHECKING, Any

from labkit.envs.general_points import cards, prompts, solver, thoughts, verifier
from labkit.envs.general_points import photo as photos
from labkit.envs.general_points.answers import answer_text, mistaken, typed_answer
from labkit.envs.general_points.render.picture import Picture, draw
from labkit.envs.general_points.tags import tags
from labkit.envs.pictures import altered, picture_hash, read_picture
from labkit.envs.settings import check_attempts, check_templates
from labkit.episode import Attempt, Episode, Position, Task
from labkit.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image


RED = {"S": "H", "C": "D"}
"""The red suit that a black one is shown as; no two cards become the same."""


class GeneralPoints:
    """The game of the cells ``gp-l`` and ``gp-vl``; see :class:`labkit.envs.Game`."""

    decisive_field = "formula"
    splits = tuple(cards.SPLITS)
    templates = prompts.DEFAULT
    placeholders = prompts.PLACEHOLDERS
    prompt_variant = staticmethod(prompts.prompt_variant)

    def __init__(self, cell: str) -> None:
        self.cell = cell
        self.pictured = cell == "gp-vl"
        # Naming the cards is part of the task where they are shown in a picture.
        self.typed = ("formula", "cards") if self.pictured else ("formula",)
        self.suites = ("id", "rule-ood", "visual-ood") if self.pictured else ("id", "rule-ood")

    def task(
        self,
        *,
        hand: Sequence[str] | Sequence[tuple[str, str]],
        faces: cards.Rule = "ten",
        target: int = 24,
        attempts: int = 5,
        reward: Mapping[str, Any] | None = None,
        prompts: Mapping[str, str] | None = None,
        picture: Mapping[str, Any] | None = None,
        photo: str | None = None,
        **place: Any,
    ) -> Task:
        """A task with the given cards.

        Args:
            hand: three to six ranks, or ``(rank, suit)`` pairs; ranks alone get suits in turn.
            faces: a name in :data:`cards.FACES` or the numbers of J, Q and K.
            attempts: answers allowed, at least 1; the paper's default is 5.
            reward: entries of :data:`verifier.REWARD` to replace.
            prompts: entries of :data:`prompts.DEFAULT` to replace.
            picture: entries of :class:`Picture` to replace, or the recipe of a photograph (:mod:`photo`); image cell.
            photo: the file of a photograph of the cards, shown in place of a drawn picture (image cell).
            place: suite, split, seed and index, for a task from a stream.

        Raises:
            UsageError: an argument is invalid.
        """
        pairs = [(card, cards.SUITS["any"][i % 4]) if isinstance(card, str) else card for i, card in enumerate(hand)]
        ranks = cards.parse_ranks([str(rank) for rank, _ in pairs])
        suits = [cards.check_suit(suit) for _, suit in pairs]
        check_prompts(prompts)
        if photo is not None:
            if place:
                raise UsageError("a photograph shows certain cards, not those of a suite; name them with --cards")
            if not self.pictured:
                raise UsageError(f"{self.cell} shows no pictures; play gp-vl with a photograph")
            picture = {**(picture or {}), "photo": photos.kept(read_picture(photo))}
        return Task(
            cell=self.cell,
            deal={"cards": [list(card) for card in zip(ranks, suits, strict=True)]},
            rule={"faces": cards.rule_name(faces), "target": cards.check_target(target)},
            attempts=check_attempts(attempts),
            reward=verifier.check_reward(reward),
            prompts=dict(prompts) if prompts else None,
            picture=_checked(picture or {}) if self.pictured else None,
            **place,
        )

    def tasks(
        self,
        suite: str = "id",
        split: str = "all",
        *,
        seed: int = 0,
        faces: cards.Rule | None = None,
        target: int = 24,
        suits: str | None = None,
        red: int = 0,
        deck: str = "cards",
        first: int = 0,
        **settings: Any,
    ) -> Iterator[Task]:
        """An endless stream of deals from number ``first`` on; the same arguments give the same deals.

        ``id`` and ``rule-ood`` fix the face rule unless ``faces`` names another. On ``gp-vl``, ``id`` and
        ``rule-ood`` deal black suits and ``visual-ood`` red ones (paper, section 5.2).

        Args:
            red: so many cards of each deal are shown in a red suit, hearts for spades, diamonds for clubs; seeded.
        """
        self._check_suite(suite)
        faces = cards.suite_rule(suite) if faces is None else faces
        suits = self.suits_of(suite) if suits is None else suits
        dealt = cards.deals(suite, split, faces=faces, target=target, seed=seed, suits=suits, deck=deck, first=first)
        for index, hand in dealt:
            place: dict[str, Any] = {"suite": suite, "split": split, "seed": seed, "index": index}
            shown = _reddened(hand, red, f"{seed}/{index}")
            yield self.task(hand=shown, faces=faces, target=target, **settings, **place)

    def enumerate_tasks(
        self,
        suite: str = "id",
        split: str = "all",
        *,
        seed: int = 0,
        faces: cards.Rule | None = None,
        target: int = 24,
        red: int = 0,
        **settings: Any,
    ) -> Iterator[tuple[Task, float]]:
        """Every hand of a suite once, in a seeded order of cards, with its share of the deals (shares add up to 1)."""
        self._check_suite(suite)
        faces = cards.suite_rule(suite) if faces is None else faces
        suits = self.suits_of(suite)
        found = cards.hands(suite, split, faces=faces, target=target, suits=suits)
        total = sum(hand.weight for hand in found)
        for index, hand in enumerate(found):
            place: dict[str, Any] = {"suite": suite, "split": split, "seed": seed, "index": index}
            shown = _shuffled(hand.ranks, cards.SUITS[suits], f"every/{seed}/{index}")
            shown = _reddened(shown, red, f"every/{seed}/{index}")
            yield self.task(hand=shown, faces=faces, target=target, **settings, **place), hand.weight / total

    def suits_of(self, suite: str) -> str:
        """The suits that a suite deals (paper, section 5.2)."""
        if not self.pictured:
            return "any"
        return "red" if suite == "visual-ood" else "black"

    def _check_suite(self, suite: str) -> None:
        if suite not in self.suites:
            raise UsageError(f"{self.cell} has no suite {suite!r}; its suites are {', '.join(self.suites)}")

    def first(self, task: Task) -> Position:
        ranks, faces, target = ranks_of(task.deal), task.rule["faces"], task.rule["target"]
        picture = None
        if self.pictured:
            recipe = {"cards": task.deal["cards"], **(task.picture or {})}
            picture = {"recipe": recipe, "hash": picture_hash(self.draw(recipe))}
        text = prompts.opening(ranks, faces, target, picture=self.pictured, prompts=task.prompts)
        return Position({"cards": list(ranks), "faces": faces, "target": target}, text, picture)

    def judge(self, episode: Episode, answer: str) -> Attempt:
        here, task = episode.position, episode.task
        ranks, faces, target = here.state["cards"], here.state["faces"], here.state["target"]
        reading = verifier.read(answer)
        options: dict[str, Any] = {"picture": self.pictured, "reward": task.reward, "templates": task.prompts}
        verdict = verifier.verdict(reading, ranks, faces, target, **options)
        other = None
        if cards.numbers_of(ranks, cards.other_rule(faces)) != cards.numbers_of(ranks, faces):
            other = verifier.verdict(reading, ranks, cards.other_rule(faces), target, **options)
        earlier = [verifier.read(a.answer) for a in here.attempts]
        found = tags(reading, verdict, ranks, faces, target, here.attempts, earlier)
        return Attempt(answer, verdict, dict(reading.fields), other, found)

    def advance(self, episode: Episode) -> str | None:
        return "success" if episode.attempts[-1].verdict.success else None

    def decisive_span(self, answer: str) -> tuple[int, int] | None:
        """Character offsets of the decisive field in an answer; None if it has none."""
        return verifier.read(answer).formula_span

    def expert(self, episode: Episode, rng: Random | None = None, among: int = 1) -> str:
        """A right answer: with ``rng``, one of the ``among`` simplest formulas, else the simplest.

        Raises:
            UsageError: the hand has no solution.
        """
        state = episode.position.state
        numbers = cards.numbers_of(state["cards"], state["faces"])
        formulas = list(solver.simplest(numbers, state["target"], among))
        if not formulas:
            raise UsageError(
                f"{' '.join(state['cards'])} has no solution for {state['target']} under this rule; deal another hand"
            )
        formula = rng.choice(formulas) if rng else formulas[0]
        return answer_text(state["cards"], numbers, formula, state["target"])

    def thinking_expert(self, episode: Episode, rng: Random) -> tuple[str, list[tuple[int, int]]]:
        """A right answer with a thought, and the character spans in it that are not to be learnt.

        These are steps that led to nothing, and the decision to go on after a miss: how long to search is not the
        expert's to teach. A hand that needs fractions gets an answer without a thought.
        """
        state = episode.position.state
        numbers, target = cards.numbers_of(state["cards"], state["faces"]), state["target"]
        if target not in thoughts.reachable(tuple(sorted(numbers))):
            return self.expert(episode, rng), []
        tries, _ = thoughts.search_length(rng, solved=True)
        found = thoughts.think(rng, numbers, target, tries=tries)
        text = answer_text(state["cards"], numbers, found.formula.rpartition("=")[0], target, thought=found.text)
        first = text.index(found.text)
        spans = thoughts.abandoned(found.text) + thoughts.continued(found.text)
        return text, [(first + start, first + end) for start, end in sorted(spans)]

    def random(self, episode: Episode, rng: Random) -> str:
        """Each card once, in any order, with any operators and brackets."""
        state = episode.position.state
        numbers = list(cards.numbers_of(state["cards"], state["faces"]))
        terms = [str(n) for n in rng.sample(numbers, len(numbers))]
        while len(terms) > 1:
            at = rng.randrange(len(terms) - 1)
            joined = f"{terms[at]}{rng.choice('+-*/')}{terms[at + 1]}"
            terms[at : at + 2] = [f"({joined})" if len(terms) > 2 else joined]
        return answer_text(state["cards"], numbers, terms[0], state["target"])

    def wrong(self, episode: Episode, rng: Random) -> str:
        """A wrong answer such as models make.

        Face cards are never mistaken for a number over 10: what is trained on it must not learn the rule-OOD probe.
        """
        state = episode.position.state
        ranks, faces, target = state["cards"], state["faces"], state["target"]
        numbers = cards.numbers_of(ranks, faces)
        while True:
            text = mistaken(rng, ranks, numbers, target, lambda: dict.fromkeys("JQK", rng.randint(1, 10)))
            if not verifier.verdict(verifier.read(text), ranks, faces, target, picture=self.pictured).success:
                return text

    def typed_answer(self, episode: Episode, typed: Mapping[str, str]) -> str:
        """A bare formula in the answer format; its numbers stand in for ``number``."""
        cards = typed["cards"].replace(",", " ").split() if "cards" in typed else episode.position.state["cards"]
        return typed_answer(typed["formula"], cards)

    def editable(self, task: Task) -> dict[str, str]:
        """What a fork may change of a task (:mod:`labkit.whatif`), each as text."""
        faces = task.rule["faces"]
        rule = faces if isinstance(faces, str) else ",".join(f"{rank}={number}" for rank, number in faces.items())
        return {"cards": " ".join(ranks_of(task.deal)), "rule": rule}

    def edited(self, task: Task, name: str, text: str) -> Task:
        """The task with other cards, in the suits that were dealt, or with another rule.

        Raises:
            UsageError: the text is no hand or no rule, or the cards are those of a photograph.
        """
        if name == "rule":
            return replace(task, rule={**task.rule, "faces": cards.rule_name(text.strip())})
        if task.picture and "photo" in task.picture:
            raise UsageError("a photograph shows certain cards; change the rule, or play drawn cards")
        suits = cycle(suit for _, suit in task.deal["cards"])
        return replace(task, deal={"cards": [list(card) for card in zip(cards.parse_ranks(text), suits, strict=False)]})

    def draw(self, recipe: Mapping[str, Any]) -> Image:
        """The picture of a recipe: the same pixels each time."""
        if picture := altered(recipe, self.draw):
            return picture
        if "photo" in recipe:
            return photos.shown(recipe)
        knobs = {k: v for k, v in recipe.items() if k != "cards"}
        hand = tuple((rank, suit) for rank, suit in recipe["cards"])
        return _draw(hand, Picture.from_dict(knobs)).copy()


def _checked(picture: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a drawn picture, or of a photograph, completed."""
    return photos.check_picture(picture) if "photo" in picture else Picture.from_dict(picture).to_dict()


@lru_cache(maxsize=64)
def _draw(hand: tuple[tuple[str, str], ...], picture: Picture) -> Image:
    return draw(hand, picture)


def _shuffled(ranks: Sequence[str], suits: str, key: str) -> list[tuple[str, str]]:
    """The ranks in a seeded order, with suits such that no card appears twice."""
    rng = Random(key)
    left = {rank: rng.sample(suits, len(suits)) for rank in dict.fromkeys(ranks)}
    hand = [(rank, left[rank].pop()) for rank in ranks]
    rng.shuffle(hand)
    return hand


def _reddened(hand: Sequence[tuple[str, str]], count: int, key: str) -> list[tuple[str, str]]:
    """The hand with so many of its cards in a red suit; of a larger count, those of a smaller one and others."""
    chosen = Random(f"red/{key}").sample(range(len(hand)), len(hand))[:count] if count else ()
    return [(rank, RED.get(suit, suit) if at in chosen else suit) for at, (rank, suit) in enumerate(hand)]


def check_prompts(templates: Mapping[str, str] | None) -> None:
    """Raises UsageError unless the templates are known ones, with placeholders that they are given."""
    check_templates(prompts.DEFAULT, prompts.PLACEHOLDERS, templates)


def ranks_of(deal: Mapping[str, Any]) -> list[str]:
    """The dealt ranks, in the order they are shown."""
    return [rank for rank, _ in deal["cards"]]
