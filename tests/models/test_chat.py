"""Chat templates: the first prompt, what each further message appends, and training examples.

Expected texts are rendered by hand from each template.
"""

import json

import pytest
from tokenizers import processors

from labkit.envs import game, start
from labkit.envs import prompt as prompt_of
from labkit.episode import Message
from labkit.errors import UsageError
from labkit.models.chat import Dialogue, encode, render, suffix
from labkit.models.loader import load
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
    assert text(loaded, suffix(loaded, Message("user", "No."), ended=True)) == ended
    assert text(loaded, suffix(loaded, Message("user", "No."), ended=False)) == cut
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
    assert 0 not in suffix(loaded, Message("user", "No."), ended=True)


# Templates with thoughts, each as small as it can be. Expected texts are rendered by hand.
QWEN3 = (  # the last answer gets an empty thought, earlier ones lose it
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if loop.last and message['role'] == 'assistant' %}<think>\n\n</think>\n\n{% endif %}"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QWEN35 = QWEN3.replace("<|im_start|>assistant\n{% endif %}", "<|im_start|>assistant\n<think>\n{% endif %}")
R1 = (  # the prompt opens a thought, and no answer has one
    "{% for message in messages %}{% if message['role'] == 'user' %}<|im_start|>{{ message['content'] }}"
    "{% else %}<image>{{ message['content'].split('</think>')[-1] }}<|im_end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<image><think>\n{% endif %}"
)
PHI3 = (  # without a prompt for an answer it adds the end of the text
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% else %}<|eos|>{% endif %}"
)
GLM = (  # an answer ends where the next question begins
    "{% for message in messages %}{% if message['role'] == 'user' %}<|im_start|>\n{{ message['content'] }}"
    "{% else %}<|im_end|>\n<think></think>\n{{ message['content'] }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_end|>{% endif %}"
)
GPT_OSS = (  # the last answer ends with another token than earlier ones, and names a channel
    "{% for message in messages %}<|im_start|>{{ message['role'] }}"
    "{% if message['role'] == 'assistant' %}<image>final{% endif %}:{{ message['content'] }}"
    "{% if loop.last and message['role'] == 'assistant' %}<|eos|>{% else %}<|im_end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant{% endif %}"
)
FORGETFUL = (
    "{% for message in messages[-1:] %}<|im_start|>{{ message['content'] }}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>{% endif %}"
)
COUNTING = "{{ messages|length }} messages. " + tiny_models.CHATML
OPEN, ASK = (
    "<|im_start|>user\nAsk<|im_end|>\n<|im_start|>assistant\n",
    "<|im_start|>user\nNo.<|im_end|>\n<|im_start|>assistant\n",
)


@pytest.mark.parametrize(
    ("template", "prompt", "answer", "between"),
    [
        (QWEN3, OPEN, "<think>\n\n</think>\n\n{}<|im_end|>", "\n" + ASK),
        (QWEN35, OPEN + "<think>\n", "\n</think>\n\n{}<|im_end|>", "\n" + ASK + "<think>\n"),
        (R1, "<|im_start|>Ask<image><think>\n", "\n</think>\n\n{}<|im_end|>", "<|im_start|>No.<image><think>\n"),
        (PHI3, OPEN, "{}<|im_end|>", "\n" + ASK),
        (GLM, "<|im_start|>\nAsk<|im_end|>", "\n<think></think>\n{}<|im_start|>", "\nNo.<|im_end|>"),
        (
            GPT_OSS,
            "<|im_start|>user:Ask<|im_end|><|im_start|>assistant",
            "<image>final:{}<|eos|>",
            "<|im_start|>user:No.<|im_end|><|im_start|>assistant",
        ),
    ],
    ids=["qwen3", "qwen3.5", "r1", "phi3", "glm", "gpt-oss"],
)
def test_templates_with_thoughts_play_and_train_over_several_turns(copy, template, prompt, answer, between):
    (copy / "chat_template.jinja").write_text(template)
    loaded = load(copy)
    assert text(loaded, render(loaded, [Message("user", "Ask")])) == prompt
    assert text(loaded, suffix(loaded, Message("user", "No."), ended=True)) == between
    end = answer.partition("{}")[2]
    assert text(loaded, loaded.layout.end_ids) == end and loaded.layout.end_ids[-1] in loaded.stop_ids
    talk = (Message("user", "Ask"), Message("assistant", "24"), Message("user", "No."), Message("assistant", "3*8"))
    for learnt in ((1,), (1, 3), (3,)):
        (example,) = encode(loaded.tokenizer, [Dialogue(talk, learnt)])
        said = [answer.format(talk[turn].text) for turn in (1, 3)]
        whole = prompt + said[0] + (between + said[1] if 3 in learnt else "")
        assert text(loaded, example.ids) == whole
        masked = [said[turn // 2] for turn in learnt]
        assert text(loaded, example.ids[example.loss]) == "".join(masked)


@pytest.mark.parametrize(
    ("template", "thought"),
    [(QWEN35, "<think>\n"), (R1, "<think>\n"), (QWEN3, ""), (GLM, ""), (tiny_models.CHATML, "")],
    ids=["qwen3.5", "r1", "qwen3", "glm", "chatml"],
)
def test_a_thought_that_the_prompt_opens_is_known_and_not_said_twice(copy, template, thought):
    (copy / "chat_template.jinja").write_text(template)
    loaded = load(copy)
    assert loaded.layout.thought == thought
    talk = [Message("user", "Ask"), Message("assistant", "so </think> 24"), Message("user", "No.")]
    begun = [talk[0], Message("assistant", thought + talk[1].text), talk[2]]
    assert render(loaded, begun).ids == render(loaded, talk).ids


def test_a_template_that_takes_parts_only_is_refused_for_text(copy):
    """Iterated as parts, a text is empty: a model would be trained on empty questions."""
    parts = "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    template = tiny_models.CHATML.replace("{{ message['content'] }}", f"{parts}{{% endfor %}}")
    (copy / "chat_template.jinja").write_text(template)
    with pytest.raises(UsageError, match="leaves out the question; change .*chat_template.jinja to take parts"):
        load(copy)


@pytest.mark.parametrize(
    ("template", "why"), [(FORGETFUL, "drops or repeats earlier answers"), (COUNTING, "rewrites earlier turns")]
)
def test_a_template_without_a_second_turn_still_serves_for_one(copy, template, why):
    (copy / "chat_template.jinja").write_text(template)
    loaded = load(copy)
    single = (Message("user", "Ask"), Message("assistant", "24"))
    assert "Ask" in text(loaded, render(loaded, single[:1]))
    (example,) = encode(loaded.tokenizer, [Dialogue(single, (1,))])
    assert "24" in text(loaded, example.ids[example.loss])
    said = f"{why}.*change .*llama/chat_template.jinja"
    with pytest.raises(UsageError, match=said):
        suffix(loaded, Message("user", "No."), ended=True)
    with pytest.raises(UsageError, match=said):
        encode(loaded.tokenizer, [Dialogue((*single, *single), (3,))])


@pytest.mark.parametrize(
    ("template", "today"),
    [
        ("{{ strftime_now('%d %b %Y') }} " + tiny_models.CHATML, "26 Jul 2024 "),
        ("{% set f = '%Y-%m-%d' %}{{ strftime_now(f) }}: " + tiny_models.CHATML, "2024-07-26: "),
        ("{% macro when() %}{{ strftime_now('%A') }}{% endmacro %}{{ when() }}" + tiny_models.CHATML, "Friday"),
    ],
)
def test_the_date_in_a_prompt_is_fixed(copy, template, today):
    """26 July 2024 was a Friday."""
    (copy / "chat_template.jinja").write_text(template)
    loaded = load(copy)
    asked = text(loaded, render(loaded, [Message("user", "Ask")]))
    assert asked == today + "<|im_start|>user\nAsk<|im_end|>\n<|im_start|>assistant\n"


def test_a_system_message_that_a_template_refuses_goes_in_front_of_the_question(copy):
    refuses = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    (copy / "chat_template.jinja").write_text(refuses + tiny_models.CHATML)
    loaded = load(copy)
    talk = (Message("system", "Be brief."), Message("user", "Ask"), Message("assistant", "24"))
    (example,) = encode(loaded.tokenizer, [Dialogue(talk, (2,))])
    begins = "<|im_start|>user\nBe brief.\n\nAsk<|im_end|>\n<|im_start|>assistant\n"
    assert text(loaded, example.ids) == begins + "24<|im_end|>"
    (example,) = encode(tiny_models.tokenizer(), [Dialogue(talk, (2,))])
    assert text(loaded, example.ids).startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n")


def test_the_models_own_end_tokens_end_an_answer(copy):
    settings = copy / "generation_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"eos_token_id": [1, 7]}))
    assert load(copy).stop_ids == (1, 3, 7)  # <|eos|>, <|im_end|> of the template, and the model's 7


def test_the_prompt_of_a_game_survives(copy):
    loaded = load(copy)
    episode = start(game("gp-l").task(hand=("K", "3", "8", "J")))
    (question,) = prompt_of(episode)
    assert question.text in text(loaded, render(loaded, [question]))
