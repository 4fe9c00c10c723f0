"""What an attempt may use: time, turns, tokens, money, machine."""

from pydantic import Field

from pullwright.domain.value import Value


class AttemptLimits(Value):
    """The budget of one attempt. Reaching one ends the attempt with that reason; its work is kept."""

    minutes: float = Field(60.0, gt=0, description="Wall time of one attempt, in minutes.")
    turns: int = Field(200, gt=0, description="Model turns.")
    tokens: int = Field(20_000_000, gt=0, description="Input and output tokens together.")
    context: int | None = Field(
        None, gt=0, description="Tokens of conversation above which it is summed up; None: by what the model takes."
    )
    cost: float | None = Field(None, gt=0, description="US dollars; None: no cap.")
    search: float = Field(80.0, gt=0, description="Seconds that the repair engine searches, all its searches together.")


class SandboxLimits(Value):
    """What one sandbox may use of the machine."""

    memory: int = Field(4 * 1024**3, gt=0, description="Bytes of memory.")
    processes: int = Field(512, gt=0, description="Processes and threads.")
    file_size: int = Field(4 * 1024**3, gt=0, description="Bytes of the largest single file.")
    open_files: int = Field(4096, gt=0, description="Open descriptors of one process.")
    core_size: int = Field(0, ge=0, description="Bytes of a core dump.")
