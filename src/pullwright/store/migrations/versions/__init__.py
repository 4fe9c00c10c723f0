"""One file per step.

- `0001_first.py`: tasks, attempts, events, environments, deliveries, local pull requests.
- `0002_attempt_base.py`: the commit that an attempt stands on, and when it was fetched.
- `0003_task_citations.py`: the places that an answer names.
- `0004_policies.py`: what people have decided about repositories' environments.
- `0005_forges.py`: forges, comments of the local one, and what a delivery carries besides.
- `0006_secrets.py`: secrets, sealed.
- `0007_surface.py`: every event's place over all logs; tokens; keys of clients.
- `0008_webhook.py`: what is still to be told to the person's webhook.
- `0009_board.py`: what tasks and attempts are listed, counted and added up by.
- `0010_people.py`: users, teams, sessions, and the repositories that decide what they see.
- `0011_sign_in.py`: sign-ins that were begun at an issuer.
- `0012_limits.py`: the limits that an attempt's machines ran into.
- `0013_told.py`: what tells about environments is found without reading all events.
- `0014_incoming.py`: what forges tell by themselves.
- `0015_session_hint.py`: by what an issuer knows its own session.
"""
