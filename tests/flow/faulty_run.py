"""Run as a program by `test_flow_crash.py`: hand in one task, or take up what is there, with a fault at one point.

Arguments: repository, scripted server's address, the point to strike at (0: none), `kill` or `full`. Prints the points
that were passed and, where it came to its end, nothing else.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from pullwright.flow import desk
from pullwright.flow.worker import idle, work
from pullwright.settings import Settings
from pullwright.testing.faults import Faults, fill_disk, kill, with_faults
from pullwright.wiring import build


async def main(repository: str, address: str, strike_at: int, act: str) -> None:
    settings = Settings.from_environment(
        {**os.environ, "PULLWRIGHT_LOCAL_MODELS": "off", "OPENAI_BASE_URL": address, "OPENAI_API_KEY": "sk-test"}
    )
    begin = os.environ.get("FAULTS_BEGIN", "")
    faults = Faults(strike_at=strike_at or None, act=kill if act == "kill" else fill_disk, begin=begin)
    async with build(settings) as plain:
        platform = with_faults(plain, faults)
        if not await platform.record.tasks():
            order = desk.Order(
                prompt="Fix the failing test",
                repository=repository,
                cwd=Path.cwd(),
                engines=("native",),
                models=("openai:scripted",),
                setup="echo prepared",
                check="python3 -m unittest -v",
            )
            await desk.submit(platform, order)
        await work(platform, until=lambda: idle(platform))
    print(json.dumps(faults.passed))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
