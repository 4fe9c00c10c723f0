"""Sees a task through to its end while a person watches."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from pullwright.cli.desk import LOOK_SECONDS, ServerDesk
from pullwright.cli.screen import Screen, answer, answer_json
from pullwright.cli.story import Line, Story
from pullwright.cli.summary import exit_status, summary
from pullwright.cli.words import first_line
from pullwright.cli.worker import leave_worker
from pullwright.domain.contract import TaskView
from pullwright.domain.errors import MachineError, UsageError
from pullwright.domain.task import Task
from pullwright.domain.transcript import Noticed, Recorded
from pullwright.flow import desk
from pullwright.flow.platform import Platform

LEFT, CANCELLED = 143, 130


class Left(Exception):
    """The command was asked to go while its task is unfinished."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


@dataclass
class Interrupts:
    """What Ctrl-C and a request to end mean while a task is followed.

    The first Ctrl-C cancels the task, or with `cancels=False` only ends the watching; the second ends the process.
    """

    platform: Platform
    task: str
    screen: Screen
    cancels: bool
    left: int | None = None
    _presses: int = 0
    _jobs: set[asyncio.Task[None]] = field(default_factory=set)

    @asynccontextmanager
    async def heard(self) -> AsyncIterator[None]:
        """While this lasts the signals come here."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._pressed)
        ends = [signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # under nohup it stays ignored
            ends.append(signal.SIGHUP)
        for number in ends:
            loop.add_signal_handler(number, self._leave, LEFT)
        try:
            yield
        finally:
            for number in (signal.SIGINT, *ends):
                loop.remove_signal_handler(number)

    def _pressed(self) -> None:
        self._presses += 1
        if self._presses > 1:
            self.screen.stop()
            sys.stderr.write(f"\nleft; task {self.task} goes on with `pullwright task watch {self.task}`\n")
            sys.stderr.flush()
            os._exit(CANCELLED)
        if not self.cancels:
            self._leave(CANCELLED)
            return
        self.screen.show([Line("cancelling; press Ctrl-C again to leave at once", "warning")])
        job = asyncio.get_running_loop().create_task(self._cancel())
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)

    def _leave(self, status: int) -> None:
        self.left = status

    async def _cancel(self) -> None:
        try:
            await desk.cancel(self.platform, self.task)
        except UsageError:
            return  # it ended by itself in that moment


async def see_through(platform: Platform, task: Task, screen: Screen, *, cancels: bool, news: bool = False) -> Task:
    """Tell a task's story, doing its work where nobody else does, until it has ended.

    The story begins at the beginning, or with `news` at what happens from now on. Raises `Left` where it is left
    unfinished.
    """
    story = Story(task, alone=len(task.request.attempts) == 1)
    screen.follow(story)
    seen: dict[str, int] = {}
    if news:
        for recorded in await platform.record.task_events(task.id):
            story.tell(recorded)
            seen[recorded.log] = recorded.number
    if task.state.final:
        for recorded in await platform.record.task_events(task.id, seen):
            screen.told(story.tell(recorded), recorded.log)
        return task
    interrupts = Interrupts(platform, task.id, screen, cancels)
    async with interrupts.heard(), _worker(platform, screen) as working:
        with screen.moving():
            async with aclosing(platform.record.follow(task.id, seen)) as batches:
                async for batch in batches:
                    for recorded in batch:
                        screen.told(story.tell(recorded), recorded.log)
                    screen.remind()
                    if interrupts.left is not None:
                        raise Left(interrupts.left)
                    if working.done():
                        working.result()  # its error is the command's
                    if not batch and (await platform.record.task(task.id)).state.final:
                        break
    return await platform.record.task(task.id)


@asynccontextmanager
async def _worker(platform: Platform, screen: Screen) -> AsyncIterator[asyncio.Task[None]]:
    """A worker beside the watching: it works where it gets the lock, and stops with the watching."""
    from pullwright.flow.worker import work

    enough = asyncio.Event()

    async def until() -> bool:
        return enough.is_set()

    job = asyncio.create_task(work(replace(platform, reveal=screen.reveal), until=until))
    try:
        yield job
    except BaseException:
        enough.set()
        await asyncio.gather(job, return_exceptions=True)  # the first error is the one to tell
        raise
    enough.set()
    await job


async def see_task(
    platform: Platform,
    task: Task,
    *,
    json: bool,
    background: bool = False,
    cancels: bool = False,
    news: bool = False,
    quiet: bool = False,
) -> int:
    """Name a task, then follow it to its end, or leave it to a worker in the background; `quiet`: without naming it."""
    screen = Screen()
    if not quiet:
        screen.show([Line(f"task {task.id}  {first_line(task.request.prompt)}", "head")])
    if background:
        screen.show(_noticed(task, await platform.record.events(task.id)))
        return hand_over(platform.settings.home, task, json=json)
    return await see_to_the_end(platform, task, screen, cancels=cancels, json=json, news=news)


def _noticed(task: Task, events: Sequence[Recorded]) -> list[Line]:
    """What whoever does not stay should know all the same."""
    story = Story(task)
    return [line for one in events if isinstance(one.event, Noticed) for line in story.tell(one)]


async def see_from_afar(
    desk: ServerDesk, task: Task, *, json: bool, background: bool, cancels: bool, news: bool, quiet: bool
) -> int:
    """As `see_task`, of a task that a server works on. Ctrl-C ends the watching, or with `cancels` the task first."""
    screen = Screen()
    if not quiet:
        screen.show([Line(f"task {task.id}  {first_line(task.request.prompt)}", "head")])
    if background:
        screen.show(_noticed(task, await desk.later(task, {})))
        return _left_with(task, json=json)
    try:
        task = await see_through_from_afar(desk, task, screen, cancels=cancels, news=news)
    except Left as left:
        screen.show([Line(f"task {task.id} goes on; `pullwright task watch {task.id}` follows it again", "warning")])
        return left.status
    conclude(task, json=json)
    return exit_status(task)


async def see_all_from_afar(desk: ServerDesk, tasks: Sequence[Task], *, json: bool, background: bool) -> int:
    """As `see_all`, of tasks that a server works on."""

    async def see(task: Task, screen: Screen) -> Task:
        return await see_through_from_afar(desk, task, screen, cancels=True)

    return await _one_by_one(tasks, None if background else see, json=json)


async def see_through_from_afar(
    desk: ServerDesk, task: Task, screen: Screen, *, cancels: bool, news: bool = False
) -> Task:
    """Tell the story of a task that a server works on until it has ended. Raises `Left`."""
    story = Story(task, alone=len(task.request.attempts) == 1)
    screen.follow(story)
    seen: dict[str, int] = {}
    tells, pressed = not news, asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, pressed.set)
    try:
        with screen.moving():
            while True:
                ended = task.state.final
                for recorded in await desk.later(task, seen):
                    seen[recorded.log] = recorded.number
                    lines = story.tell(recorded)
                    if tells:
                        screen.told(lines, recorded.log)
                tells = True
                if ended:
                    return task
                screen.remind()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await pressed.wait()
                if pressed.is_set():
                    if not cancels:
                        raise Left(CANCELLED)
                    screen.show([Line("cancelling; press Ctrl-C again to leave at once", "warning")])
                    await desk.steer("cancel", task.id)
                    pressed.clear()
                    cancels = False
                task = await desk.task(task.id)
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def _left_with(task: Task, *, json: bool) -> int:
    if json:
        answer_json(TaskView.of(task).model_dump(mode="json"))
    else:
        answer([Line(f"task {task.id} is worked on by the server"), *summary(task)[-3:]])
    return 0


async def see_all(platform: Platform, tasks: Sequence[Task], *, json: bool, background: bool) -> int:
    """Follow several tasks one after the other; gives the exit status of the first that is not ready."""
    if background:
        leave_worker(platform.settings.home)

    async def see(task: Task, screen: Screen) -> Task:
        return await see_through(platform, task, screen, cancels=True)

    return await _one_by_one(tasks, None if background else see, json=json)


async def _one_by_one(
    tasks: Sequence[Task], see: Callable[[Task, Screen], Awaitable[Task]] | None, *, json: bool
) -> int:
    """Name each task and see it to its end, or where nobody waits for it leave it as it is."""
    screen = Screen()
    ended: list[Task] = []
    for task in tasks:
        screen.show([Line(f"task {task.id}  {first_line(task.request.prompt)}", "head")])
        ended.append(await see(task, screen) if see else task)
        if not json:
            answer(summary(ended[-1]))
    if json:
        answer_json([TaskView.of(task).model_dump(mode="json") for task in ended])
    return next((status for task in ended if (status := exit_status(task))), 0) if see else 0


async def see_to_the_end(
    platform: Platform, task: Task, screen: Screen, *, cancels: bool, json: bool, news: bool = False
) -> int:
    """Follow a task, print what it came to, and give the exit status of that."""
    try:
        task = await see_through(platform, task, screen, cancels=cancels, news=news)
    except (Left, MachineError) as ended:
        screen.show(
            [Line(f"task {task.id} is unfinished; `pullwright task watch {task.id}` goes on with it", "warning")]
        )
        if isinstance(ended, Left):
            return ended.status
        raise
    conclude(task, json=json)
    return exit_status(task)


def conclude(task: Task, *, json: bool) -> None:
    """Print what a task came to."""
    if json:
        answer_json(TaskView.of(task).model_dump(mode="json"))
    else:
        answer(summary(task))


def hand_over(home: Path, task: Task, *, json: bool) -> int:
    """Leave the task to a worker in the background and say how to look after it."""
    leave_worker(home)
    if json:
        answer_json(TaskView.of(task).model_dump(mode="json"))
    else:
        answer([Line(f"task {task.id} is worked on in the background"), *summary(task)[-3:]])
    return 0
