"""V-IRL navigation: streets to walk by an instruction, seen in words or in pictures.

Source: "SFT Memorizes, RL Generalizes" (arXiv 2501.17161), section 4.2 and appendix B.
"""
