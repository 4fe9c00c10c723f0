"""An index of files, definitions, uses and imports, kept by blob, and what can be asked of it.

- `indexes.py`: the indexes of all repositories, brought up to date with a commit when asked for.
- `codebase.py`: the questions: find, references, outline, importers, map, tests.
- `uses.py`: which uses of a name mean a given definition of it.
- `snapshot.py`: the indexed files of one tree, and who leads to whom among them.
- `ranked.py`: a map of a repository that fits a budget.
- `touched.py`: which tests a change touches.
- `resolve.py`: from what an import names to files of the repository.
- `shelf.py`: what has been read, by blob, in one SQLite file per repository.
- `parsers.py`: the processes that read files.
- `extract.py`: from a file's bytes to what is kept of it.
- `statements.py`: import statements, language by language.
- `languages.py`: which languages are indexed, and what in their syntax is a definition.
"""
