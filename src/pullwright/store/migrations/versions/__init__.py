"""One file per step.

- `0001_first.py`: tasks, attempts, events, environments, deliveries, local pull requests.
"""
