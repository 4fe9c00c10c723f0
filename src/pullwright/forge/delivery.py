"""The outbox: each step towards a pull request is written down before the next one is taken.

A process that is killed between any two steps is followed by another that calls `deliver` again with the same proposal:
it takes the steps that are missing, and every step may be taken twice. So there is one branch and one pull request.
What each answer of a forge leads to stands in docs/delivery.md.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from pullwright.domain.delivery import Delivery, Stage
from pullwright.domain.errors import BranchTaken, ForgeError, PullRequestEnded
from pullwright.domain.task import PullRequest
from pullwright.forge.base import Forge, Proposal, Standing

BEGIN, END = "<!-- pullwright:begin -->", "<!-- pullwright:end -->"
"""Between these our part of a pull request's body stands; the rest is the person's."""

_COMMIT_ID = re.compile(r"[0-9a-f]{40}")
_NAMES = 9  # how many names are tried where somebody else has a branch of the first


class Outbox(Protocol):
    """Where deliveries are remembered."""

    async def delivery(self, task_id: str) -> Delivery | None:
        """The task's delivery, as it was last saved."""
        ...

    async def save_delivery(self, delivery: Delivery) -> None:
        """Remember it; once this returns it outlives the process."""
        ...


async def deliver(outbox: Outbox, forge: Forge, store: Path, proposal: Proposal) -> PullRequest:
    """Bring a proposal to its forge: the branch pushed and read back, the pull request opened or brought up to date.

    Raises `ForgeError` of every kind; the delivery then stays in the outbox at the last stage it reached.
    """
    delivery = await _begun(outbox, forge, proposal)
    if delivery.stage is Stage.POSTED and delivery.pull_request is not None:
        return delivery.pull_request
    proposal = replace(proposal, branch=delivery.branch)
    ended = await _ended(forge, proposal, delivery)
    if ended is not None:
        await _save(outbox, delivery, Stage.POSTED, ended)
        return ended
    if await forge.head(proposal) != proposal.commit:
        delivery, proposal = await _push(outbox, forge, store, delivery, proposal)
    delivery = await _save(outbox, delivery, Stage.PUSHED, delivery.pull_request)
    pull_request = await _opened(forge, proposal, delivery)
    delivery = await _save(outbox, delivery, Stage.OPENED, pull_request)
    if proposal.receipt and pull_request.number:
        await forge.comment(pull_request.number, proposal.marker, f"{proposal.marker}\n{proposal.receipt}")
    await _save(outbox, delivery, Stage.POSTED, pull_request)
    return pull_request


async def _begun(outbox: Outbox, forge: Forge, proposal: Proposal) -> Delivery:
    """The task's entry in the outbox for this proposal; a task keeps the branch and pull request that it has."""
    earlier = await outbox.delivery(proposal.task)
    wanted = _planned(forge, proposal)
    if earlier is not None and earlier.forge == wanted.forge:
        wanted = wanted.model_copy(update={"branch": earlier.branch, "pull_request": earlier.pull_request})
        if earlier.model_copy(update={"stage": Stage.PLANNED}) == wanted:
            return earlier
    await outbox.save_delivery(wanted)
    return wanted


async def _save(outbox: Outbox, delivery: Delivery, stage: Stage, pull_request: PullRequest | None) -> Delivery:
    saved = delivery.model_copy(update={"stage": stage, "pull_request": pull_request})
    if saved != delivery:
        await outbox.save_delivery(saved)
    return saved


async def _standing(forge: Forge, proposal: Proposal, delivery: Delivery) -> Standing | None:
    number = proposal.number or (delivery.pull_request.number if delivery.pull_request else None)
    return await forge.look(number) if number else await forge.find(proposal)


async def _ended(forge: Forge, proposal: Proposal, delivery: Delivery) -> PullRequest | None:
    """The pull request where it was merged with this very commit; raises where a person ended it otherwise."""
    standing = await _standing(forge, proposal, delivery)
    if standing is None or standing.state == "open":
        return None
    if standing.state == "merged" and standing.pull_request.head == proposal.commit:
        return standing.pull_request
    known = standing.pull_request
    remedy = (
        "hand in a new task, which starts from what was merged"
        if standing.state == "merged"
        else "reopen it and deliver again, or hand in a new task"
    )
    raise PullRequestEnded(
        f"the pull request #{known.number} was {standing.state} by a person, so this change was not pushed "
        f"({known.url}); it is kept: {remedy}"
    )


async def _push(
    outbox: Outbox, forge: Forge, store: Path, delivery: Delivery, proposal: Proposal
) -> tuple[Delivery, Proposal]:
    """The commit on its branch, read back; under another name where the first one is somebody else's."""
    first = proposal.branch
    for attempt in range(1, _NAMES + 1):
        try:
            await forge.push(store, proposal)
            break
        except BranchTaken as taken:
            if taken.ours or proposal.theirs or delivery.pull_request is not None or attempt == _NAMES:
                raise
            proposal = replace(proposal, branch=f"{first}-{attempt + 1}")
            delivery = delivery.model_copy(update={"branch": proposal.branch})
            await outbox.save_delivery(delivery)
    standing = await forge.head(proposal)
    if standing != proposal.commit:
        raise ForgeError(
            f"The branch {proposal.branch} was pushed at {proposal.commit[:12]} but stands at "
            f"{standing[:12] if standing else 'nothing'}: somebody else writes to it. Deliver again."
        )
    return delivery, proposal


async def _opened(forge: Forge, proposal: Proposal, delivery: Delivery) -> PullRequest:
    """The one pull request: found, opened or brought up to date; a person's own is left as it reads."""
    standing = await _standing(forge, proposal, delivery)
    if standing is None and proposal.theirs:
        return _branch_alone(forge, proposal)
    if standing is None:
        base = await forge.base(proposal)
        if base != proposal.base and not _COMMIT_ID.fullmatch(proposal.base):
            note = f"**The branch `{proposal.base}` that this was made from is gone; it is offered to `{base}`.**"
            proposal = replace(proposal, body=f"{note}\n\n{proposal.body}")
        return await forge.open(replace(proposal, base=base, body=_enclosed(proposal.body)))
    if standing.state != "open" and standing.pull_request.head != proposal.commit:
        raise PullRequestEnded(
            f"the pull request #{standing.pull_request.number} was {standing.state} by a person while the change was "
            f"on its way ({standing.pull_request.url}); the branch {proposal.branch} holds it"
        )
    if standing.state != "open":
        return standing.pull_request
    if proposal.theirs:
        return standing.pull_request.model_copy(update={"head": proposal.commit})
    kept = replace(
        proposal, title=standing.title or proposal.title, body=_kept(standing.body, _enclosed(proposal.body))
    )
    return await forge.update(standing.pull_request.number, kept)


def _branch_alone(forge: Forge, proposal: Proposal) -> PullRequest:
    """A person's branch without a pull request: it was moved, and that is all."""
    branch, head = proposal.branch, proposal.commit
    return PullRequest(forge=forge.name, number=0, url="", branch=branch, head=head, draft=proposal.draft)


def _enclosed(body: str) -> str:
    return f"{BEGIN}\n{body.strip()}\n{END}\n"


def _kept(present: str, ours: str) -> str:
    """The body with our part brought up to date; what a person wrote around it, or in place of it, stays."""
    if not present.strip():
        return ours
    before, begun, rest = present.replace("\r\n", "\n").partition(BEGIN)
    _, ended, after = rest.partition(END)
    return f"{before}{ours.strip()}{after}" if begun and ended else present


def _planned(forge: Forge, proposal: Proposal) -> Delivery:
    return Delivery(
        task=proposal.task,
        attempt=proposal.attempt,
        forge=forge.name,
        branch=proposal.branch,
        base=proposal.base,
        commit=proposal.commit,
        title=proposal.title,
        body=proposal.body,
        draft=proposal.draft,
        receipt=proposal.receipt,
        number=proposal.number,
        theirs=proposal.theirs,
    )
