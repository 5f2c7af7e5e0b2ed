/*
 * udp:GROUP:PORT, multicast: datagrams to each process that has joined a group.
 *
 *   udp:239.1.2.3:9000, udp:[ff15::1]:9000   A group of IPv4 or IPv6. The interface is the one that
 *                                            the routes name, or: udp:239.1.2.3%eth0:9000.
 *
 * A publisher sends with options.publish = IPC_LOSSY; a subscriber is opened with IPC_RECV, and
 * joins the group. Any number of each may be there, also several on one host, and neither waits for
 * the other. Datagrams reach subscribers on the same host, and do not leave the local network (TTL
 * 1).
 *
 *   Access   Each process that can reach the group may send to it, and join it.
 *   Loss     No call reports it. A datagram that a subscriber has no room for is lost to it alone,
 *            and is not counted: number the messages.
 *   Limits   As udp:. Where no route leads to the group, open says -ENODEV, or send -ENETUNREACH:
 *            name the interface.
 */
#ifndef IPC_SRC_CHANNEL_MULTICAST_H
#define IPC_SRC_CHANNEL_MULTICAST_H 1

#include "socket.h"

/* ------------------------------------------------------------------ multicast groups */

#ifndef MCAST_JOIN_GROUP
#define MCAST_JOIN_GROUP 42
#endif
#ifndef IP_MULTICAST_ALL
#define IP_MULTICAST_ALL 49
#endif

/* Is the address that of a group? */
IPC_INLINE int ipc_channel_is_group_(const struct addrinfo *at)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (at->ai_family == AF_INET) {
        memcpy(&v4, at->ai_addr, sizeof v4);
        return IN_MULTICAST(ntohl(v4.sin_addr.s_addr));
    }
    memcpy(&v6, at->ai_addr, sizeof v6);
    return at->ai_family == AF_INET6 && v6.sin6_addr.s6_addr[0] == 0xff;
}

/* Resolves the group of the address, without the interface behind a '%', whose number is set in
 * *link, or 0. */
IPC_INLINE int ipc_channel_resolve_group_(struct ipc_channel *ch, struct ipc_channel_addresses_ *a,
                                          unsigned *link)
{
    char *whole = ch->address, *percent = strchr(whole, '%'), *bare, name[IF_NAMESIZE];
    size_t n = percent != NULL ? strcspn(percent + 1, "]:") : 0;
    int rc;

    *link = 0;
    a->first = NULL;
    a->dir = -1;
    if (percent != NULL) {
        (void)snprintf(name, sizeof name, "%.*s", n < sizeof name ? (int)n : 0, percent + 1);
        *link = if_nametoindex(name);
        if (*link == 0)
            return ipc_channel_refuse_(ch, -ENODEV, "udp:%s: no interface is named '%.*s'", whole,
                                       (int)n, percent + 1);
    }
    bare = strdup(whole);
    if (bare == NULL)
        return -ENOMEM;
    if (percent != NULL)
        memmove(bare + (percent - whole), percent + 1 + n, strlen(percent + 1 + n) + 1);
    ch->address = bare;
    rc = ipc_channel_resolve_(ch, a);
    ch->address = whole;
    free(bare);
    if (rc == 0 && !ipc_channel_is_group_(a->first))
        rc = ipc_channel_refuse_(ch, -EOPNOTSUPP,
                                 "udp:%s: not a multicast group, such as 239.1.2.3 or ff15::1: "
                                 "only a group has subscribers; at any other address the "
                                 "receiver is the one that listens",
                                 whole);
    if (rc == 0 && a->first->ai_family == AF_INET6)
        memcpy((char *)a->first->ai_addr + offsetof(struct sockaddr_in6, sin6_scope_id), link,
               sizeof *link);
    return rc;
}

/* Makes the socket send to the group, by that interface. 0 or a negative errno. */
IPC_INLINE int ipc_channel_address_group_(int fd, const struct addrinfo *at, unsigned link)
{
    struct ip_mreqn by;
    int rc = 0;

    memset(&by, 0, sizeof by);
    by.imr_ifindex = (int)link;
    if (link != 0)
        rc = at->ai_family == AF_INET6
                 ? setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &link, sizeof link)
                 : setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &by, sizeof by);
    return rc == 0 && connect(fd, at->ai_addr, at->ai_addrlen) == 0 ? 0 : -errno;
}

/* Makes the socket receive what comes to the group by that interface, beside other sockets that do.
 * 0 or a negative errno. */
IPC_INLINE int ipc_channel_join_group_(int fd, const struct addrinfo *at, unsigned link)
{
    int level = at->ai_family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP, one = 1, none = 0;
    struct group_req group;

    memset(&group, 0, sizeof group);
    group.gr_interface = link;
    memcpy(&group.gr_group, at->ai_addr, at->ai_addrlen);
    /* Bound to the group, it gets no datagram for another address of this port; without ALL none of
     * the group by an interface that only another socket has joined. */
    if (level == IPPROTO_IP)
        (void)setsockopt(fd, level, IP_MULTICAST_ALL, &none, sizeof none);
    return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
                   bind(fd, at->ai_addr, at->ai_addrlen) == 0 &&
                   setsockopt(fd, level, MCAST_JOIN_GROUP, &group, sizeof group) == 0
               ? 0
               : -errno;
}

/* Opens a publisher, or a subscriber. */
IPC_INLINE int ipc_channel_group_open_(struct ipc_channel *ch)
{
    struct ipc_channel_addresses_ a;
    unsigned link;
    int rc, fd = -1;

    if (ch->how.publish == IPC_LOSSLESS)
        return ipc_channel_refuse_(ch, -EOPNOTSUPP, "udp: loses messages: publish with IPC_LOSSY");
    ch->role &= IPC_BOTH; /* it waits for nobody at an address of its own */
    rc = ipc_channel_resolve_group_(ch, &a, &link);
    if (rc == 0)
        rc = fd = ipc_channel_make_socket_(ch, a.first->ai_family);
    if (rc >= 0) {
        rc = ch->role == IPC_SEND ? ipc_channel_address_group_(fd, a.first, link)
                                  : ipc_channel_join_group_(fd, a.first, link);
        if (rc != 0)
            (void)ipc_channel_refuse_(ch, rc, "udp:%s: cannot %s the group: %s; an interface is "
                                      "named as in 239.1.2.3%%eth0:9000",
                                      ch->address, ch->role == IPC_SEND ? "send to" : "join",
                                      strerror(-rc));
    }
    ipc_channel_free_addresses_(&a);
    rc = rc == 0 ? ipc_channel_set_packet_max_(ch, fd) : rc;
    if (rc != 0) {
        ipc_channel_close_fd_(&fd);
        return rc;
    }
    ipc_channel_make_blocking_(fd);
    ch->in = ch->role == IPC_RECV ? fd : -1;
    ch->out = ch->role == IPC_SEND ? fd : -1;
    return 0;
}

/* Opens a channel of udp:. A process that only receives, and does not listen, subscribes. */
IPC_INLINE int ipc_channel_udp_open_(struct ipc_channel *ch, int64_t deadline)
{
    ipc_channel_get_socket_(ch)->listener = -1;
    return ch->how.publish != 0 || ch->role == IPC_RECV ? ipc_channel_group_open_(ch)
                                                        : ipc_channel_socket_open_(ch, deadline);
}

#endif
