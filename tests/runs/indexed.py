"""Episodes of an index's tests."""

import json

from labkit.envs import game, judge, start

HANDS = [["3", "3", "8", "8"], ["K", "Q", "2", "2"], ["A", "6", "Q", "3"]]


def played(hand, *answers, player="p", **settings):
    episode = start(game("gp-l").task(hand=hand, **settings), player)
    for answer in answers:
        episode = judge(episode, answer)
    return episode


def solution(hand, *numbers_and_formula):
    *numbers, formula = numbers_and_formula
    return json.dumps({"cards": hand, "number": numbers, "formula": formula})


RIGHT = solution(HANDS[1], 10, 10, 2, 2, "10+10+2*2=24")
BY_OTHER_RULE = solution(HANDS[1], 13, 12, 2, 2, "(13-(2/2))+12=24")  # of K = 13 and Q = 12
EPISODES = [
    played(HANDS[1], RIGHT),
    played(HANDS[1], "no idea", RIGHT),
    played(HANDS[1], BY_OTHER_RULE, "what", "ever", attempts=3, player="q"),
    played(HANDS[0], "(3-1)*6", "north by Teasel & Co", player="q", attempts=5),
]
