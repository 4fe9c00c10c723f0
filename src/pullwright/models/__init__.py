"""Any provider behind one call: stream a turn.

- `base.py`: the port: a question, a reply, the model.
- `providers.py`: the providers that are known by name.
- `entries.py`: the models that `pullwright model add` keeps.
- `offered.py`: the models that can be named, as a person is shown them.
- `known.py`: which model is meant: names, settings, entries.
- `catalog.py`: the models of one configuration, each opened once.
- `local.py`: the models of this machine, found where their servers usually listen.
- `check.py`: a wrong key, name or address found out before work begins.
- `connection.py`: HTTP as we use it: certificates, the exact body, the streamed answer.
- `stream.py`: a streamed answer shown as it comes and handed on in few pieces.
- `messages.py`: a question as pydantic-ai's messages, a reply as words.
- `spoken.py`: how each provider is spoken to.
- `rehearsal.py`: the shortest answers on each wire, to get providers' clients ready with.
- `openai.py`: OpenAI's client without work that is done already.
- `provider.py`: any provider's model behind the port.
- `faults.py`: what went wrong at a provider, and what can be done about it.
- `retry.py`: the one retry layer: what is worth another try, and when a turn should not wait any longer.
- `fallback.py`: models that stand in for each other.
- `price.py`: what a reply cost, and how much a model takes.
"""

from pullwright.models.catalog import Models

__all__ = ["Models"]
