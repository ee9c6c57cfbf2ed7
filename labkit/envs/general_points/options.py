"""The options of GeneralPoints on the command line and in the app, and its JSON lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from labkit.envs.games import Option
from labkit.envs.lines import Judge, required
from labkit.errors import UsageError

if TYPE_CHECKING:
    from labkit.envs import Game
    from labkit.episode import Task

FACES_HELP = "what J, Q and K count as: ten, eleven-twelve-thirteen, or numbers such as J=5,Q=5,K=5"


def _hand(game: Game, cards: str, *, suite: str | None, split: str | None, seed: int, **settings: Any) -> Task:
    if suite or split:
        raise UsageError("--cards names the cards, so no suite or split deals them; leave one of the two out")
    from labkit.envs.general_points.cards import parse_ranks

    return game.task(hand=parse_ranks(cards), **settings)


OPTIONS = (
    Option("cards", "three to six ranks, in the order they are shown", metavar='"3 3 8 8"', task=_hand),
    Option(
        "faces",
        f"{FACES_HELP} (default: the suite's)",
        metavar="RULE",
        suggested=("ten", "eleven-twelve-thirteen"),
    ),
    Option("target", "the number to make (default: 24)", type=int),
    Option("photo", "a photograph of the cards that --cards names, shown in gp-vl", metavar="FILE"),
)


def line(cell: str) -> Judge:
    """Judges ``{"cards": [...], "answer": "...", "faces": ..., "target": ...}``; on ``gp-vl`` the answer must name the
    cards too."""
    from labkit.envs.general_points import cards, verifier

    picture = cell == "gp-vl"

    def judge(entry: Mapping[str, Any]) -> Any:
        required(entry, "cards", "answer")
        hand, faces, answer = entry["cards"], entry.get("faces", "ten"), entry["answer"]
        if not isinstance(hand, list) or not all(isinstance(rank, str) for rank in hand):
            raise UsageError('"cards" is a list of ranks as text, such as ["3", "3", "8", "8"]')
        if not isinstance(faces, str | dict):
            raise UsageError('"faces" is the name of a rule or numbers such as {"J": 5, "Q": 5, "K": 5}')
        ranks, target = cards.parse_ranks(hand), cards.check_target(entry.get("target", 24))
        return verifier.verdict(verifier.read(answer), ranks, cards.face_values(faces), target, picture=picture)

    return judge
