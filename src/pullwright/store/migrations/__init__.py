"""How the tables came to be what they are; only ever appended to.

- `env.py`: how Alembic runs them, on a connection that it is given.
- `versions/`: one file per step.
"""
