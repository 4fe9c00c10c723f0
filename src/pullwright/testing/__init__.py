"""Doubles for the outermost edges; they ship with the package, so that nothing of ours need be patched.

- `model_server.py`: a scripted model behind real HTTP; `python -m pullwright.testing.model_server SCENARIO`.
- `scenario.py`: what it says at each step, as a small readable file.
- `model_wire.py`: the two wire formats that it speaks.
- `faults.py`: faults at named points, for the tests that kill and fill.
"""
