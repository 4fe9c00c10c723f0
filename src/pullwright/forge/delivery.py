"""The outbox: each step towards a pull request is written down before the next one is taken.

A process that is killed between any two steps is followed by another that calls `deliver` again with the same proposal:
it takes the steps that are missing, and every step may be taken twice. So there is one branch and one pull request.
"""

from pathlib import Path
from typing import Protocol

from pullwright.domain.delivery import Delivery, Stage
from pullwright.domain.errors import ForgeError
from pullwright.domain.task import PullRequest
from pullwright.forge.base import Forge, Proposal


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

    Raises `ForgeError` where the forge refuses; the delivery then stays in the outbox at the last stage it reached.
    """
    delivery = await outbox.delivery(proposal.task)
    if delivery is None or not _same(delivery, forge, proposal):
        delivery = _planned(forge, proposal)
        await outbox.save_delivery(delivery)
    if delivery.stage is Stage.OPENED and delivery.pull_request is not None:
        return delivery.pull_request
    if delivery.stage is Stage.PLANNED:
        await forge.push(store, proposal)
        standing = await forge.head(proposal)
        if standing != proposal.commit:
            raise ForgeError(
                f"The branch {proposal.branch} was pushed at {proposal.commit[:12]} but stands at "
                f"{standing[:12] if standing else 'nothing'}: somebody else writes to it. Try again."
            )
        delivery = delivery.model_copy(update={"stage": Stage.PUSHED})
        await outbox.save_delivery(delivery)
    pull_request = await forge.open(proposal)
    await outbox.save_delivery(delivery.model_copy(update={"stage": Stage.OPENED, "pull_request": pull_request}))
    return pull_request


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
    )


def _same(delivery: Delivery, forge: Forge, proposal: Proposal) -> bool:
    """Whether what is in the outbox is this very proposal, however far it has come."""
    begun = delivery.model_copy(update={"stage": Stage.PLANNED, "pull_request": None})
    return begun == _planned(forge, proposal)
