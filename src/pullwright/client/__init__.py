"""A typed client of the API: `async with Client(URL, TOKEN) as client: await client.submit(PROMPT, REPOSITORY)`.

- `address.py`: where a server is, and whether a token may be sent there.
- `connection.py`: requests with typed answers, and streams.
- `client.py`: tasks and attempts, each a verb.
- `administration.py`: who may use a server.
- `environments.py`: environments of repositories.
- `outside.py`: models and forges.
- `errors.py`: what a server refuses, in its own words.
- `events.py`: server-sent events that go on where they broke off.
"""

from pullwright.client.client import Client, TaskPage
from pullwright.client.errors import ApiError, Conflict, NotAllowed, NotFound, NotSignedIn, Unreachable, Unusable
from pullwright.client.events import Happened

__all__ = [
    "ApiError",
    "Client",
    "Conflict",
    "Happened",
    "NotAllowed",
    "NotFound",
    "NotSignedIn",
    "TaskPage",
    "Unreachable",
    "Unusable",
]
