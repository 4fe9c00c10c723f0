"""What thinks: one small protocol, several engines.

- `base.py`: the port.
- `git.py`: the engine of what git does by itself.
- `native/`: our own agent loop over any model.
- `repair/`: search-based repair of Python under failing tests, embedded.
"""
