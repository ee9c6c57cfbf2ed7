"""The What-if tab: fork an episode at a turn, and compare the branches."""
