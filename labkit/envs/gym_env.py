"""GeneralPoints as a Gymnasium environment.

Importing this module registers ``labkit/GeneralPoints-v0`` and ``labkit/VIRL-v0``. Without an import of one's
own::

    gymnasium.make("labkit.envs.gym_env:labkit/GeneralPoints-v0", modality="text")
    gymnasium.make("labkit.envs.gym_env:labkit/VIRL-v0", modality="text")
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium

from labkit.envs.general_points.cards import Rule, parse_ranks
from labkit.envs.gym_base import DialogueEnv
from labkit.episode import Episode, Task


class GeneralPointsEnv(DialogueEnv):
    """GeneralPoints with sequential revision, as an environment whose actions are texts.

    ## Description
    Four cards are dealt. The player writes a formula that makes the target (24) out of their numbers, each
    once. A verifier judges the answer; after a wrong one it says what was wrong, and the player may answer
    again. What J, Q and K count as is a rule of the deal, told in the prompt: 10 each (``ten``), or 11, 12
    and 13 (``eleven-twelve-thirteen``), or any other numbers.

    ## Action Space
    Any text: the whole answer, as a model writes it. An answer of more than 65,536 bytes is judged
    unreadable.

    ## Observation Space
    ``modality="text"``: the dialogue so far, each turn as ``user: ...`` or ``assistant: ...``, turns parted
    by an empty line. ``modality="picture"``: a ``Dict`` of ``prompt`` (the same, without the cards) and
    ``image`` (the cards on the table, ``uint8 [H, W, 3]``). A turn is shown up to its 65,536th character.

    ## Starting State
    The prompt of a deal. Deals come from a suite (``id``: any hand that reaches the target; ``rule-ood``:
    hands with a J, Q or K under 11, 12, 13; ``visual-ood``, pictures only: red suits) and a split of it.
    ``reset(seed=s)`` deals the first hand of seed ``s``, each later ``reset()`` the next one. ``options``
    name other ``cards`` (``"3 3 8 8"``), ``faces``, ``target``, ``suite`` or ``split`` for one episode.

    ## Rewards
    By verdict, the first check that fails: unreadable -3, wrong_cards (pictures only) -1.5, illegal_formula
    -3, wrong_numbers -2, wrong_value -1, correct +5. The last of the attempts, if wrong, costs 1 more.

    ## Episode End
    Terminated after a right answer, and after the last attempt: attempts are part of the game. Never
    truncated.

    ## Information
    ``messages``: the dialogue as chat turns (``role``, ``content``). ``record``: the episode as plain data
    (``labkit.episode.Episode.from_dict`` reads it). After a step also ``category``, ``success``,
    ``feedback``, ``evidence`` and ``tags`` of the verdict.

    ## Arguments
    ``modality``: ``"text"`` or ``"picture"``. ``suite``, ``split``: where deals come from. ``faces``: a face
    rule other than the suite's. ``target``: the number to make. ``attempts``: answers an episode allows.
    ``reward``, ``prompts``, ``picture``: entries to replace in the reward table, the prompt templates and the
    drawing. ``render_mode``: ``"ansi"`` (the dialogue) or ``"rgb_array"`` (the cards on the table, in either
    modality).

    ## References
    "SFT Memorizes, RL Generalizes", arXiv 2501.17161, sections 3 and 4.1, appendix A.

    ## Version History
    v0: first version.
    """

    cells = {"text": "gp-l", "picture": "gp-vl"}
    named = "cards"

    def __init__(
        self,
        modality: str = "text",
        *,
        suite: str = "id",
        split: str = "all",
        faces: Rule | None = None,
        target: int = 24,
        attempts: int = 5,
        reward: Mapping[str, Any] | None = None,
        prompts: Mapping[str, str] | None = None,
        picture: Mapping[str, Any] | None = None,
        render_mode: str | None = None,
    ) -> None:
        settings = {"attempts": attempts, "reward": reward, "prompts": prompts, "picture": picture}
        dealt = {"suite": suite, "split": split, "faces": faces, "target": target}
        super().__init__(modality, dealt, settings, render_mode)

    def _named(self, options: dict[str, Any]) -> Task:
        hand = options["cards"]
        ranks = parse_ranks(hand if isinstance(hand, str) else " ".join(hand))
        rule = {"faces": options["faces"] or "ten", "target": options["target"]}
        return self._game.task(hand=ranks, **rule, **self._settings)

    def _recipe(self, episode: Episode) -> Mapping[str, Any]:
        return {"cards": episode.task.deal["cards"]}


gymnasium.register("labkit/GeneralPoints-v0", entry_point=GeneralPointsEnv)
gymnasium.register("labkit/VIRL-v0", entry_point="labkit.envs.virl_gym:VIRLEnv")
