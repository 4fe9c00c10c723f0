"""The only way out of a sandbox: who asks, what is decided, and the log of every decision.

- `base.py`: the port: open a door.
- `proxy.py`: doors of this process, and what they share.
- `door.py`: one sandbox's door: a proxy that listens inside it.
- `tunnel.py`: a CONNECT, from the first look at what it carries to its end.
- `hello.py`: the server name in the first bytes of TLS.
- `exchange.py`: HTTP request by request, each decided before it is passed on.
- `dial.py`: a name becomes one address, is checked, and that address is connected to.
- `relay.py`: the way through a proxy of this machine's own, in the clear or over TLS.
- `inspection.py`: the platform's side of looking into TLS.
- `inspector.py`: the process that looks into TLS.
- `authority.py`: a certificate authority for one sandbox.
- `line.py`: messages with descriptors between the two.
- `stream.py`: bytes between two sockets, and looks at them that take nothing away.
- `journal.py`: decisions become events, the same again only counted.
- `machine.py`: how this machine itself reaches the internet: proxies, mirrors, certificates.
- `certificates.py`: the certificates that a sandbox trusts.
- `clients.py`: what tells programs inside about the proxy and its certificates.
"""
