"""What the checks have shown of a change.

- `verify.py`: the checks in clean sandboxes, on the base and on the change; gives the receipt.
- `check.py`: one run of the check command on one side.
- `early.py`: a first verdict, of the tests that a change touches, before the whole check.
- `coverage.py`: which test ran lines of which file, where the check recorded it.
- `results.py`: results per test, from JUnit XML.
- `plain_text.py`: results per test, from what unittest and TAP print.
- `protected.py`: which paths are tests, their configuration, or machinery that could subvert a run.
- `judged.py`: the trees that are run: the change with the base's tests put back, the base with the change's tests.
- `verdict.py`: the rules that turn results into a verdict.
- `compare.py`: attempts side by side, ranked with the reasons.
- `receipt.py`: the receipt and the pull request's text, for a reviewer.
"""
