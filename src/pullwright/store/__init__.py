"""What is remembered: tasks, attempts, their logs, environments, deliveries, blobs.

- `record.py`: the record, everything that is remembered behind async verbs.
- `queries.py`: what is asked of the database, each question by its name.
- `surface.py`: what the API asks besides: news over all logs, pages, tokens, keys of clients.
- `board.py`: tasks at a glance: rows, counts, repositories.
- `environments.py`: what happened to a repository's environment.
- `figures.py`: what past attempts took: samples, sums by day.
- `incoming.py`: what forges told, until it is settled.
- `people.py`: users, teams, sessions, and what they see.
- `visible.py`: the record as one caller may see it.
- `schema.py`: the tables and how values become columns.
- `database.py`: connections, transactions, and what their failures mean to a person.
- `migrations/`: how the tables came to be what they are; only ever appended to.
- `blobs.py`: large outputs, files named by what they hold.
- `censor.py`: keeps secrets out of what is written down.
- `vault.py`: secrets, encrypted with a key that lies beside the record.
- `log.py`: one attempt's log, as engines see it.
- `lock.py`: which process does the work.
"""
