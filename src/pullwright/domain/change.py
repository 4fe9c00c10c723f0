"""What an attempt changed."""

from pydantic import Field

from pullwright.domain.value import Value


class FileChange(Value):
    """One path of a change."""

    path: str
    status: str = Field(description="Git's letter: A, M, D, T (renames are a D and an A).")
    insertions: int | None = Field(description="Lines; None for a binary file.")
    deletions: int | None


class Change(Value):
    """The difference from the base commit to the attempt's last tree, as git tells it."""

    base: str = Field(description="Commit id the attempt started from.")
    head: str = Field(description="Commit id of the attempt's result, its tree being the last checkpoint's.")
    tree: str = Field(description="Tree id of `head`; equal trees are identical changes.")
    files: tuple[FileChange, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing changed."""
        return not self.files

    @property
    def insertions(self) -> int:
        """Lines added, binary files aside."""
        return sum(file.insertions or 0 for file in self.files)

    @property
    def deletions(self) -> int:
        """Lines removed, binary files aside."""
        return sum(file.deletions or 0 for file in self.files)
