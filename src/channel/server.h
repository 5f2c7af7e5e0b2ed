/* Many clients with one handle: what a program calls, and the server of sockets. */
#ifndef IPC_SRC_CHANNEL_SERVER_H
#define IPC_SRC_CHANNEL_SERVER_H 1

#include "io.h"

/* ------------------------------------------------------------------ what a program calls */

/* Checks that the channel is a server. */
IPC_INLINE int ipc_channel_check_server_(struct ipc_channel *ch)
{
    if (ch->kind == NULL)
        return -EINVAL; /* ipc_channel_why has why */
    return ch->server != NULL
               ? 0
               : ipc_channel_refuse_(ch, -EINVAL, "%s: no server: see options.clients",
                                     ch->kind->scheme);
}

IPC_INLINE int ipc_channel_send_to(struct ipc_channel *ch, uint64_t client, const void *message,
                                   size_t n, int64_t deadline)
{
    int rc = ipc_channel_check_server_(ch);

    if (rc == 0)
        rc = ipc_channel_check_call_(ch, IPC_SEND, deadline);
    if (rc == 0)
        rc = ipc_channel_check_size_(ch, n);
    if (rc == 0)
        rc = ch->kind->serve->send_to(ch, client, n != 0 ? message : "", n, deadline);
    if (rc == -ETIMEDOUT || rc == -EINTR)
        *ch->why = '\0';
    return rc;
}

IPC_INLINE int ipc_channel_drop(struct ipc_channel *ch, uint64_t client)
{
    int rc = ipc_channel_check_server_(ch);

    return rc != 0 ? rc : ch->kind->serve->drop(ch, client);
}

#endif
