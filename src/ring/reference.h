/*
 * The calls of a typed ring. A macro at file scope, without a semicolon, makes them:
 *
 *   IPC_SPSC(NAME, TYPE)             messages of TYPE, one producer, one consumer
 *   IPC_MPMC(NAME, TYPE)             many producers, many consumers
 *   IPC_MPSC(NAME, TYPE)             many producers, one consumer
 *   IPC_SPMC(NAME, TYPE)             one producer, many consumers
 *   IPC_BROADCAST(NAME, TYPE)        one producer, every consumer sees every message
 *   IPC_RECORDS(NAME)                messages of any length, several producers, one consumer
 *   IPC_RECORD_BROADCAST(NAME)       the same, one producer, every consumer sees every message
 *   IPC_STREAM(NAME, TYPE)           elements of TYPE without messages, one producer, one consumer
 *   IPC_CALL(NAME, REQUEST, REPLY)   a request and its reply; clients and servers
 *
 * Where the last argument is a type, a number may follow: IPC_SPSC(ticks, struct tick, 2). It is the
 * version of the type, an int, 0 where none is given. Raise it when the fields change: a program
 * built with another version is refused (-EPROTO), also where the size of the type is the same.
 *
 * Every kind has the same verbs. END is `producer` or `consumer`, for calls `client` or `server`;
 * both are types of their own, so that the wrong end does not compile (gcc before 14 and older clang
 * only warn in C, unless they are given -Werror=incompatible-pointer-types). `how` stands only where
 * a kind can be made in more than one way: IPC_MPMC_AT_MOST_ONCE or IPC_MPMC_AT_LEAST_ONCE, for
 * broadcasts IPC_BROADCAST_LOSSLESS or IPC_BROADCAST_LOSSY (with IPC_BROADCAST_WAKES_READ_ONLY,
 * too, see below), for records the number of producers (1 to 64). Add IPC_MPMC_HANDLES(n) or
 * IPC_BROADCAST_READERS(n) where more handles, or readers, are to be attached at a time than 256, or
 * 64: up to 65,536. `capacity` is in messages, elements, bytes of each producer's records, or
 * callers; a power of two but for callers, which are rounded up to one. Calls return 0 or a count,
 * or a negative errno, for which ipc_strerror has a phrase.
 *
 * No pointer may be NULL, except `me`; a NULL name is refused. Every call is safe on an end with which
 * create, open or attach was called: if that was refused, and after detach, calls return its error or
 * -EINVAL, claim and peek return NULL, and detach does nothing. On an end of zeros, with which none of
 * them was called, only detach is safe; other calls crash. Detach before the segment is closed: its
 * memory is gone then.
 *
 * Memory of one's own
 *   size_t NAME_footprint(capacity [, how])
 *       The bytes that the ring takes; 0 where it cannot be made so.
 *   int NAME_init(void *mem, size_t size, capacity [, how])
 *       Makes an empty ring in mem[0..size). As ipc_spsc_init.
 *   int NAME_END_attach(struct NAME_END *, void *mem, size_t size, struct ipc_peer *me)
 *       Attaches to an end. `me` says who this process is and which others are dead; it may be
 *       NULL. As ipc_spsc_producer_attach. Also -EPROTO: the ring is for another version of the
 *       type; or, with ipc_notify.h, a bell of the ring is not of the kind IPC_NOTIFY_FUTEX, as
 *       all are that rings make. -EROFS: the memory may only be read here, see broadcasts below. A
 *       handle that is attached must be detached first: what it has is overwritten unread, as it
 *       may be a variable without a value, and its end stays taken until the segment is closed, or
 *       this process ends; where `me` is NULL, for good.
 *   void NAME_END_detach(struct NAME_END *)
 *       Gives the end back; what is in the ring stays. Sleepers at the other end are told.
 *   int NAME_END_error(const struct NAME_END *)
 *       0; -EBADMSG once the shared memory was found corrupt; -ECHILD once a call said so; or why
 *       attach was refused.
 *
 * In a segment (with ipc_shm.h, in either order, before the macro is used)
 *   int NAME_create(struct ipc_shm *, const char *name, capacity [, how])
 *       Makes the ring if it is not there. The errors of ipc_shm_make and NAME_init; and -EPROTO
 *       where something else has that name: another kind, capacity, message size, version of the
 *       type or `how`. Where another process is making it, waits for that; -EBUSY after a second.
 *   int NAME_END_open(struct NAME_END *, struct ipc_shm *, const char *name)
 *       Attaches to an end of the ring. Waits until the ring is there, as ipc_shm_find does. The
 *       errors of both.
 *   int NAME_END_create(struct NAME_END *, struct ipc_shm *, const char *name, capacity [, how])
 *       NAME_create, then NAME_END_open.
 *
 * Messages: lock-free or wait-free, never blocking; the errors stand at ipc_spsc_push and the like
 *   push, push_n, claim and commit (or cancel)    put messages in, by copy or in place
 *   pop, pop_n, peek and release                  take them out
 *       -EAGAIN: there is no room, or no message. -ECHILD: after fork another process goes on with
 *       this end; it is as if detached, and NAME_END_open takes it anew where it is free. (The first
 *       call in a child may wait a second for this.) As the
 *       calls of the kind above these macros, whose names begin with ipc_spsc_, ipc_mpmc_,
 *       ipc_broadcast_, ipc_record_, ipc_record_broadcast_ and ipc_stream_; a message of known size
 *       is copied by its size.
 *   push_more, flush                              SPSC and records only
 *       Push with the hint that more is coming, as ipc_spsc_push_more. The message may be invisible
 *       until the next flush, post, push, send, claim or detach: for long messages between cores far
 *       apart, where one fence for many is worth two to three times the rate.
 *   Broadcasts: NAME_missed at a consumer. At a producer NAME_was_slowest says how far which reader
 *       is behind, NAME_was_readers how many there are, and NAME_producer_recover frees the seats
 *       of the dead: as ipc_broadcast_was_slowest and the like.
 *   Streams: push_n and pop_n move some, push_all and pop_all all or none; room and data give the
 *       two pieces. In a segment the elements are mapped twice in a row where capacity *
 *       sizeof(TYPE) is a multiple of the page and the kernel permits it; NAME_END_twice says so,
 *       and claim and peek then know no wrap.
 *   Calls: ask, poll, collect, peek, claim and commit, cancel at a client; take and answer at a
 *       server: as the calls whose names begin with ipc_call_. union NAME_slot has `request` and
 *       `reply` in the same place.
 *
 * Asking, for monitoring: what was so at some moment during the call. Wait-free
 *   uint64_t NAME_END_was_size(const struct NAME_END *)
 *       How many messages, or elements, were in the ring: SPSC, streams; MPMC, MPSC and SPMC: about,
 *       up to 16 less or more for each handle.
 *   struct ipc_mpmc_losses NAME_END_losses(const struct NAME_END *)
 *       MPMC, MPSC, SPMC: the messages that were lost with killed processes, and those that were handed
 *       out again, of killed consumers or of ones that detached with one in hand.
 *
 *   int ipc_ring_inspect(void *mem, size_t size, struct ipc_ring_status *)
 *       What the ring in an object is and how full, for a process that takes no end of it, and may
 *       only read. Of any kind.
 *   int ipc_ring_holders(void *mem, size_t size, uint64_t *from, struct ipc_ring_hold *, unsigned n)
 *       Which process holds which end, lane, seat and slot of it: the same.
 *
 * Sleeping (with ipc_notify.h). A call looks a little before it sleeps, as ipc_notify_policy of the
 * end's bell says. A program that was built without ipc_notify.h may be at the other end, but wakes
 * nobody: a sleeper therefore looks again once a second, and at its deadline. Deadlines are
 * absolute (IPC_NOW, ipc_in_ms, IPC_FOREVER). Calls have others, see below.
 *   int NAME_send(struct NAME_producer *, const TYPE *, int64_t deadline)
 *   int NAME_recv(struct NAME_consumer *, TYPE *, int64_t deadline)
 *       push and pop that wait for room, or for a message, and wake the other end. Blocking. The
 *       errors of push and pop, and
 *         -ETIMEDOUT   the ring was full, or empty, until the deadline
 *         -EINTR       a signal handler ran while the call slept
 *         -EOWNERDEAD  the process at the other end was killed. All that it sent was received
 *                      before.
 *         -EPIPE       the other end was detached, or its process has closed the segment. (A
 *                      process that ends without either counts as killed.) These two are
 *                      reported once, by the first call that finds no message, or no room: for the
 *                      processes that were at the other end since this handle was attached, unless
 *                      another one is there already. After that a call waits for a successor.
 *   int NAME_producer_wait(struct NAME_producer *, int64_t deadline)
 *   int NAME_consumer_wait(struct NAME_consumer *, int64_t deadline)
 *       Wait until claim has room, or until there is a message for peek or pop_n. As send and recv.
 *   int NAME_END_post(struct NAME_END *)
 *       Wakes the other end: after push, push_n and commit, or pop, pop_n and release, once for
 *       many. That of a consumer first publishes what was taken. 0, or as ipc_notify_post. Streams
 *       and calls need none. A call that has to wait posts before it sleeps.
 *   struct ipc_notify *NAME_END_bell(struct NAME_END *)
 *       What this end sleeps on: for ipc_wait, ipc_wait_any, ipc_notify_policy.
 *
 * Differences of kinds, where they sleep
 *   MPMC, MPSC, SPMC
 *     - Where many may be at the other end (so not for producers of MPSC or consumers of SPMC) no wait
 *       ends with -EOWNERDEAD or -EPIPE. Sleepers free what a killed member of the segment held, or
 *       hand it out again, within 10 ms (a second, if it left its descriptors to children).
 *     - producer_wait claims the slot, and consumer_wait takes the message, as claim and peek do.
 *       Then push and send use that slot, and pop and recv return that message.
 *     - A post wakes all sleepers at that end, as one of them may be stopped. A sleeper that finds
 *       nothing sleeps on.
 *     - In ipc_wait_any, or behind ipc_notify_arm, look by NAME_recv(&in, &message, IPC_NOW):
 *       unlike pop it also frees what the dead have left: at its first look, and after each death
 *       that it hears of. To empty a ring that no process reads any more, without waiting:
 *       NAME_consumer_recover(&in, 0) first.
 *     - A commit that says -EAGAIN: ipc_wait(NAME_producer_bell(&out), deadline,
 *       (rc = NAME_commit(&out)) != -EAGAIN).
 *   Broadcasts
 *     - send and producer_wait end with room or at the deadline, whichever readers come or go. One
 *       that is killed in a segment counts for 10 ms more at most. A lossy producer never waits.
 *     - recv and consumer_wait of a lossy one also end with -EOVERFLOW, as pop.
 *     - Readers of a lossy one store nothing in the memory, and may have it without write access:
 *       in a segment that is open with IPC_SHM_READ_ONLY, or with a `me` whose id is
 *       IPC_PEER_READ_ONLY. Any other end is -EROFS there. Such readers cannot ask to be woken.
 *       They look once a millisecond; or sleep until a send or post, if the broadcast was made with
 *       IPC_BROADCAST_LOSSY | IPC_BROADCAST_WAKES_READ_ONLY. Then each send and each post costs a
 *       system call, also while nobody sleeps: push many, then post once. They learn of the
 *       writer's end as others do, have no descriptor for an event loop, and watch for a death at
 *       the cost of a look every 8 ms.
 *     - A writer that begins when there are three readers: ipc_wait(NAME_producer_bell(&out),
 *       deadline, NAME_was_readers(&out) >= 3). Lossless only.
 *   Records
 *       int NAME_send(struct NAME_producer *, const void *data, size_t n, int64_t deadline)
 *       int64_t NAME_recv(struct NAME_consumer *, void *to, size_t size, int64_t deadline)
 *       int NAME_producer_wait(struct NAME_producer *, size_t n, int64_t deadline)
 *     - producer_wait: until there is room for n bytes. -EMSGSIZE: there never will be.
 *     - Where there are several producers, recv waits on, whichever come or go. After
 *       NAME_watch_producers it also ends when one has ended, see below.
 *       int NAME_source(const struct NAME_consumer *, struct ipc_record_sender *from)
 *     - Which process the last record is from, in which lane, and whether it is late: as
 *       ipc_record_source.
 *       int NAME_ended(struct NAME_consumer *)
 *     - Whether a producer has ended, all of whose records were taken: as ipc_record_ended.
 *       void NAME_merge(struct NAME_consumer *, int64_t patience)
 *     - From now on records come in the order of the number that each begins with, of whichever
 *       producer. The consumer waits for a producer that sends nothing for `patience` nanoseconds,
 *       and for none that was killed: as ipc_record_merge, with ipc_clock. ipc_wait_any and
 *       ipc_notify_arm do not know of that time: look again after `patience`.
 *       void NAME_watch_producers(struct NAME_consumer *)
 *     - From now on recv and consumer_wait that find no record say -EPIPE or -EOWNERDEAD for each
 *       producer once, as ended does; source says which it was. A death is noticed within 10 ms (a
 *       second, if the dead process left its descriptors to children). A consumer that always
 *       finds a record has to call ended itself. Nothing changes where the ring is for one
 *       producer.
 *   Streams
 *       int64_t NAME_send(struct NAME_producer *, const TYPE *, size_t n, int64_t deadline)
 *       int64_t NAME_recv(struct NAME_consumer *, TYPE *, size_t n, int64_t deadline)
 *       int NAME_producer_wait(struct NAME_producer *, size_t n, int64_t deadline)
 *       int NAME_consumer_wait(struct NAME_consumer *, size_t n, int64_t deadline)
 *     - send puts all n in, in pieces as there is room. It returns n, or how many went in before
 *       what ended it, which the next call reports; or what producer_wait says where none did.
 *     - recv takes up to n as soon as there is one, and returns how many, or what consumer_wait
 *       says.
 *     - Whatever moves elements wakes the other end, if it sleeps: push_n, push_all and commit,
 *       pop_n, pop_all and release. That costs one load where nobody sleeps, so that one end may
 *       be a real-time callback that only polls, and the other may sleep in send or recv. The
 *       call that gives the sleeper all that it waits for makes a system call or two; none ever
 *       waits.
 *     - The waits are for room for n elements, or for n elements. -EMSGSIZE: n is more than the
 *       capacity. -EPIPE and -EOWNERDEAD: there are fewer, and there will be no more; take them by
 *       pop_n.
 *   Calls
 *     int NAME_call(struct NAME_client *, const REQUEST *, REPLY *, int64_t deadline)
 *       ask, then collect once the reply is there. The errors of both but -EAGAIN; -ETIMEDOUT: no
 *       reply came until the deadline, or no slot became free; -EINTR. After any error but -EBUSY
 *       the call is given up. Unless the error was of ask, it is not known whether the call has had
 *       an effect.
 *     int NAME_client_wait(struct NAME_client *, int64_t deadline)
 *       Waits until poll has something to say, and returns that, or as NAME_call. The call goes on.
 *     int NAME_serve(struct NAME_server *, union NAME_slot **, int64_t deadline)
 *       Waits for a request of any client, and takes it. 0; -ETIMEDOUT, -EINTR; -EINVAL: not
 *       attached, or what attach said. Clients that come, leave or are killed do not end it.
 *     struct ipc_notify *NAME_client_bell(struct NAME_client *)
 *       The bell of the reply after ask; of a slot, where ask says -EAGAIN. Ask for it again after
 *       each ask.
 */
