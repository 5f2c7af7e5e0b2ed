"""Why a call failed, a class for each reason. `_core` makes them by `error`."""

import errno
import os
from typing import Dict, Optional, Type


class Error(OSError):
    """Whatever a call of this package reports. `errno` is that of the C call."""

    text: Optional[str] = None


class Full(Error, BlockingIOError):
    """push: there is no room now."""

    text = "there is no room now"


class Empty(Error, BlockingIOError):
    """pop: there is no message now."""

    text = "there is no message now"


class Timeout(Error, TimeoutError):
    """The time was over, and nothing had happened."""

    text = "the time is over"


class PeerGone(Error, BrokenPipeError):
    """The other end was detached, or its process has closed the segment. All that it sent was
    received before. Reported once; the next call waits for a successor."""

    text = "the other end has left"


class PeerDied(PeerGone):
    """The process at the other end was killed. As PeerGone otherwise."""

    text = "the process at the other end was killed"


class Missed(Error):
    """A reader of a lossy broadcast was lapped: the writer has overwritten what comes next.
    Reported once each time; `missed` says how many in all, and the next call goes on."""

    text = "messages were overwritten before they were read"


class Corrupt(Error):
    """The shared memory says what no program that keeps the rules can have stored there. Sticks to
    the end; wrong bytes are the worst that it can have caused."""

    text = "the shared memory is corrupt"


class TooLarge(Error, ValueError):
    """A record is longer than the ring can ever take, or more is asked for than its capacity."""

    text = "longer than the ring can ever take"


class Forked(Error, ChildProcessError):
    """The end came by fork, and the other of the two processes goes on with it. Open it anew."""

    text = "another process goes on with this end: open it anew"


class Closed(Error, ValueError):
    """The end, or the segment, is closed."""

    text = "it is closed"


class Refused(Error):
    """A segment or an end could not be made or opened. The text says why, and what to do."""

    text = "refused"


class NotFound(Refused, FileNotFoundError):
    """There is no segment, or ring, of that name."""


class Exists(Refused, FileExistsError):
    """A live process has created the segment."""


class Mismatch(Refused):
    """What is there is something else: another kind, message size, version or layout."""


class Busy(Refused):
    """The end is taken by a process that is not proven dead."""


class NoRoom(Refused):
    """There is not that much memory, or room in the segment; or not that many places."""


class NotPermitted(Refused, PermissionError):
    """It belongs to another user, or may only be read here."""


_running: Dict[int, Type[Error]] = {
    errno.ETIMEDOUT: Timeout,
    errno.EPIPE: PeerGone,
    errno.EOWNERDEAD: PeerDied,
    errno.EOVERFLOW: Missed,
    errno.EBADMSG: Corrupt,
    errno.EMSGSIZE: TooLarge,
    errno.ECHILD: Forked,
}
_opening: Dict[int, Type[Error]] = {
    errno.EBADF: Closed,
    errno.ETIMEDOUT: Timeout,
    errno.EPIPE: PeerGone,
    errno.EBADMSG: Corrupt,
    errno.ECHILD: Forked,
    errno.ENOENT: NotFound,
    errno.EEXIST: Exists,
    errno.EPROTO: Mismatch,
    errno.EUCLEAN: Mismatch,
    errno.EBUSY: Busy,
    errno.ENOSPC: NoRoom,
    errno.EUSERS: NoRoom,
    errno.ENOMEM: NoRoom,
    errno.EFBIG: NoRoom,
    errno.EACCES: NotPermitted,
    errno.EPERM: NotPermitted,
    errno.EROFS: NotPermitted,
}


def error(number: int, why: Optional[str], produces: bool) -> Error:
    """The exception for an errno: `why` is a sentence where a segment has one, else None."""
    kind: Type[Error]
    if why is not None:
        return _opening.get(number, Refused)(number, why)
    if number == errno.EAGAIN:
        kind = Full if produces else Empty
    else:
        kind = _running.get(number, Error)
    return kind(number, kind.text or os.strerror(number))
