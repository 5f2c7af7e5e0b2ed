/*
 * ipc_notify.h - sleeping until another process has done something, and waking the sleepers.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * An event count in shared memory. A post while no process sleeps is one load of one word: no
 * system call, no fence. A sleep costs nothing until it ends, and always ends with a reason: data,
 * the deadline, a signal, or the death of the peer. Needs Linux 4.16 or better for all of that,
 * falls back where a call is missing; Concurrency Kit (libck-dev) and libc; C99 to C23, C++11 to
 * C++23. With glibc before 2.34 link with -pthread. The reference of all calls follows this manual.
 *
 *     #include "ipc_notify.h"
 *
 *     struct ipc_notify bell;                       // in each process; mem: 64 zeroed shared bytes
 *     ipc_notify_attach(&bell, mem, 64, IPC_NOTIFY_FUTEX, NULL);
 *
 *     store the data;                               // one process
 *     ipc_notify_post(&bell);
 *
 *     switch (ipc_wait(&bell, ipc_in_ms(100), the data is there)) {              // another
 *     case 0:           use it;       break;
 *     case -ETIMEDOUT:  heartbeat();  break;
 *     case -EINTR:      on_signal();  break;
 *     case -EOWNERDEAD: failover();   break;        // the peer of ipc_notify_watch was killed
 *     }
 *
 * The condition is any expression: ticks_pop(&in, &t) == 0, or several at once. It is evaluated
 * again and again, at least once, and always once more after the sleep has ended for another
 * reason: data wins. Typed rings of ipc_ring.h have calls made of this: ticks_send, ticks_recv.
 *
 * In a loop of epoll, poll or io_uring a ring's bell has a descriptor, too: see ipc_notify_fd. A
 * notifier of its own, which wakes that loop alone, needs no segment:
 *
 *     ipc_notify_init(mem, 64, IPC_NOTIFY_EVENTFD); // once; then attach, with the same kind
 *     int fd = ipc_notify_fd(&bell);                // add to the loop; ipc_notify_send_fd gives it
 *     for (;;) {                                    // to the other process
 *         ipc_notify_drain(&bell);
 *         ipc_notify_arm(&bell);                    // from here on a post makes fd readable
 *         while (ticks_pop(&in, &t) == 0)
 *             trade(&t);
 *         epoll_wait(...);
 *     }
 *
 * Contract
 *   - No post is missed: either the waiter's next look at its condition sees what was stored before
 *     the post, or the post wakes it. A wake may come without a post; ipc_wait looks again.
 *   - A poster or waiter that is stopped or killed at any instruction holds up no other process. If
 *     a poster is killed between storing and waking, a waiter that watches it finds what it stored
 *     within 10 ms; one that has a deadline, or waits with the bell of a typed ring, within a
 *     second; any other with the next post.
 *   - The peer to watch is named by an id of struct ipc_peer: with ipc_shm.h, of a member of the
 *     segment. Its death is reported once, within 10 ms, on the kernel's word; waits after that are
 *     for its successor.
 *   - The shared memory is not trusted: whatever is written there, and however often, calls keep
 *     their deadlines and touch nothing else. A handle's kind is the one that attach was called
 *     with. The memory names no process and no descriptor to act on. A hostile peer can wake you
 *     for nothing, or let you sleep until your deadline.
 *   - A handle is used by one thread at a time. After fork parent and child may both go on using
 *     their copies, unless one has slept with it already.
 *
 * Caveats
 *   - A post before the data is stored comes too early: the waiter may look, find nothing, and
 *     sleep. Fix: store, then post.
 *   - ipc_notify_post_one wakes one of several that wait for the same kind of thing; with different
 *     conditions it may wake the wrong one, and if the one it woke is killed the others sleep until
 *     the next post. Fix: ipc_notify_post.
 *   - Before it sleeps ipc_wait looks 1000 times, for 20 to 50 microseconds, and keeps a thread of
 *     lower priority from running on that core. Fix: ipc_notify_policy(&bell, 0, 0), in a real-time
 *     thread that waits for one of lower priority on the same core.
 *   - A long sleep that watches for a death uses one inotify instance, one epoll and one socket,
 *     three descriptors for a segment's handle and process, however many wait. Where the user has no
 *     inotify instance left (fs.inotify.max_user_instances, often 128), peers are asked for every
 *     8 ms instead, which costs 0.05 to 1 % of a core: ipc_notify_uses lacks IPC_USES_WATCH. Fix:
 *     raise that limit.
 *   - The socket has that inotify in a message, which counts as a descriptor that is under way: where
 *     the user has more of these than RLIMIT_NOFILE permits, deaths are proven some 20 ms late.
 *   - Without ipc_shm.h, deaths come from your own struct ipc_peer: where it has no `watch`, its
 *     `alive` is asked every 8 ms, which costs 0.05 to 1 % of a core. Fix: a `watch`.
 *   - IPC_FOREVER without a peer to watch is for ever: if a poster was killed before it could wake,
 *     or its sandbox denies futexes, you sleep until the next post. A signal handler that was
 *     installed with SA_RESTART does not end that sleep either (ipc_wait_any: also with a
 *     deadline). Fix: watch the peer, or give a deadline. With the bell of a typed ring a wait
 *     looks at its condition once a second in any case.
 *   - A waiter that may only read the memory cannot ask to be woken, and looks once a millisecond,
 *     which costs 0.5 to 2 % of a core. Fix: ipc_notify_wake_unasked, at a system call for each
 *     post. It cannot wait in an event loop.
 *   - IPC_NOTIFY_SIGNAL: the signal must be blocked in all threads, as for signalfd. Both processes
 *     must be in one PID namespace, and each poster names the process itself: ipc_notify_target.
 *   - Some wakes come up to a second late, as each waiter looks by itself then: those of a poster
 *     that attached without a peer, to a waiter that watches a death and has slept for more than 4
 *     ms (fix: ipc_shm_peer for all); those of a poster whose sandbox denies futexes; those of a
 *     semaphore, when another waiter was killed as it gave the wake on (fix: futexes, or a
 *     semaphore for each waiter).
 *   - IPC_NOTIFY_EVENTFD is for peers that you trust: whoever has the eventfd, too, can let a post
 *     block. Fix: the bell of a ring in a segment, of which each process has a descriptor of its own;
 *     or auto: of ipc_channel.h, which wakes over its socket.
 *   - IPC_NOTIFY_SEMAPHORE is for peers that you trust: its memory is libc's, which may end the
 *     process where a hostile peer has written to it. Fix: futexes.
 *
 * How it works
 *   All is in one word: a count that every wake moves on, and flags.
 *
 *       waiter: set ASLEEP ........ look again ........ futex_wait(word as it was set)
 *       poster: store, load word; if ASLEEP: count + 1, ASLEEP off, futex_wake
 *
 *   Two processors may each do their store and not yet see the other's: the waiter misses the data
 *   and the poster the flag. A full fence on both sides forbids that. It costs the poster more than
 *   all the rest, so it is asymmetric: the waiter, having set its flag, has the kernel fence every
 *   processor that runs a poster (membarrier, global expedited), and posters fence nothing. That
 *   call is dear where waiters sleep often, so it is turned round while they do: posters fence, and
 *   waiters call nothing.
 *
 *   The rules stand once each, with a table of what may change, at the top of their part of this
 *   file:
 *
 *       >>layout    the word: what sets and clears each flag, and why no wake is missed
 *       >>watch     threads that sleep long: one polls for deaths, the others follow it
 *       >>wait      the states of a waiter: awake, prepared, on the futex, following, in poll
 *
 *   Event counts: D. P. Reed, R. K. Kanodia, "Synchronization with Eventcounts and Sequencers",
 *   1979. Futexes: U. Drepper, "Futexes Are Tricky", 2011. The fence for one side only:
 *   M. Desnoyers, membarrier(2), and D. Dice, H. Huang, M. Yang, "Asymmetric Dekker
 *   Synchronization", 2001.
 */
#ifndef IPC_NOTIFY_H
#define IPC_NOTIFY_H 1

#include "common/version.h"
#include "common/prelude.h"
#include "common/linux.h"
#include "common/peer.h"
#include "common/words.h"
#include "common/deadline.h"
#include "notify/reference.h"
#include "notify/layout.h"
#include "notify/post.h"
#include "notify/sleep.h"
#include "notify/watch.h"
#include "notify/wait.h"
#include "notify/until.h"
#include "notify/loop.h"
#include "notify/any.h"

#endif /* IPC_NOTIFY_H */
