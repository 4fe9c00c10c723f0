"""Where pull requests live, and how one gets there exactly once.

- `base.py`: the port.
- `local.py`: a branch in the person's own repository, and a record of it.
- `remote.py`: the git side of every forge behind a URL.
- `rest.py`: the REST side: failures in our words, pages as one list.
- `githublike.py`: what GitHub's interface and Gitea's have in common.
- `github.py`, `gitlab.py`, `gitea.py`: the forges that have pull requests.
- `events.py`: what forges tell by themselves, read as what it asks for.
- `plain.py`: a git server with nothing around it.
- `access.py`: which forge a repository is on, and what signs in there.
- `delivery.py`: the outbox: each step towards a pull request is written down before the next.
"""
