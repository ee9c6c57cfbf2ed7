"""How probable each candidate of one field of an answer was: the decision behind it, in numbers.

A player that answers ``"action": "turn_direction(right)"`` had other actions in mind too, and the text before the
field is all that it had written when it decided.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from labkit.envs import game, prompt
from labkit.episode import Episode
from labkit.models import forward
from labkit.models.chat import render
from labkit.models.vision import picture_inputs
from labkit.players.checkpoint import Checkpoint, token_range


@torch.inference_mode()
def choices(
    player: Checkpoint, episode: Episode, answer: str, span: tuple[int, int], candidates: Sequence[str]
) -> dict[str, float]:
    """The probability of each candidate in place of a field, at temperature 1, given the prompt and the answer's text
    before the field.

    A candidate's probability is the product over its tokens, in the tokenizer's own spelling, and over the token
    behind them that ends the field. So candidates exclude each other, and what they lack of 1 is everything else.

    Args:
        episode: open, before the answer.
        span: the field, as a half-open range of the answer's characters.
        candidates: texts, each once.
    """
    bundle, cell = player.bundle, episode.task.cell
    context = render(bundle, prompt(episode), game(cell).draw if game(cell).pictured else None)
    begin, end = span
    # A thought that the prompt opened stands in the context already.
    opened = len(bundle.layout.thought)
    before, behind = answer[opened:begin], answer[end:]
    rows, fields = [], []
    for candidate in candidates:
        ids = bundle.tokenizer.encode(f"{before}{candidate}{behind}", add_special_tokens=False)
        field = (len(before), len(before) + len(candidate) + 1)
        first, last = token_range(bundle.tokenizer, ids, field)
        rows.append([*context.ids, *ids[:last]])
        fields.append((len(context.ids) + first, len(context.ids) + last))
    longest = max(map(len, rows))
    input_ids = torch.tensor([row + [bundle.pad_id] * (longest - len(row)) for row in rows])
    place_T = torch.arange(longest)
    mask = torch.stack([place_T < len(row) for row in rows]).long()
    chosen = torch.stack([(place_T >= first) & (place_T < last) for first, last in fields])
    model = bundle.model
    pictures = picture_inputs(model, input_ids, [context.pictures] * len(rows))
    on_device = [tensor.to(model.device) for tensor in (input_ids, mask, chosen)]
    hidden_ND = forward.hidden_states(model, *on_device, **pictures)
    logp_N, _ = forward.log_probs(model, hidden_ND, forward.chosen_tokens(*on_device[::2]))
    parts = logp_N.double().cpu().split([last - first for first, last in fields])
    return {candidate: float(part.sum().exp()) for candidate, part in zip(candidates, parts, strict=True)}
