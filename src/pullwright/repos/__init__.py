"""Repositories: a bare store for each, what is laid out of it and what is taken in.

- `git.py`: the only caller of git on the host.
- `names.py`: paths inside a repository as text.
- `disk.py`: failed writes in the words of the error tree.
- `address.py`: from what a person wrote to a reference.
- `bare.py`: one bare store of ours: revisions, files, commits.
- `commits.py`: commits of ours: who they are by, and signed if there is a key.
- `conflicts.py`: which of several commits get into each other's way.
- `export.py`: a change as a patch, a series of mails, a bundle.
- `merge.py`: merging, rebasing and reverting without a working tree.
- `mirror.py`: every store, brought up to date from its source.
- `standing.py`: how a store stands with its source.
- `source.py`: where a store is fetched from; broken transfers go on.
- `partial.py`: what a store of a huge repository lacks for a checkout.
- `credentials.py`: tokens for hosts, for git on this machine alone.
- `progress.py`: git's progress in words.
- `worktree.py`: a person's own working tree: taken along, or given a change.
- `checkpoints.py`: a workspace laid out in a sandbox, and taken in after a turn.
- `layout.sh`, `checkout.sh`, `lfs-filter.sh`, `capture.sh`: what does so inside the sandbox.
- `series.py`, `commits.sh`: the commits that an agent made there.
- `submodules.py`: a commit's submodules, checked and fetched.
- `lfs.py`: the files that Git LFS keeps, fetched and handed back.
- `change.py`: what an attempt changed.
"""
