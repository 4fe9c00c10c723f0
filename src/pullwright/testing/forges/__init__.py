"""The far sides of forges: stateful servers on loopback, backed by real bare repositories over git's own HTTP backend.

- `side.py`: what all of them are made of: people and their rights, pull requests, what is said, checks, faults.
- `github.py`: the part of GitHub's REST and GraphQL interfaces that is used, at /api/v3 as Enterprise has it.
- `gitlab.py`: the part of GitLab's interface that is used.
- `gitea.py`: the part of Gitea's and Forgejo's interface that is used.
- `hooks.py`: what they send to webhooks, signed.
"""
