"""The command line: one module per command group, imported when it is called.

- `main.py`: the commands by name, and what an error or an interrupt ends with.
- `run.py`: `run`.
- `task.py`: `task list|show|watch|diff|log|apply|message|cancel|retry`.
- `steering.py`: `task answer|pause|resume|rewind|fork|undo-compaction`.
- `operations.py`: `task export|update|revert|backport|conflicts`.
- `limits.py`: `env limits`.
- `internet.py`: `env internet|allow|deny|learn`.
- `feedback.py`: `task deliver|sync`.
- `forge.py`: `forge add|list|test|remove|webhook`.
- `credential.py`: `env credential add|list|remove`.
- `secret.py`: `env secret set|list|remove`.
- `env.py`: `env list|show|prepare|shell|log`.
- `code.py`: `code map|find|refs|tests`.
- `model.py`: `model add|list|test|remove`.
- `serve.py`: `serve`.
- `token.py`: `token create|list|revoke`.
- `people.py`: `user add|list|role|remove|sign-in`, `team add|list|change|remove`.
- `doctor.py`: `doctor`.
- `worker.py`: the worker that `--no-wait` leaves behind.
- `house.py`: opens the record or the whole platform for one command.
- `follow.py`: sees a task through to its end while a person watches.
- `story.py`: what happens to a task, told in lines.
- `summary.py`: what a task came to, and the exit status of it.
- `screen.py`: where lines and live progress go: a terminal or a pipe.
- `transcript.py`: an attempt's log, readable.
- `words.py`: numbers, times and foreign text made fit to be read.
- `console.py`: a sandbox's process on this terminal.
"""
