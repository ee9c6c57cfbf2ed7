"""GeneralPoints: four cards, a target, and a rule for what face cards count as.

Public here: the exact solver (:mod:`solver`), the verifier (:mod:`verifier`), suites and splits (:mod:`cards`),
pictures (:mod:`render`) and the game itself (:mod:`game`). Source: "SFT Memorizes, RL Generalizes" (arXiv
2501.17161), section 4.1.
"""
