"""What thinks: one small protocol, several engines.

- `base.py`: the port.
- `native/`: our own agent loop over any model.
- `repair/`: search-based repair of Python under failing tests, embedded.
"""
