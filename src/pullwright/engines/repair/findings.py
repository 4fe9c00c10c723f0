"""What the worker in the sandbox tells, checked and bounded. It is data from a hostile source: hints, never proof."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError


def _inside(path: str) -> str:
    """A relative path of a Python file that stays below the workspace."""
    parts = path.split("/")
    if not path.endswith(".py") or not path.isprintable() or {"", "..", ".git"} & set(parts):
        raise ValueError("not a Python file of the workspace")
    return path


Text = Annotated[str, Field(max_length=2000)]
Path = Annotated[str, Field(max_length=1000), AfterValidator(_inside)]
Count = Annotated[int, Field(ge=0, le=10**9)]
Seconds = Annotated[float, Field(ge=0, le=10**6, allow_inf_nan=False)]


class Finding(BaseModel):
    """A line of the worker; fields that it adds later are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class FailingTest(Finding):
    """A test that failed before anything was changed."""

    id: Text
    message: Text
    seconds: Seconds
    slow: bool


class Suspect(Finding):
    """A function that the failing tests run."""

    path: Path
    name: Text
    first: Count
    score: float
    module: Text
    failing: Annotated[list[Count], Field(max_length=400)]
    passing: Annotated[list[Count], Field(max_length=400)]
    lines: Annotated[list[tuple[Count, float]], Field(max_length=20_000)]
    types: dict[Text, Annotated[list[Text], Field(max_length=8)]]


class Survey(Finding):
    """Which tests fail, and where to look."""

    tests: Count
    ran: Count
    failed: Count
    failing: Annotated[list[FailingTest], Field(max_length=400)]
    passing: Annotated[list[tuple[Text, Seconds]], Field(max_length=400)]
    errors: Annotated[list[Text], Field(max_length=40)]
    units: Annotated[list[Suspect], Field(max_length=40)]


class Piece(Finding):
    """Bytes of a file replaced; offsets count bytes."""

    start: Count
    end: Count
    old: Annotated[str, Field(max_length=100_000)]
    new: Annotated[str, Field(max_length=100_000)]


class FoundChange(Finding):
    """One small edit of one function."""

    path: Path
    function: Text
    line: Count
    rule: Text
    edits: Annotated[list[Piece], Field(min_length=1, max_length=200)]


class Hit(Finding):
    """A candidate under which failing tests pass, as far as the fork server saw."""

    index: Count
    full: bool
    fixed: Annotated[list[Text], Field(max_length=400)]
    change: FoundChange
    others: Annotated[list[FoundChange], Field(max_length=8)] = []
    others_count: Count = 0


class Searched(Finding):
    """How a search ended."""

    tried: Count
    total: Count
    functions: Count
    counts: dict[Text, Count]


class Progress(Finding):
    """How far a job is."""

    kind: Literal["progress"]
    done: Count
    total: Count
    left: Seconds
    number: Count = 0


class Outcomes(Finding):
    """Each test of an ordinary run."""

    exit: int
    outcomes: dict[Text, Literal["passed", "failed", "skipped"]]


_KINDS: dict[str, type[Finding]] = {"survey": Survey, "hit": Hit, "searched": Searched, "progress": Progress}
_ANY: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


def parse(line: bytes) -> Finding | tuple[str, str] | None:
    """A line as a finding, or as (kind, text) for what carries words alone; None for what is neither."""
    try:
        data = _ANY.validate_json(line)
        kind = data.get("kind")
        if isinstance(kind, str) and kind in _KINDS:
            return _KINDS[kind].model_validate(data)
    except ValidationError:
        return None
    words = data.get("text", data.get("problem", data.get("exit", "")))
    return (kind, str(words)[:2000]) if isinstance(kind, str) and len(kind) < 40 else None
