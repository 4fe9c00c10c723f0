"""Values and rules, pure: no input, no output, nothing read at import.

- `value.py`: the frozen base of every value, and identifiers.
- `errors.py`: the one error tree.
- `limits.py`: what an attempt may use: time, turns, tokens, money, machine.
- `network.py`: what a phase of the work may reach, and the decision about one request.
- `secret.py`: secrets of an environment, and finding them where they must not be.
- `policy.py`: what a person has decided about a repository's environment.
- `presets.py`: lists of hosts that an environment may allow by one name.
- `environment.py`: how a repository becomes a working machine.
- `service.py`: services that tests need, and what is known of them by name.
- `image.py`: what the root of a machine is made of, where it is not this host's own tools.
- `receipt.py`: test results, verdicts, the receipt of a verification.
- `change.py`: what an attempt changed.
- `commits.py`: how a change is written down in git: who, as how many commits, on which branch.
- `transcript.py`: the typed events of the log.
- `citation.py`: places in a repository that an answer names.
- `task.py`: tasks, attempts and the moves between their states.
- `need.py`: what a task needs a person for.
- `access.py`: tokens of the API and what they allow.
- `delivery.py`: a pull request on its way to a forge.
- `forge.py`: which forges are known, and how each is reached.
- `feedback.py`: what people and checks say about a pull request.
- `landing.py`: in which order open changes are best merged.
- `incoming.py`: what forges tell by themselves, and what it asks for.
- `webhook.py`: what is still to be told to the person's webhook.
- `contract.py`: tasks as other programs read them.
- `course.py`: which events of an attempt's log count, and where it stands by them.
- `projection.py`: the fold of a log into the task or attempt that it describes.
"""
