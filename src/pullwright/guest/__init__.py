"""What runs inside sandboxes; imports nothing of ours.

- `machine.c`: the launcher of a sandbox and the agent that is process 1 inside it; built into `bin/machine`.
- `attacks.py`: attacks on the machine it runs on, tried without the wall and behind it.
- `repair/`: the worker of the repair engine.
"""
