"""Where pull requests live, and how one gets there exactly once.

- `base.py`: the port.
- `local.py`: a branch in the person's own repository, and a record of it.
- `delivery.py`: the outbox: each step towards a pull request is written down before the next.
"""
