/*
 * The descriptor of ring: for event loops, which costs a sender nothing as long as nobody polls.
 *
 * It is an epoll set of two: an inotify of the segment's file, and a timer. The receiver announces
 * that it polls by the flag DOZING of its ring's bell (notify/layout.h). The next post finds the
 * flag, takes it off and reads a byte of the segment's file, which every inotify of the file
 * reports. When a member of the segment dies, the kernel closes its file description, and that is
 * reported, too: see shm/watch.h. So no thread, no socket and nothing in the file system is needed,
 * and no process is named: all that a stranger who may read the file can do is to wake the loop for
 * nothing. A post also wakes the other loops of the same segment, for nothing.
 *
 *   from       to         when
 *   --------   --------   ------------------------------------------------------------------------
 *   no set     awake      ipc_channel_fd. The timer is set to a moment ago: the first poll ends at
 *                         once, as nobody has announced anything yet
 *   awake      polling    recv with IPC_NOW has found nothing: takes what the descriptors report,
 *                         sets DOZING, and looks once more
 *   polling    awake      a post: it has taken DOZING off, then stirred
 *   polling    asking     a process has closed the file. The kernel gives the proof of a death a
 *                         moment after it has reported it. So each recv asks, and the timer ends
 *                         the next polls: 8 in 16 ms
 *   asking     polling    the 8th of them
 *
 * A thread that waits in recv meanwhile is woken as without a descriptor.
 */
#ifndef IPC_SRC_CHANNEL_RING_POLL_H
#define IPC_SRC_CHANNEL_RING_POLL_H 1

#include "ring.h"

#include <sys/timerfd.h>

#define IPC_CHANNEL_ASKS_ 8u /* for deaths, after a process has closed the file; 2 ms between them */

/* ------------------------------------------------------------------ the set */

IPC_INLINE void ipc_channel_close_polls_(struct ipc_channel_polls_ *p)
{
    ipc_channel_close_fd_(&p->set);
    ipc_close_last_(&p->last);
    ipc_channel_close_fd_(&p->events);
    ipc_channel_close_fd_(&p->timer);
}

/* Sets the timer: the first time after so many nanoseconds, then each 2 ms; 0: never. */
IPC_INLINE void ipc_channel_set_timer_(const struct ipc_channel_polls_ *p, long first)
{
    struct itimerspec t;

    memset(&t, 0, sizeof t);
    t.it_value.tv_nsec = first;
    t.it_interval.tv_nsec = first != 0 ? 2000000 : 0;
    (void)timerfd_settime(p->timer, 0, &t, NULL);
}

/* Opens the set. 0, or a negative errno. */
IPC_INLINE int ipc_channel_open_polls_(struct ipc_channel *ch)
{
    struct ipc_channel_polls_ *p = &ch->ring->polls;
    struct epoll_event e;
    int rc;

    memset(&e, 0, sizeof e);
    e.events = EPOLLIN;
    p->events = ipc_shm_loop_(&ch->ring->seg);
    if (p->events < 0)
        return p->events;
    ipc_end_last_(&p->last, p->events);
    p->timer = ipc_move_fd_(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    p->set = p->timer < 0 ? -1 : ipc_move_fd_(epoll_create1(EPOLL_CLOEXEC));
    if (p->set >= 0 && epoll_ctl(p->set, EPOLL_CTL_ADD, p->events, &e) == 0 &&
        epoll_ctl(p->set, EPOLL_CTL_ADD, p->timer, &e) == 0) {
        p->asks = IPC_CHANNEL_ASKS_;
        ipc_channel_set_timer_(p, 1);
        return 0;
    }
    rc = -errno;
    ipc_channel_close_polls_(p);
    return rc;
}

/* Takes what the inotify reports. Has a process closed the file, or may one have? */
IPC_INLINE int ipc_channel_take_events_(const struct ipc_channel_polls_ *p)
{
    union {
        struct inotify_event event;
        char bytes[4096];
    } room;
    struct inotify_event e;
    ssize_t got, at;
    int tries, closed = 0;

    for (tries = 0; tries < 64 && (got = read(p->events, room.bytes, sizeof room.bytes)) > 0;
         tries++)
        for (at = 0; got - at >= (ssize_t)sizeof e; at += (ssize_t)(sizeof e + e.len)) {
            memcpy(&e, room.bytes + at, sizeof e);
            closed |= (e.mask & ~(uint32_t)IN_ACCESS) != 0; /* closed, or events were lost */
        }
    return closed;
}

/* Where there is a set: takes what it reports, and announces a poll. The caller looks once more
 * after that. Is it to ask for deaths, too? */
IPC_INLINE int ipc_channel_announce_poll_(struct ipc_channel *ch)
{
    struct ipc_channel_ring_ *r = ch->ring;
    uint64_t expired;

    if (ipc_channel_take_events_(&r->polls)) {
        r->polls.asks = IPC_CHANNEL_ASKS_;
        ipc_channel_set_timer_(&r->polls, 1000000);
        r->data.asks = 1;
    }
    if (read(r->polls.timer, &expired, sizeof expired) > 0) {
        r->data.asks = 1;
        if (r->polls.asks == 0 || --r->polls.asks == 0)
            ipc_channel_set_timer_(&r->polls, 0);
    }
    ipc_notify_arm(&r->data);
    return r->data.asks;
}

/* ------------------------------------------------------------------ what the table names */

/* The set; made by the first call. */
IPC_INLINE int ipc_channel_ring_descriptor_(struct ipc_channel *ch)
{
    struct ipc_channel_ring_ *r = ch->ring;
    int rc;

    if ((ch->role & IPC_RECV) == 0)
        return ipc_channel_refuse_(ch, -EOPNOTSUPP,
                                   "%s: no descriptor to poll for room, only for messages",
                                   ch->kind->scheme);
    if (r->polls.set >= 0)
        return r->polls.set;
    rc = ipc_channel_open_polls_(ch);
    return rc < 0 ? ipc_channel_refuse_(ch, rc, "%s:%s: no descriptor to poll: %s",
                                        ch->kind->scheme, ch->address, strerror(-rc))
                  : r->polls.set;
}

IPC_INLINE int64_t ipc_channel_polled_recv_(struct ipc_channel *ch, void *to, size_t size,
                                            int64_t deadline)
{
    int64_t rc = ipc_channel_shared_recv_(ch, to, size, deadline);

    if (rc != -ETIMEDOUT || deadline != IPC_NOW || ch->ring->polls.set < 0)
        return rc;
    (void)ipc_channel_announce_poll_(ch);
    return ipc_channel_shared_recv_(ch, to, size, deadline);
}

/* Is the process gone that was seen at the other end, where one sends, or one that came and went
 * since the last look? */
IPC_INLINE int ipc_channel_has_lost_(const struct ipc_channel *ch, const uint64_t *holder)
{
    const struct ipc_channel_ring_ *r = ch->ring;
    const uint64_t *left = ipc_channel_left_(ch, 0);
    uint64_t now = ck_pr_load_64(holder);

    if (!r->one_sender)
        return 0;
    if (r->writer != 0)
        return now == 0 || ipc_channel_has_left_(ch, r->writer, now);
    return now == 0 && left != NULL && ck_pr_load_64(left) != r->left[0];
}

/* Has the ring of records a message, or an error, as after fork? A client finds no answer to another
 * one. */
IPC_INLINE int ipc_channel_has_record_(struct ipc_channel_ring_ *r)
{
    int rc = ipc_channel_has_answers_(r);
    size_t n;

    return rc > 0 ? ipc_record_look_(&r->in, &n) != -EAGAIN : rc != 0;
}

/* Has recv something to tell? A message, the end of the only sender, or, perhaps, a death. */
IPC_INLINE int ipc_channel_ring_is_ready_(struct ipc_channel *ch)
{
    struct ipc_channel_ring_ *r = ch->ring;
    int asks = r->polls.set >= 0 && ipc_channel_announce_poll_(ch);

    if (asks || ipc_channel_has_misfit_(r))
        return 1;
    if (r->subscriber.ring != NULL)
        return ipc_channel_has_news_(r);
    if (r->take.m.ring != NULL)
        return ipc_mpmc_peek(&r->take) != NULL || ipc_mpmc_consumer_error(&r->take) != 0 ||
               ipc_channel_has_lost_(ch, &r->take.m.ring->end[0]);
    return ipc_channel_has_record_(r) || ipc_channel_has_lost_(ch, &r->in.ring->end[0]);
}

#endif
