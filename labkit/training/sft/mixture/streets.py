"""Documents about walking: turns and headings, following an instruction, the answer format, revision.

========== ============================================================================
kind       what it teaches
========== ============================================================================
bearing    two headings -> the word for the turn between them; a heading and a turn -> the new heading
repeat     a few names -> the same again, which is how copying is learnt
read       a list of sentences -> the one that is asked for, word for word
walk       an invented route walked in a conversation, one action a turn
sentence   a walk so far -> the sentence of the instruction that is to be followed now
step       a walk so far -> the next action
in_json    the same as the JSON answer, in layouts other than V-IRL's own
revise     the same with a wrong answer and the verifier's feedback before the right one
========== ============================================================================

Routes are invented: headings, distances and landmarks by chance, in no city. Both ways to name a turn occur, the
one of the rule-OOD probe (:data:`RELATIVE` of the documents) as well as compass words. What is kept out: V-IRL's
own prompt, and every route of a city. The sections of a prompt come in V-IRL's order, since with another order
the first steps of post-training alone undo what is known of the other rule.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from labkit.envs.settings import fill
from labkit.envs.virl import prompts, rail, verifier
from labkit.envs.virl.answers import answer_text, mistaken
from labkit.envs.virl.city.names import CATEGORIES, WORDS
from labkit.envs.virl.geometry import COMPASS, RELATIONS
from labkit.envs.virl.headings import ACTIONS, TURNS, other_actions, turn_word
from labkit.envs.virl.instruction import sentences
from labkit.envs.virl.observation import Seen
from labkit.envs.virl.records import LatLng, Milestone, Place, Route, Sighting
from labkit.episode import Message
from labkit.models.chat import Dialogue

RELATIVE = 0.3
"""Share of the documents whose turns are left and right."""
LEGS = (1, 1, 1, 2, 2, 2, 3, 3, 4, 5)
"""How many legs an invented route has; short ones are more common, since they cost less to read."""
TURN = 0.5
"""Share of the single steps at which a turn is right; there is least to read where one only walks on."""

_FIRST_WORDS = sorted({word for words in WORDS.values() for word in words})
_KINDS = sorted({kind for kinds in CATEGORIES.values() for kind in kinds})

_LAYOUTS: dict[str, tuple[str, ...]] = {
    "task": ("A walk by a note.", "Follow the directions.", "You walk, the note leads."),
    "instruction": ("Directions:\n{instruction}", "Note:\n{instruction}", "{instruction}"),
    "actions": (
        "Turns: {words}.",
        "Moves: forward(), stop(), turn_direction(x); x: {words}.",
        "To turn, say turn_direction(x). Allowed: {words}.",
    ),
    "history": ("Log:\n{history}", "Walk:\n{history}", "{history}"),
    "observed": ("See {number}: {observation}", "{number}) {observation}", "{number}. Seen: {observation}"),
    "acted": ("Do {number}: {action}", "{number}) {action}", "{number}. Done: {action}"),
}
_NEXT = ("Next?", "Next action?", "What now?")
_READ = ("Which sentence now?", "Read the next sentence.")
_JSON = (
    "As JSON.",
    'Give "current observation", "current instruction", "action".',
    'JSON with "current observation", "current instruction", "action":',
)


def vocabulary() -> list[str]:
    """Texts whose words the tokenizer must know although no document holds them: V-IRL's prompts and names."""
    names = [f" {word}" for word in (*_FIRST_WORDS, *_KINDS)]
    return [*prompts.DEFAULT.values(), *(", ".join(words) for words in ACTIONS.values()), *names] * 200


def bearing(rng: random.Random) -> Dialogue:
    """Two headings, or a heading and a turn."""
    before, after = rng.sample(range(8), 2)
    word = turn_word(45.0 * before, 45.0 * after)
    facing, to = COMPASS[before], COMPASS[after]
    if rng.random() < 0.5:
        question = rng.choice(("Facing {facing}, to face {to}: turn", "From {facing} to {to}?"))
        return _chat(question.format(facing=facing, to=to), word)
    # A quarter for plain left and right, an eighth for slight ones: the commonest angle of each word.
    word = rng.choice(TURNS)
    eighths = {"left": -2, "right": 2, "slightly left": -1, "slightly right": 1}[word]
    return _chat(f"Facing {facing}, turn {word}: facing", COMPASS[(before + eighths) % 8])


def repeat(rng: random.Random) -> Dialogue:
    """One to three names, said again."""
    names = " ".join(_name(rng) for _ in range(rng.choice((1, 1, 2, 3))))
    return _chat(f"Say: {names}", names)


def read(rng: random.Random) -> Dialogue:
    """Sentences of an instruction in any order, and one of them: reading, where there is nothing else to do."""
    told = _some_sentences(rng)
    number = rng.randrange(len(told))
    listed = "\n".join(f"{n}. {text}" for n, text in enumerate(told, 1))
    return _chat(f"{listed}\n{rng.choice(('Sentence', 'Read', 'Say'))} {number + 1}.", told[number])


def _some_sentences(rng: random.Random) -> list[str]:
    """Two to five sentences such as instructions and observations hold."""
    told = _invent(rng, "")
    seen = [prompts.observation((Sighting(_name(rng), rng.choice(RELATIONS)),), rng.random() < 0.5)]
    texts = [*told.sentences, *seen]
    return rng.sample(texts, min(len(texts), rng.randint(2, 5)))


def walk(rng: random.Random) -> Dialogue:
    """A whole walk; every action is learnt."""
    told = _invent(rng, rng.choice(_NEXT))
    messages = []
    for number in range(len(told.steps)):
        text = told.asked(0) if number == 0 else told.observed(number)
        messages += [Message("user", text), Message("assistant", told.action(number))]
    return Dialogue(tuple(messages), tuple(range(1, len(messages), 2)))


def sentence(rng: random.Random) -> Dialogue:
    """A walk so far, and the sentence to follow now."""
    told = _invent(rng, rng.choice(_READ))
    number = told.choose(rng)
    return _chat(told.asked(number), told.sentence(number))


def step(rng: random.Random) -> Dialogue:
    """A walk so far, and the next action."""
    told = _invent(rng, rng.choice(_NEXT))
    number = told.choose(rng)
    return _chat(told.asked(number), told.action(number))


def in_json(rng: random.Random) -> Dialogue:
    """A walk so far, and the JSON answer."""
    told = _invent(rng, rng.choice(_JSON))
    number = told.choose(rng)
    return _chat(told.asked(number), told.answer(number))


def revise(rng: random.Random) -> Dialogue:
    """A walk so far, a wrong JSON answer, the verifier's feedback, the right answer."""
    told = _invent(rng, rng.choice(_JSON))
    number = told.choose(rng)
    wrong = told.mistaken(rng, number)
    judged = verifier.verdict(verifier.read(wrong), told.truth(number))
    turns = [Message("user", told.asked(number))]
    if not judged.success:
        turns += [Message("assistant", wrong), Message("user", judged.feedback)]
    turns.append(Message("assistant", told.answer(number)))
    return Dialogue(tuple(turns), (len(turns) - 1,))


class _Told(NamedTuple):
    """An invented walk, and the words in which it is told."""

    actions: str
    steps: tuple[rail.Step, ...]
    sentences: tuple[str, ...]
    templates: dict[str, str]

    def choose(self, rng: random.Random) -> int:
        """A step; one in two is a turn."""
        turns = rng.random() < TURN
        return rng.choice([n for n, s in enumerate(self.steps) if (s.action == "turn_direction") == turns])

    def seen(self, number: int) -> str:
        here = self.steps[number]
        return prompts.observation(here.sightings, here.intersection)

    def observed(self, number: int) -> str:
        return fill(self.templates["observed"], number=number + 1, observation=self.seen(number))

    def action(self, number: int) -> str:
        return rail.action(self.steps[number], self.actions)

    def sentence(self, number: int) -> str:
        return self.sentences[self.steps[number].sentence]

    def answer(self, number: int) -> str:
        return answer_text(self.seen(number), self.sentence(number), self.action(number))

    def mistaken(self, rng: random.Random, number: int) -> str:
        """A mistake such as models make, the other rule's word among them."""
        swapped = rail.action(self.steps[number], other_actions(self.actions))
        beside = [self.answer(n) for n in (number - 1, number + 1) if 0 <= n < len(self.steps)]
        right = self.seen(number), self.sentence(number), self.action(number)
        return mistaken(rng, *right, self.actions, swapped=swapped, neighbours=beside)

    def asked(self, number: int) -> str:
        """The prompt of a step."""
        history = [(self.seen(n), self.action(n)) for n in range(number)]
        now = self.seen(number)
        return prompts.opening(self.sentences, self.actions, history, now, picture=False, prompts=self.templates)

    def truth(self, number: int) -> verifier.Truth:
        here = self.steps[number]
        seen = Seen(tuple(s.name for s in here.sightings), here.intersection)
        return verifier.Truth(self.action(number), self.actions, seen)


def _invent(rng: random.Random, question: str) -> _Told:
    route = _route(rng)
    walked = rail.rail(route, "")
    layout = {name: rng.choice(texts) for name, texts in _LAYOUTS.items()}
    actions = layout.pop("actions")
    layout |= {"actions_absolute": actions, "actions_relative": actions, "format": question}
    spoken = "relative" if rng.random() < RELATIVE else "absolute"
    return _Told(spoken, walked.steps, sentences(walked.milestones), layout)


def _route(rng: random.Random) -> Route:
    """A route of a few legs, each between 20 and 160 metres."""
    legs = rng.choice(LEGS)
    place, heading = LatLng(0.0, 0.0), float(rng.randrange(360))
    milestones = []
    for number in range(legs):
        leaving = (heading + _angle(rng)) % 360
        distance = rng.uniform(20, 160)
        sightings = _sightings(rng) if number else ()
        milestones.append(Milestone(place, sightings, heading, leaving, distance))
        # A line of latitude each: only distances count, and the rail reads them off the places.
        place, heading = LatLng(place.lat + distance / 111_195, 0.0), leaving
    goal = Sighting(_name(rng), rng.choice(RELATIONS))
    milestones.append(Milestone(place, (goal,), heading, None, 0.0))
    ends = Place("", milestones[0].place), Place(goal.name, place)
    return Route(f"invented-{rng.getrandbits(32)}", "", *ends, tuple(milestones))


def _angle(rng: random.Random) -> int:
    """Degrees of a turn: mostly a corner, now and then a bend."""
    side = rng.choice((-1, 1))
    return side * (rng.randint(50, 130) if rng.random() < 0.65 else rng.randint(0, 44))


def _sightings(rng: random.Random) -> tuple[Sighting, ...]:
    return (Sighting(_name(rng), rng.choice(RELATIONS)),) if rng.random() < 0.75 else ()


def _name(rng: random.Random) -> str:
    first = rng.choice(_FIRST_WORDS)
    if rng.random() < 0.3:
        first += f" & {rng.choice(_FIRST_WORDS)}"
    return f"{first} {rng.choice(_KINDS)}"


def _chat(question: str, answer: str) -> Dialogue:
    return Dialogue((Message("user", question), Message("assistant", answer)), (1,))
