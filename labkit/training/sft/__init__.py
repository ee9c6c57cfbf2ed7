"""Stages ``pretrain`` and ``sft``: learning from given tokens."""
