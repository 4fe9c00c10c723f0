"""The repair worker: runs inside a sandbox with the repository's own Python (3.8 and up) and pytest, nothing else.

- `worker.py`: the command: reads a job, does it, tells what it found in lines of JSON.
- `ruff.toml`: lint rules for Python 3.8.
- `channel.py`: the lines of JSON, on a descriptor that tests cannot print on.
- `source.py`: source text, the functions in it, which files may be edited.
- `shape.py`: what one function consists of: its names, expressions, statements, blocks.
- `edits.py`: a candidate edit, and every candidate for one function.
- `expressions.py`: small edits of expressions.
- `replacements.py`: an expression replaced by, or combined with, another one of the function.
- `statements.py`: edits of statements: dropped, added, moved, guarded.
- `swap.py`: a candidate compiled and put in place on the live functions.
- `session.py`: pytest started once, with its collected tests handed to us.
- `items.py`: one test run in this process, and what it showed.
- `survey.py`: which tests fail, which lines they run, which lines are suspicious.
- `children.py`: forked children with limits of time and memory.
- `search.py`: candidates validated, best first, many to a forked child.
- `report.py`: a pytest plugin that writes down each outcome of an ordinary run.
- `tidy.py`: edits put into files, and what tests left in the workspace removed.
"""
