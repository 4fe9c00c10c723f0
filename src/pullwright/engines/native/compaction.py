"""A summary in place of the earlier part of a conversation, near the model's limit.

What is kept as it is: the task, what people said, the plan, the state of the tree, and the latest turns. The summary is
one event of the log, so that it can be seen, is paid for once, and can be undone.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pullwright.domain.errors import ContextOverflow, SandboxError, SandboxLost
from pullwright.domain.task import Usage
from pullwright.domain.transcript import Compacted, Noticed
from pullwright.engines.native.asking import RESPONSE_INLINE, Asker
from pullwright.engines.native.conversation import BYTES_PER_TOKEN, Conversation, size
from pullwright.engines.native.fence import fenced
from pullwright.models.base import Item, Replied, Reply, Returned, Said
from pullwright.sandbox.base import WORKSPACE, ExecRequest, Sandbox

_REQUEST = """\
The conversation is near the limit of what you can read at once. Write a summary of your work so far: it will stand in \
place of everything above but the task and the person's messages, and you go on from it. Call no tool. Say:
- what the task asks for, as far as the person's messages and what you found out made it clearer;
- what you have done: each file you changed, and what is in the change;
- what you have learnt that took work to find: where things are, how they hang together, commands that work;
- what you tried that did not work, and why;
- what is left to do, the very next step first.
Names, paths, numbers and error messages exactly; no politeness."""

_HEADING = "The earlier part of this conversation was replaced by this summary of yours, of turns {first} to {last}:"

_LEAST_TURNS = 3  # between two summaries; fewer means that there is no room to work in
_KEPT = 0.2  # of the limit: the latest turns, as they are
_MOST_KEPT = 6  # turns
_LENGTH = 0.25  # of the limit: the summary at most
_MOST_OUTPUT = 16_000  # tokens of the answer, reasoning and all
_SHORT = (2000, 400, 100)  # bytes left of each tool result where the whole is too long even to be summed up

_STATE = "git status --short | head -n 60; git diff --stat HEAD | tail -n 40"


class NoRoom(Exception):
    """Summing up does not help: a signal inside the engine, whose text is the attempt's reason."""


async def put_back(asker: Asker, talk: Conversation) -> bool:
    """Where a person has undone a summary and the whole is too long: use it again. Nothing is paid for twice."""
    if talk.undone is None:
        return False
    await asker.work.log.append(
        Noticed(text="the whole conversation does not fit any more, so its summary stays in use", level="warning")
    )
    await asker.work.log.append(talk.undone.made.model_copy(update={"usage": Usage(), "response": None}))
    return True


async def compact(asker: Asker, talk: Conversation, mark: str, limit: int) -> None:
    """Sum the conversation up to all but its latest turns, and write that down. Raises `NoRoom`."""
    before = asker.tokens(talk)
    through = _through(talk, asker.number, limit)
    if talk.summary and sum(at >= talk.summary.made.turn for at in talk.turns) < _LEAST_TURNS:
        raise NoRoom(
            f"the conversation is at {before:,} tokens again, right after it was summed up: {limit:,} are too few for "
            "this task. Use a model that takes more, or hand in smaller parts."
        )
    if through is None:
        raise NoRoom(
            f"the task and what was said about it come to {before:,} tokens; {limit:,} are too few for that. Use a "
            "model that takes more, or hand in smaller parts."
        )
    reply = None
    for items in _shorter_and_shorter(talk.whole(through)):
        with contextlib.suppress(ContextOverflow):
            reply = await _ask(asker, items, limit)
            break
    if reply is None:
        raise NoRoom("the conversation is too long for the model even to be summed up")
    text = reply.words.text.strip()
    if not text:
        raise NoRoom("the conversation is near the model's limit, and the model did not sum it up when asked to")
    first = 1 + (talk.summary.made.through if talk.summary else 0)
    text = await _whole_text(asker.work.sandbox, talk, text[: int(limit * _LENGTH * 4)], (first, through), mark)
    after = before - int((size(talk.whole(through)) - len(text)) / BYTES_PER_TOKEN)
    await asker.work.log.append(
        Compacted(
            turn=asker.number,
            through=through,
            summary=await asker.work.log.output(text.encode("utf-8", "replace")),
            tokens_before=before,
            tokens_after=max(after, 0),
            usage=reply.usage,
            response=await asker.work.log.output(reply.message, inline=RESPONSE_INLINE),
        )
    )


async def _ask(asker: Asker, items: tuple[Item, ...], limit: int) -> Reply:
    """The summary; a model that calls a tool instead is asked once more."""
    most = max(min(int(limit * _LENGTH), _MOST_OUTPUT), 512)
    asked = (*items, Said(_REQUEST))
    reply = await asker.summary(asked, most)
    if reply.words.text.strip():
        return reply
    again = await asker.summary((*items, Said(f"{_REQUEST}\n\nIn words, now: no tool can be called.")), most)
    return replace(again, usage=reply.usage.plus(again.usage))


def _through(talk: Conversation, number: int, limit: int) -> int | None:
    """The last turn that the summary stands for: the latest few are kept where they are short."""
    done = [at for at in sorted(talk.turns) if at < number and at > (talk.summary.made.through if talk.summary else 0)]
    kept, room = 0, limit * _KEPT * BYTES_PER_TOKEN
    for at in reversed(done[1:]):
        room -= size(list(talk.turns[at].items()))
        if room < 0 or kept == _MOST_KEPT:
            break
        kept += 1
    return done[-1 - kept] if done else None


def _shorter_and_shorter(items: tuple[Item, ...]) -> Iterator[tuple[Item, ...]]:
    """The conversation, then with less and less of what tools gave, at last without its older half."""
    yield items
    for most in _SHORT:
        yield tuple(_shortened(item, most) for item in items)
    turns = [index for index, item in enumerate(items) if isinstance(item, Replied)]
    if len(turns) > 1:
        said = [item for item in items[: turns[len(turns) // 2]] if isinstance(item, Said)]
        yield (*said, *(_shortened(item, _SHORT[-1]) for item in items[turns[len(turns) // 2] :]))


def _shortened(item: Item, most: int) -> Item:
    if not isinstance(item, Returned) or len(item.text) <= most:
        return item
    return replace(item, text=f"{item.text[:most]}\n[... left out ...]", images=())


async def _whole_text(sandbox: Sandbox, talk: Conversation, text: str, turns: Sequence[int], mark: str) -> str:
    """The summary with what is known without the model: the plan, and how the tree differs from the base."""
    parts = [_HEADING.format(first=turns[0], last=turns[1]), text]
    if talk.plan:
        steps = "\n".join(f"- [{step.status}] {step.text}" for step in talk.plan.steps)
        parts.append(f"Your plan:\n{steps}")
    try:
        request = ExecRequest(argv=("sh", "-c", _STATE), cwd=WORKSPACE, timeout=60.0, output_limit=8 * 1024)
        state = (await sandbox.run(request)).stdout.decode(errors="replace").strip()
    except SandboxLost:
        raise
    except SandboxError:
        state = ""
    parts.append(f"How the files differ from the base now:\n{fenced(state or '(not at all)', mark)}")
    return "\n\n".join(parts)
