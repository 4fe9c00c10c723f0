"""The task and the attempt as durable workflows: section 2 of the design, in its words and order.

A workflow step returns only a status, a number or names; what happened is in the log, and a step that runs again reads
it first. Steps are taken at least once (https://docs.dbos.dev/python/tutorials/step-tutorial).
"""

import traceback
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from dbos import DBOS, SetWorkflowID

from pullwright.domain.errors import DataDirectoryError, DiskFull, MachineError, PullwrightError
from pullwright.domain.task import State
from pullwright.domain.value import task_of
from pullwright.flow.attempt import conclude, open_sandbox, take_the_change, take_turn, verify_the_change, wait
from pullwright.flow.delivery import deliver_change
from pullwright.flow.integration import take_up
from pullwright.flow.landing import look_for_conflicts
from pullwright.flow.shift import Shift, StoppedByPerson
from pullwright.flow.task import compare_attempts, conclude_task, fresh_attempts, prepare_environment
from pullwright.store.database import answering_full

T = TypeVar("T")

POLLING_SECONDS = 0.1

FAULT = "fault of the platform"  # how a reason begins that is none of the task's own

_HALTED = "\0halted"  # what a step gives once it has put its task or attempt into a final state of its own


class _Halted(Exception):
    """Unwinds a workflow whose subject has reached a final state."""


class Workflows:
    """The two workflows over one worker's shift; made anew with each worker, before dbos is launched."""

    def __init__(self, shift: Shift) -> None:
        self._shift = shift
        self.attempt = DBOS.workflow(name="attempt")(self._attempt_workflow())
        self.task = DBOS.workflow(name="task")(self._task_workflow())

    def _task_workflow(self) -> Callable[[str, int], Coroutine[Any, Any, None]]:
        async def carry_out_task(task: str, run: int) -> None:
            """Task -> environment -> attempts -> comparison -> pull request."""
            try:
                await self._task_step(prepare_environment, task)
                await self._carry_out_attempts(task, run)
                if await self._task_step(compare_attempts, task):
                    await self._task_step(look_for_conflicts, task)
                    await self._task_step(deliver_change, task)
                await self._task_step(conclude_task, task)
            except _Halted:
                return
            except Exception as error:  # noqa: BLE001 - no step's own, those become reasons
                await self._shift.give_up(error)

        return carry_out_task

    def _attempt_workflow(self) -> Callable[[str], Coroutine[Any, Any, None]]:
        async def carry_out_attempt(attempt: str) -> None:
            """Attempt -> sandbox -> turns -> change -> verification."""
            try:
                await self._attempt_step(take_up, attempt)
                turn = await self._attempt_step(open_sandbox, attempt)
                while (ended := await self._attempt_step(take_turn, attempt, turn)) in ("continue", "waiting"):
                    if ended == "waiting":
                        await self._attempt_step(wait, attempt)
                    turn += 1
                await self._attempt_step(take_the_change, attempt)
                await self._attempt_step(verify_the_change, attempt)
                await self._attempt_step(conclude, attempt)
            except _Halted:
                return
            except Exception as error:  # noqa: BLE001 - no step's own, those become reasons
                await self._shift.give_up(error)

        return carry_out_attempt

    async def _carry_out_attempts(self, task: str, run: int) -> None:
        """All of them side by side, each a workflow of its own; also those that are added meanwhile."""
        begun: list[str] = []
        # It ends with the attempts, also where a person stops them: they are the ones that have something to let go of.
        while fresh := await self._task_step(fresh_attempts, task, begun, stoppable=False):
            for attempt in fresh:
                with SetWorkflowID(f"{attempt}@{run}"):
                    await DBOS.start_workflow_async(self.attempt, attempt)
            begun = [*begun, *fresh]

    async def _task_step(
        self, step: Callable[..., Awaitable[T]], task: str, *arguments: object, stoppable: bool = True
    ) -> T:
        async def end(state: State, reason: str) -> None:
            await self._shift.move_task(task, state, reason)

        return await self._step(step, task if stoppable else None, task, end, *arguments)

    async def _attempt_step(self, step: Callable[..., Awaitable[T]], attempt: str, *arguments: object) -> T:
        async def end(state: State, reason: str) -> None:
            await self._shift.workspaces.release(attempt)
            await self._shift.move_attempt(attempt, state, reason)

        return await self._step(step, task_of(attempt), attempt, end, *arguments)

    async def _step(
        self,
        step: Callable[..., Awaitable[T]],
        task: str | None,  # whose being stopped ends the step
        subject: str,
        end: Callable[[State, str], Awaitable[None]],
        *arguments: object,
    ) -> T:
        async def guarded() -> T | str:
            try:
                with answering_full(self._shift.platform.settings.home):
                    return await self._shift.unless_stopped(task, _coroutine(step, self._shift, subject, *arguments))
            except StoppedByPerson:
                await end(State.CANCELLED, "cancelled by a person")
            except (DiskFull, DataDirectoryError) as error:
                await self._shift.give_up(error)  # what is left goes on once there is room
            except MachineError as error:
                await end(State.FAILED, f"{FAULT}: {error}")
            except PullwrightError as error:
                await end(State.FAILED, str(error))
            except Exception as error:  # noqa: BLE001 - the edge of the process: whatever it is, the task must say so
                await self._shift.notice(subject, traceback.format_exc())
                await end(State.FAILED, f"{FAULT}: {type(error).__name__}: {error}")
            return _HALTED

        result = await DBOS.run_step_async({"name": step.__name__}, guarded)
        if result == _HALTED:
            raise _Halted
        return result  # type: ignore[return-value]


async def _coroutine(step: Callable[..., Awaitable[T]], *arguments: object) -> T:
    return await step(*arguments)
