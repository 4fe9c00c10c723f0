"""The embedded engine: search-based repair of Python functions under failing tests. No model, no key, no network.

- `engine.py`: the turns: survey, search, confirm.
- `ledger.py`: what the attempt's log says of the turns so far.
- `findings.py`: what the worker in the sandbox tells, checked and bounded.
- `probe.py`: the worker brought into the sandbox and given its jobs.
- `command.py`: the check command read as a call of pytest.
- `confirm.py`: an edit tried in an ordinary run of the check command.
- `minimise.py`: edits that turn out not to be needed, taken back.
- `words.py`: what is told to people: refusals, reasons, the summary for the reviewer.
"""
