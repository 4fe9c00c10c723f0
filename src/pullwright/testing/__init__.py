"""Doubles for the outermost edges; they ship with the package, so that nothing of ours need be patched.

- `model_server.py`: a scripted model behind real HTTP; `python -m pullwright.testing.model_server SCENARIO`.
- `scenario.py`: what it says at each step, as a small readable file.
- `model_wire.py`: the two wire formats that it speaks.
- `http_server.py`: a small HTTP server on loopback, for the far sides below.
- `git_server.py`: real bare repositories behind git's own HTTP backend, with faults on demand.
- `faults.py`: faults at named points, for the tests that kill and fill.
"""
