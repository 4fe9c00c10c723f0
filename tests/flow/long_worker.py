"""Run as a program by `test_long_run.py`: a worker until nothing is left to do, or until it is killed.

Arguments: the scripted server's address, and the seconds that a turn waits for a provider before its attempt does.
Prints the CPU seconds that it has used itself.
"""

import asyncio
import os
import resource
import sys
from dataclasses import replace

from pullwright.engines.base import Engine
from pullwright.engines.native.engine import NativeEngine
from pullwright.flow.worker import idle, work
from pullwright.models.known import target
from pullwright.models.provider import ProviderModel
from pullwright.models.retry import Retries
from pullwright.settings import Settings
from pullwright.wiring import build


async def main(address: str, patience: float) -> None:
    variables = {"PULLWRIGHT_LOCAL_MODELS": "off", "OPENAI_BASE_URL": address, "OPENAI_API_KEY": "sk-test"}
    settings = Settings.from_environment({**os.environ, **variables})
    model = ProviderModel(target(settings.model, "openai:scripted"), Retries(patience=patience))
    engine = NativeEngine(model)

    async def native(_: str | None) -> Engine:
        return engine

    async with build(settings) as plain:
        platform = replace(plain, engines={**plain.engines, "native": native})
        await work(platform, until=lambda: idle(platform))
    await model.close()
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(used.ru_utime + used.ru_stime)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2])))
