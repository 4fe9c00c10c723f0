"""The tools that a model has.

- `base.py`: what a tool is, what it is given and what it gives.
- `toolbox.py`: the tools on offer, and what comes of a call to one of them.
- `commands.py`: `exec_command` and `write_stdin`.
- `sessions.py`: commands that are still running, by sandbox.
- `patching.py`: `apply_patch`.
- `searching.py`: `search`.
- `navigating.py`: `code`.
- `pictures.py`: `view_image`.
- `planning.py`: `plan`.
- `servers.py`: tools of MCP servers.
- `connection.py`: one MCP server in a sandbox.
- `asking.py`: `ask_person`.
- `ending.py`: `finish`.
"""
