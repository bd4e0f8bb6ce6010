"""The clusters that this user has logged in to, as the command line keeps them. In: a name, or the
environment (`MUSTER_CLUSTER`, `MUSTER_CONFIG`). Out: where the coordinator is, and a TLS context
with this user's certificate. Next: link.py."""

import json
import os
import re
import ssl
from typing import List, NamedTuple, Optional

from ..errors import ClusterError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}\Z")
ALPN = "muster-client/1"


class Profile(NamedTuple):
    name: str
    folder: str
    host: str
    port: int
    cluster: str
    role: str
    user: str

    @property
    def address(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def directory() -> str:
    named = os.environ.get("MUSTER_CONFIG")
    if named:
        return os.path.abspath(named)
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(base, "muster")


def names() -> List[str]:
    try:
        found = os.listdir(os.path.join(directory(), "clusters"))
    except OSError:
        return []
    return sorted(name for name in found if _NAME.match(name))


def chosen(named: Optional[str] = None) -> Optional[str]:
    """The profile to use; None where none is configured."""
    if named or os.environ.get("MUSTER_CLUSTER"):
        return named or os.environ["MUSTER_CLUSTER"]
    try:
        with open(os.path.join(directory(), "current"), encoding="utf-8") as file:
            return file.read(256).strip() or None
    except OSError:
        return None


def load(named: Optional[str] = None) -> Profile:
    name = chosen(named)
    if name is None:
        raise ClusterError(
            "no cluster is configured here: `muster coordinator start` makes one, `muster login "
            "HOST:PORT --token-file F` enrols with another's, muster.local() needs none",
            "notFound")
    known = names()
    if name not in known:
        raise ClusterError(
            f"no cluster is known as {name!r}; known are: {', '.join(known) or 'none'}. `muster "
            "login HOST:PORT --token-file F` adds one", "notFound")
    return read(name, os.path.join(directory(), "clusters", name))


def read(name: str, folder: str) -> Profile:
    try:
        with open(os.path.join(folder, "cluster.json"), encoding="utf-8") as file:
            text = json.load(file)
        return Profile(name, folder, text["host"], int(text["port"]), text["cluster"],
                       text["role"], text["user"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ClusterError(
            f"the profile of the cluster {name} is damaged ({error}); log in again",
            "system") from error


def context(profile: Profile) -> ssl.SSLContext:
    """TLS 1.3 with this user's certificate, and trust in the cluster's authority alone."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.check_hostname = False
    made.verify_mode = ssl.CERT_REQUIRED
    made.set_alpn_protocols([ALPN])
    made.options |= ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION
    identity = os.path.join(profile.folder, "identity.pem")
    authority = os.path.join(profile.folder, "authority.pem")
    try:
        status = os.stat(identity)
        if status.st_uid != os.getuid() or status.st_mode & 0o077:
            raise ClusterError(
                f"{identity} holds a private key and can be read by others: `chmod 600` it and "
                "make it yours, or log in again", "system")
        made.load_cert_chain(identity)
        made.load_verify_locations(authority)
    except (OSError, ssl.SSLError) as error:
        raise ClusterError(
            f"the certificate of the cluster {profile.name} cannot be read ({error}); log in "
            "again", "system") from error
    return made


def check_peer(certificate: Optional[dict], profile: Profile) -> None:
    """The peer has to be a coordinator of this very cluster, by the one name it has."""
    names_there = [value for kind, value in (certificate or {}).get("subjectAltName", ())
                   if kind == "URI"]
    wanted = f"muster://{profile.cluster}/coordinator/"
    if len(names_there) != 1 or not names_there[0].startswith(wanted):
        raise ClusterError(
            f"{profile.address} is no coordinator of the cluster {profile.cluster}: its "
            f"certificate says {', '.join(names_there) or 'nothing'}", "authentication")
