"""Any provider behind one call: stream a turn.

- `base.py`: the port: a question, a reply, the model.
- `known.py`: which model is meant: names, settings, what is configured or found.
- `retry.py`: the one retry layer: what is worth another try, and when.
- `price.py`: what a reply cost.
- `client.py`: OpenAI's client over HTTP as we use it: certificates, the exact body, no work done twice.
- `openai.py`: Responses and Chat Completions at any address, through pydantic-ai's models.
- `check.py`: a wrong key, name or address found out before work begins.
"""

from pullwright.models.known import Models, configured, open_model

__all__ = ["Models", "configured", "open_model"]
