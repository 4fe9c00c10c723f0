"""Calls the person's own webhook when a task has finished, failed or waits: at least once, and never anything else.

What is to be told is written down in the transaction that moves the task. A call carries an id that stays the same when
it is made again, and a signature where a secret is given, both as the Standard Webhooks specification has them
(https://www.standardwebhooks.com). Redirects are not followed: only the configured address is ever called.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import TYPE_CHECKING

from pullwright.domain.task import State, Task
from pullwright.domain.transcript import Noticed
from pullwright.domain.value import now
from pullwright.domain.webhook import Call

if TYPE_CHECKING:
    from pullwright.flow.platform import Platform
    from pullwright.settings import WebhookSettings

SECONDS = 15.0  # of one call
TRIES = 14  # some nine hours, at distances doubled each time
_LONGEST = 4 * 3600.0


async def tell_due(platform: Platform) -> int:
    """Make every call that is due; gives how many came through. One that fails is made again later."""
    hook, record = platform.settings.webhook, platform.record
    if hook is None:
        return 0
    through = 0
    for call in await record.due_calls(now()):
        problem = await _made(hook, call, await record.task(call.task))
        if problem is None:
            await record.end_call(call)
            through += 1
            continue
        tries = call.tries + 1
        if tries >= TRIES:
            await record.append(call.task, Noticed(text=f"the webhook was not told: {problem}", level="warning"))
            await record.end_call(call)
        else:
            later = now() + timedelta(seconds=min(2.0**tries, _LONGEST))
            await record.save_call(call.model_copy(update={"tries": tries, "due": later}))
    return through


async def _made(hook: WebhookSettings, call: Call, task: Task) -> str | None:
    """Make one call; gives what went wrong, if anything did."""
    import httpx

    body = (_slack(call, task) if hook.format == "slack" else _generic(call, task)).encode()
    headers = {"content-type": "application/json", "user-agent": "pullwright", **signed(hook, call, body)}
    try:
        async with (
            httpx.AsyncClient(timeout=SECONDS, follow_redirects=False) as client,
            client.stream("POST", hook.url, content=body, headers=headers) as answer,
        ):
            return None if answer.is_success else f"it answered {answer.status_code}"
    except httpx.HTTPError as error:
        return str(error) or type(error).__name__


def signed(hook: WebhookSettings, call: Call, body: bytes) -> dict[str, str]:
    """The headers that identify a call and, where there is a secret, prove who made it."""
    stamp = str(int(now().timestamp()))
    headers = {"webhook-id": call.id, "webhook-timestamp": stamp}
    if hook.secret is not None:
        text = hook.secret.get_secret_value()
        key = base64.b64decode(text.removeprefix("whsec_")) if text.startswith("whsec_") else text.encode()
        digest = hmac.new(key, f"{call.id}.{stamp}.".encode() + body, hashlib.sha256).digest()
        headers["webhook-signature"] = "v1," + base64.b64encode(digest).decode()
    return headers


def _generic(call: Call, task: Task) -> str:
    receipt = next((one.receipt for one in task.attempts if one.id == task.chosen), None)
    return json.dumps(
        {
            "id": call.id,
            "type": f"task.{call.state}",
            "timestamp": call.at.isoformat(),
            "data": {
                "id": task.id,
                "state": call.state,
                "reason": call.reason,
                "waiting_for": call.waiting_for,
                "prompt": task.request.prompt,
                "repository": task.request.repository.location,
                "base": task.request.base_commit,
                "verdict": receipt.verdict if receipt else None,
                "pull_request": task.pull_request.model_dump(mode="json") if task.pull_request else None,
            },
        }
    )


def _slack(call: Call, task: Task) -> str:
    """A message as Slack, Mattermost and others take it (https://docs.slack.dev/messaging/)."""
    marks = {State.DONE: ":white_check_mark:", State.FAILED: ":x:", State.WAITING: ":hourglass_flowing_sand:"}
    prompt = task.request.prompt.strip()
    line = prompt.splitlines()[0][:150] if prompt else task.id
    why = f"waits for {call.waiting_for}" if call.waiting_for else f"{call.state}: {call.reason or 'no reason given'}"
    text = f"{marks[call.state]} *{_plain(task.request.repository.name)}*: {_plain(line)}\n{_plain(why[:500])}"
    if task.pull_request and task.pull_request.url.startswith("http"):
        text += f"\n<{_plain(task.pull_request.url)}|pull request #{task.pull_request.number}>"
    return json.dumps({"text": f"{text}\ntask {task.id}"})


def _plain(text: str) -> str:
    """Text that Slack shows as it stands: nobody is called and nothing is linked by it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
