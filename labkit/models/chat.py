"""Chat templates: messages to token ids, for playing and for supervised training. No other module knows a template.

A dialogue with a model is a list of token ids that only grows. :func:`render` gives the ids up to where the first
answer begins; :func:`suffix` gives the ids from the end of a sampled answer to where the next one begins. Sampled ids
are never decoded and encoded again. :func:`encode` builds training examples from the same pieces, so a model is
trained on exactly what it will be sent and asked to sample.

A template may write a thought into the prompt or into the last answer, and drop it from earlier ones (Qwen 3,
DeepSeek-R1). So a dialogue is continued by the text that the template puts between one answer and the next; it is
never compared with the rendering of the whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from os.path import commonprefix
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from labkit.config import PROMPT_DATE
from labkit.errors import UsageError
from labkit.models.bundle import Layout
from labkit.models.context import Context
from labkit.models.files import first_line

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from labkit.episode import Message
    from labkit.models.bundle import ModelBundle
    from labkit.models.context import Picture
    from labkit.models.picture_reader import Drawing, PictureReader, Reading

TEMPLATE_FILES = ("chat_template.jinja", "chat_template.json", "tokenizer_config.json")

# A macro of this name hides the function of transformers that asks the clock.
_FIXED_CLOCK = (
    "{%- macro strftime_now(format) -%}{{ format"
    + "".join(f" | replace('%{c}', '{PROMPT_DATE.strftime('%' + c)}')" for c in "aAbBdejmyYFDUWuwxHIMSpX")
    + " }}{%- endmacro %}\n"
)
_QUESTION, _ANSWER = "what-is-asked", "what-is-said"
"""Stand for a question and an answer where only the template's text around them matters."""
_OPEN, _CLOSE = "<think>", "</think>"


class Example(NamedTuple):
    """One dialogue as tokens."""

    ids: np.ndarray
    """``int64 [T]``."""
    loss: np.ndarray
    """``bool [T]``, the assistant mask: True at tokens that are to be predicted."""
    pictures: tuple[Picture, ...] = ()
    """The pictures in ``ids``."""


class Dialogue(NamedTuple):
    """A chat, and which of its answers are trained on."""

    messages: tuple[Message, ...]
    trained_turns: tuple[int, ...]
    """Answers that carry loss: indices into ``messages``."""
    untrained: tuple[tuple[int, int, int], ...] = ()
    """Parts of these answers without loss: an index into ``messages``, and first and last-plus-one character of its
    text. What ends an answer has loss unless the answer's last character has none."""


def layout(tokenizer: PreTrainedTokenizerBase, *, parts: bool = False) -> Layout:
    """Read off the template what it writes around answers.

    Args:
        parts: the template takes a message as a list of parts, as those of vision models do.

    Raises:
        UsageError: the template fails on a single question, or leaves it out.
    """
    chat = [_message(role, text, parts) for role, text in [("user", _QUESTION), ("assistant", _ANSWER)] * 2]
    special = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    asked = _fill(tokenizer, chat[:1], prompt=True)
    # A template may write in capitals what it is given; that changes answers too, and is refused where it matters.
    if _QUESTION.lower() not in asked.lower():
        takes = "text" if parts else "parts, as those of vision models do, and not text"
        raise UsageError(f"the chat template leaves out the question; change {template_of(tokenizer)} to take {takes}")
    prompt = asked.rpartition(_QUESTION)[2]
    thought = prompt[prompt.rindex(_OPEN) :] if prompt.count(_OPEN) > prompt.count(_CLOSE) else ""
    try:
        tail = _fill(tokenizer, chat[:2], prompt=False).rpartition(_ANSWER)[2]
        longer = _fill(tokenizer, chat[:3], prompt=True)
        longest = _fill(tokenizer, [*chat, chat[0]], prompt=True)
    except UsageError as error:
        return Layout("", "", "", (), (), thought, str(error))
    between = _through_end(longer.partition(_ANSWER)[2].partition(_QUESTION)[0], special)
    closing = _through_end(tail, special) or between
    fault = None
    if longer.count(_ANSWER) != 1 or longest.count(_ANSWER) != 2:
        fault = "drops or repeats earlier answers"
    elif not (_begins_alike(asked, longer) and _begins_alike(longer, longest)):
        fault = "rewrites earlier turns"
    if fault:
        fault = f"the chat template {fault}, so no dialogue can go on; change {template_of(tokenizer)} to only append"
    closing_ids, between_ids = (tuple(_encode(tokenizer, text)) for text in (closing, between))
    return Layout(closing, tail, between, closing_ids, between_ids, thought, fault)


def _begins_alike(shorter: str, longer: str) -> bool:
    """Whether a longer dialogue has the same text up to and with the shorter one's last question.

    Behind the question stands the prompt for an answer, which may open a thought that the answer then lacks.
    """
    end = shorter.rindex(_QUESTION) + len(_QUESTION) if _QUESTION in shorter else len(shorter)
    return longer.startswith(shorter[:end])


def _through_end(text: str, special: Collection[str]) -> str:
    """The beginning of a text through its first special token; empty where there is none."""
    ends = [(text.find(token), -len(token)) for token in special if token and token in text]
    if not ends:
        return ""
    at, length = min(ends)
    return text[: at - length]


def template_of(tokenizer: PreTrainedTokenizerBase) -> str:
    """The file that a tokenizer's chat template was read from, or what to call the template where there is none."""
    folder = Path(tokenizer.name_or_path or "")
    found = (folder / name for name in TEMPLATE_FILES if (folder / name).is_file())
    return str(next(found, "its chat_template"))


def check_dialogue(bundle: ModelBundle) -> None:
    """Make sure that a dialogue can go on after the first answer.

    Raises:
        UsageError: the template rewrites or drops what was said before; the message names its file.
    """
    if bundle.layout.fault:
        raise UsageError(bundle.layout.fault)


def render(bundle: ModelBundle, messages: Sequence[Message], draw: Drawing | None = None) -> Context:
    """The context of a dialogue known as text, up to where the next answer begins.

    It is encoded piece by piece, cut where sampling would have cut it.

    Args:
        messages: user and assistant in turn; the first and the last are the user's. An answer may begin with the
            thought that the prompt opens.
        draw: draws the pictures of messages; not needed where none has one.

    Raises:
        UsageError: the template fails, has no way to go on after an answer, or does not show the pictures.
    """
    text = _fill(bundle.tokenizer, _chat(messages[:1], bundle.is_vlm), prompt=True)
    context = _piece(bundle, text, messages[:1], draw)
    for answer, feedback in zip(messages[1::2], messages[2::2], strict=True):
        text = answer.text.removeprefix(bundle.layout.thought)
        context = context.grown(_encode(bundle.tokenizer, text))
        context = context.joined(suffix(bundle, feedback, draw, ended=False))
    return context


def suffix(bundle: ModelBundle, feedback: Message, draw: Drawing | None = None, *, ended: bool) -> Context:
    """The piece of a dialogue from the end of an answer, through the user's feedback, to where the next one begins.

    Args:
        draw: draws the picture of the feedback, if it has one.
        ended: the answer came with its end token. Otherwise it was cut short, and the turn is closed here.

    Raises:
        UsageError: the template has no way to go on after an answer, or does not show the picture.
    """
    check_dialogue(bundle)
    before = [_message(role, text, bundle.is_vlm) for role, text in (("user", _QUESTION), ("assistant", _ANSWER))]
    text = _fill(bundle.tokenizer, [*before, *_chat([feedback], bundle.is_vlm)], prompt=True)
    piece = _piece(bundle, text.partition(_ANSWER)[2], [feedback], draw)
    return piece.tail(len(bundle.layout.between_ids)) if ended else piece


def _piece(bundle: ModelBundle, text: str, messages: Sequence[Message], draw: Drawing | None) -> Context:
    """A piece of a dialogue from its text, with the pictures of its messages."""
    readings = _readings(bundle.reader, messages, draw)
    if bundle.reader is not None:
        text = bundle.reader.expand(text, readings)
    ids = _encode(bundle.tokenizer, text)
    return Context(tuple(ids), bundle.reader.find(ids, readings) if bundle.reader is not None else ())


def _readings(reader: PictureReader | None, messages: Iterable[Message], draw: Drawing | None) -> list[Reading]:
    """The pictures of messages as the model reads them."""
    recipes = [message.picture for message in messages if message.picture is not None]
    if reader is not None and draw is not None:
        return [reader.read(recipe, draw) for recipe in recipes]
    if recipes:
        raise UsageError("the dialogue shows pictures, and the model reads text only; take a vision-language model")
    return []


def encode(
    tokenizer: PreTrainedTokenizerBase,
    dialogues: Iterable[Dialogue],
    *,
    parts: bool = False,
    reader: PictureReader | None = None,
    draw: Drawing | None = None,
) -> list[Example]:
    """Dialogues as training examples, tokenised together.

    Each example is what sampling would have grown, up to the last answer that is trained on: the prompt, an answer
    with what the template writes in front of a last answer (an empty thought, say) and the token that ends it, the
    text up to the next answer, and so on. Loss falls on the answers that are trained on.

    Args:
        parts: the template takes a message as a list of parts, as those of vision models do.
        reader, draw: read and draw the pictures of messages; not needed where none has one.

    Raises:
        UsageError: the template fails, a dialogue has several answers and it cannot go on after the first, or the
            template does not show the pictures.
    """
    around = layout(tokenizer, parts=parts)
    cut = [_pieces(tokenizer, dialogue, around, parts) for dialogue in dialogues]
    read = [[_readings(reader, piece.messages, draw) for piece in pieces] for pieces in cut]
    texts = [
        reader.expand(piece.text, shown) if reader is not None else piece.text
        for pieces, readings in zip(cut, read, strict=True)
        for piece, shown in zip(pieces, readings, strict=True)
    ]
    encoded = iter(_encode(tokenizer, texts))
    examples = []
    for pieces, readings in zip(cut, read, strict=True):
        whole, loss = Context(()), []
        for piece, shown in zip(pieces, readings, strict=True):
            ids = next(encoded)
            whole = whole.joined(Context(tuple(ids), reader.find(ids, shown) if reader is not None else ()))
            loss.append(_loss(tokenizer, piece, len(ids)))
        examples.append(Example(np.array(whole.ids, dtype=np.int64), np.concatenate(loss), whole.pictures))
    return examples


def encode_for(bundle: ModelBundle, dialogues: Iterable[Dialogue], draw: Drawing | None = None) -> list[Example]:
    """:func:`encode` for a loaded model."""
    return encode(bundle.tokenizer, dialogues, parts=bundle.is_vlm, reader=bundle.reader, draw=draw)


class _Piece(NamedTuple):
    """Part of a dialogue's text."""

    text: str
    carries_loss: bool
    """Whether it is an answer that is trained on."""
    untrained: tuple[tuple[int, int], ...] = ()
    """Character spans of such an answer without loss."""
    messages: tuple[Message, ...] = ()
    """Those whose pictures the text shows."""


def _loss(tokenizer: PreTrainedTokenizerBase, piece: _Piece, count: int) -> np.ndarray:
    """Which of the ``count`` tokens of a piece carry loss: those of an answer outside its untrained spans."""
    loss = np.full(count, piece.carries_loss)
    if piece.untrained:
        offsets = tokenizer(piece.text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        first_N = np.array([first for first, _ in offsets])
        for start, end in piece.untrained:
            loss[(first_N >= start) & (first_N < end)] = False
    return loss


def _pieces(tokenizer: PreTrainedTokenizerBase, dialogue: Dialogue, around: Layout, parts: bool) -> list[_Piece]:
    """The text of a dialogue, cut around each answer."""
    chat, last = _chat(dialogue.messages, parts), max(dialogue.trained_turns)
    answers = [turn for turn, message in enumerate(chat[: last + 1]) if message["role"] == "assistant"]
    if around.fault and len(answers) > 1:
        raise UsageError(around.fault)
    pieces: list[_Piece] = []
    before = 0
    for turn in answers:
        asked = _fill(tokenizer, chat[:turn], prompt=True)
        shown = dialogue.messages[before + 1 if pieces else 0 : turn]
        if pieces:
            marked = [*chat[:before], _message("assistant", _ANSWER, parts), *chat[before + 1 : turn]]
            behind = _fill(tokenizer, marked, prompt=True).rpartition(_ANSWER)[2]
            pieces.append(_Piece(behind.removeprefix(around.between), False, messages=shown))
        else:
            pieces.append(_Piece(asked, False, messages=shown))
        text = _answer(tokenizer, chat[: turn + 1], asked, around.tail) + around.closing
        pieces.append(_Piece(text, turn in dialogue.trained_turns, _untrained(dialogue, turn, text)))
        before = turn
    return pieces


def _untrained(dialogue: Dialogue, turn: int, text: str) -> tuple[tuple[int, int], ...]:
    """The parts of an answer without loss, as spans of the text that the template makes of it.

    Raises:
        UsageError: the template changes the answer.
    """
    spans = [(start, end) for at, start, end in dialogue.untrained if at == turn]
    answer = dialogue.messages[turn].text
    first = text.find(answer)
    if spans and first < 0:
        raise UsageError(
            "the chat template changes answers, so parts of them cannot be trained on; use one that keeps them"
        )
    return tuple((first + start, first + end if end < len(answer) else len(text)) for start, end in spans)


def _answer(tokenizer: PreTrainedTokenizerBase, chat: Sequence[Mapping[str, Any]], asked: str, tail: str) -> str:
    """The text of a chat's last answer as the model is to say it: behind the prompt ``asked``, without the ``tail``."""
    answered = _fill(tokenizer, chat, prompt=False).removesuffix(tail)
    same = len(commonprefix([asked, answered]))
    opened, answer = asked[same:], answered[same:]
    if opened.count(_OPEN) > opened.count(_CLOSE) and not answer.lstrip().startswith(_CLOSE):
        # The prompt opens a thought and the answer has none: it is closed at once, as Qwen's templates do.
        answer = f"\n{_CLOSE}\n\n{answer}"
    return answer


def _chat(messages: Sequence[Message], parts: bool) -> list[dict[str, Any]]:
    return [_message(m.role, m.text, parts, pictured=m.picture is not None) for m in messages]


def _message(role: str, text: str, parts: bool, *, pictured: bool = False) -> dict[str, Any]:
    """A message as templates take it, its picture in front of its text."""
    if not parts:
        return {"role": role, "content": text}
    shown = [{"type": "image"}] if pictured else []
    return {"role": role, "content": [*shown, {"type": "text", "text": text}]}


def _fill(tokenizer: PreTrainedTokenizerBase, chat: Sequence[Mapping[str, Any]], *, prompt: bool) -> str:
    """The template's text for a chat.

    A system message goes in front of the first question where the template refuses it.

    Args:
        prompt: up to where the assistant's next answer begins.
    """
    try:
        template = tokenizer.get_chat_template()
        if "strftime_now" in template:
            template = _FIXED_CLOCK + template
        return tokenizer.apply_chat_template(
            list(chat), chat_template=template, tokenize=False, add_generation_prompt=prompt
        )
    except Exception as error:
        # A template is a program that comes with the checkpoint and may fail in any way.
        if len(chat) > 1 and chat[0]["role"] == "system":
            system, question = chat[0]["content"], chat[1]["content"]
            joined = f"{system}\n\n{question}" if isinstance(system, str) else [*system, *question]
            return _fill(tokenizer, [{"role": "user", "content": joined}, *chat[2:]], prompt=prompt)
        raise UsageError(f"the chat template fails: {first_line(error)}; change {template_of(tokenizer)}") from error


def _encode(tokenizer: PreTrainedTokenizerBase, text: Any) -> Any:
    return tokenizer(text, add_special_tokens=False)["input_ids"]
