"""Identify the user of this machine, for locks, history and audit."""

import os
import pwd
import socket
import struct

from roas.models.actor import Actor, ActorKind

PEER_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid
LONGEST_NAME = 80


def current_user() -> Actor:
    """Return the user that runs this process; behind sudo, who became it."""
    uid = os.getuid()
    name = user_name(uid)
    behind = os.environ.get("SUDO_USER", "")
    return Actor(ActorKind.SYSTEM, str(uid), _plain(f"{behind} (as {name})" if behind and behind != name else name))


def user_name(uid: int) -> str:
    """Return the name of a user, or its number where this machine (or container) knows no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def peer(connection: socket.socket, claimed: Actor) -> Actor:
    """Return the user at the other end from the kernel; a process of our own user may act for the one who started it.

    (Such a process could write the journal itself. Root becomes our user before it asks.)
    """
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER_CREDENTIALS.size)
    uid = PEER_CREDENTIALS.unpack(credentials)[1]
    if claimed.kind is ActorKind.SYSTEM and (claimed.id == str(uid) or uid == os.getuid()):
        return Actor(ActorKind.SYSTEM, _plain(claimed.id), _plain(claimed.name) or user_name(uid))
    return Actor(ActorKind.SYSTEM, str(uid), user_name(uid))


def _plain(name: str) -> str:
    return "".join(char for char in name if char.isprintable())[:LONGEST_NAME]
