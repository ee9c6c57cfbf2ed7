"""The story tab: the finding in four steps."""
