"""The agent loop over any model: load the log, ask, act, append.

- `engine.py`: one turn: ask the model, run its tool calls, or take up a turn that was interrupted.
- `acting.py`: the calls of one answer are run.
- `asking.py`: questions to the model, each written down around it and paid for from the budget.
- `conversation.py`: the log as the model is to see it.
- `compaction.py`: a summary in place of the earlier part, near the model's limit.
- `repetition.py`: telling when a model goes round in circles.
- `budget.py`: what a call may still cost.
- `prompt.py`: what the model is told first.
- `instructions.py`: the repository's own instructions and skills.
- `fence.py`: setting data apart.
- `tools/`: the tools that a model has, and what comes of its calls.
- `edit.py`: `apply_patch` on the files of a sandbox, all or nothing.
- `patch.py`: the patch format, pure.
- `hunks.py`: hunks put in their places, pure.
- `seek.py`: finding a hunk's lines in a file.
"""
