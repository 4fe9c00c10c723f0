"""An environment's image: which one it is, and had on this machine before anything starts from it."""

from pullwright.domain.environment import Environment
from pullwright.domain.policy import Phase
from pullwright.domain.task import TaskRequest
from pullwright.domain.transcript import Progressed
from pullwright.flow.outside import Tell, open_door
from pullwright.flow.platform import Platform
from pullwright.sandbox.base import Door, OpenDoor


async def pinned(
    platform: Platform, request: TaskRequest, environment: Environment, name: str, tell: Tell
) -> Environment:
    """The environment with its image looked up, so that whoever uses it later gets the same one.

    Raises `ImageUnavailable`.
    """
    if environment.image is None or environment.image.digest:
        return environment
    image = await platform.sandboxes.look_up(environment.image, _door(platform, request, name, tell))
    return environment.model_copy(update={"image": image})


async def brought(platform: Platform, request: TaskRequest, environment: Environment, name: str, tell: Tell) -> None:
    """Have the environment's image at hand. What a registry is asked for passes where setup may go."""
    if environment.image is None:
        return

    async def say(text: str) -> None:
        await tell(Progressed(step="image", text=text))

    image, record = environment.image, platform.record
    layer = await platform.sandboxes.bring(image, _door(platform, request, name, tell), say)
    key = f"image-{image.digest.removeprefix('sha256:')[:24]}"
    if layer and await record.environment_layer(request.repository.key, key) != layer:
        await record.save_environment(request.repository.key, key, layer, None)


def _door(platform: Platform, request: TaskRequest, name: str, tell: Tell) -> OpenDoor:
    async def door() -> Door | None:
        return await open_door(platform, request, Phase.SETUP, f"{name}-image", tell)

    return door
