"""A class votes on phones: every vote counts once, and a phone can do nothing else."""

import asyncio
import contextlib
import re

import httpx
import pytest
from starlette.applications import Starlette

from app import main
from app.classroom import phones
from app.classroom.poll import LIMIT, Poll, VoteRefused
from app.classroom.questions import Question, questions
from app.classroom.tab import Classroom, ClassTab
from app.shared.catalogue import Catalogue
from labkit.errors import UsageError
from labkit.players.registry import PlayerInfo
from labkit.players.simple import Expert

ASKED = Question("first", "<p>given</p>", "Who <fails>?", ("none", "<b>SFT</b>", "all"), 1, "<p>so it was</p>")
LATER = Question("second", "<p>given</p>", "More?", ("yes", "no", "as many"), 0, "<p>more</p>")


@pytest.fixture
def poll() -> Poll:
    return Poll([ASKED, LATER])


def opened(poll: Poll) -> int:
    """Open the question; the version that phones then see."""
    poll.advance(poll.standing().version)
    assert poll.standing().phase == "open"
    return poll.standing().version


@contextlib.asynccontextmanager
async def phone(poll: Poll):
    """A phone that has opened the page, with a cookie jar of its own."""
    transport = httpx.ASGITransport(app=Starlette(routes=phones.routes(poll)))
    async with httpx.AsyncClient(transport=transport, base_url="http://room") as client:
        await client.get("/class")
        yield client


def test_forty_phones_count_once_each(poll):
    version = opened(poll)

    async def votes(number: int) -> dict:
        async with phone(poll) as client:
            # A first thought, then the vote that counts: 0, 1, 2, 0, 1, 2 …
            for choice in ((number + 1) % 3, number % 3):
                assert (await client.post("/class/vote", json={"version": version, "choice": choice})).is_success
            return (await client.get(f"/class/look?seen={version}")).json()

    async def everybody() -> list[dict]:
        return await asyncio.gather(*(votes(number) for number in range(40)))

    seen = asyncio.run(everybody())
    # 40 = 14 + 13 + 13.
    assert poll.standing().tally == (14, 13, 13)
    assert seen == [{"version": version, "mine": number % 3} for number in range(40)]


def test_a_phone_sees_the_answer_only_once_it_is_revealed(poll):
    async def lesson() -> None:
        async with phone(poll) as client:

            async def look() -> str:
                return (await client.get("/class/look")).json()["html"]

            assert "Who" not in await look()
            version = opened(poll)
            asking = await look()
            assert "Who &lt;fails&gt;?" in asking and "&lt;b&gt;SFT&lt;/b&gt;" in asking and "<b>SFT</b>" not in asking
            assert "so it was" not in asking and "app-bars" not in asking
            await client.post("/class/vote", json={"version": version, "choice": 1})
            poll.advance(version)
            told = await look()
            assert "so it was" in told and "That is right" in told
            assert re.findall(r"<b>(\d+)</b>", told) == ["0", "1", "0"]
            late = await client.post("/class/vote", json={"version": version, "choice": 0})
            assert late.status_code == 409 and poll.standing().tally == (0, 1, 0)

    asyncio.run(lesson())


CHOICES = (b"true", b"1.0", b'"1"', b"null", b"3", b"-1", b"9" * 99)


@pytest.mark.parametrize(
    "body",
    [b"", b"[1, 2]", b"\xff", b'"x"', b"null", b"[" * 190, b'{"version": 1}']
    + [b'{"version": VERSION, "choice": %s}' % choice for choice in CHOICES],
)
def test_only_a_choice_is_counted(poll, body):
    version = opened(poll)

    async def posted() -> int:
        async with phone(poll) as client:
            sent = body.replace(b"VERSION", str(version).encode())
            return (await client.post("/class/vote", content=sent)).status_code

    assert asyncio.run(posted()) in (400, 409)
    assert poll.standing().votes == 0


def test_a_vote_is_short_and_needs_the_cookie_of_the_page(poll):
    version = opened(poll)

    async def posted() -> list[int]:
        async with phone(poll) as client:
            vote = {"version": version, "choice": 0}
            codes = [(await client.post("/class/vote", content=b" " * 201)).status_code]
            for cookie in (None, "x" * 32, "a" * 33, "A" * 32):
                client.cookies.clear()
                if cookie:
                    client.cookies.set(phones.COOKIE, cookie)
                codes.append((await client.post("/class/vote", json=vote)).status_code)
            return codes

    assert asyncio.run(posted()) == [413, 403, 403, 403, 403]
    assert poll.standing().votes == 0


def test_votes_are_bounded_and_belong_to_one_question(poll):
    version = opened(poll)
    for number in range(LIMIT):
        poll.vote(f"{number:032x}", version, 0)
    with pytest.raises(VoteRefused, match="full"):
        poll.vote("f" * 32, version, 0)
    poll.vote(f"{0:032x}", version, 2)
    assert poll.standing().tally == (LIMIT - 1, 0, 1)
    poll.choose(1)
    with pytest.raises(VoteRefused, match="closed"):
        poll.vote("f" * 32, version, 0)
    assert poll.standing().tally == (0, 0, 0) and poll.seen_by(f"{0:032x}")[1] is None


def test_a_double_click_opens_without_revealing(poll):
    shown = poll.standing()
    for _ in range(2):
        poll.advance(shown.version)
    assert poll.standing().phase == "open"
    for phase in ("revealed", "closed"):
        poll.advance(poll.standing().version)
        assert poll.standing().phase == phase
    assert poll.standing().number == 1


def test_what_was_recorded_is_a_choice_also_where_it_is_unusual(monkeypatch):
    monkeypatch.setattr("app.classroom.questions.FAILING", ((), ("RL",)))
    asked = [question for question in questions() if "fail" in question.asked]
    assert [question.choices for question in asked] == [
        ("None of them", "RL", "Init and SFT"), ("None of them", "RL", "SFT")
    ]  # fmt: skip
    assert [question.right for question in asked] == [2, 2]


def test_the_questions_of_the_story_have_their_recorded_answers():
    asked = questions()
    # As tests/browser/test_story.py reads them off the page: on the route Init and SFT fail, on the hand SFT alone.
    right = [question.choices[question.right] for question in asked if "fail" in question.asked]
    assert right == ["Init and SFT", "SFT"]
    assert len(asked) == 6 and all(3 <= len(question.choices) <= 4 for question in asked)


def test_phones_need_no_password_and_reach_nothing_else():
    info = PlayerInfo(spec="expert", kind="expert", summary="the solver", path=None, card=None)
    classroom = Classroom(Poll([ASKED]), ["http://192.0.2.7:7860"], True)
    page = main.build(Catalogue([info], lambda spec, temperature: Expert()), [], classroom=classroom)
    _, url, _ = page.launch(prevent_thread_lock=True, auth=("me", "secret"), **main.launch_options(classroom=classroom))
    try:
        assert httpx.get(f"{url}config").status_code == 401
        answer = httpx.get(f"{url}class")
        assert answer.status_code == 200 and "script-src 'self'" in answer.headers["content-security-policy"]
        for name in ("phone.js", "phone.css", "look"):
            assert httpx.get(f"{url}class/{name}").status_code == 200
        assert httpx.get(f"{url}class/look", headers={"Host": "evil.example"}).status_code == 421
        public = {e["api_name"] for e in page.config["dependencies"] if e["api_visibility"] != "private"}
        assert public == {"verify", "new_task", "list_players"}
    finally:
        page.close()


def test_without_the_option_there_is_no_class():
    info = PlayerInfo(spec="expert", kind="expert", summary="the solver", path=None, card=None)
    page = main.build(Catalogue([info], lambda spec, temperature: Expert()), [])
    assert main.launch_options()["app_kwargs"]["routes"] == []
    assert ClassTab.TAB not in [c["props"].get("id") for c in page.config["components"]]


def test_a_missing_recording_is_named(record):
    with pytest.raises(UsageError, match="recorded episode of tiny:virl-l/init"):
        questions()
