"""Finding one's way in a repository.

- `detect.py`: how a repository becomes a working machine, read off its files; options and the repository file win.
- `python.py`: what Python projects say about their installation and tests.
- `node.py`: what Node projects say about theirs.
- `requirements.py`: requirement names, and the parts of tox and setup.cfg files that matter here.
- `repository_file.py`: `.pullwright.toml`.
- `setup_script.py`: running a setup script so that a failure names its line.
- `index/`: an index of definitions, uses and imports, and what can be asked of it.
- `tree.py`: a repository's files at one commit, as detection reads them.
"""
