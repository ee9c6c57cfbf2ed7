"""A blind duel: two players without names on the same deal; which was trained with RL?"""
