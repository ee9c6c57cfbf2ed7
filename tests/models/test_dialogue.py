"""Speaking a checkpoint's chat template: what is sent first, and what each further message appends.

Expected texts are rendered by hand from each template.
"""

import json

import pytest
from tokenizers import processors

from labkit.envs import game, start
from labkit.envs import prompt as prompt_of
from labkit.episode import Message
from labkit.models.loader import load, render, suffix
from tests import tiny_models

LLAMA2_STYLE = (
    "{% for message in messages %}{% if message['role'] == 'user' %}"
    "<|im_start|>[ASK] {{ message['content'] | trim }} [/ASK]"
    "{% else %} {{ message['content'] }} <|im_end|>{% endif %}{% endfor %}"
)
PLAIN = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


def text(loaded, ids):
    return loaded.tokenizer.decode(ids)


@pytest.mark.parametrize(
    ("template", "first", "ended", "cut", "stops"),
    [
        (
            tiny_models.CHATML,
            "<|im_start|>user\nAsk<|im_end|>\n<|im_start|>assistant\n",
            "\n<|im_start|>user\nNo.<|im_end|>\n<|im_start|>assistant\n",
            "<|im_end|>\n<|im_start|>user\nNo.<|im_end|>\n<|im_start|>assistant\n",
            ["<|eos|>", "<|im_end|>"],
        ),
        (
            LLAMA2_STYLE,
            "<|im_start|>[ASK] Ask [/ASK]",
            "<|im_start|>[ASK] No. [/ASK]",
            " <|im_end|><|im_start|>[ASK] No. [/ASK]",
            ["<|eos|>", "<|im_end|>"],
        ),
        (
            PLAIN,
            "user: Ask\nassistant: ",
            "\nuser: No.\nassistant: ",
            "\nuser: No.\nassistant: ",
            ["<|eos|>"],
        ),
    ],
)
def test_it_grows_by_what_the_template_puts_between(copy, template, first, ended, cut, stops):
    (copy / "chat_template.jinja").write_text(template)
    loaded = load(copy)
    assert text(loaded, render(loaded, [Message("user", "Ask")])) == first
    assert text(loaded, suffix(loaded, "No.", ended=True)) == ended
    assert text(loaded, suffix(loaded, "No.", ended=False)) == cut
    assert loaded.tokenizer.convert_ids_to_tokens(loaded.stop_ids) == stops


def test_a_known_dialogue_is_what_the_template_makes_of_it(copy):
    loaded = load(copy)
    said = ["Make 24.", "(10-3)*8", "Wrong.", "3*8", "Wrong again."]
    messages = [Message("assistant" if i % 2 else "user", t) for i, t in enumerate(said)]
    plain = [{"role": m.role, "content": m.text} for m in messages]
    whole = loaded.tokenizer.apply_chat_template(plain, tokenize=False, add_generation_prompt=True)
    assert text(loaded, render(loaded, messages)) == whole


def test_no_token_is_added_in_front(copy):
    """Many tokenizers begin whatever they encode with a begin token, and so does the template."""
    words = tiny_models.tokenizer("<|pad|>" + tiny_models.CHATML)
    begin = processors.TemplateProcessing(single="<|pad|> $A", special_tokens=[("<|pad|>", 0)])
    words.backend_tokenizer.post_processor = begin
    words.save_pretrained(copy)
    loaded = load(copy)
    assert loaded.tokenizer("Ask")["input_ids"][0] == 0
    said = [Message("user", "Ask"), Message("assistant", "24"), Message("user", "No.")]
    assert render(loaded, said).count(0) == 1
    assert 0 not in suffix(loaded, "No.", ended=True)


def test_a_thinking_template_may_drop_what_it_added_itself(copy):
    """Some templates put an empty thought before the last answer only; what was sent stays the same."""
    thought = "{% if loop.last and message['role'] == 'assistant' %}<think></think>{% endif %}"
    said = "{{ message['content'] }}"
    thinking = tiny_models.CHATML.replace(said, thought + said)
    (copy / "chat_template.jinja").write_text(thinking)
    loaded = load(copy)
    assert text(loaded, suffix(loaded, "No.", ended=True)).startswith("\n<|im_start|>user\nNo.")


def test_the_models_own_end_tokens_end_an_answer(copy):
    settings = copy / "generation_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"eos_token_id": [1, 7]}))
    assert load(copy).stop_ids == (1, 3, 7)  # <|eos|>, <|im_end|> of the template, and the model's 7


def test_the_prompt_of_a_game_survives(copy):
    loaded = load(copy)
    episode = start(game("gp-l").task(hand=("K", "3", "8", "J")))
    (question,) = prompt_of(episode)
    assert question.text in text(loaded, render(loaded, [question]))
