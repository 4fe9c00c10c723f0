"""Machines of one's own.

- `base.py`: the port: start, run, open, read, write, freeze, snapshot, stop.
- `local.py`: sandboxes on this machine: a wall, and stacked layers behind it.
- `walls.py`: bubblewrap with an agent behind it; some are built ahead.
- `running.py`: a running sandbox: commands, files, its end.
- `process.py`: a command whose streams stay open, and the descriptors that any command is given.
- `clock.py`: time as a sandbox has it, which stands still while it is frozen.
- `agent.py`: the host's end of the line to process 1 inside.
- `streams.py`: pipes and terminals between a command inside and the event loop.
- `layers.py`: layers and writable copies on disk: made, published, dropped, cleaned up.
- `traces.py`: secrets that a script has left in a layer, blanked or told.
- `leases.py`: which layers are in use, by whatever process, since when.
- `docker.py`: sandboxes in containers, through the API of Docker or Podman.
- `images.py`: images: looked up, fetched and unpacked inside sandboxes, kept as layers.
- `roots.py`: trees that sandboxes have as their root: what must be in them, and the one for this host's tools.
- `ownroot.py`: a root that is stacked from such trees, and who may write to it.
- `mapping.py`: which ids of this host stand for those of a setup's machine, where its root is to be one.
- `lent.py`: this host's git and bash, lent to images that hold none.
- `peers.py`: which command inside is at the other end of a connection.
- `etc.py`: the sandbox's /etc: files of its own, and what of the host's programs need.
- `limits.py`: limits of memory, processes and CPU time by cgroups, where they may be had; the rest by rlimits.
- `bounds.py`: the limits of one running sandbox: which were hit.
- `hits.py`: limits that were hit, kept and told.
- `watch.py`: looks after the limits that no kernel holds: the disk's.
- `usage.py`: how much a sandbox holds on the host's disk.
- `calls.py`: the system calls that a sandbox has, by what they are for, and those refused by name.
- `seccomp.py`: the filter made of them.
- `findings.py`: what this machine offers, and the remedy for what is missing.
"""
