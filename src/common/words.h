/* What results mean, in words. */
#ifndef IPC_SRC_COMMON_WORDS_H
#define IPC_SRC_COMMON_WORDS_H 1

#include "prelude.h"

/*
 * The meaning of a result of this library as a phrase, as libc's for the same numbers is about
 * other things: ipc_strerror(ticks_recv(&in, &t, deadline)). Numbers that mean here what they mean
 * to libc (-EINVAL, -ENOSPC, ...) have strerror's. After a refusal ipc_shm_why and ipc_channel_why
 * say more. Any thread; not in a signal handler.
 */
IPC_INLINE const char *ipc_strerror(int rc)
{
    switch (rc) {
    case -EAGAIN:
        return "full, or empty, at this moment";
    case -ETIMEDOUT:
        return "the deadline came first";
    case -EINTR:
        return "a signal handler ran first";
    case -EPIPE:
        return "the other side is gone";
    case -EOWNERDEAD:
        return "the process at the other end was killed, or ended without detaching";
    case -EOVERFLOW:
        return "messages were overwritten before they were read";
    case -EMSGSIZE:
        return "longer than the ring can take, or not of the ring's message size";
    case -EBADMSG:
        return "the shared memory is corrupt";
    case -EBUSY:
        return "another process has this end, or this client another call";
    case -ECHILD:
        return "after fork another process goes on with this handle: open it anew";
    case -EROFS:
        return "this process may only read the memory";
    case -EUSERS:
        return "as many processes are there as there are places for";
    case -EPROTO:
        return "what is there is of another kind, size, version or layout";
    default:
        return rc >= 0 ? "no error" : strerror((int)(0u - (unsigned)rc));
    }
}

#endif
