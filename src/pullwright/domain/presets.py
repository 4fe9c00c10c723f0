"""Lists of hosts that an environment may allow by one name.

Hosts stand below the top domain that they share, which keeps the lists short.
"""

from collections.abc import Mapping

_REGISTRIES: Mapping[str, tuple[str, ...]] = {
    "org": (
        "pypi", "files.pythonhosted",  # Python
        "registry.npmjs", "nodejs",  # Node
        "proxy.golang", "sum.golang",  # Go
        "repo.maven.apache", "repo1.maven", "plugins.gradle", "services.gradle",  # Java
        "rubygems", "index.rubygems", "packagist", "repo.packagist", "hex", "repo.hex", "hackage.haskell",
        "deb.debian", "security.debian", "dl-cdn.alpinelinux",  # systems
        "conda.anaconda", "static.rust-lang", "api.nuget", "www.nuget", "globalcdn.nuget",
    ),
    "com": (
        "registry.yarnpkg", "archive.ubuntu", "security.ubuntu", "ports.ubuntu", "downloads.gradle",
        "repo.anaconda",
    ),
    "io": ("crates", "index.crates", "static.crates", "jsr"),
    "dev": ("pub",),
}  # fmt: skip

PRESETS: Mapping[str, tuple[str, ...]] = {
    "package-registries": (
        *(f"{name}.{top}" for top, names in _REGISTRIES.items() for name in names),
    ),
    "code-hosts": (
        "github.com", "*.github.com", "*.githubusercontent.com", "gitlab.com", "codeberg.org", "bitbucket.org",
    ),
}  # fmt: skip
"""Name to rules."""
