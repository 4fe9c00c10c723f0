"""The one way through the house, as durable workflows.

- `platform.py`: the ports in one dataclass.
- `desk.py`: where people hand in, stop, retry and ask after tasks.
- `outside.py`: what a machine may reach, and where each decision about it is written down.
- `policies.py`: what a person decides about an environment, and what that learns about itself.
- `steering.py`: where people steer an attempt: answer, pause, resume, rewind, fork.
- `environment.py`: a repository becomes a prepared machine.
- `ground.py`: what an attempt's commits are made on, and in whose name.
- `freshness.py`: how fresh the commit is that a task stands on.
- `contents.py`: what a checkout needs besides the repository's own store.
- `leftovers.py`: what a checkpoint's tree cannot hold.
- `checkouts.py`: checkouts of commits as stacks of layers, each from the nearest one.
- `integration.py`: a turn that git takes by itself: updates, a person's commits, reverts, backports.
- `landing.py`: which open changes conflict, and the order to merge them in.
- `operations.py`: where people ask for those.
- `workspace.py`: machines at a commit: a fresh one, an attempt's own, its checkpoints.
- `shift.py`: what one worker has at hand while it works.
- `attempt.py`: one attempt: sandbox, turns, change, verification.
- `task.py`: one task: environment, attempts, comparison, delivery.
- `codebase.py`: a repository's code index: opened for a person, told what a check recorded.
- `answer.py`: the answer of an `ask` task, its places checked.
- `followup.py`: what continues a task that has ended.
- `forges.py`: how a person makes a forge known.
- `delivery.py`: the chosen change on its way to its forge.
- `workflows.py`: both as durable workflows.
- `tokens.py`: tokens of the API: made, known again.
- `worker.py`: who does the work: one process per data directory.
"""
