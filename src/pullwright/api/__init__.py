"""The platform over HTTP: `/api/v1`, described by its own OpenAPI document.

- `app.py`: the application: routes, errors, what surrounds every request.
- `access.py`: who asks, and the one place that says which route takes what.
- `problems.py`: errors as RFC 9457 problem details.
- `orders.py`: what clients send.
- `answers.py`: how answers are sent: as plain text, not at all where the client has them.
- `repositories.py`: repositories, branches, engines, models, and what a task is going to take.
- `board.py`: tasks at a glance, and how many there are of each kind.
- `tasks.py`: tasks: hand in, list, look, steer, patches.
- `steering.py`: attempts steered: answered, held, taken back, sent another way.
- `followups.py`: what continues a task that has ended: comments, a choice, its delivery, what git can do.
- `review.py`: what attempts did: turns, changed files, contents, proofs, attempts side by side.
- `attempts.py`: attempts: logs, long outputs by byte range.
- `streams.py`: what happens, as server-sent events.
- `feed.py`: one look at the record for everybody who listens.
- `tools.py`: tasks as tools for other agents (MCP), under `/mcp`.
- `webhooks.py`: where forges send what they tell.
- `sign_in.py`: signing in at an OpenID Connect issuer.
- `people.py`: users and teams.
- `ports.py`: ports of an attempt's machine: listed, opened, closed.
- `openings.py`: the addresses at which opened ports are asked for.
- `environments.py`: what was detected, how setup went, what may be reached, secrets, layers.
- `usage.py`: what tasks took and came to, over time.
- `admin.py`: models, forges, workers, the queue, the limits in force.
- `house.py`: the platform itself: health, doctor, tokens, signing in.
- `codes.py`: codes that a browser signs in with, once.
- `console.py`: the console's built pages.
"""
