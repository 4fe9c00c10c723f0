"""Doubles for the outermost edges; they ship with the package, so that nothing of ours need be patched.

- `model_server.py`: a scripted model behind real HTTP; `python -m pullwright.testing.model_server SCENARIO`.
- `scenario.py`: what it says at each step, as a small readable file.
- `http_server.py`: a small HTTP server on loopback, for the far sides below.
- `git_server.py`: real bare repositories behind git's own HTTP backend, with faults on demand.
- `lfs_server.py`: the same with Git LFS objects beside them.
- `model_wire.py`: what its wire formats share.
- `model_wire_responses.py`: OpenAI's Responses.
- `model_wire_chat.py`: OpenAI's Chat Completions.
- `model_wire_anthropic.py`: Anthropic's Messages.
- `oidc_provider.py`: an OpenID Connect issuer, with lies on demand.
- `forges/`: the far sides of GitHub, GitLab and Gitea.
- `faults.py`: faults at named points, for the tests that kill and fill.
- `images.py`: OCI images written from nothing.
- `origins.py`: hosts of the internet, on the loopback, for egress.
"""
