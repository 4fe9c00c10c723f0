"""Setting apart what is data from what tells the model what to do."""


def fenced(data: str, mark: str, tag: str = "data", of: str = "") -> str:
    """Text that somebody else wrote, between marks that they cannot know, nor write if they did."""
    name = f"{tag}-{mark}" if mark else tag
    inner = data.replace("\0", "\N{REPLACEMENT CHARACTER}").replace(f"</{name}", f"<\\/{name}")
    opened = f'{name} of="{of}"' if of else name
    return f"<{opened}>\n{inner}{'' if inner.endswith(chr(10)) else chr(10)}</{name}>"
