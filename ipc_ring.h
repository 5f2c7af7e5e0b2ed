/* Made by tools/amalgamate. Change these files, not this one: src/ipc_ring.h
 * src/ring/reference.h src/common/version.h src/common/prelude.h src/common/peer.h
 * src/common/words.h src/ring/core.h src/ring/trials.h src/ring/copy.h src/ring/spsc.h
 * src/ring/spsc_layout.h src/ring/stream.h src/ring/record_lane.h src/ring/record_source.h
 * src/ring/record_merge.h src/ring/record.h src/ring/broadcast.h src/ring/broadcast_seat.h
 * src/ring/record_broadcast.h src/ring/mpmc_slot.h src/ring/mpmc.h src/ring/call.h
 * src/ring/monitor.h src/ring/holders.h src/ring/typed.h src/ring/typed_slots.h
 * src/ring/typed_records.h src/ring/typed_stream.h src/ring/typed_call.h */
/*
 * ipc_ring.h - lock-free rings on any block of shared memory.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Between any threads or processes of one machine that see the same memory, at whatever addresses:
 * SPSC, one producer and one consumer; MPMC, MPSC, SPMC, many at one end or both; records, messages
 * of any length; broadcasts of slots or records, where every reader sees every message; streams of
 * elements without messages; and calls, a request and its reply in one slot. A message costs one
 * cache line transfer between the cores, no lock and no system call. Needs Concurrency Kit
 * (libck-dev) and libc; C99 to C23, C++11 to C++23.
 *
 *     #include "ipc_ring.h"
 *
 *     struct tick { uint64_t ns; double px; };
 *     IPC_SPSC(ticks, struct tick)                      // at file scope, no semicolon
 *
 *     // once, in the process that makes the memory (64-byte aligned, shared, zeroed or not):
 *     size_t size = ticks_footprint(4096);              // capacity: a power of two
 *     ticks_init(mem, size, 4096);
 *
 *     // in the producer
 *     struct ticks_producer out;
 *     ticks_producer_attach(&out, mem, size, NULL);
 *     ticks_push(&out, &t);                             // -EAGAIN: full
 *
 *     // in the consumer
 *     struct ticks_consumer in;
 *     ticks_consumer_attach(&in, mem, size, NULL);
 *     ticks_pop(&in, &t);                               // -EAGAIN: empty
 *
 * With ipc_shm.h included as well (in either order, before IPC_SPSC is used) the memory is found
 * by name: ticks_producer_create(&out, &seg, "ticks", 4096) and ticks_consumer_open(&in, &seg,
 * "ticks").
 *
 * With ipc_notify.h included as well there are calls that sleep: ticks_send(&out, &t, deadline) and
 * ticks_recv(&in, &t, deadline).
 *
 *     IPC_MPMC(jobs, struct job)                        // many producers, many consumers
 *     jobs_init(mem, size, 4096, IPC_MPMC_AT_LEAST_ONCE);
 *
 *     struct jobs_consumer in;                          // in each worker
 *     const struct job *j;
 *     jobs_consumer_attach(&in, mem, size, ipc_shm_peer(&seg)); // that says which process is dead
 *     while ((j = jobs_peek(&in)) != NULL) {            // held by us
 *         run(j);
 *         jobs_release(&in);                            // killed before that: another gets it
 *     }
 *
 *     IPC_RECORDS(logs)                                 // messages of any length
 *     logs_init(mem, size, 65536, 4);                   // bytes for each of up to 4 producers
 *     logs_push(&out, line, strlen(line));              // in a producer
 *     n = logs_pop(&in, line, sizeof line);             // in the consumer
 *
 *     IPC_STREAM(audio, float)                          // any count in, any count out
 *     audio_push_n(&out, samples, 441);                 // in the producer
 *     audio_pop_all(&in, block, 256);                   // in the consumer: all, or -EAGAIN
 *                                                       // either wakes the other end, if it sleeps
 *
 *     IPC_CALL(adder, struct add, int64_t)              // many callers, one or many servers
 *     adder_init(mem, size, 16);                        // callers
 *
 *     // in a caller                                    // in a server
 *     struct adder_client c;                            struct adder_server s;
 *     adder_client_attach(&c, mem, size, me);           adder_server_attach(&s, mem, size, me);
 *     adder_ask(&c, &request);                          while ((slot = adder_take(&s)) != NULL) {
 *     while ((rc = adder_collect(&c, &sum)) == -EAGAIN)     slot->reply = slot->request.a + ...;
 *         ck_pr_stall();                                    adder_answer(&s, slot);
 *                                                       }
 *     // with ipc_notify.h: adder_call(&c, &request, &sum, deadline), adder_serve(&s, &slot, ...)
 *
 *     IPC_BROADCAST(news, struct item)                  // one writer, any number of readers
 *     news_init(mem, size, 4096, IPC_BROADCAST_LOSSY);  // or _LOSSLESS: waits for the slowest
 *     news_push(&out, &item);
 *     switch (news_pop(&in, &item)) {                   // in each reader
 *     case 0:          show(&item);                 break;
 *     case -EOVERFLOW: lost_so_far(news_missed(&in)); break; // goes on with the oldest left
 *     }
 *     IPC_RECORD_BROADCAST(tape)                        // the same, of records
 *
 * Contract
 *   - Every message that push or commit accepted is popped once, whole and in order. With many
 *     producers, each one's messages are in its order, and all are in the order of their claims.
 *   - Neither side can hold up the other longer than the ring is full or empty. A peer that is
 *     slow, stopped or killed, at any instruction, costs its own next message and nothing else.
 *   - A killed producer's half-written message was never there. A killed consumer's successor sees
 *     again at most the messages that were taken since it last published its position: _replay
 *     says how many that may be. In an SPSC ring the message that pop returned last is among them;
 *     where _replay is 0, none is, and that message is lost with the consumer. So may be the record,
 *     or the elements of a stream, that pop returned last; what was peeked and not released is not.
 *     With many at an end, a process that is killed between claim and commit loses what it had
 *     claimed. If it is killed between peek and release, its message is lost, or handed out again,
 *     out of order and possibly twice, as the ring was made; both are counted (_losses). A consumer
 *     that detaches before release gives its message back: it is counted as handed out again.
 *   - Every reader that was attached when a message was broadcast pops it once. In a lossless
 *     broadcast the slowest reader that is not proven dead holds up the writer, once it is a whole
 *     capacity behind; a reader may detach at any time. In a lossy one readers hold up nobody; the
 *     messages that a reader missed are counted exactly, and a message that was overwritten while
 *     it was read is not handed out.
 *   - Each producer of records has memory of its own. What it does, or leaves undone when it is
 *     stopped or killed, costs the others nothing. There is no order between producers, unless the
 *     consumer merges by a number that records begin with (_merge). A producer that is started
 *     again, after it left or was killed, goes on behind its last record.
 *   - With many at an end, a process that is stopped in the middle of a call costs the others its
 *     slot until it goes on; then its call succeeds all the same. A process that finds a dead
 *     one's slot in its way frees it.
 *   - A call's request is given to one server, and that server's reply to that call or to nobody.
 *     A server that is late finds the slot untouched, as its caller has moved to another. A caller
 *     that is stopped or killed costs its slot, a server the calls that it has taken. A caller
 *     learns that its server, or the last one, is dead.
 *   - The shared memory is not trusted. Geometry is checked and copied into the handle at attach.
 *     What a peer writes there later can give wrong bytes, or -EBADMSG, but no access outside the
 *     ring and no endless loop. -EBADMSG sticks to the handle.
 *   - A handle belongs to one thread of one process at a time. It shares no cache line of 64 bytes
 *     with what stands beside it in memory, such as another thread's handle. After fork
 *     one of the two processes goes on with it: the parent while it lives, then the child. The
 *     other's calls are -ECHILD, and store nothing; it may detach and attach anew. The child's
 *     first call in a segment, of any kind and whatever its deadline, waits for the parent's death: a
 *     second at most, and only once. ipc_shm.h has the table (Fork, exec). An ipc_peer without
 *     `self`, or none, does not notice a fork: there use the handle in one of the two only.
 *
 * Caveats
 *   - A ring for one producer and one consumer takes no more. A second one is refused with -EBUSY
 *     while the first lives; struct ipc_peer below proves its death. Fix for two producers:
 *     IPC_MPSC, at a third to a half of the speed, or two rings.
 *   - With many at an end, a thread that ends in a live process without detaching keeps what it
 *     held, and its seat (there are 256, or IPC_MPMC_HANDLES). Without struct ipc_peer so does a
 *     killed process.
 *   - Polling burns a core. Fix: ipc_notify.h, below.
 *   - The capacity is fixed. A push into a full ring is refused; nothing is overwritten. Fix:
 *     retry, drop or widen: that policy is yours. Or IPC_BROADCAST_LOSSY, also for a single
 *     reader.
 *   - In a lossy broadcast, what peek returns may change while you read it. Fix: believe nothing
 *     of it until release returns 0, or use pop.
 *   - A reader that is slower than the writer of a lossy broadcast misses messages for ever. Until
 *     it has caught up it begins further ahead each time, by half a capacity at most.
 *   - Records of several producers take the capacity for each of them, used or not, and are in
 *     order for each producer only. Fix: IPC_MPSC, if they have one size and their order matters;
 *     or _merge, which costs the consumer a look at all lanes for each record.
 *   - A lossless broadcast has 64 seats for readers, or IPC_BROADCAST_READERS. Without struct
 *     ipc_peer a killed reader keeps its seat, and the writer waiting.
 *   - Nothing grows: a ring has as many seats, lanes and slots as it was made with.
 *   - On a mapped file that another process truncates, access is SIGBUS. Fix: sealed memory
 *     (ipc_shm.h).
 *
 * How it works
 *   Each kind has a room below, which begins with its layout, its state machine and who may change
 *   what with which fence: grep for >>spsc, >>stream, >>record, >>broadcast, >>record_broadcast,
 *   >>mpmc_slot and >>call; >>core says who holds an end, >>copy how messages are copied, and
 *   >>trials in which of several ways.
 *
 *   A slot is payload followed by a word in the same cache line, and the consumer polls that word:
 *   a message crosses in one line transfer. With one producer and one consumer the word is a
 *   sequence number, and the consumer publishes its position lazily. Before a record the word is
 *   its length. A broadcast is the same with a published position for each reader, or, if it is
 *   lossy, with a word that the writer marks before it overwrites anything, and that readers look
 *   at again. With many at an end, and for calls, the word has a state and its holder's name, and
 *   changes by compare-and-swap where two processes may want to change it: so nobody has to wait
 *   for a holder that is stopped, and anyone can free what a dead one held.
 */
#ifndef IPC_RING_H
#define IPC_RING_H 1

/* >>reference  src/ring/reference.h */
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

/* >>version  src/common/version.h */
/* The version of all headers, which must be the same, and not that of what is in memory:
 * IPC_RING_LAYOUT and IPC_SHM_LAYOUT. */
#if defined(IPC_RING_VERSION_NUMBER) && IPC_RING_VERSION_NUMBER != 900
#error "two ipc_*.h of different versions: copy all of them from one release"
#endif
#ifndef IPC_RING_VERSION
#define IPC_RING_VERSION "0.9.0"
#define IPC_RING_VERSION_MAJOR 0
#define IPC_RING_VERSION_MINOR 9
#define IPC_RING_VERSION_PATCH 0
#define IPC_RING_VERSION_NUMBER 900 /* 10000 * major + 100 * minor + patch */
#endif

/* >>prelude  src/common/prelude.h */
/* What every header begins with. */
#ifndef IPC_SRC_COMMON_PRELUDE_H
#define IPC_SRC_COMMON_PRELUDE_H 1

#if !defined(_GNU_SOURCE) && !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE 1
#endif

#if defined(__has_include)
#if !__has_include(<ck_pr.h>)
#error "Concurrency Kit is missing: install libck-dev (Debian, Ubuntu), ck-devel (Fedora) or concurrencykit (Arch)"
#endif
#endif
#include <ck_cc.h>
#include <ck_md.h>
#include <ck_pr.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#if defined(CK_MD_TSO) && !defined(__x86_64__) && !defined(__i386__) && !defined(__s390x__) &&     \
    !defined(__sparc__)
#error "ck_md.h says CK_MD_TSO, but this target reorders stores: install its own Concurrency Kit"
#endif
/* On a 32-bit target CK_F_PR_LOAD_64 may stand for two 32-bit moves. Only ARMv7 (ldrexd) and x32
 * (64-bit registers) load 64 bits at once there. */
#if !defined(CK_F_PR_LOAD_64) || (__SIZEOF_POINTER__ < 8 && !defined(__x86_64__) &&                \
                                  !defined(__ARM_ARCH_7A__) && !defined(__ARM_ARCH_7__))
#error "these headers need 64-bit atomic loads and stores, which Concurrency Kit does not have here"
#endif

/* How each function is declared. A program that compiles the headers once, into a library, may
 * define the first otherwise. */
#ifndef IPC_INLINE
#define IPC_INLINE CK_CC_INLINE static
#endif
#define IPC_FORCE_INLINE CK_CC_FORCE_INLINE static

#endif

/* >>peer  src/common/peer.h */
/* Processes that share memory: which one this is, and which others are alive. */
#ifndef IPC_SRC_COMMON_PEER_H
#define IPC_SRC_COMMON_PEER_H 1

/*
 * What this process is to the others, and how to learn of them. ipc_shm_peer fills it in for the
 * members of a segment; a program that has its memory from elsewhere may fill in its own. Attaching
 * functions of rings and notifiers take a pointer to it. Rings use id and alive, notifiers alive,
 * watch and stir; they copy what they need, and pass `arg` to each function, from any thread that
 * uses the ring or notifier. `arg` and `watch` must stay valid until they are detached.
 *
 * A process that may only read the memory, as it is mapped without write access, says so by the id
 * IPC_PEER_READ_ONLY. Rings and notifiers then store nothing: it can attach as a reader of a lossy
 * broadcast and to notifiers, to sleep, and is refused with -EROFS otherwise.
 *
 * NULL in place of the pointer: no process is ever proven dead. An end of a ring then stays taken
 * until its holder detaches.
 */
#define IPC_PEER_READ_ONLY (~UINT64_C(1)) /* the id of a process that may only read the memory */

struct ipc_peer {
    /* The id of this process: neither 0 nor ~0, and never used by another process of that memory.
     * Or IPC_PEER_READ_ONLY, in any number of processes. */
    uint64_t id;
    /* Is the process `id` alive? 1, also in case of doubt; 0 only with proof of its death; -1 only
     * with proof that it left the memory in good order, without detaching. Must not block. NULL: no
     * process is ever proven dead. */
    int (*alive)(void *arg, uint64_t id);
    /* How sleepers learn of deaths, and of stirs. NULL: they ask every 8 ms. */
    struct ipc_watch *watch;
    /* Makes the descriptors of all others that have opened `watch` readable. Must not block. NULL:
     * cannot. */
    void (*stir)(void *arg);
    void *arg;     /* passed to the functions above, and to those of `watch` */
    char why[256]; /* out: what the last refusal was, as a sentence */
    /* How the end of a ring notices that it came by fork. A word that is all ones in the process
     * that `id` is, and 0 in a child that inherited it, as the kernel wipes it there. NULL: no end
     * notices. Not NULL: this struct ipc_peer must stay where it is, as `arg`. */
    const uint64_t *self;
    /* Called where *self is 0, for an end that `id` held. May this process go on with it?
     * 1: yes, as `id`, which is its own again. 0: yes, by the new `id` of this struct, as the
     * process that held it is dead; others may compete. -ECHILD: no. `leaves`: only to detach, so 0
     * is not needed. May wait for up to a second for the death of a parent that is about to exit. */
    int (*inherit)(void *arg, uint64_t id, int leaves);
};

/*
 * What all threads of a process sleep by that use one `arg`: one descriptor, which one of them
 * polls for all. The functions are called by any of them at any time, and must not block.
 */
struct ipc_watch {
    /* Returns the descriptor, and opens it if need be. From now on it becomes readable when another
     * process calls `stir` or leaves, and, where id is not 0, when the process `id` dies. Else a
     * negative errno. In a process that has not called it yet, as after fork, it opens another
     * descriptor, makes `turn` and `followers` 0 and changes `news`, before `ours` says 1. */
    int (*open)(void *arg, uint64_t id);
    /* Has this process opened the descriptor? 0 in a child that has only inherited it. */
    int (*ours)(void *arg);
    /* Takes what the descriptor reports, so that it is readable no more. IPC_WATCH_*. */
    int (*take)(void *arg);
    /* Opens a descriptor for one event loop, which becomes readable when another process calls
     * `stir` or leaves. Its caller closes it. Else a negative errno. */
    int (*loop)(void *arg);
    /* Of notify/watch.h, and made 0 by the program that fills in the rest. Not shared with other
     * processes. */
    uint64_t fd;        /* what open returned last */
    uint32_t turn;      /* is a thread in poll? And a count above that */
    uint32_t followers; /* threads that rely on the one in poll */
    uint32_t news;      /* moves on when a process may have died */
    uint64_t unproven;  /* a process may have died, but there is no proof: when to ask next, or 0 */
    uint64_t pause;     /* and how long after the last time that is, in nanoseconds */
    uint64_t known;     /* the process that an attach found alive last, ... */
    uint64_t known_at;  /* ... at that time of ipc_clock */
};

#define IPC_WATCH_STIRRED 0 /* nothing but stirs, if anything */
#define IPC_WATCH_MAYBE 1   /* a process may have left: there is proof in a moment, or never */
#define IPC_WATCH_LEFT 2    /* a process that is watched has left: there is proof */

#endif

/* >>words  src/common/words.h */
/* What results mean, in words. */
#ifndef IPC_SRC_COMMON_WORDS_H
#define IPC_SRC_COMMON_WORDS_H 1

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

/* >>core  src/ring/core.h */
/*
 * What all kinds of ring have in common: the layout of their beginning, and who holds an end.
 *
 * An end of a ring, a lane of records and a seat are each held by a process: a word in shared
 * memory is the id of its holder, or 0.
 *
 *   from      to     made by
 *   0         id     the process `id`, at attach: compare-and-swap, acquire after it
 *   a dead id id     the process `id`, at attach: the same; the kernel says that the holder is dead
 *   id        0      the holder, at detach: compare-and-swap, release before it
 *
 * Seats of MPMC rings and of servers have a generation besides, which their words name, and the id
 * that it was issued to. Both are changed at attach by the process that has just taken the seat:
 * fetch-and-add, then a store. It may be stopped before either: the words of the dead holder then
 * still name that one. For the fences see mpmc.h and call.h.
 *
 * A compare-and-swap on the exact id seen lets only one succeed of two processes that saw the same
 * dead holder. It also makes a detach harmless if another process took the end in the meantime.
 *
 * A process that looks for one of many lanes, seats or slots, and finds none, looks again if one
 * has got another holder since: one that it passed may be free (ipc_ring_is_to_scan_again_).
 */
#ifndef IPC_SRC_RING_CORE_H
#define IPC_SRC_RING_CORE_H 1

/* The version of the layout of every kind of ring: two builds that differ in it refuse each other.
 * It is not the release's version, and goes up with any change to what is in memory. */
#define IPC_RING_LAYOUT 5u

#define IPC_RING_ORDER 0x01020304u   /* stored by a machine of our byte order */
#define IPC_RING_SWAPPED 0x04030201u /* stored by a machine of the other byte order */
#define IPC_RING_LINE 64u            /* cache line of the layout, the same on every machine */

/* What every ring begins with. Constant after init. The magic is stored last: before that nothing
 * here is valid. */
struct ipc_ring_shared_ {
    uint64_t magic;
    uint32_t abi;   /* IPC_RING_LAYOUT */
    uint32_t order; /* IPC_RING_ORDER */
    uint32_t line;  /* IPC_RING_LINE */
    uint32_t how;
    uint64_t bytes;    /* of one message */
    uint64_t capacity; /* slots */
    uint32_t version;  /* of the message type */
    uint32_t unused;
    uint64_t next_version; /* before init: IPC_RING_NEXT_ + what version is to be, else 0 */
    unsigned char pad[8];
};

/* The ring's fields end[2] and left[2] are beside each other: from an end to its count. */
#define IPC_RING_LEFT_ 2

#define IPC_RING_NEXT_ (UINT64_C(0x76657273) << 32) /* "vers" */

#define IPC_RING_ASSERT_(name, condition) typedef char ipc_ring_assert_##name[(condition) ? 1 : -1];

/* May messages of that type be copied byte by byte? In C all may. */
#ifdef __cplusplus
#define IPC_RING_IS_COPYABLE_(TYPE) __is_trivially_copyable(TYPE)
#else
#define IPC_RING_IS_COPYABLE_(TYPE) 1
#endif

/* Calls write to their handle with each message. A handle begins and ends with a line of nothing,
 * so that it shares no line that is written with what stands beside it: a struct may have handles
 * of two threads. (An alignment would not hold in memory of malloc, and of new before C++17.) */
#define IPC_RING_APART_(WHERE) unsigned char WHERE[IPC_RING_LINE]

/* How far the producer prefetches and the consumer looks ahead, and for how many pauses the
 * consumer holds back at most. Measured flat around these values (bench/). */
#define IPC_RING_PREFETCH_ 1024u /* bytes */
#define IPC_RING_AHEAD_ 64u      /* slots */
#define IPC_RING_PAUSES_ 31u     /* ck_pr_stall()s, as everywhere in handles */
#define IPC_RING_SINGLE_ 2048u   /* bytes: behind a longer message it does not look ahead */

/* Slots up to a line never straddle one; longer ones are whole lines. Aligns any message to its
 * own alignment up to 64, as its size is a multiple of that. */
IPC_FORCE_INLINE size_t ipc_ring_stride_(size_t bytes)
{
    size_t need = bytes + sizeof(uint64_t);

    return need <= 16   ? 16
           : need <= 32 ? 32
                        : (need + IPC_RING_LINE - 1) & ~(size_t)(IPC_RING_LINE - 1);
}

/* Slots of whole lines: two processes that work on neighbouring slots share none. */
IPC_FORCE_INLINE size_t ipc_ring_line_stride_(size_t bytes)
{
    return (bytes + sizeof(uint64_t) + IPC_RING_LINE - 1) & ~(size_t)(IPC_RING_LINE - 1);
}

/* Each attached handle has a seat, and the word of a slot names the seat of its holder. */
struct ipc_ring_seat_ {
    uint64_t id;         /* the holder's ipc_peer id, 0: free. See the table above */
    uint64_t generation; /* how many handles have taken the seat; each adds one */
    uint64_t named;      /* the id that the current generation was issued to */
    uint64_t unused;     /* a power of two is easier to multiply by */
};

/* In `how` of a kind that has seats, above the lowest byte: how many, where that is another number
 * than usual. IPC_BROADCAST_READERS and IPC_MPMC_HANDLES are made of this. A number that is out of
 * range stays so. Constant where n is, so it has n twice. */
#define IPC_RING_SEATS_MAX 65536u
#define IPC_RING_HOW_MANY_(n, usual)                                                               \
    ((unsigned)(n)-1u < IPC_RING_SEATS_MAX ? ((unsigned)(n) ^ (usual)) << 8 : ~0xffu)

IPC_INLINE unsigned ipc_ring_seats_of_(unsigned how, unsigned usual)
{
    return how >> 8 ^ usual;
}

IPC_INLINE int ipc_ring_are_seats_valid_(unsigned seats)
{
    return seats - 1 < IPC_RING_SEATS_MAX;
}

/* What all rings of one kind have in common. */
struct ipc_ring_kind_ {
    const char *name;
    uint64_t magic;
    size_t header;
    size_t stride;
};

IPC_INLINE size_t ipc_ring_footprint_(const struct ipc_ring_kind_ *kind, size_t bytes,
                                      uint64_t capacity)
{
    if (bytes == 0 || bytes > SIZE_MAX / 4 || capacity == 0 || (capacity & (capacity - 1)) != 0 ||
        capacity > (SIZE_MAX / 2 - kind->header) / kind->stride)
        return 0;
    return kind->header + kind->stride * (size_t)capacity;
}

IPC_INLINE int ipc_ring_aligned_(const void *mem)
{
    return mem != NULL && (uintptr_t)mem % IPC_RING_LINE == 0;
}

IPC_INLINE int ipc_ring_init_(void *mem, size_t size, const struct ipc_ring_kind_ *kind,
                              size_t bytes, uint64_t capacity, uint32_t how)
{
    struct ipc_ring_shared_ *r = (struct ipc_ring_shared_ *)mem;
    size_t footprint = ipc_ring_footprint_(kind, bytes, capacity);
    uint64_t next;

    if (footprint == 0 || !ipc_ring_aligned_(mem))
        return -EINVAL;
    if (size < footprint)
        return -ENOSPC;
    next = r->next_version;
    ck_pr_store_64(&r->magic, 0); /* first: a process that dies in here leaves no ring */
    memset((unsigned char *)mem + sizeof r->magic, 0, footprint - sizeof r->magic);
    r->version = next >> 32 == IPC_RING_NEXT_ >> 32 ? (uint32_t)next : 0;
    r->abi = IPC_RING_LAYOUT;
    r->order = IPC_RING_ORDER;
    r->line = IPC_RING_LINE;
    r->how = how;
    r->bytes = bytes;
    r->capacity = capacity;
    /* Without it an attach could see the magic before the ring. Partner: ipc_ring_check_reader_. */
    ck_pr_fence_store();
    ck_pr_store_64(&r->magic, kind->magic);
    return 0;
}

#define IPC_RING_ANYONE_ (~UINT64_C(0)) /* the id of a process that brings no ipc_peer */

IPC_INLINE int ipc_ring_refuse_(struct ipc_peer *me, int rc, const char *what, uint64_t there,
                                uint64_t here)
{
    if (me != NULL)
        (void)snprintf(me->why, sizeof me->why, "%s: %llu there, %llu here", what,
                       (unsigned long long)there, (unsigned long long)here);
    return rc;
}

/* May this process only read the memory? */
IPC_INLINE int ipc_ring_is_read_only_(const struct ipc_peer *me)
{
    return me != NULL && me->id == IPC_PEER_READ_ONLY;
}

/* -EROFS; me->why says that an end which writes cannot be had. */
IPC_INLINE int ipc_ring_refuse_read_only_(struct ipc_peer *me)
{
    (void)snprintf(me->why, sizeof me->why, "the memory may only be read here, and only readers of "
                   "lossy broadcasts write nothing");
    return -EROFS;
}

/* As ipc_ring_check_, for an end that may do without write access. */
IPC_INLINE int ipc_ring_check_reader_(void *mem, size_t size, const struct ipc_ring_kind_ *kind,
                                      size_t bytes, struct ipc_peer *me, uint64_t *capacity)
{
    const struct ipc_ring_shared_ *r = (const struct ipc_ring_shared_ *)mem;
    uint64_t magic, there;
    size_t footprint;

    if (me != NULL && (me->id == 0 || me->id == IPC_RING_ANYONE_))
        return -EINVAL; /* what made this ipc_peer has said why it has no id */
    if (!ipc_ring_aligned_(mem) || size < kind->header || bytes == 0)
        return ipc_ring_refuse_(me, -EINVAL, "ring memory misaligned or too small; bytes", size,
                                kind->header);
    magic = ck_pr_load_64(&r->magic);
    /* Without it the fields could be older than the magic. Partner: in ipc_ring_init_. */
    ck_pr_fence_load();
    if (magic == 0)
        return ipc_ring_refuse_(me, -EAGAIN, "ring not initialised yet; magic", 0, kind->magic);
    if ((there = ck_pr_load_32(&r->order)) == IPC_RING_SWAPPED)
        return ipc_ring_refuse_(me, -EPROTO, "ring of another byte order", there, IPC_RING_ORDER);
    if (magic != kind->magic || there != IPC_RING_ORDER)
        return ipc_ring_refuse_(me, -EPROTO, kind->name, magic, kind->magic);
    if ((there = ck_pr_load_32(&r->abi)) != IPC_RING_LAYOUT)
        return ipc_ring_refuse_(me, -EPROTO, "ring of another version; ABI", there, IPC_RING_LAYOUT);
    if ((there = ck_pr_load_32(&r->line)) != IPC_RING_LINE)
        return ipc_ring_refuse_(me, -EPROTO, "ring of another cache line size", there,
                                IPC_RING_LINE);
    if ((there = ck_pr_load_64(&r->bytes)) != bytes)
        return ipc_ring_refuse_(me, -EPROTO, "message size differs; bytes", there, bytes);
    *capacity = ck_pr_load_64(&r->capacity);
    footprint = ipc_ring_footprint_(kind, bytes, *capacity);
    if (footprint == 0 || footprint > size)
        return ipc_ring_refuse_(me, -EPROTO, "ring does not fit its memory; slots and bytes",
                                *capacity, size);
    return 0;
}

/* Reads the geometry once and checks it against the caller's. Writes what differs to me->why.
 * -EROFS where me->id is IPC_PEER_READ_ONLY. */
IPC_INLINE int ipc_ring_check_(void *mem, size_t size, const struct ipc_ring_kind_ *kind,
                               size_t bytes, struct ipc_peer *me, uint64_t *capacity)
{
    int rc = ipc_ring_check_reader_(mem, size, kind, bytes, me, capacity);

    return rc == 0 && ipc_ring_is_read_only_(me) ? ipc_ring_refuse_read_only_(me) : rc;
}

/* Once `how` says what else is in the memory: is there room for that? 0 or -EPROTO. */
IPC_INLINE int ipc_ring_check_size_(struct ipc_peer *me, size_t size, size_t footprint,
                                    uint64_t how)
{
    if (footprint == 0 || footprint > size)
        return ipc_ring_refuse_(me, -EPROTO, "ring does not fit its memory; how and bytes", how,
                                size);
    return 0;
}

/* Is the process of that id, which is not 0, proven to be dead, or to have left? One without an
 * ipc_peer never is. */
IPC_INLINE int ipc_ring_is_dead_(int (*alive)(void *, uint64_t), void *arg, uint64_t id)
{
    return id != IPC_RING_ANYONE_ && alive != NULL && alive(arg, id) <= 0;
}

/* The id under which a process holds an end. */
IPC_INLINE uint64_t ipc_ring_id_of_(const struct ipc_peer *me)
{
    return me != NULL ? me->id : IPC_RING_ANYONE_;
}

/* May `me` replace this holder of an end, a lane or a seat? */
IPC_INLINE int ipc_ring_may_replace_(const struct ipc_peer *me, uint64_t holder)
{
    return holder == 0 ||
           (me != NULL && holder != me->id && ipc_ring_is_dead_(me->alive, me->arg, holder));
}

/*
 * Whose process a handle is. A child that inherits the handle by fork has no end by it: the parent
 * has, as long as it lives. At its first call the child finds that *now is 0, before it has
 * stored anything, and ipc_ring_settle_ says which of the two goes on:
 *
 *   the parent                       the child's first call
 *   ------------------------------   --------------------------------------------------------------
 *   has handed its id over           goes on, by the same id: nothing changes in memory
 *   is dead, or has left             takes the end as any other process, by compare-and-swap, and
 *                                    goes on where the handle was, or where the parent was later
 *   lives; or another was quicker    -ECHILD, as each later call: the handle is as if detached
 */
struct ipc_ring_self_ {
    const uint64_t *now; /* struct ipc_peer's self; or a word that is all ones for ever */
    uint64_t was;        /* by which id the handle is attached */
    struct ipc_peer *me; /* NULL, where `now` never changes */
    /* Takes the end by the id of `me`, and finds the position anew: 0, or a negative errno. With
     * NULL makes the handle one that answers each call with -ECHILD. */
    int (*renew)(void *handle, struct ipc_peer *me);
};

IPC_INLINE void ipc_ring_begin_self_(struct ipc_ring_self_ *s, struct ipc_peer *me,
                                     int (*renew)(void *, struct ipc_peer *))
{
    static const uint64_t none = UINT64_MAX;

    s->me = me != NULL && me->self != NULL ? me : NULL;
    s->now = s->me != NULL ? me->self : &none;
    s->was = s->me != NULL ? me->id : 0;
    s->renew = renew;
}

/* Did the handle come by fork, or was its id handed over to a child? *now is memory of this process
 * alone, which changes in no call of its own: a plain load. */
IPC_FORCE_INLINE int ipc_ring_is_forked_(const struct ipc_ring_self_ *s)
{
    return *s->now == 0;
}

/* The handle of that `self` is forked. 1: this process goes on by the same id, and nothing has
 * changed; 0: it goes on, from what is in memory now; else -ECHILD. */
CK_CC_UNUSED __attribute__((noinline)) static int ipc_ring_settle_(struct ipc_ring_self_ *self,
                                                                   void *handle)
{
    int (*renew)(void *, struct ipc_peer *) = self->renew;
    struct ipc_peer *me = self->me;
    int rc = me->inherit(me->arg, self->was, 0);

    if (rc == 1)
        return 1;
    if (rc == 0 && renew(handle, me) == 0) {
        self->now = me->self;
        self->was = me->id;
        return 0;
    }
    return renew(handle, NULL);
}

/* Is what the handle holds this process's, by the id by which the handle is attached? Then this process
 * publishes it and gives it back. */
IPC_INLINE int ipc_ring_is_ours_(const struct ipc_ring_self_ *s)
{
    return !ipc_ring_is_forked_(s) || s->me->inherit(s->me->arg, s->was, 1) == 1;
}

/* Takes an end for `me`, if it is free or its holder is dead. 0, or -EBUSY. A process that fails
 * eight times competes with others that are taking it, or with a hostile writer. */
IPC_INLINE int ipc_ring_take_end_(uint64_t *end, struct ipc_peer *me, uint64_t id)
{
    uint64_t holder = 0;
    int tries;

    for (tries = 0; tries < 8; tries++) {
        holder = ck_pr_load_64(end);
        if (!ipc_ring_may_replace_(me, holder))
            break;
        if (ck_pr_cas_64(end, holder, id)) {
            /* Without it the positions that we start from could be older than what the last holder
             * left. Partner: ipc_ring_leave_end_; the kernel, if the last holder was killed. */
            ck_pr_fence_acquire();
            return 0;
        }
    }
    return ipc_ring_refuse_(me, -EBUSY,
                            holder == id ? "this process has taken this end of the ring; peer"
                                         : "this end of the ring is taken; peer",
                            holder, id);
}

/* Frees an end that `id` holds. If another process was told that we are dead and took it, it stays
 * that one's. */
IPC_INLINE void ipc_ring_leave_end_(uint64_t *end, uint64_t id)
{
    /* Without it the next holder could miss what we wrote or read. Partner: ipc_ring_take_end_. */
    ck_pr_fence_release();
    (void)ck_pr_cas_64(end, id, 0);
}

/* Detaches from an end: frees it, and counts in `left` that one has gone. The process at the other
 * end may have had no look between this one's attach and now, as it always found messages or room:
 * then the count tells it. `left` only grows, by one for each detach, and only the process that
 * detaches adds to it; what a hostile writer stores there is a loss told for nothing, or not at all.
 */
IPC_INLINE void ipc_ring_detach_end_(uint64_t *end, uint64_t id)
{
    /* Without it the count could be seen before the last message, or room, that this process gave:
     * its peer would take what is still to come for all. Partner: the second load fence in
     * ipc_notify_wait_with_peer_. */
    ck_pr_fence_release();
    /* Before the end is free, so that whoever finds it free finds the count as well. */
    (void)ck_pr_faa_64(end + IPC_RING_LEFT_, 1);
    ipc_ring_leave_end_(end, id);
}

/* The scans of one process for a holder that it may replace. Begins as zeros. */
struct ipc_ring_scans_ {
    uint64_t sum;
    unsigned tries;
};

/* A scan of `count` holders, `step` bytes from each other, has found none to replace. Is it to
 * begin again? After the first one, and then, eight times at most, if a holder has changed since.
 * The sum changes when one does, but for a coincidence. */
IPC_INLINE int ipc_ring_is_to_scan_again_(struct ipc_ring_scans_ *scans, const uint64_t *holders,
                                          size_t step, uint64_t count)
{
    uint64_t sum = 0, i;
    int changed;

    for (i = 0; i < count; i++)
        sum = sum * 31 + ck_pr_load_64((const uint64_t *)(const void *)((const unsigned char *)
                                                                            holders + i * step));
    changed = scans->tries == 0 || sum != scans->sum;
    scans->sum = sum;
    return changed && scans->tries++ < 8;
}

/* Takes the first of n seats that is free or whose holder, to which *holder is set, is dead.
 * Returns its index, or n. What has to be ordered with the seat's generation is up to the caller.
 */
IPC_INLINE unsigned ipc_ring_take_seat_(struct ipc_ring_seat_ *seats, unsigned n,
                                        struct ipc_peer *me, uint64_t id, uint64_t *holder)
{
    struct ipc_ring_scans_ scans = {0, 0};
    unsigned i;

    *holder = 0;
    do
        for (i = 0; i < n; i++) {
            *holder = ck_pr_load_64(&seats[i].id);
            if (ipc_ring_may_replace_(me, *holder) && ck_pr_cas_64(&seats[i].id, *holder, id))
                return i;
        }
    while (ipc_ring_is_to_scan_again_(&scans, &seats[0].id, sizeof seats[0], n));
    return n;
}

/* Raises a count that only grows, and to no more than `most`, to n at least. It fails when others
 * have made it grow. */
IPC_INLINE void ipc_ring_raise_(uint64_t *count, uint64_t n, uint64_t most)
{
    uint64_t tries;

    for (tries = 0; tries <= most; tries++) {
        uint64_t there = ck_pr_load_64(count);

        if (there >= n || ck_pr_cas_64(count, there, n))
            break;
    }
}

/* Issues the next generation of a seat to its new holder. */
IPC_INLINE uint64_t ipc_ring_next_generation_(struct ipc_ring_seat_ *seat, uint64_t id)
{
    uint64_t generation = ck_pr_faa_64(&seat->generation, 1) + 1;

    ck_pr_store_64(&seat->named, id);
    return generation;
}

/* Is the process dead, or has it left, that a word names by the current generation of a seat? */
IPC_INLINE int ipc_ring_is_named_dead_(int (*alive)(void *, uint64_t), void *arg,
                                       const struct ipc_ring_seat_ *seat)
{
    if (ck_pr_load_64(&seat->id) == 0)
        return alive != NULL;
    return ipc_ring_is_dead_(alive, arg, ck_pr_load_64(&seat->named));
}

/* An end that is close behind the other lets that get ahead before it looks again: if both work on
 * one line, each waits for the other. It holds back the longer, up to `most` pauses, the more often
 * that brought several messages at once. */
IPC_FORCE_INLINE void ipc_ring_hold_back_(unsigned pauses)
{
    for (; pauses > 0; pauses--)
        ck_pr_stall();
}

IPC_FORCE_INLINE void ipc_ring_adapt_pauses_(unsigned *pauses, int pays, unsigned most)
{
    if (!pays)
        *pauses /= 2;
    else if (*pauses < most)
        *pauses = 2 * *pauses + 1;
}

IPC_FORCE_INLINE unsigned char *ipc_ring_slot_(unsigned char *slots, uint64_t mask,
                                               uint64_t position, size_t stride)
{
    return slots + (size_t)(position & mask) * stride;
}

/* The last word of a slot: its sequence (spsc.h), or all about it (mpmc_slot.h, call.h). */
IPC_FORCE_INLINE uint64_t *ipc_ring_sequence_(unsigned char *slot, size_t stride)
{
    return (uint64_t *)(void *)(slot + stride - sizeof(uint64_t));
}

#endif

/* >>trials  src/ring/trials.h */
/*
 * Trials: a producer finds out in which way to copy long messages in.
 *
 * Which way is the fastest depends on where the two cores are, on the processor, and on the sizes of
 * the ring and the message: by a factor of two to four, in either direction (bench/results). No
 * system tells, and processes move; so the producer measures. For 2,000 laps of the ring it copies
 * in the way that was best. Then it copies 16 laps in each way, and times the last eight of them.
 *
 *   phase 0             2,000 laps in the best way
 *   phase 1, 3, 5       eight laps in way 0, 1, 2
 *   phase 2, 4, 6       eight more, timed
 *
 * Another way is taken if the copies themselves take less time than by lines, and the laps at least
 * a seventh less: the consumer has to fetch the message from where that way leaves it. The laps are
 * the producer's, which may gain one on a consumer that is slower; of eight that is less than a
 * seventh.
 * Short messages do not come here.
 */
#ifndef IPC_SRC_RING_TRIALS_H
#define IPC_SRC_RING_TRIALS_H 1

enum ipc_ring_way_ {
    IPC_RING_BY_LINES_,  /* 64 bytes at a time, through the caches */
    IPC_RING_BY_STRING_, /* by the processor's instruction for that */
    IPC_RING_PAST_,      /* past the caches: a fence is due before the message is published */
    IPC_RING_WAYS_
};

#define IPC_RING_LONG_ 1024u        /* bytes: from here on each copy counts, below it in batches */
#define IPC_RING_TRIAL_AFTER_ 2000u /* laps of phase 0 */
#define IPC_RING_TRIAL_LAPS_ 8u     /* of each other phase */

/* Private to a producer. */
struct ipc_ring_trials_ {
    uint64_t lap;                  /* bytes of its ring */
    uint64_t left;                 /* bytes to copy in this phase */
    uint64_t began;                /* when this phase did, in cycles */
    uint64_t cost[IPC_RING_WAYS_]; /* cycles of its copies in this phase, or in the last */
    uint64_t took[IPC_RING_WAYS_]; /* cycles for the laps that are timed */
    unsigned phase;
    unsigned way; /* in use */
};

IPC_INLINE void ipc_ring_trials_begin_(struct ipc_ring_trials_ *t, uint64_t lap)
{
    memset(t, 0, sizeof *t);
    t->lap = lap;
    t->left = 8 * lap; /* soon, but not while pages are still fresh */
}

#ifdef __x86_64__

/* The way that the next copy takes; *then is for ipc_ring_trials_note_. */
IPC_FORCE_INLINE unsigned ipc_ring_trials_way_(const struct ipc_ring_trials_ *t, uint64_t *then)
{
    *then = CK_CC_UNLIKELY(t->phase > 0) ? __builtin_ia32_rdtsc() : 0;
    return t->way;
}

/* Are the next n bytes copied by lines, and not in a trial? Counts them, if their copy does not. */
IPC_FORCE_INLINE int ipc_ring_trials_rest_(struct ipc_ring_trials_ *t, uint64_t n)
{
    if (t->way != IPC_RING_BY_LINES_ || t->phase > 0 || t->left <= n)
        return 0;
    if (n < IPC_RING_LONG_)
        t->left -= n;
    return 1;
}

/* The phase is over. */
IPC_INLINE void ipc_ring_trials_end_phase_(struct ipc_ring_trials_ *t, uint64_t now)
{
    uint64_t most;
    unsigned way;

    if (t->phase > 0 && t->phase % 2 == 0)
        t->took[t->way] = now - t->began;
    t->began = now;
    if (t->phase < 2 * IPC_RING_WAYS_) {
        t->way = t->phase++ / 2;
        t->cost[t->way] = 0;
        t->left = IPC_RING_TRIAL_LAPS_ * t->lap;
        return;
    }
    t->phase = 0;
    t->left = IPC_RING_TRIAL_AFTER_ * t->lap;
    t->way = IPC_RING_BY_LINES_;
    most = t->took[IPC_RING_BY_LINES_] - t->took[IPC_RING_BY_LINES_] / 7;
    for (way = 1; way < IPC_RING_WAYS_; way++)
        if (t->cost[way] < t->cost[IPC_RING_BY_LINES_] && t->took[way] < most) {
            t->way = way;
            most = t->took[way];
        }
}

/* n bytes were copied, since `then`. */
IPC_FORCE_INLINE void ipc_ring_trials_note_(struct ipc_ring_trials_ *t, uint64_t n, uint64_t then)
{
    uint64_t now = 0;

    if (CK_CC_UNLIKELY(t->phase > 0)) {
        now = __builtin_ia32_rdtsc();
        t->cost[t->way] += now - then;
    }
    t->left -= n < t->left ? n : t->left;
    if (CK_CC_UNLIKELY(t->left == 0))
        ipc_ring_trials_end_phase_(t, now != 0 ? now : __builtin_ia32_rdtsc());
}

#else
/* There is one way, the libc's. */
IPC_FORCE_INLINE int ipc_ring_trials_rest_(struct ipc_ring_trials_ *t, uint64_t n)
{
    (void)t, (void)n;
    return 1;
}
#endif /* __x86_64__ */

#endif

/* >>copy  src/ring/copy.h */
/* Copies of messages in and out: short ones inline, long ones in the way that a producer finds to
 * be the fastest, words where a late reader may read while a producer writes. */
#ifndef IPC_SRC_RING_COPY_H
#define IPC_SRC_RING_COPY_H 1

#ifdef __x86_64__
#include <emmintrin.h>
#endif

#define IPC_RING_SHORT_ 256u /* bytes; up to here the compiler's copy, or some words, are fastest */

/* May a message of n bytes be put off, so that it shares its fence with others? How many bytes may
 * be at most: by then the fence is a small part of the time. */
#ifdef __x86_64__
#define IPC_RING_IS_PUT_OFF_(n) ((n) >= IPC_RING_SHORT_)
#else
#define IPC_RING_IS_PUT_OFF_(n) 0
#endif
#define IPC_RING_PUT_OFF_ 32768u

/* A function that is called, not inlined, so that rare work does not slow down what calls it. */
#define IPC_RING_NOINLINE_ CK_CC_UNUSED __attribute__((noinline)) static

#ifdef __x86_64__
IPC_FORCE_INLINE void ipc_ring_copy_line_(unsigned char *to, const unsigned char *from, int past)
{
    const __m128i *f = (const __m128i *)(const void *)from;
    __m128i *t = (__m128i *)(void *)to;
    __m128i a = _mm_loadu_si128(f), b = _mm_loadu_si128(f + 1);
    __m128i c = _mm_loadu_si128(f + 2), d = _mm_loadu_si128(f + 3);

    if (past) {
        _mm_stream_si128(t, a);
        _mm_stream_si128(t + 1, b);
        _mm_stream_si128(t + 2, c);
        _mm_stream_si128(t + 3, d);
    } else {
        _mm_storeu_si128(t, a);
        _mm_storeu_si128(t + 1, b);
        _mm_storeu_si128(t + 2, c);
        _mm_storeu_si128(t + 3, d);
    }
}

/* Copies a line or more through the caches. The first line may overlap the second, and the last the
 * one before. The memcpy of a libc is mostly one instruction for long copies. On some processors
 * that takes two to three times as long for some alignments of the source (on Zen 3 for a quarter of
 * them), and it starts slowly. */
IPC_RING_NOINLINE_ void ipc_ring_copy_lines_(unsigned char *to, const unsigned char *from, size_t n)
{
    size_t i = IPC_RING_LINE - (uintptr_t)to % IPC_RING_LINE;

    __asm__(""
            : "+r"(to), "+r"(from)); /* else gcc warns about smaller messages, never copied here */
    ipc_ring_copy_line_(to, from, 0);
    for (; i < n - IPC_RING_LINE; i += IPC_RING_LINE)
        ipc_ring_copy_line_(to + i, from + i, 0);
    ipc_ring_copy_line_(to + n - IPC_RING_LINE, from + n - IPC_RING_LINE, 0);
}

/* Copies in by lines. Asks for as many of them ahead of time, with write intent, as the processor
 * keeps on their way at once: a store waits for its line, and those behind it wait with it. Those of
 * a shorter message were asked for when an earlier one was sent. */
IPC_RING_NOINLINE_ void ipc_ring_copy_lines_in_(unsigned char *to, const unsigned char *from,
                                                size_t n)
{
    size_t part = 4 * IPC_RING_PREFETCH_, i;

    for (; n > 0; to += part, from += part, n -= part) {
        part = n < 2 * part ? n : part; /* none is shorter than a line */
        for (i = 0; part >= IPC_RING_PREFETCH_ && i < part; i += IPC_RING_LINE)
            ck_pr_rfo(to + i);
        ipc_ring_copy_lines_(to, from, part);
    }
}

/* Copies past the caches whole lines, and what is beside them through the caches. A line that is
 * written in both ways has to leave the cache in between, which takes long: so none is. The line
 * behind the message has the word that publishes it, and is asked for ahead of time. */
IPC_RING_NOINLINE_ void ipc_ring_copy_past_(unsigned char *to, const unsigned char *from, size_t n)
{
    size_t i = (0 - (uintptr_t)to) % IPC_RING_LINE, end = n - ((uintptr_t)to + n) % IPC_RING_LINE;

    ck_pr_rfo(to + n);
    memcpy(to, from, i);
    for (; i < end; i += IPC_RING_LINE)
        ipc_ring_copy_line_(to + i, from + i, 1);
    memcpy(to + end, from + end, n - end);
}

/* Copies in. Past the caches ipc_ring_settle_copies_ is due before the message is published. */
IPC_FORCE_INLINE void ipc_ring_copy_way_(unsigned way, unsigned char *to, const unsigned char *from,
                                         size_t n)
{
    if (way == IPC_RING_PAST_)
        ipc_ring_copy_past_(to, from, n);
    else if (way == IPC_RING_BY_STRING_ && n >= IPC_RING_LONG_)
        __asm__ __volatile__("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
    else
        ipc_ring_copy_lines_in_(to, from, n);
}

/* Without it stores past the caches, which keep no order, could be seen after the word that says
 * that the message is there. Partner: the load fence of the consumer that looks for that word. It
 * waits for all of them, so one for many messages costs little more than one for one. */
IPC_FORCE_INLINE void ipc_ring_settle_copies_(void)
{
    _mm_sfence();
}

/* Copies in, in the way that trials have found. 1: ipc_ring_settle_copies_ is due before the message
 * is published. */
IPC_RING_NOINLINE_ int ipc_ring_copy_unsettled_(struct ipc_ring_trials_ *t, unsigned char *to,
                                                const unsigned char *from, size_t n)
{
    uint64_t then;
    unsigned way = ipc_ring_trials_way_(t, &then);

    ipc_ring_copy_way_(way, to, from, n);
    ipc_ring_trials_note_(t, n, then);
    return way == IPC_RING_PAST_;
}

/* Copies a long message in. If its place is raced for, a reader may still be there: it is to see
 * that the place was marked before it sees what is copied, so a store past the caches may not
 * overtake the mark either. Partner: the load fence of that reader. */
IPC_RING_NOINLINE_ void ipc_ring_copy_long_(struct ipc_ring_trials_ *t, unsigned char *to,
                                            const unsigned char *from, size_t n, int raced)
{
    if (raced && t->way == IPC_RING_PAST_)
        ipc_ring_settle_copies_();
    if (ipc_ring_copy_unsettled_(t, to, from, n))
        ipc_ring_settle_copies_();
}
#else
IPC_FORCE_INLINE void ipc_ring_settle_copies_(void)
{
}

IPC_INLINE int ipc_ring_copy_unsettled_(struct ipc_ring_trials_ *t, unsigned char *to,
                                        const unsigned char *from, size_t n)
{
    (void)t;
    memcpy(to, from, n);
    return 0;
}
#endif

#define IPC_RING_OUT_BY_LIBC_ 32768u /* bytes: from here on memcpy is faster (bench/results) */

/* Copies out. A single message of less than a page is copied by memcpy, with fewer and wider
 * stores: what is sent next waits for them. */
IPC_FORCE_INLINE void ipc_ring_get_(void *to, const void *from, size_t n, int alone)
{
#ifdef __x86_64__
    if (n < IPC_RING_OUT_BY_LIBC_ && (n >= 4096 || (n > IPC_RING_SHORT_ && !alone)))
        ipc_ring_copy_lines_((unsigned char *)to, (const unsigned char *)from, n);
    else
#endif
        memcpy(to, from, n);
    (void)alone;
}

/* Copies in what is not short. If t is NULL, by lines. */
IPC_FORCE_INLINE void ipc_ring_put_bytes_(struct ipc_ring_trials_ *t, void *to, const void *from,
                                          size_t n)
{
#ifdef __x86_64__
    if (n >= IPC_RING_LONG_ && t != NULL)
        ipc_ring_copy_long_(t, (unsigned char *)to, (const unsigned char *)from, n, 0);
    else if (n > IPC_RING_SHORT_)
        ipc_ring_copy_lines_in_((unsigned char *)to, (const unsigned char *)from, n);
    else
#endif
        memcpy(to, from, n);
    (void)t;
}

/* Copies a message into its slot, by machine words. A caller has mostly just written its fields; a
 * wider load would have to wait until those stores, and all before them, have left the store
 * buffer, and with them the lines that are on their way from the other core. */
IPC_FORCE_INLINE void ipc_ring_put_(struct ipc_ring_trials_ *t, unsigned char *to,
                                    const unsigned char *from, size_t n)
{
#define IPC_RING_WORD_(type, at)                                                                   \
    do {                                                                                           \
        type word;                                                                                 \
        memcpy(&word, from + (at), sizeof word);                                                   \
        __asm__("" : "+r"(word)); /* or the compiler makes one wide copy of several */             \
        memcpy(to + (at), &word, sizeof word);                                                     \
    } while (0)

    if (n > IPC_RING_SHORT_) {
        ipc_ring_put_bytes_(t, to, from, n);
        return;
    }
    for (; n >= 32; n -= 32, to += 32, from += 32) {
        IPC_RING_WORD_(uint64_t, 0);
        IPC_RING_WORD_(uint64_t, 8);
        IPC_RING_WORD_(uint64_t, 16);
        IPC_RING_WORD_(uint64_t, 24);
    }
    if (n & 16) {
        IPC_RING_WORD_(uint64_t, 0);
        IPC_RING_WORD_(uint64_t, 8);
    }
    if (n & 8)
        IPC_RING_WORD_(uint64_t, n & 16);
    if (n & 4)
        IPC_RING_WORD_(uint32_t, n & 24);
    if (n & 2)
        IPC_RING_WORD_(uint16_t, n & 28);
    if (n & 1)
        to[n & 30] = from[n & 30];
#undef IPC_RING_WORD_
}

/* Copies by words that are loaded and stored whole: a consumer that is late may read while a
 * producer writes, and then drops what it read. Spelt out, as the compiler does not unroll them.
 * What is not short is copied as elsewhere: it is dropped whole, whatever it was copied by. */
IPC_FORCE_INLINE void ipc_ring_put_words_(struct ipc_ring_trials_ *t, unsigned char *slot,
                                          const void *message, size_t bytes)
{
    const unsigned char *from = (const unsigned char *)message;
    uint64_t *to = (uint64_t *)(void *)slot, word;

#ifdef __x86_64__
    if (bytes > IPC_RING_SHORT_) {
        if (bytes >= IPC_RING_LONG_)
            ipc_ring_copy_long_(t, slot, from, bytes, 1);
        else
            ipc_ring_copy_lines_in_(slot, from, bytes);
        return;
    }
#endif
    (void)t;
#define IPC_RING_PUT_(n)                                                                           \
    do {                                                                                           \
        memcpy(&word, from, n);                                                                    \
        ck_pr_store_64(to++, word);                                                                \
        from += n;                                                                                 \
    } while (0)

    for (; bytes >= 32; bytes -= 32) {
        IPC_RING_PUT_(8);
        IPC_RING_PUT_(8);
        IPC_RING_PUT_(8);
        IPC_RING_PUT_(8);
    }
    if (bytes & 16) {
        IPC_RING_PUT_(8);
        IPC_RING_PUT_(8);
    }
    if (bytes & 8)
        IPC_RING_PUT_(8);
    word = 0;
    if (bytes & 7)
        IPC_RING_PUT_(bytes & 7);
#undef IPC_RING_PUT_
}

IPC_FORCE_INLINE void ipc_ring_get_words_(void *message, unsigned char *slot, size_t bytes)
{
    unsigned char *to = (unsigned char *)message;
    uint64_t *from = (uint64_t *)(void *)slot, word;

#ifdef __x86_64__
    if (bytes > IPC_RING_SHORT_) {
        ipc_ring_copy_lines_(to, slot, bytes);
        return;
    }
#endif
#define IPC_RING_GET_(n)                                                                           \
    do {                                                                                           \
        word = ck_pr_load_64(from++);                                                              \
        memcpy(to, &word, n);                                                                      \
        to += n;                                                                                   \
    } while (0)

    for (; bytes >= 32; bytes -= 32) {
        IPC_RING_GET_(8);
        IPC_RING_GET_(8);
        IPC_RING_GET_(8);
        IPC_RING_GET_(8);
    }
    if (bytes & 16) {
        IPC_RING_GET_(8);
        IPC_RING_GET_(8);
    }
    if (bytes & 8)
        IPC_RING_GET_(8);
    if (bytes & 7)
        IPC_RING_GET_(bytes & 7);
#undef IPC_RING_GET_
}

#endif

/* >>spsc  src/ring/spsc.h */
/*
 * SPSC: slots for one producer and one consumer.
 *
 * Each slot is payload followed by a sequence number in the same cache line (the last one, if it
 * has several). The consumer polls the slot itself, so a message crosses in one line transfer. It
 * publishes its position `head` now and then; the producer reads that only when its private limit
 * says that the ring is full.
 *
 *     slot of position p:  [ p+1-capacity or 0 ] --producer: payload, fence, p+1--> [ p+1 ]
 *                             ^                                                        |
 *                             '---- consumer: copies out, later publishes head > p ----'
 *
 *   word           from           to     made by
 *   sequence of p  p+1-capacity   p+1    the producer, when head > p-capacity: store fence, store
 *                  or 0                  (ipc_spsc_send_)
 *   head           h              h' > h the consumer, when it is done with all below h': release
 *                                        fence, store (ipc_spsc_publish_)
 *
 * No other process stores either. So from head on slots are full up to the producer's tail, and not
 * beyond, and a new producer finds its tail by bisection.
 *
 * Two costs remain, both of a line that is touched while the other core works on it. The producer
 * asks for lines ahead of time with write intent. The consumer looks far ahead first: if that slot
 * is full, the whole run before it is full too (B-Queue: J. Wang, K. Zhang, X. Tang, B. Hua,
 * "B-Queue: Efficient and Practical Queuing for Fast Core-to-Core Communication", 2013). A consumer
 * that has caught up with a streaming producer holds back a little, as long as each look then finds
 * several messages: so it does not fight over the line that is being written. It does not hold back
 * if its last look found the ring empty: a lone message is not delayed.
 */
#ifndef IPC_SRC_RING_SPSC_H
#define IPC_SRC_RING_SPSC_H 1

/* >>spsc_layout  src/ring/spsc_layout.h */
/*
 * SPSC: what is in shared memory. The rules of its words are in spsc.h.
 */
#ifndef IPC_SRC_RING_SPSC_LAYOUT_H
#define IPC_SRC_RING_SPSC_LAYOUT_H 1

/* ------------------------------------------------------------------ spsc: layout */

#define IPC_SPSC_TYPE 0x63737073u /* "spsc": the type under which ipc_shm.h lists it */
#define IPC_SPSC_MAGIC UINT64_C(0x31637370735f6369) /* "ic_spsc1" */

/* The shared part. Private to this file; tests and tools may look. */
struct ipc_spsc_shared {
    struct ipc_ring_shared_ is;
    /* The holders of the producer's end and of the consumer's, and how often each was left, as in
     * core.h. */
    uint64_t end[2];
    uint64_t left[2];
    unsigned char pad1[32];
    /* Every position below has been consumed. Written by the consumer alone. */
    uint64_t head;
    unsigned char pad2[120];
    /* For notifiers of ipc_notify.h, which have this size and begin as zeros: the consumer sleeps
     * on the first, the producer on the second. Without that header they stay zeros. */
    unsigned char data_bell[64];
    unsigned char space_bell[64];
    /* capacity slots of ipc_ring_stride_(bytes) each */
};

IPC_RING_ASSERT_(owners, offsetof(struct ipc_spsc_shared, end) == 64)
IPC_RING_ASSERT_(left, offsetof(struct ipc_spsc_shared, left) == 80)
IPC_RING_ASSERT_(head, offsetof(struct ipc_spsc_shared, head) == 128)
IPC_RING_ASSERT_(bells, offsetof(struct ipc_spsc_shared, data_bell) == 256)
IPC_RING_ASSERT_(size, sizeof(struct ipc_spsc_shared) == 384)

IPC_INLINE struct ipc_ring_kind_ ipc_spsc_kind_(size_t bytes)
{
    struct ipc_ring_kind_ kind;

    kind.name = "not an SPSC ring; magic";
    kind.magic = IPC_SPSC_MAGIC;
    kind.header = sizeof(struct ipc_spsc_shared);
    kind.stride = ipc_ring_stride_(bytes);
    return kind;
}

/* The bytes of a ring; or 0 if bytes is 0, capacity is not a power of two, or their product is
 * beyond the address space. */
IPC_INLINE size_t ipc_spsc_footprint(size_t bytes, uint64_t capacity)
{
    struct ipc_ring_kind_ kind = ipc_spsc_kind_(bytes);

    return ipc_ring_footprint_(&kind, bytes, capacity);
}

/*
 * Makes an empty ring of `capacity` messages of `bytes` bytes in mem[0..size). Writes all of it, so
 * it is also the prefault. An attach at the same time gets -EAGAIN or the whole ring; but where
 * there was a ring before, nobody may be attached or attaching.
 *
 *   0
 *   -EINVAL  mem is NULL or not 64-byte aligned, bytes is 0, capacity is not a power of two, or
 *            their product is beyond the address space
 *   -ENOSPC  size is less than ipc_spsc_footprint(bytes, capacity)
 */
IPC_INLINE int ipc_spsc_init(void *mem, size_t size, size_t bytes, uint64_t capacity)
{
    struct ipc_ring_kind_ kind = ipc_spsc_kind_(bytes);

    return ipc_ring_init_(mem, size, &kind, bytes, capacity, 0);
}

#endif

/* ------------------------------------------------------------------ spsc: handles */

/* Private to their thread; no field is for the caller. */
struct ipc_spsc_producer {
    IPC_RING_APART_(before);
    unsigned char *slots;
    uint64_t mask;
    uint64_t tail;  /* next position to write */
    uint64_t limit; /* positions below are known to be free */
    uint64_t bytes;
    struct ipc_spsc_shared *ring;
    uint64_t id;
    int error; /* sticks; then tail == limit */
    struct ipc_ring_self_ self;
    struct ipc_ring_trials_ trials;
    /* How many messages before tail are copied in and not published. If there are any, limit ==
     * tail, so that any other call that needs a slot comes to ipc_spsc_find_room_ first. */
    uint64_t put_off;
    uint64_t limit_then; /* what limit was */
    IPC_RING_APART_(after);
};

struct ipc_spsc_consumer {
    IPC_RING_APART_(before);
    unsigned char *slots;
    uint64_t mask;
    uint64_t head;      /* next position to read */
    uint64_t ready;     /* positions below are known to be full */
    uint64_t published; /* what *at says */
    uint64_t replay;    /* head - published never exceeds it when a call returns */
    uint64_t *at;       /* where it is published: ring->head; of broadcasts, NULL: nowhere */
    uint64_t bytes;
    struct ipc_spsc_shared *ring;
    uint64_t id;
    int idle;        /* the last look found nothing; 2: and all is published */
    uint64_t empty;  /* if idle is 2: the sequence at head that said so */
    unsigned pauses; /* ck_pr_stall()s before the next look */
    int error;       /* sticks; then head == ready */
    struct ipc_ring_self_ self;
    IPC_RING_APART_(after);
};

/* ------------------------------------------------------------------ spsc: attach and detach */

/* How many slots are full from position `from` on, found by bisection. At most mask + 1, whatever
 * the memory says. */
IPC_INLINE uint64_t ipc_spsc_count_full_(unsigned char *slots, uint64_t mask, uint64_t from,
                                         size_t stride)
{
    uint64_t low = 0, high = mask + 1;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2, p = from + middle;

        if (ck_pr_load_64(ipc_ring_sequence_(ipc_ring_slot_(slots, mask, p, stride), stride)) ==
            p + 1)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Makes a handle that answers every call with rc, and does not touch the ring. */
IPC_INLINE int ipc_spsc_producer_disable_(struct ipc_spsc_producer *p, int rc)
{
    memset(p, 0, sizeof *p);
    ipc_ring_begin_self_(&p->self, NULL, NULL);
    p->error = rc;
    return rc;
}

IPC_INLINE int ipc_spsc_consumer_disable_(struct ipc_spsc_consumer *c, int rc)
{
    memset(c, 0, sizeof *c);
    ipc_ring_begin_self_(&c->self, NULL, NULL);
    c->error = rc;
    return rc;
}

/* Finds where a producer goes on that has just taken its end. */
IPC_INLINE void ipc_spsc_find_tail_(struct ipc_spsc_producer *p)
{
    uint64_t head = ck_pr_load_64(&p->ring->head);

    /* Without it slots could be written that head does not free yet. Partner: ipc_spsc_publish_. */
    ck_pr_fence_acquire();
    p->limit = head + p->mask + 1;
    p->tail = head + ipc_spsc_count_full_(p->slots, p->mask, head,
                                          ipc_ring_stride_((size_t)p->bytes));
    p->put_off = 0;
}

/* struct ipc_ring_self_'s renew. */
IPC_INLINE int ipc_spsc_producer_renew_(void *handle, struct ipc_peer *me)
{
    struct ipc_spsc_producer *p = (struct ipc_spsc_producer *)handle;

    if (me == NULL)
        return ipc_spsc_producer_disable_(p, -ECHILD);
    p->id = me->id;
    if (ipc_ring_take_end_(&p->ring->end[0], me, me->id) != 0)
        return -EBUSY;
    ipc_spsc_find_tail_(p);
    return 0;
}

/*
 * Attaches the producer's end of the ring in mem[0..size), whose messages have `bytes` bytes. After
 * a producer that died it goes on behind the last message that one committed. `me` may be NULL: see
 * struct ipc_peer. Lock-free; not for the path of a message. A handle that was refused answers push
 * with that error; a handle that was detached, with -EINVAL. One that is attached must be detached
 * first: see NAME_END_attach.
 *
 *   0
 *   -EINVAL  mem is NULL or not 64-byte aligned, size or bytes too small, or me->id is 0 or ~0
 *   -EAGAIN  the ring is not initialised yet
 *   -EPROTO  the ring has another message size, version, byte order or layout; me->why names it
 *   -EBUSY   a producer that is not proven dead is attached
 *   -EROFS   me->id is IPC_PEER_READ_ONLY
 */
IPC_INLINE int ipc_spsc_producer_attach(struct ipc_spsc_producer *p, void *mem, size_t size,
                                        size_t bytes, struct ipc_peer *me)
{
    struct ipc_spsc_shared *r = (struct ipc_spsc_shared *)mem;
    struct ipc_ring_kind_ kind = ipc_spsc_kind_(bytes);
    uint64_t capacity, id = ipc_ring_id_of_(me);
    int rc = ipc_ring_check_(mem, size, &kind, bytes, me, &capacity);

    if (rc == 0)
        rc = ipc_ring_take_end_(&r->end[0], me, id);
    if (rc != 0)
        return ipc_spsc_producer_disable_(p, rc);
    p->slots = (unsigned char *)mem + sizeof *r;
    p->mask = capacity - 1;
    p->bytes = bytes;
    p->ring = r;
    p->id = id;
    p->error = 0;
    ipc_ring_begin_self_(&p->self, me, ipc_spsc_producer_renew_);
    ipc_ring_trials_begin_(&p->trials, capacity * bytes);
    ipc_spsc_find_tail_(p);
    return 0;
}

/* Lets a consumer that has just attached begin at `head`. */
IPC_INLINE void ipc_spsc_begin_at_(struct ipc_spsc_consumer *c, uint64_t head)
{
    c->idle = 1;
    c->head = c->ready = c->published = head;
    c->replay = (c->mask + 1) / 8 < 256 ? (c->mask + 1) / 8 : 256;
}

/* The consumer's end was just taken by a child, or another has had it in between: goes on at the
 * position that the handle has, or where another was later. */
IPC_INLINE void ipc_spsc_find_head_(struct ipc_spsc_consumer *c)
{
    uint64_t head = ck_pr_load_64(c->at);

    if (head != c->published)
        c->head = c->published = head;
    c->ready = c->head;
    c->idle = 1;
    c->pauses = 0;
}

/* struct ipc_ring_self_'s renew. */
IPC_INLINE int ipc_spsc_consumer_renew_(void *handle, struct ipc_peer *me)
{
    struct ipc_spsc_consumer *c = (struct ipc_spsc_consumer *)handle;

    if (me == NULL)
        return ipc_spsc_consumer_disable_(c, -ECHILD);
    c->id = me->id;
    if (ipc_ring_take_end_(&c->ring->end[1], me, me->id) != 0)
        return -EBUSY;
    ipc_spsc_find_head_(c);
    return 0;
}

/*
 * Attaches the consumer's end; as ipc_spsc_producer_attach, with the same errors. It starts at the
 * last published position: what a killed consumer took after that is seen again. Until
 * ipc_spsc_replay says otherwise that is an eighth of the capacity at most, and never more than
 * 256.
 */
IPC_INLINE int ipc_spsc_consumer_attach(struct ipc_spsc_consumer *c, void *mem, size_t size,
                                        size_t bytes, struct ipc_peer *me)
{
    struct ipc_spsc_shared *r = (struct ipc_spsc_shared *)mem;
    struct ipc_ring_kind_ kind = ipc_spsc_kind_(bytes);
    uint64_t capacity, id = ipc_ring_id_of_(me);
    int rc = ipc_ring_check_(mem, size, &kind, bytes, me, &capacity);

    if (rc == 0)
        rc = ipc_ring_take_end_(&r->end[1], me, id);
    if (rc != 0)
        return ipc_spsc_consumer_disable_(c, rc);
    c->slots = (unsigned char *)mem + sizeof *r;
    c->mask = capacity - 1;
    c->bytes = bytes;
    c->ring = r;
    c->id = id;
    c->error = 0;
    c->pauses = 0;
    ipc_ring_begin_self_(&c->self, me, ipc_spsc_consumer_renew_);
    c->at = &r->head;
    ipc_spsc_begin_at_(c, ck_pr_load_64(c->at));
    return 0;
}

/* Publishes the consumer's position: it is done with all messages below. If the last one is still
 * in the caller's hand, and may be seen again, publishes the position of that one. */
IPC_FORCE_INLINE void ipc_spsc_publish_taken_(struct ipc_spsc_consumer *c, int in_hand)
{
    uint64_t head;

    /* Without it the producer could overwrite a message that is still being read. Partners: the
     * acquire fences in ipc_spsc_producer_attach, ipc_spsc_find_room_ and
     * ipc_broadcast_find_slowest_reader_.
     */
    ck_pr_fence_release();
    head = c->head - (in_hand && c->replay > 0);
    ck_pr_store_64(c->at, head);
    c->published = head;
}

IPC_INLINE void ipc_spsc_publish_(struct ipc_spsc_consumer *c)
{
    ipc_spsc_publish_taken_(c, 0);
}

/*
 * Sets how many messages that were popped or released the successor of a killed consumer may see
 * again: at most n, among them the one that it had in its hand (ipc_spsc_pop). With 0 each message
 * is handed out once, and the one in the hand of a killed consumer is lost with it; that costs one
 * more store for each. What the killed consumer had peeked and not released is handed out again in
 * any case. A value that would let the ring run full unpublished is brought down to half the
 * capacity. Wait-free.
 */
IPC_INLINE void ipc_spsc_replay(struct ipc_spsc_consumer *c, uint64_t n)
{
    c->replay = n < (c->mask + 1) / 2 ? n : (c->mask + 1) / 2;
    if (c->head - c->published > c->replay && ipc_ring_is_ours_(&c->self))
        ipc_spsc_publish_(c);
}

/* The id of the process that holds the other end, for struct ipc_peer's alive; 0 for nobody, ~0 for
 * a process without an ipc_peer. Wait-free. */
IPC_INLINE uint64_t ipc_spsc_producer_peer(const struct ipc_spsc_producer *p)
{
    return p->ring != NULL ? ck_pr_load_64(&p->ring->end[1]) : 0;
}

IPC_INLINE uint64_t ipc_spsc_consumer_peer(const struct ipc_spsc_consumer *c)
{
    return c->ring != NULL ? ck_pr_load_64(&c->ring->end[0]) : 0;
}

/* Publishes the message in that slot, which is the one of tail. */
IPC_FORCE_INLINE void ipc_spsc_publish_slot_(unsigned char *slot, uint64_t tail, size_t stride)
{
    /* Without it the sequence could be seen before the payload. Partner: the load fence in
     * ipc_spsc_look_ahead_. */
    ck_pr_fence_store();
    ck_pr_store_64(ipc_ring_sequence_(slot, stride), tail + 1);
}

IPC_FORCE_INLINE void ipc_spsc_send_(struct ipc_spsc_producer *p, unsigned char *slot,
                                     uint64_t tail, size_t stride)
{
    ipc_spsc_publish_slot_(slot, tail, stride);
    p->tail = tail + 1;
}

/* Publishes what is put off, in order: a consumer that sees a message takes all before it for
 * published. */
IPC_RING_NOINLINE_ void ipc_spsc_publish_put_off_(struct ipc_spsc_producer *p)
{
    size_t stride = ipc_ring_stride_((size_t)p->bytes);
    uint64_t tail = p->tail - p->put_off;

    ipc_ring_settle_copies_();
    for (; p->put_off > 0; p->put_off--, tail++)
        ipc_spsc_send_(p, ipc_ring_slot_(p->slots, p->mask, tail, stride), tail, stride);
    p->limit = p->limit_then;
}

/* Detaches; the ring and its messages stay for the next holder. Wait-free. */
IPC_INLINE void ipc_spsc_producer_detach(struct ipc_spsc_producer *p)
{
    if (p->ring != NULL && ipc_ring_is_ours_(&p->self)) {
        if (p->put_off > 0)
            ipc_spsc_publish_put_off_(p);
        ipc_ring_detach_end_(&p->ring->end[0], p->id);
    }
    (void)ipc_spsc_producer_disable_(p, -EINVAL);
}

IPC_INLINE void ipc_spsc_consumer_detach(struct ipc_spsc_consumer *c)
{
    if (c->ring != NULL && ipc_ring_is_ours_(&c->self)) {
        if (c->head != c->published)
            ipc_spsc_publish_(c);
        ipc_ring_detach_end_(&c->ring->end[1], c->id);
    }
    (void)ipc_spsc_consumer_disable_(c, -EINVAL);
}

/* ------------------------------------------------------------------ spsc: the producer's path */

/* The private limit says that the ring is full: looks at the position that the consumer has
 * published. Sets limit beyond tail and returns 0, or -EAGAIN, or -EBADMSG. */
IPC_INLINE int ipc_spsc_find_room_(struct ipc_spsc_producer *p)
{
    uint64_t head;

    if (p->error != 0)
        return p->error;
    if (ipc_ring_is_forked_(&p->self)) {
        int rc = ipc_ring_settle_(&p->self, p);

        if (rc < 0 || p->tail != p->limit)
            return rc < 0 ? rc : 0;
    }
    if (p->put_off > 0) {
        ipc_spsc_publish_put_off_(p);
        if (p->tail != p->limit)
            return 0;
    }
    head = ck_pr_load_64(&p->ring->head);
    /* Without it a slot could be written before the consumer is seen to be done with it. Partner:
     * ipc_spsc_publish_. */
    ck_pr_fence_acquire();
    if (p->tail - head > p->mask + 1)
        return p->error = -EBADMSG;
    if (p->tail - head == p->mask + 1)
        return -EAGAIN;
    p->limit = head + p->mask + 1;
    return 0;
}

/* The slot to write next. Asks for the lines of a later slot with write intent, so that the stores
 * to it need not wait for them. If the consumer is not done with that slot, it fetches the lines
 * back, which costs time and nothing else. */
IPC_FORCE_INLINE unsigned char *ipc_spsc_next_slot_(const struct ipc_spsc_producer *p,
                                                    uint64_t tail, size_t stride)
{
    unsigned char *slot = ipc_ring_slot_(p->slots, p->mask, tail, stride);

    if (stride <= IPC_RING_PREFETCH_) {
        size_t slots = IPC_RING_PREFETCH_ / (stride > IPC_RING_LINE ? stride : IPC_RING_LINE), i;
        unsigned char *lead = ipc_ring_slot_(p->slots, p->mask, tail + slots, stride);

        for (i = 0; i < stride; i += IPC_RING_LINE)
            ck_pr_rfo(lead + i);
    }
    return slot;
}

/* Is there room for a message? 0, or the errors of ipc_spsc_push. */
IPC_FORCE_INLINE int ipc_spsc_room_(struct ipc_spsc_producer *p)
{
    return CK_CC_UNLIKELY(p->tail == p->limit || ipc_ring_is_forked_(&p->self))
               ? ipc_spsc_find_room_(p)
               : 0;
}

IPC_FORCE_INLINE void *ipc_spsc_claim_(struct ipc_spsc_producer *p, size_t bytes)
{
    return ipc_spsc_room_(p) == 0 ? ipc_spsc_next_slot_(p, p->tail, ipc_ring_stride_(bytes)) : NULL;
}

IPC_FORCE_INLINE int ipc_spsc_commit_(struct ipc_spsc_producer *p, size_t bytes)
{
    size_t stride = ipc_ring_stride_(bytes);

    if (CK_CC_UNLIKELY(p->tail == p->limit))
        return -EINVAL;
    if (CK_CC_UNLIKELY(ipc_ring_is_forked_(&p->self)) && ipc_ring_settle_(&p->self, p) != 1)
        return p->error != 0 ? p->error : -EINVAL;
    ipc_spsc_send_(p, ipc_ring_slot_(p->slots, p->mask, p->tail, stride), p->tail, stride);
    return 0;
}

IPC_FORCE_INLINE int ipc_spsc_push_(struct ipc_spsc_producer *p, const void *message, size_t bytes)
{
    size_t stride = ipc_ring_stride_(bytes);
    unsigned char *slot;
    uint64_t tail;
    int rc = ipc_spsc_room_(p);

    if (CK_CC_UNLIKELY(rc != 0))
        return rc;
    tail = p->tail; /* kept in a register: fences make the compiler forget the rest */
    slot = ipc_spsc_next_slot_(p, tail, stride);
    ipc_ring_put_(&p->trials, slot, (const unsigned char *)message, bytes);
    ipc_spsc_send_(p, slot, tail, stride);
    return 0;
}

/* Are there messages put off, and may there be one more? Then there is a slot for it. */
IPC_FORCE_INLINE int ipc_spsc_may_put_off_(const struct ipc_spsc_producer *p)
{
    return p->put_off > 0 && p->tail != p->limit_then && p->put_off <= p->mask / 4 &&
           (p->put_off + 1) * p->bytes <= IPC_RING_PUT_OFF_ && !ipc_ring_is_forked_(&p->self);
}

/* Copies a message into the next slot, for which there is room. If the fence for that is dear, puts
 * it off, and the message with it. */
IPC_RING_NOINLINE_ void ipc_spsc_put_off_(struct ipc_spsc_producer *p, const void *message,
                                          size_t bytes)
{
    size_t stride = ipc_ring_stride_(bytes);
    uint64_t tail = p->tail;
    unsigned char *slot = p->trials.way == IPC_RING_PAST_ /* else the line is fetched in vain */
                              ? ipc_ring_slot_(p->slots, p->mask, tail, stride)
                              : ipc_spsc_next_slot_(p, tail, stride);

    if (ipc_ring_copy_unsettled_(&p->trials, slot, (const unsigned char *)message, bytes)) {
        if (p->put_off++ == 0)
            p->limit_then = p->limit;
        p->limit = p->tail = tail + 1;
        return;
    }
    if (p->put_off > 0)
        ipc_spsc_publish_put_off_(p);
    ipc_spsc_send_(p, slot, tail, stride);
}

/* Short messages have no way that needs a dear fence. */
IPC_FORCE_INLINE int ipc_spsc_push_more_(struct ipc_spsc_producer *p, const void *message,
                                         size_t bytes)
{
    int rc;

    if (!IPC_RING_IS_PUT_OFF_(bytes) || ipc_ring_trials_rest_(&p->trials, bytes))
        return ipc_spsc_push_(p, message, bytes);
    rc = ipc_spsc_may_put_off_(p) ? 0 : ipc_spsc_room_(p);
    if (rc == 0)
        ipc_spsc_put_off_(p, message, bytes);
    return rc;
}

IPC_FORCE_INLINE int ipc_spsc_flush_(struct ipc_spsc_producer *p)
{
    if (p->put_off > 0 && p->error == 0 &&
        (!ipc_ring_is_forked_(&p->self) || ipc_ring_settle_(&p->self, p) >= 0) && p->put_off > 0)
        ipc_spsc_publish_put_off_(p);
    return p->error;
}

/* Sends 1 to n short messages, as many as are known to have room: one at least has. Returns how many.
 * A store waits until those before it have their lines, so the handle is written once for all. */
IPC_FORCE_INLINE size_t ipc_spsc_push_run_(struct ipc_spsc_producer *p, const unsigned char *m,
                                           size_t n, size_t bytes)
{
    size_t stride = ipc_ring_stride_(bytes), i = 0;
    uint64_t tail = p->tail, room = p->limit - tail;

    do {
        unsigned char *slot = ipc_spsc_next_slot_(p, tail, stride);

        ipc_ring_put_(&p->trials, slot, m + i * bytes, bytes);
        ipc_spsc_publish_slot_(slot, tail++, stride);
    } while (++i < n && i < room && !ipc_ring_is_forked_(&p->self));
    p->tail = tail;
    return i;
}

IPC_FORCE_INLINE int64_t ipc_spsc_push_n_(struct ipc_spsc_producer *p, const void *messages,
                                          size_t n, size_t bytes)
{
    const unsigned char *m = (const unsigned char *)messages;
    size_t i = 0;
    int rc = 0;

    if (IPC_RING_IS_PUT_OFF_(bytes)) {
        for (; i < n && (rc = ipc_spsc_push_more_(p, m + i * bytes, bytes)) == 0; i++)
            ;
        (void)ipc_spsc_flush_(p);
    } else {
        while (i < n && (rc = ipc_spsc_room_(p)) == 0)
            i += ipc_spsc_push_run_(p, m + i * bytes, n - i, bytes);
    }
    return i > 0 ? (int64_t)i : rc;
}

/*
 * Copies one message in. Wait-free. A consumer that is stopped or dead lets the ring run full.
 *
 *   0
 *   -EAGAIN    the ring is full
 *   -EMSGSIZE  bytes is not the ring's message size
 *   -EBADMSG   the shared memory is corrupt; sticks
 *   -ECHILD    after fork another process goes on with this end, see struct ipc_ring_self_; sticks.
 *              The first call in a child may take up to a second
 */
IPC_INLINE int ipc_spsc_push(struct ipc_spsc_producer *p, const void *message, size_t bytes)
{
    return bytes == p->bytes || p->error != 0 ? ipc_spsc_push_(p, message, bytes) : -EMSGSIZE;
}

/* Copies up to n messages in, from an array. Messages of less than 256 bytes are visible to the
 * consumer one by one, longer ones at the latest when the call returns. If the producer is killed in
 * here, the first ones are there, and no part of another. Wait-free for a given n. Returns how many
 * went in (less than n: the ring is full), 0 for n = 0, or the errors of ipc_spsc_push when none
 * did. */
IPC_INLINE int64_t ipc_spsc_push_n(struct ipc_spsc_producer *p, const void *messages, size_t bytes,
                                   size_t n)
{
    return bytes == p->bytes || p->error != 0 ? ipc_spsc_push_n_(p, messages, n, bytes) : -EMSGSIZE;
}

/*
 * Push, with the hint that more is coming: as ipc_spsc_push, with the same errors, but the message
 * may stay invisible to the consumer until the next flush, push, push_n, claim or detach of this
 * handle. Between some cores long messages are best copied past the caches, and that takes a fence of
 * some hundred nanoseconds before a message is published; after this call one fence is enough for
 * several. At most 32 KiB, or a quarter of the ring, wait like that. A producer that is killed loses
 * what it had not published, as it loses what it had not committed; one that is stopped holds it
 * back; and if a child goes on with this end after fork, it is lost. Wait-free.
 *
 * flush publishes what is put off: call it before you wait for anything, or stop sending. 0, or the
 * error of the handle. Wait-free.
 */
IPC_INLINE int ipc_spsc_push_more(struct ipc_spsc_producer *p, const void *message, size_t bytes)
{
    return bytes == p->bytes || p->error != 0 ? ipc_spsc_push_more_(p, message, bytes) : -EMSGSIZE;
}

IPC_INLINE int ipc_spsc_flush(struct ipc_spsc_producer *p)
{
    return ipc_spsc_flush_(p);
}

/*
 * Push without a copy: claim gives the next slot to write to, aligned as the message needs, with
 * what an earlier lap left in it. NULL when the ring is full, or ipc_spsc_producer_error says why
 * not. Claiming again gives the same slot. Until commit nothing is shared: a producer that is
 * stopped or killed between the two costs nobody anything. All wait-free.
 */
IPC_INLINE void *ipc_spsc_claim(struct ipc_spsc_producer *p)
{
    return ipc_spsc_claim_(p, (size_t)p->bytes);
}

/* Sends the claimed slot. 0; -EINVAL when none can be claimed: the ring was full, or the process has
 * forked since; or -ECHILD. A commit too many invents a message, of what is in the slot. */
IPC_INLINE int ipc_spsc_commit(struct ipc_spsc_producer *p)
{
    return ipc_spsc_commit_(p, (size_t)p->bytes);
}

/* Gives a claimed slot back unsent. There is nothing to do for one producer; other rings differ. */
IPC_INLINE void ipc_spsc_cancel(struct ipc_spsc_producer *p)
{
    (void)p;
}

/* 0; -EBADMSG once the shared memory was found corrupt; -ECHILD once a call said so; or the error of
 * a handle that was refused or detached. Wait-free. */
IPC_INLINE int ipc_spsc_producer_error(const struct ipc_spsc_producer *p)
{
    return p->error;
}

/* How many messages were not known to be consumed, at some moment during the call. That is too many
 * by those that the consumer took and has not published yet. Wait-free. */
IPC_INLINE uint64_t ipc_spsc_producer_was_size(const struct ipc_spsc_producer *p)
{
    uint64_t size = p->ring != NULL ? p->tail - ck_pr_load_64(&p->ring->head) : 0;

    return size <= p->mask + 1 ? size : p->mask + 1;
}

/* ------------------------------------------------------------------ spsc: the consumer's path */

IPC_FORCE_INLINE int ipc_spsc_is_full_(const struct ipc_spsc_consumer *c, uint64_t position,
                                       size_t stride)
{
    unsigned char *slot = ipc_ring_slot_(c->slots, c->mask, position, stride);

    return ck_pr_load_64(ipc_ring_sequence_(slot, stride)) == position + 1;
}

IPC_FORCE_INLINE uint64_t ipc_spsc_sequence_at_head_(const struct ipc_spsc_consumer *c,
                                                     size_t stride)
{
    return ck_pr_load_64(
        ipc_ring_sequence_(ipc_ring_slot_(c->slots, c->mask, c->head, stride), stride));
}

/* The slot at head has that sequence, and is not full: publishes the position, unless the messages
 * before it are in the caller's hand, and checks that the sequence is of the lap before, or 0.
 * Returns -EAGAIN, or -EBADMSG. */
IPC_INLINE int ipc_spsc_found_empty_(struct ipc_spsc_consumer *c, uint64_t sequence, int in_hand)
{
    c->idle = 1;
    c->pauses = 0;
    if (c->at == NULL) /* lossy: the slot may be overwritten: ipc_broadcast_check_lapped_ */
        return -EAGAIN;
    if (sequence != 0 && sequence != c->head - c->mask)
        return c->error = -EBADMSG;
    if (in_hand)
        return -EAGAIN;
    if (c->published != c->head)
        ipc_spsc_publish_(c);
    c->idle = 2;
    c->empty = sequence;
    return -EAGAIN;
}

/* The known run is used up: looks for the next one. Sets ready beyond head and returns 0, or
 * -EAGAIN, or -EBADMSG. in_hand: as ipc_spsc_found_empty_. */
IPC_RING_NOINLINE_ int ipc_spsc_look_ahead_(struct ipc_spsc_consumer *c, size_t stride, int in_hand)
{
    uint64_t ahead = 1, sequence;
    unsigned i;

    if (c->error != 0)
        return c->error;
    if (ipc_ring_is_forked_(&c->self)) {
        int rc = ipc_ring_settle_(&c->self, c);

        if (rc < 0 || c->head != c->ready)
            return rc < 0 ? rc : 0;
    }
    if (c->pauses == 0 && (sequence = ipc_spsc_sequence_at_head_(c, stride)) != c->head + 1)
        return ipc_spsc_found_empty_(c, sequence, in_hand);
    if (c->idle || stride > IPC_RING_SINGLE_) {
        c->idle = 0; /* likely a lone message, or a long one: touch no other line */
    } else {
        ahead = c->mask + 1 < IPC_RING_AHEAD_ ? c->mask + 1 : IPC_RING_AHEAD_;
        if (!ipc_spsc_is_full_(c, c->head + ahead - 1, stride)) {
            ipc_ring_hold_back_(c->pauses);
            if (c->pauses > 0 && (sequence = ipc_spsc_sequence_at_head_(c, stride)) != c->head + 1)
                return ipc_spsc_found_empty_(c, sequence, in_hand);
            for (ahead /= 2; ahead > 1; ahead /= 2)
                if (ipc_spsc_is_full_(c, c->head + ahead - 1, stride))
                    break;
            ahead += ahead == 0;
            ipc_ring_adapt_pauses_(&c->pauses, ahead != 1, IPC_RING_PAUSES_);
        }
    }
    /* Without it the payload could be read before the sequence that vouches for it. The slots
     * before the one probed were committed before it, so this fence covers them. Partner: the
     * store fence in ipc_spsc_send_. */
    ck_pr_fence_load();
    c->ready = c->head + ahead;
    /* If a line has several messages, copying them out reaches too few lines at a time to hide how
     * long they take to get here: ask for the whole run at once. */
    if (stride < IPC_RING_LINE)
        for (i = 0; i < ahead; i += (unsigned)(IPC_RING_LINE / stride))
            __builtin_prefetch(ipc_ring_slot_(c->slots, c->mask, c->head + i, stride));
    return 0;
}

/* As ipc_spsc_look_ahead_, with nothing in hand. A consumer that polls is in here, and sees a message
 * the sooner, the less there is to do for each look; and what it sees then is likely a lone message. */
IPC_FORCE_INLINE int ipc_spsc_look_(struct ipc_spsc_consumer *c, size_t stride)
{
    uint64_t sequence;

    if (CK_CC_UNLIKELY(c->idle != 2 || ipc_ring_is_forked_(&c->self)))
        return ipc_spsc_look_ahead_(c, stride, 0);
    sequence = ipc_spsc_sequence_at_head_(c, stride);
    if (sequence != c->head + 1)
        return sequence == c->empty ? -EAGAIN : ipc_spsc_look_ahead_(c, stride, 0);
    ck_pr_fence_load(); /* as in ipc_spsc_look_ahead_ */
    c->idle = 0;
    c->ready = c->head + 1;
    return 0;
}

/* Is there a message? 0, or the errors of ipc_spsc_pop. */
IPC_FORCE_INLINE int ipc_spsc_data_(struct ipc_spsc_consumer *c, size_t bytes)
{
    size_t stride = ipc_ring_stride_(bytes);

    if (CK_CC_LIKELY(c->head != c->ready && !ipc_ring_is_forked_(&c->self)))
        return 0;
    return ipc_spsc_look_(c, stride);
}

/* Moves on behind the message at head. Returns 1 if that published a position, as
 * ipc_spsc_publish_taken_ does. */
IPC_FORCE_INLINE int ipc_spsc_advance_(struct ipc_spsc_consumer *c, int in_hand)
{
    c->head++;
    if (CK_CC_LIKELY(c->head - c->published <= c->replay))
        return 0;
    ipc_spsc_publish_taken_(c, in_hand);
    return 1;
}

/* Copies out the message at head, which is known to be there. As ipc_spsc_advance_. */
IPC_FORCE_INLINE int ipc_spsc_get_(struct ipc_spsc_consumer *c, void *message, size_t bytes,
                                   int in_hand)
{
    ipc_ring_get_(message, ipc_ring_slot_(c->slots, c->mask, c->head, ipc_ring_stride_(bytes)),
                  bytes, c->ready - c->head == 1);
    return ipc_spsc_advance_(c, in_hand);
}

IPC_FORCE_INLINE int ipc_spsc_take_(struct ipc_spsc_consumer *c, void *message, size_t bytes,
                                    int *published)
{
    int rc = ipc_spsc_data_(c, bytes);

    if (CK_CC_UNLIKELY(rc != 0))
        return rc;
    *published = ipc_spsc_get_(c, message, bytes, 1);
    return 0;
}

IPC_FORCE_INLINE int ipc_spsc_pop_(struct ipc_spsc_consumer *c, void *message, size_t bytes)
{
    int published;

    return ipc_spsc_take_(c, message, bytes, &published);
}

IPC_FORCE_INLINE int64_t ipc_spsc_pop_n_(struct ipc_spsc_consumer *c, void *messages, size_t n,
                                         size_t bytes)
{
    unsigned char *m = (unsigned char *)messages;
    size_t stride = ipc_ring_stride_(bytes), i;
    int rc = 0;

    if (n > 0 && (rc = ipc_spsc_data_(c, bytes)) != 0)
        return rc;
    /* The caller is done with all before these n, and publishes none of these, if that can be. */
    if (n <= c->replay && c->head + n - c->published > c->replay)
        ipc_spsc_publish_(c);
    for (i = 0; i < n; i++) {
        if (CK_CC_UNLIKELY(c->head == c->ready))
            rc = ipc_spsc_look_ahead_(c, stride, i > 0);
        if (CK_CC_UNLIKELY(rc != 0))
            break;
        (void)ipc_spsc_get_(c, m + i * bytes, bytes, 1);
    }
    return i > 0 ? (int64_t)i : rc;
}

/*
 * Copies the oldest message out. It is in the caller's hand until the next call: if the consumer is
 * killed before that, its successor sees the message again, unless ipc_spsc_replay forbids it. (A
 * message that was peeked is in hand until its release.) Wait-free; while messages stream in
 * without a pause it may hold back for up to 31 ck_pr_stall()s (about a microsecond) to let the
 * producer get ahead. A producer that is stopped or dead lets the ring run empty: what it committed
 * is all there.
 *
 *   0
 *   -EAGAIN    the ring is empty
 *   -EMSGSIZE  bytes is not the ring's message size
 *   -EBADMSG   the shared memory is corrupt; sticks
 *   -ECHILD    after fork, as of ipc_spsc_push
 */
IPC_INLINE int ipc_spsc_pop(struct ipc_spsc_consumer *c, void *message, size_t bytes)
{
    return bytes == c->bytes || c->error != 0 ? ipc_spsc_pop_(c, message, bytes) : -EMSGSIZE;
}

/* Copies up to n messages out, into an array. Wait-free for a given n. Returns how many came (less
 * than n: the ring is empty), 0 for n = 0, or the errors of ipc_spsc_pop when none did. If the
 * consumer is killed before the next call, its successor sees all of them again where
 * ipc_spsc_replay allows for n or more, else only the last ones. */
IPC_INLINE int64_t ipc_spsc_pop_n(struct ipc_spsc_consumer *c, void *messages, size_t bytes,
                                  size_t n)
{
    return bytes == c->bytes || c->error != 0 ? ipc_spsc_pop_n_(c, messages, n, bytes) : -EMSGSIZE;
}

IPC_FORCE_INLINE const void *ipc_spsc_peek_(struct ipc_spsc_consumer *c, size_t bytes)
{
    return ipc_spsc_data_(c, bytes) == 0
               ? ipc_ring_slot_(c->slots, c->mask, c->head, ipc_ring_stride_(bytes))
               : NULL;
}

IPC_FORCE_INLINE int ipc_spsc_release_(struct ipc_spsc_consumer *c, size_t bytes)
{
    (void)bytes; /* other rings need it */
    if (c->head == c->ready)
        return -EINVAL;
    if (CK_CC_UNLIKELY(ipc_ring_is_forked_(&c->self)) && ipc_ring_settle_(&c->self, c) != 1)
        return c->error != 0 ? c->error : -EINVAL;
    (void)ipc_spsc_advance_(c, 0);
    return 0;
}

/*
 * Pop without a copy: peek gives the oldest message in place, NULL when the ring is empty, or
 * ipc_spsc_consumer_error says why not. It stays readable until released; peeking again gives the
 * same. What is peeked and not released when the consumer is killed is seen again. A hostile
 * producer may write to it meanwhile: read each field once, then check, then use. All wait-free.
 */
IPC_INLINE const void *ipc_spsc_peek(struct ipc_spsc_consumer *c)
{
    return ipc_spsc_peek_(c, (size_t)c->bytes);
}

/* Releases the peeked message. 0; -EINVAL when none can have been peeked, or the process has forked
 * since; or -ECHILD. */
IPC_INLINE int ipc_spsc_release(struct ipc_spsc_consumer *c)
{
    return ipc_spsc_release_(c, (size_t)c->bytes);
}

/* As ipc_spsc_producer_error. */
IPC_INLINE int ipc_spsc_consumer_error(const struct ipc_spsc_consumer *c)
{
    return c->error;
}

/* How many messages were there to pop, at some moment during the call. Takes time logarithmic in
 * the capacity, and touches lines that the producer may be writing: for monitoring, not for each
 * message. Wait-free. */
IPC_INLINE uint64_t ipc_spsc_consumer_was_size(const struct ipc_spsc_consumer *c)
{
    return c->ring != NULL ? ipc_spsc_count_full_(c->slots, c->mask, c->head,
                                                  ipc_ring_stride_((size_t)c->bytes))
                           : 0;
}

#endif

/* >>stream  src/ring/stream.h */
/*
 * Streams: elements without messages, for one producer and one consumer.
 *
 * Elements [head, tail) are the consumer's to read, all others the producer's to write.
 *
 *   word   from   to       made by
 *   tail   t      t' > t   the producer, when all below t' is written: release fence, store
 *   head   h      h' > h   the consumer, when it is done with all below h': release fence, store
 *
 *   wants  any      any      its end, before it waits and after: plain; see ipc_stream_want_
 *
 * tail and head by ipc_stream_publish_. Each end keeps its own position and the last that it saw of
 * the other end, and looks at the other's word again only when it has too few elements: acquire
 * fence after the load (ipc_stream_find_more_). 0 <= tail - head <= capacity; else the memory is
 * corrupt.
 */
#ifndef IPC_SRC_RING_STREAM_H
#define IPC_SRC_RING_STREAM_H 1

/* ------------------------------------------------------------------ streams: layout */

#define IPC_STREAM_TYPE 0x6d727473u                   /* "strm" */
#define IPC_STREAM_MAGIC UINT64_C(0x316d7274735f6369) /* "ic_strm1" */

/* How a consumer that takes what is there holds back, in ipc_stream_hold_back_. Measured with
 * blocks of 1 KB. */
#define IPC_STREAM_PAUSES_ 127u          /* ck_pr_stall()s at most */
#define IPC_STREAM_FIRST_PAUSES_ 15u     /* in a try */
#define IPC_STREAM_TRY_AFTER_ 64u        /* looks after a try in vain, which double with each */
#define IPC_STREAM_TRY_AFTER_MOST_ 8192u /* up to this */

/* The elements begin on a page of the process that makes the stream, so that they can be mapped
 * twice in a row. That page's distance from the beginning of the stream is the same for all
 * processes, at whatever addresses they see it. */
#if defined(__x86_64__) || defined(__i386__) || defined(__s390x__)
#define IPC_STREAM_PAGE_ 4096u
#else
#define IPC_STREAM_PAGE_ 65536u /* the largest in use */
#endif

/* The shared part. Private to this file; tests and tools may look. */
struct ipc_stream_shared {
    /* bytes: of one element; capacity: elements; how: bytes from here to the first element */
    struct ipc_ring_shared_ is;
    uint64_t end[2]; /* holders of the producer's and the consumer's end, as in core.h */
    uint64_t left[2];
    unsigned char pad1[32];
    /* The positions of both ends, in elements. */
    uint64_t tail;
    unsigned char pad2[56];
    uint64_t producer_wants; /* where head has to be before the producer is to be woken */
    unsigned char pad3[56];
    uint64_t head;
    unsigned char pad4[56];
    uint64_t consumer_wants; /* where tail has to be before the consumer is to be woken */
    unsigned char pad5[56];
    unsigned char data_bell[64]; /* as in struct ipc_spsc_shared */
    unsigned char space_bell[64];
    /* up to a page, and then capacity elements */
};

IPC_RING_ASSERT_(stream_left, offsetof(struct ipc_stream_shared, left) == 80)
IPC_RING_ASSERT_(stream_tail, offsetof(struct ipc_stream_shared, tail) == 128)
IPC_RING_ASSERT_(stream_head, offsetof(struct ipc_stream_shared, head) == 256)
IPC_RING_ASSERT_(stream_bells, offsetof(struct ipc_stream_shared, data_bell) == 384)
IPC_RING_ASSERT_(stream_size, sizeof(struct ipc_stream_shared) == 512)

IPC_INLINE struct ipc_ring_kind_ ipc_stream_kind_(size_t bytes)
{
    struct ipc_ring_kind_ kind;

    kind.name = "not a stream; magic";
    kind.magic = IPC_STREAM_MAGIC;
    kind.header = sizeof(struct ipc_stream_shared) + IPC_STREAM_PAGE_;
    kind.stride = bytes;
    return kind;
}

/* The bytes of a stream of `capacity` elements of `bytes` bytes, or 0, as ipc_spsc_footprint. */
IPC_INLINE size_t ipc_stream_footprint(size_t bytes, uint64_t capacity)
{
    struct ipc_ring_kind_ kind = ipc_stream_kind_(bytes);

    return ipc_ring_footprint_(&kind, bytes, capacity);
}

/* Makes an empty stream, as ipc_spsc_init, with the same errors. */
IPC_INLINE int ipc_stream_init(void *mem, size_t size, size_t bytes, uint64_t capacity)
{
    struct ipc_ring_kind_ kind = ipc_stream_kind_(bytes);
    uintptr_t first = ((uintptr_t)mem + sizeof(struct ipc_stream_shared) + IPC_STREAM_PAGE_ - 1) &
                      ~(uintptr_t)(IPC_STREAM_PAGE_ - 1);

    return ipc_ring_init_(mem, size, &kind, bytes, capacity, (uint32_t)(first - (uintptr_t)mem));
}

/* ------------------------------------------------------------------ streams: handles */

/* What both ends have. Private to their thread; no field is for the caller. */
struct ipc_stream {
    IPC_RING_APART_(before);
    unsigned char *data;
    uint64_t mask;
    uint64_t at;  /* our position */
    uint64_t end; /* elements [at, end) are ours to write, or to read */
    uint64_t bytes;
    int twice;            /* data is mapped twice in a row */
    int error;            /* sticks */
    uint64_t *ours;   /* where we publish our position */
    uint64_t *theirs; /* where the other end publishes its position */
    uint64_t ahead;   /* end - *theirs: the capacity for the producer, 0 for the consumer */
    uint64_t *wants, *their_wants;
    struct ipc_stream_shared *ring;
    uint64_t *holder; /* of our end */
    uint64_t id;
    struct ipc_ring_self_ self;
    void (*unmap)(void *data, size_t bytes); /* if data is mapped twice */
};

struct ipc_stream_producer {
    struct ipc_stream s;
    struct ipc_ring_trials_ trials;
    IPC_RING_APART_(after);
};

struct ipc_stream_consumer {
    struct ipc_stream s;
    unsigned pauses;    /* ck_pr_stall()s to hold back for; 0: it does not pay */
    unsigned try_in;    /* looks until it is tried again */
    unsigned try_after; /* ... and after the next try in vain */
    IPC_RING_APART_(after);
};

/* Elements that may wrap: two pieces, of which the second often has 0 elements. */
struct ipc_stream_regions {
    void *at[2];
    size_t n[2]; /* elements */
};

IPC_INLINE int ipc_stream_disable_(struct ipc_stream *s, int rc)
{
    memset(s, 0, sizeof *s);
    ipc_ring_begin_self_(&s->self, NULL, NULL);
    return s->error = rc;
}

/* From now on `data` is where the elements are, twice in a row, until detach unmaps it. */
IPC_INLINE void ipc_stream_twice_(struct ipc_stream *s, void *data, void (*unmap)(void *, size_t))
{
    s->data = (unsigned char *)data;
    s->twice = 1;
    s->unmap = unmap;
}

/* This end is to be woken once n elements are its own, and not for each that comes before. 0: for
 * whatever comes, as where it waits for something else. */
IPC_FORCE_INLINE void ipc_stream_want_(struct ipc_stream *s, uint64_t n)
{
    ck_pr_store_64(s->wants, s->at + n - s->ahead);
    /* Without it the flag of our sleep could be seen before the wish. Partner: in
     * ipc_stream_is_wanted_. */
    ck_pr_fence_release(); /* no twin */
}

/* The other end may sleep, and we have published our position: is it to be woken? */
IPC_INLINE int ipc_stream_is_wanted_(const struct ipc_stream *s)
{
    /* Without it we could see an old wish, while the other end misses our position in its last look
     * before it sleeps. Partners: in ipc_stream_want_, and the fence in ipc_notify_announce_ before
     * that look. */
    ck_pr_fence_memory(); /* no twin */
    return (int64_t)(s->at - ck_pr_load_64(s->their_wants)) >= 0;
}

/* Goes on at the position that is published at our end, which we have just taken. */
IPC_INLINE void ipc_stream_go_on_(struct ipc_stream *s)
{
    s->at = s->end = ck_pr_load_64(s->ours);
    ipc_stream_want_(s, 0); /* a predecessor may have been killed while it waited */
}

/* struct ipc_ring_self_'s renew. */
IPC_INLINE int ipc_stream_renew_(void *handle, struct ipc_peer *me)
{
    struct ipc_stream *s = (struct ipc_stream *)handle;

    if (me == NULL) {
        if (s->twice)
            s->unmap(s->data, (size_t)((s->mask + 1) * s->bytes));
        return ipc_stream_disable_(s, -ECHILD);
    }
    s->id = me->id;
    if (ipc_ring_take_end_(s->holder, me, me->id) != 0)
        return -EBUSY;
    ipc_stream_go_on_(s);
    return 0;
}

/* Attaches to one end: 0 the producer's, 1 the consumer's. */
IPC_INLINE int ipc_stream_attach_(struct ipc_stream *s, void *mem, size_t size, size_t bytes,
                                  struct ipc_peer *me, int end)
{
    struct ipc_stream_shared *r = (struct ipc_stream_shared *)mem;
    struct ipc_ring_kind_ kind = ipc_stream_kind_(bytes);
    uint64_t capacity, id = ipc_ring_id_of_(me);
    int rc = ipc_ring_check_(mem, size, &kind, bytes, me, &capacity);
    uint32_t first = rc == 0 ? ck_pr_load_32(&r->is.how) : 0;

    if (rc == 0 && (first < sizeof *r || first > kind.header || first % IPC_RING_LINE != 0))
        rc = ipc_ring_refuse_(me, -EPROTO, "elements of the stream begin outside it; bytes", first,
                              kind.header);
    if (rc == 0)
        rc = ipc_ring_take_end_(&r->end[end], me, id);
    if (rc != 0)
        return ipc_stream_disable_(s, rc);
    s->data = (unsigned char *)mem + first;
    s->mask = capacity - 1;
    s->bytes = bytes;
    s->twice = s->error = 0;
    s->ours = end == 0 ? &r->tail : &r->head;
    s->theirs = end == 0 ? &r->head : &r->tail;
    s->ahead = end == 0 ? capacity : 0;
    s->wants = end == 0 ? &r->producer_wants : &r->consumer_wants;
    s->their_wants = end == 0 ? &r->consumer_wants : &r->producer_wants;
    s->ring = r;
    s->holder = &r->end[end];
    s->id = id;
    ipc_ring_begin_self_(&s->self, me, ipc_stream_renew_);
    ipc_stream_go_on_(s);
    return 0;
}

IPC_INLINE void ipc_stream_detach_(struct ipc_stream *s)
{
    if (s->twice)
        s->unmap(s->data, (size_t)((s->mask + 1) * s->bytes));
    if (s->ring != NULL && ipc_ring_is_ours_(&s->self))
        ipc_ring_detach_end_(s->holder, s->id);
    (void)ipc_stream_disable_(s, -EINVAL);
}

/* ------------------------------------------------------------------ streams: the path */

/* Too few elements are known to be ours: looks at the other end's position. */
IPC_INLINE void ipc_stream_find_more_(struct ipc_stream *s)
{
    if (s->error != 0 || (ipc_ring_is_forked_(&s->self) && ipc_ring_settle_(&s->self, s) < 0))
        return;
    s->end = ck_pr_load_64(s->theirs) + s->ahead;
    /* Without it elements could be written before they were read, or read before they were written.
     * Partner: in ipc_stream_publish_. */
    ck_pr_fence_acquire();
    if (s->end - s->at > s->mask + 1) {
        s->error = -EBADMSG;
        s->end = s->at;
    }
}

/* How many elements are ours; looks for more if these are fewer than n. */
IPC_FORCE_INLINE uint64_t ipc_stream_available_(struct ipc_stream *s, uint64_t n)
{
    if (CK_CC_UNLIKELY(s->end - s->at < n || ipc_ring_is_forked_(&s->self)))
        ipc_stream_find_more_(s);
    return s->end - s->at;
}

IPC_FORCE_INLINE void ipc_stream_publish_(struct ipc_stream *s, uint64_t n)
{
    s->at += n;
    /* Without it the other end could see our position before what we have written, or write where
     * we still read. Partner: in ipc_stream_find_more_. */
    ck_pr_fence_release();
    ck_pr_store_64(s->ours, s->at);
}

/* Where the next n elements are, of those that are ours. */
IPC_FORCE_INLINE struct ipc_stream_regions ipc_stream_regions_(const struct ipc_stream *s,
                                                               uint64_t n, size_t bytes)
{
    uint64_t index = s->at & s->mask, row = s->twice ? n : s->mask + 1 - index;
    struct ipc_stream_regions r;

    r.at[0] = s->data + (size_t)index * bytes;
    r.at[1] = s->data;
    r.n[0] = (size_t)(n < row ? n : row);
    r.n[1] = (size_t)n - r.n[0];
    return r;
}

/* All elements that are ours: how many, and where. */
IPC_FORCE_INLINE uint64_t ipc_stream_look_(struct ipc_stream *s, size_t bytes,
                                           struct ipc_stream_regions *r)
{
    uint64_t n = ipc_stream_available_(s, s->mask + 1);

    *r = ipc_stream_regions_(s, n, bytes);
    return n;
}

/* The next n elements, if they are ours and in a row; else NULL. */
IPC_FORCE_INLINE void *ipc_stream_row_(struct ipc_stream *s, uint64_t n, size_t bytes)
{
    struct ipc_stream_regions r;

    if (s->error != 0 || ipc_stream_available_(s, n) < n || s->error != 0)
        return NULL;
    r = ipc_stream_regions_(s, n, bytes);
    return r.n[1] == 0 ? r.at[0] : NULL;
}

IPC_FORCE_INLINE int ipc_stream_advance_(struct ipc_stream *s, uint64_t n)
{
    if (n > s->end - s->at)
        return -EINVAL;
    if (CK_CC_UNLIKELY(ipc_ring_is_forked_(&s->self)) && ipc_ring_settle_(&s->self, s) != 1)
        return s->error != 0 ? s->error : -EINVAL;
    if (n > 0)
        ipc_stream_publish_(s, n);
    return 0;
}

/* How many of n elements to move now: all n; or as many as are ours, if `some` is set. 0 or a
 * negative errno: none. */
IPC_FORCE_INLINE int64_t ipc_stream_count_(struct ipc_stream *s, uint64_t n, int some)
{
    uint64_t avail = ipc_stream_available_(s, n);

    if (CK_CC_UNLIKELY(s->error != 0))
        return s->error;
    if (CK_CC_LIKELY(avail >= n))
        return (int64_t)n;
    if (!some)
        return n > s->mask + 1 ? -EMSGSIZE : -EAGAIN;
    return avail > 0 ? (int64_t)avail : -EAGAIN;
}

/* For a wait: 1 when n elements are ours, 0 when they are not yet, or a negative errno. */
IPC_INLINE int ipc_stream_ready_(struct ipc_stream *s, size_t n)
{
    int64_t rc = ipc_stream_count_(s, n, 0);

    if (rc >= 0)
        return 1;
    return rc == -EAGAIN ? 0 : (int)rc;
}

/* Asks for the lines of the n elements behind the next n, if they are free. */
IPC_FORCE_INLINE void ipc_stream_prefetch_(const struct ipc_stream *s, uint64_t n, size_t bytes)
{
    uint64_t from = (s->at + n) & s->mask, left = s->mask + 1 - from;
    unsigned char *at = s->data + (size_t)from * bytes;
    size_t i, lead;

    if (s->end - s->at < 2 * n)
        return;
    lead = (size_t)(n < left ? n : left) * bytes;
    lead = lead < IPC_RING_PREFETCH_ ? lead : IPC_RING_PREFETCH_;
    for (i = 0; i < lead; i += IPC_RING_LINE)
        ck_pr_rfo(at + i);
}

IPC_FORCE_INLINE int64_t ipc_stream_push_(struct ipc_stream_producer *p, const void *from,
                                          size_t bytes, size_t n, int some)
{
    const unsigned char *f = (const unsigned char *)from;
    int64_t count = ipc_stream_count_(&p->s, n, some);
    struct ipc_stream_regions r;

    if (count <= 0)
        return count;
    r = ipc_stream_regions_(&p->s, (uint64_t)count, bytes);
    ipc_stream_prefetch_(&p->s, (uint64_t)count, bytes);
    ipc_ring_put_bytes_(&p->trials, r.at[0], f, r.n[0] * bytes);
    if (r.n[1] > 0)
        ipc_ring_put_bytes_(&p->trials, r.at[1], f + r.n[0] * bytes, r.n[1] * bytes);
    ipc_stream_publish_(&p->s, (uint64_t)count);
    return count;
}

/*
 * A consumer that takes what is there has fewer than it wants: looks for more. If it is close
 * behind a busy producer, it holds back first, for up to a quarter of the stream, and only while that
 * brings elements. Where the producer is not busy, it soon stops, and tries again ever more rarely.
 */
IPC_INLINE void ipc_stream_hold_back_(struct ipc_stream_consumer *c)
{
    struct ipc_stream *s = &c->s;
    uint64_t end;

    ipc_stream_find_more_(s);
    if (s->end == s->at || s->end - s->at > (s->mask + 1) / 4)
        return;
    if (c->pauses == 0) {
        if (c->try_in > 0) {
            c->try_in--;
            return;
        }
        c->pauses = IPC_STREAM_FIRST_PAUSES_;
    }
    ipc_ring_hold_back_(c->pauses);
    end = s->end;
    ipc_stream_find_more_(s);
    if (s->end == end) {
        c->pauses = 0;
        c->try_in = c->try_after;
        if (c->try_after < IPC_STREAM_TRY_AFTER_MOST_)
            c->try_after *= 2;
        return;
    }
    c->try_after = IPC_STREAM_TRY_AFTER_;
    ipc_ring_adapt_pauses_(&c->pauses, 1, IPC_STREAM_PAUSES_);
}

IPC_FORCE_INLINE int64_t ipc_stream_pop_(struct ipc_stream_consumer *c, void *to, size_t bytes,
                                         size_t n, int some)
{
    unsigned char *t = (unsigned char *)to;
    struct ipc_stream_regions r;
    int64_t count;

    if (some && CK_CC_UNLIKELY(c->s.end - c->s.at < n)) {
        ipc_stream_hold_back_(c);
        if (c->s.end != c->s.at && c->s.end - c->s.at < n)
            n = (size_t)(c->s.end - c->s.at);
    }
    count = ipc_stream_count_(&c->s, n, some);
    if (count <= 0)
        return count;
    r = ipc_stream_regions_(&c->s, (uint64_t)count, bytes);
    ipc_ring_get_(t, r.at[0], r.n[0] * bytes, 1);
    if (r.n[1] > 0)
        ipc_ring_get_(t + r.n[0] * bytes, r.at[1], r.n[1] * bytes, 1);
    ipc_stream_publish_(&c->s, (uint64_t)count);
    return count;
}

/* ------------------------------------------------------------------ streams: the calls */

/*
 * Attaches the producer's end of a stream whose elements have `bytes` bytes; as
 * ipc_spsc_producer_attach, with the same errors. It goes on behind the last element that a push or
 * commit of its predecessor made visible: nothing is there of a push that was killed.
 */
IPC_INLINE int ipc_stream_producer_attach(struct ipc_stream_producer *p, void *mem, size_t size,
                                          size_t bytes, struct ipc_peer *me)
{
    int rc = ipc_stream_attach_(&p->s, mem, size, bytes, me, 0);

    ipc_ring_trials_begin_(&p->trials, (p->s.mask + 1) * bytes);
    return rc;
}

/* Attaches the consumer's end; as ipc_stream_producer_attach. It sees again what the last pop or
 * release of a killed predecessor was about to take, and no more. */
IPC_INLINE int ipc_stream_consumer_attach(struct ipc_stream_consumer *c, void *mem, size_t size,
                                          size_t bytes, struct ipc_peer *me)
{
    c->pauses = 0;
    c->try_in = c->try_after = IPC_STREAM_TRY_AFTER_;
    return ipc_stream_attach_(&c->s, mem, size, bytes, me, 1);
}

/* Detaches; the stream and its elements stay for the next holder. Wait-free. */
IPC_INLINE void ipc_stream_producer_detach(struct ipc_stream_producer *p)
{
    ipc_stream_detach_(&p->s);
}

IPC_INLINE void ipc_stream_consumer_detach(struct ipc_stream_consumer *c)
{
    ipc_stream_detach_(&c->s);
}

/*
 * Copies up to n elements in, visible to the consumer all at once. Wait-free for a given n, no
 * system call: for real-time threads. A consumer that is stopped or dead lets the stream run full.
 *
 *   > 0        how many went in; less than n: the stream is full. 0 for n = 0
 *   -EAGAIN    it is full: none went in
 *   -EMSGSIZE  `bytes` is not the size of the stream's elements
 *   -EBADMSG   the shared memory is corrupt; sticks
 *   -ECHILD    after fork, as of ipc_spsc_push
 */
IPC_INLINE int64_t ipc_stream_push_n(struct ipc_stream_producer *p, const void *from, size_t bytes,
                                     size_t n)
{
    return bytes == p->s.bytes || p->s.error != 0 ? ipc_stream_push_(p, from, bytes, n, 1)
                                                  : -EMSGSIZE;
}

/* Copies n elements in, or none: 0, or the errors of ipc_stream_push_n; -EAGAIN: there is no room
 * for all of them now, -EMSGSIZE: n is more than the capacity. Wait-free for a given n. */
IPC_INLINE int ipc_stream_push_all(struct ipc_stream_producer *p, const void *from, size_t bytes,
                                   size_t n)
{
    int64_t rc =
        bytes == p->s.bytes || p->s.error != 0 ? ipc_stream_push_(p, from, bytes, n, 0) : -EMSGSIZE;

    return rc < 0 ? (int)rc : 0;
}

/* Copies up to n elements out. Otherwise as ipc_stream_push_n; -EAGAIN: the stream is empty. If
 * there are fewer than n, it may hold back for up to 127 ck_pr_stall()s (3 microseconds) to let a
 * busy producer get ahead. A real-time callback takes ipc_stream_pop_all, which never does. */
IPC_INLINE int64_t ipc_stream_pop_n(struct ipc_stream_consumer *c, void *to, size_t bytes, size_t n)
{
    return bytes == c->s.bytes || c->s.error != 0 ? ipc_stream_pop_(c, to, bytes, n, 1) : -EMSGSIZE;
}

/* Copies n elements out, or none, as ipc_stream_push_all; -EAGAIN: there are fewer than n yet. Like
 * all calls of a stream but pop_n it never holds back: for real-time threads. */
IPC_INLINE int ipc_stream_pop_all(struct ipc_stream_consumer *c, void *to, size_t bytes, size_t n)
{
    int64_t rc =
        bytes == c->s.bytes || c->s.error != 0 ? ipc_stream_pop_(c, to, bytes, n, 0) : -EMSGSIZE;

    return rc < 0 ? (int)rc : 0;
}

/*
 * Push without a copy. claim gives room for n elements in a row. NULL: there is no room for so many
 * now, they lie across the end of the memory, or see ipc_stream_producer_error. (The typed calls
 * map the memory twice in a row if they can: then any n up to the capacity lie in a row.) room
 * gives all the room that there is, in two pieces at most, and returns how many elements that are.
 * Neither changes anything; do not claim more than commit is to send. Wait-free.
 */
IPC_INLINE void *ipc_stream_claim(struct ipc_stream_producer *p, size_t n)
{
    return ipc_stream_row_(&p->s, n, (size_t)p->s.bytes);
}

IPC_INLINE size_t ipc_stream_room(struct ipc_stream_producer *p, struct ipc_stream_regions *r)
{
    return (size_t)ipc_stream_look_(&p->s, (size_t)p->s.bytes, r);
}

/* Sends the first n elements of what claim or room gave. 0; -EINVAL when they gave less; -ECHILD.
 * Wait-free. */
IPC_INLINE int ipc_stream_commit(struct ipc_stream_producer *p, size_t n)
{
    return ipc_stream_advance_(&p->s, n);
}

/* Pop without a copy. peek gives the next n elements in a row, or NULL, as ipc_stream_claim; data
 * gives all that there are, as ipc_stream_room; release moves on behind the first n of them, as
 * ipc_stream_commit. */
IPC_INLINE const void *ipc_stream_peek(struct ipc_stream_consumer *c, size_t n)
{
    return ipc_stream_row_(&c->s, n, (size_t)c->s.bytes);
}

IPC_INLINE size_t ipc_stream_data(struct ipc_stream_consumer *c, struct ipc_stream_regions *r)
{
    return (size_t)ipc_stream_look_(&c->s, (size_t)c->s.bytes, r);
}

IPC_INLINE int ipc_stream_release(struct ipc_stream_consumer *c, size_t n)
{
    return ipc_stream_advance_(&c->s, n);
}

/* As ipc_spsc_producer_error. */
IPC_INLINE int ipc_stream_producer_error(const struct ipc_stream_producer *p)
{
    return p->s.error;
}

IPC_INLINE int ipc_stream_consumer_error(const struct ipc_stream_consumer *c)
{
    return c->s.error;
}

/* How many elements were in the stream, at some moment during the call. Wait-free. */
IPC_INLINE uint64_t ipc_stream_producer_was_size(struct ipc_stream_producer *p)
{
    return p->s.error == 0 ? p->s.mask + 1 - ipc_stream_available_(&p->s, p->s.mask + 1) : 0;
}

IPC_INLINE uint64_t ipc_stream_consumer_was_size(struct ipc_stream_consumer *c)
{
    return c->s.error == 0 ? ipc_stream_available_(&c->s, c->s.mask + 1) : 0;
}

#endif

/* >>record_lane  src/ring/record_lane.h */
/*
 * Records: messages of any length, for one consumer, from producers that have a lane each.
 *
 * The consumer polls the word before each record: its length, and that it is there. A record that
 * does not fit before the end of the memory goes to its beginning, and a word says so.
 *
 *     [ 5 | hello... ][ 2 | hi...... ][ 0 ]                         0: not there yet
 *
 *   word             from       to            made by the lane's producer
 *   the next record  anything   0             store, before the record in front of it is there
 *   the tail         0          length, IS    store fence, store: the record is there
 *   the tail         0          SKIP          the same, where the record is at the beginning of the
 *                                             memory; its own word was stored there before
 *   lane's head      h          h' > h        the consumer, when it is done with all below h':
 *                                             release fence, store (ipc_record_publish_)
 *   terms            n          n+1           the producer that took the lane, or whose records are
 *                                             for another process from now on: term[n % 23], store
 *                                             fence, store
 *   term[n % 23]     from       from | LEFT   that producer, before it gives the lane back
 *   tail             any        the tail      the same
 *
 * So a consumer may walk from the published head over records to the word 0 at the tail; it never
 * sees what an earlier lap left there. A new producer walks from where the last term began, or
 * from `tail` if that producer has left; or from the head, if that is further.
 *
 * The consumer publishes its position for many records at once, but a lane from which all was taken
 * has room for the longest record at any time. That record takes half of the memory. Where the tail
 * is in the second half it goes to the beginning, and what is left behind the tail is skipped: then
 * it fits if the published position is in the second half, too. So the consumer publishes when it
 * comes into the second half, and otherwise after `replay` bytes, an eighth of the memory at most.
 */
#ifndef IPC_SRC_RING_RECORD_LANE_H
#define IPC_SRC_RING_RECORD_LANE_H 1

/* ------------------------------------------------------------------ records: layout */

#define IPC_RECORD_TYPE 0x64636572u                   /* "recd" */
#define IPC_RECORD_MAGIC UINT64_C(0x31646365725f6369) /* "ic_recd1" */
/* The most producers. A consumer keeps its position in each lane in its own handle, whose arrays
 * have this size, and looks at all lanes where it finds nothing. */
#define IPC_RECORD_PRODUCERS 64u
#define IPC_RECORD_PAUSES_ 127u /* as IPC_RING_PAUSES_ */
#define IPC_RECORD_TERMS_ 23u   /* that are remembered in each lane */

/* A producer's time in a lane. */
struct ipc_record_term_ {
    uint64_t id;   /* the process, ~0 for one without an ipc_peer */
    uint64_t from; /* the position where its records begin; and IPC_RECORD_LEFT_, _ASKS_ */
};

#define IPC_RECORD_LEFT_ UINT64_C(1) /* it has detached, so was not killed */
#define IPC_RECORD_ASKS_ UINT64_C(2) /* its process waits for answers: ipc_channel.h */

/* One for each producer. */
struct ipc_record_lane_ {
    uint64_t producer; /* its holder, as in core.h, if there may be several */
    uint64_t terms;    /* how many there have been */
    uint64_t tail;     /* where the producer was that has left last */
    uint64_t pad1;
    struct ipc_record_term_ term[IPC_RECORD_TERMS_]; /* the n-th one at n % IPC_RECORD_TERMS_ */
    unsigned char pad2[480 - IPC_RECORD_TERMS_ * 16];
    /* Every byte below this position has been read. Written by the consumer alone. */
    uint64_t head;
    unsigned char pad3[120];
};

/* The shared part. Private to this file; tests and tools may look. */
struct ipc_record_shared {
    /* bytes: 1; capacity: bytes for each producer; how: producers. If that is more than one, end[0]
     * and head stay 0; else they are used in the place of those of the lane. */
    struct ipc_spsc_shared s;
    /* a lane for each producer, and then capacity bytes for each */
};

IPC_RING_ASSERT_(record_lane, offsetof(struct ipc_record_lane_, head) == 512)
IPC_RING_ASSERT_(record_lane_size, sizeof(struct ipc_record_lane_) == 640)

/* The word before each record: what it is, and above that its length. 0: there is none yet. */
#define IPC_RECORD_IS_ UINT64_C(1)   /* a record, which begins behind the word */
#define IPC_RECORD_SKIP_ UINT64_C(2) /* the next one is where the memory begins */
#define IPC_RECORD_LENGTH_ 2         /* bits below the length */

IPC_INLINE struct ipc_ring_kind_ ipc_record_kind_(unsigned producers)
{
    struct ipc_ring_kind_ kind;

    kind.name = "not a ring of records; magic";
    kind.magic = IPC_RECORD_MAGIC;
    kind.header = sizeof(struct ipc_record_shared) + producers * sizeof(struct ipc_record_lane_);
    kind.stride = producers;
    return kind;
}

/* Can a ring be made for so many producers? */
IPC_INLINE int ipc_record_is_valid_how_(unsigned producers)
{
    return producers - 1 < IPC_RECORD_PRODUCERS;
}

/* ------------------------------------------------------------------ records: handles */

/* From which producer a record is, or which producer has ended: ipc_record_source. */
struct ipc_record_sender {
    uint64_t id;   /* the process, as in struct ipc_peer; ~0: without one; 0: not known any more */
    unsigned lane; /* from 0 on */
    int late;      /* a record with a higher number came before: ipc_record_merge */
};

/* Private to their thread; no field is for the caller. */
struct ipc_record_producer {
    IPC_RING_APART_(before);
    unsigned char *data; /* of our lane */
    uint64_t mask;
    uint64_t tail;    /* next position to write; the word there is 0 */
    uint64_t limit;   /* positions below are known to be free */
    uint64_t most;    /* the longest record */
    uint64_t at;      /* where the record goes that was claimed */
    uint64_t claimed; /* its length + 1; 0: nothing is claimed */
    uint64_t *head;   /* the consumer's published position in our lane */
    uint64_t *holder; /* of our lane */
    struct ipc_record_lane_ *lane;
    uint64_t *from;   /* of our term in it */
    uint64_t begun;   /* what that says while we hold the lane */
    struct ipc_spsc_shared *ring;
    uint64_t id;
    int error; /* sticks */
    struct ipc_ring_self_ self;
    struct ipc_ring_trials_ trials;
    /* Records that are copied in and not published: the first one's position, or tail if there is
     * none, and the word that publishes it. Those behind it have their words, which nobody reaches.
     * If there are any, limit == tail, so that any other call comes to ipc_record_room_again_ first. */
    uint64_t put_off_at, put_off_word;
    uint64_t limit_then; /* what limit was */
    IPC_RING_APART_(after);
};

/* Of a consumer that merges: see record_merge.h. */
struct ipc_record_merge_ {
    int64_t (*clock)(void);
    int64_t patience; /* nanoseconds */
    int64_t ripe_at;  /* when the hold ends; 0: there is none */
    int64_t asked_at; /* for dead producers */
    uint64_t latest;  /* the highest number that was handed out */
    int late;         /* the record that was found has a lower one */
    uint64_t known;   /* a bit for each lane: the number of its next record is known */
    uint64_t number[IPC_RECORD_PRODUCERS];
    uint64_t seen[IPC_RECORD_PRODUCERS]; /* where each lane ended when the hold began */
    uint64_t ripe[IPC_RECORD_PRODUCERS]; /* records below have been held for long enough */
};

struct ipc_record_consumer {
    IPC_RING_APART_(before);
    unsigned char *data; /* of the lane that we are reading */
    uint64_t mask;
    uint64_t head;      /* next position to read */
    uint64_t published; /* what the lane's head says */
    uint64_t due;       /* when a call returns with head behind it, head is published */
    uint64_t replay;    /* head - published never exceeds it when a call returns */
    uint64_t at;        /* of the next record, if it was found: head, or where memory begins */
    uint64_t peeked;    /* how far it ends behind head; 0: it was not found yet */
    uint64_t run_start; /* where head was when this lane was last found empty */
    uint64_t *to;       /* where it is published: the lane's head; of broadcasts, NULL: nowhere */
    unsigned lane;      /* that we are reading */
    unsigned producers;
    unsigned pauses; /* ck_pr_stall()s before an empty lane is looked at again */
    int quick;       /* no error and no flags: a record at head is the next one */
    unsigned flags;  /* IPC_RECORD_TURN_ to IPC_RECORD_MERGES_ */
    int post_due;    /* published, and nobody was woken for it */
    struct ipc_spsc_shared *ring;
    uint64_t id;
    int error;                      /* sticks */
    struct ipc_ring_self_ self;
    int (*alive)(void *, uint64_t); /* of struct ipc_peer */
    void *arg;
    int ask;                        /* the kernel, which producers are dead */
    struct ipc_record_sender ended; /* flag IPC_RECORD_TOLD_: the producer whose end was reported */
    uint64_t heads[IPC_RECORD_PRODUCERS];    /* of the other lanes; each published */
    uint64_t reported[IPC_RECORD_PRODUCERS]; /* the first term of each lane whose end was not */
    uint64_t dead[IPC_RECORD_PRODUCERS];     /* a holder of each lane that was found dead, or 0 */
    struct ipc_record_merge_ merge;
    IPC_RING_APART_(after);
};

/* Flags of a consumer: what is to be done before it looks for a record. */
#define IPC_RECORD_TURN_ 1u    /* it is the turn of another lane */
#define IPC_RECORD_TOLD_ 2u    /* the last thing that the consumer was told is `ended` */
#define IPC_RECORD_WATCHES_ 4u /* nothing: waits end when a producer has ended */
#define IPC_RECORD_MERGES_ 8u  /* the lane is the one with the lowest number: record_merge.h */

/* A record, for calls that move several at a time. */
struct ipc_record {
    const void *at;
    size_t n; /* bytes */
};

IPC_INLINE int ipc_record_producer_disable_(struct ipc_record_producer *p, int rc)
{
    memset(p, 0, sizeof *p);
    ipc_ring_begin_self_(&p->self, NULL, NULL);
    return p->error = rc;
}

/* From now on each call returns this error. */
IPC_INLINE int ipc_record_fail_(struct ipc_record_consumer *c, int rc)
{
    c->quick = 0;
    return c->error = rc;
}

IPC_INLINE int ipc_record_consumer_disable_(struct ipc_record_consumer *c, int rc)
{
    memset(c, 0, sizeof *c);
    ipc_ring_begin_self_(&c->self, NULL, NULL);
    return ipc_record_fail_(c, rc);
}

IPC_INLINE void ipc_record_raise_(struct ipc_record_consumer *c, unsigned flag)
{
    c->flags |= flag;
    c->quick = 0;
}

/* ------------------------------------------------------------------ records: words */

IPC_FORCE_INLINE uint64_t *ipc_record_word_(unsigned char *data, uint64_t mask, uint64_t position)
{
    return (uint64_t *)(void *)(data + (size_t)(position & mask));
}

/* What a record of n bytes takes, with the word before it. */
IPC_FORCE_INLINE uint64_t ipc_record_bytes_(uint64_t n)
{
    return (n + 15) & ~UINT64_C(7);
}

/* How many bytes there are from a position until the memory ends. */
IPC_FORCE_INLINE uint64_t ipc_record_bytes_to_end_(uint64_t mask, uint64_t position)
{
    return mask + 1 - (position & mask);
}

/* How many bytes there are from a position, whose word is not 0, to the end of its record. Sets *at
 * to where that begins, behind a SKIP, and *word to its word. Returns 0 if the word is corrupt.
 * Whatever the memory says, the record ends within the memory. */
IPC_FORCE_INLINE uint64_t ipc_record_measure_(unsigned char *data, uint64_t mask, uint64_t position,
                                              uint64_t *word, uint64_t *at)
{
    uint64_t row = ipc_record_bytes_to_end_(mask, position), n;

    *at = position;
    if (CK_CC_UNLIKELY(*word == IPC_RECORD_SKIP_)) {
        *at += row;
        row = mask + 1;
        *word = ck_pr_load_64(ipc_record_word_(data, mask, *at));
    }
    n = *word >> IPC_RECORD_LENGTH_;
    if (CK_CC_UNLIKELY((*word & 3) != IPC_RECORD_IS_ || n >= row || ipc_record_bytes_(n) > row))
        return 0;
    return *at - position + ipc_record_bytes_(n);
}

/* Steps over the record at *position, which may take up to `left` bytes. 1; 0: there is none yet;
 * or -EBADMSG. */
IPC_INLINE int ipc_record_step_over_(unsigned char *data, uint64_t mask, uint64_t *position,
                                     uint64_t left)
{
    uint64_t word = ck_pr_load_64(ipc_record_word_(data, mask, *position)), at, span;

    if (word == 0)
        return 0;
    /* Without it, for a reader that joins, what follows could be older than this word, and so could
     * the mark that says that the word is none. Partners: the store fence in ipc_record_send_, the
     * second one in ipc_record_broadcast_forget_oldest_. */
    ck_pr_fence_load();
    span = ipc_record_measure_(data, mask, *position, &word, &at);
    if (span == 0 || span > left)
        return -EBADMSG;
    *position += span;
    return 1;
}

/* Steps over all records from *position on, and counts them in *count. 0, or -EBADMSG: they do not
 * end within the capacity. */
IPC_INLINE int ipc_record_walk_to_end_(unsigned char *data, uint64_t mask, uint64_t *position,
                                       uint64_t *count)
{
    uint64_t end = *position + mask + 1 - 8;
    int rc;

    if (*position % 8 != 0)
        return -EBADMSG;
    while ((rc = ipc_record_step_over_(data, mask, position, end - *position)) > 0)
        ++*count;
    return rc;
}

/* ------------------------------------------------------------------ records: lanes */

IPC_INLINE struct ipc_record_lane_ *ipc_record_lane_at_(struct ipc_record_shared *r, unsigned lane)
{
    return (struct ipc_record_lane_ *)(void *)(r + 1) + lane;
}

/* The holder of a lane. */
IPC_INLINE uint64_t *ipc_record_holder_(struct ipc_record_shared *r, unsigned producers,
                                        unsigned lane)
{
    return producers == 1 ? &r->s.end[0] : &ipc_record_lane_at_(r, lane)->producer;
}

IPC_INLINE uint64_t *ipc_record_head_(struct ipc_record_shared *r, unsigned producers,
                                      unsigned lane)
{
    return producers == 1 ? &r->s.head : &ipc_record_lane_at_(r, lane)->head;
}

/* The bytes of a lane. */
IPC_INLINE unsigned char *ipc_record_data_(struct ipc_record_shared *r, unsigned producers,
                                           unsigned lane, uint64_t mask)
{
    return (unsigned char *)r + ipc_record_kind_(producers).header + lane * (size_t)(mask + 1);
}

/* ------------------------------------------------------------------ records: publishing */

/* Notes that `position` is published, and when to publish again: after `replay` bytes, and behind
 * the middle of the memory, see the top. */
IPC_INLINE void ipc_record_note_published_(struct ipc_record_consumer *c, uint64_t position)
{
    uint64_t half = (c->mask + 1) / 2, offset = position & c->mask, most = c->replay;

    if (offset <= half && half - offset < most)
        most = half - offset;
    c->published = position;
    c->due = position + most;
}

/* Is it time to publish the position? */
IPC_FORCE_INLINE int ipc_record_is_due_(const struct ipc_record_consumer *c)
{
    return (int64_t)(c->due - c->head) < 0;
}

/* Publishes the consumer's position in its lane. */
IPC_INLINE void ipc_record_publish_(struct ipc_record_consumer *c)
{
    /* Without it the producer could overwrite a record that is still being read. Partners: the
     * acquire fences in ipc_record_producer_attach, ipc_record_find_room_ and
     * ipc_broadcast_find_slowest_reader_. */
    ck_pr_fence_release();
    ck_pr_store_64(c->to, c->head);
    ipc_record_note_published_(c, c->head);
    c->post_due = 1;
}

/* Goes to a lane, from another in which all that was read is published. */
IPC_INLINE void ipc_record_go_to_lane_(struct ipc_record_consumer *c, unsigned lane)
{
    struct ipc_record_shared *r = (struct ipc_record_shared *)(void *)c->ring;

    c->heads[c->lane] = c->head;
    c->lane = lane;
    c->to = ipc_record_head_(r, c->producers, lane);
    c->data = ipc_record_data_(r, c->producers, lane, c->mask);
    c->head = c->run_start = c->heads[lane];
    ipc_record_note_published_(c, c->head);
}

/* ------------------------------------------------------------------ records: taking a lane */

/* How well a lane suits a producer: the lower, the better. See ipc_record_producer_attach. */
enum ipc_record_suits_ {
    IPC_RECORD_OURS_,    /* it has records of our own process */
    IPC_RECORD_LEFT_BEHIND_, /* it may have records of a process that has ended, or may have */
    IPC_RECORD_DRAINED_, /* it has none */
    IPC_RECORD_AWAY_,    /* it has records of a process that lives, and may come back */
    IPC_RECORD_TAKEN_
};

IPC_INLINE enum ipc_record_suits_ ipc_record_suits_(struct ipc_record_shared *r, unsigned producers,
                                                    unsigned lane, const struct ipc_peer *me)
{
    struct ipc_record_lane_ *l = ipc_record_lane_at_(r, lane);
    uint64_t holder = ck_pr_load_64(ipc_record_holder_(r, producers, lane)), terms, last;

    if (!ipc_ring_may_replace_(me, holder))
        return IPC_RECORD_TAKEN_;
    if (holder != 0)
        return IPC_RECORD_LEFT_BEHIND_;
    /* Without it `tail` could be older than what the last holder left: the new producer might
     * overtake that one, which no model looks for. Partner: ipc_ring_leave_end_. */
    ck_pr_fence_acquire(); /* no twin */
    terms = ck_pr_load_64(&l->terms);
    if (terms == 0 ||
        ck_pr_load_64(&l->tail) == ck_pr_load_64(ipc_record_head_(r, producers, lane)))
        return IPC_RECORD_DRAINED_;
    last = ck_pr_load_64(&l->term[(terms - 1) % IPC_RECORD_TERMS_].id);
    if (last == ipc_ring_id_of_(me))
        return IPC_RECORD_OURS_;
    return last == IPC_RING_ANYONE_ || me == NULL || me->alive == NULL ||
                   ipc_ring_is_dead_(me->alive, me->arg, last)
               ? IPC_RECORD_LEFT_BEHIND_
               : IPC_RECORD_AWAY_;
}

/* Takes the lane that suits best, of those that are free or whose holders are dead. Returns its
 * number, or `producers`: each was taken when it was looked at. */
IPC_INLINE unsigned ipc_record_take_best_lane_(struct ipc_record_shared *r, unsigned producers,
                                               struct ipc_peer *me)
{
    unsigned suits, lane;

    for (suits = IPC_RECORD_OURS_; suits < IPC_RECORD_TAKEN_; suits++)
        for (lane = 0; lane < producers; lane++)
            if ((unsigned)ipc_record_suits_(r, producers, lane, me) <= suits &&
                ipc_ring_take_end_(ipc_record_holder_(r, producers, lane), me,
                                   ipc_ring_id_of_(me)) == 0)
                return lane;
    return producers;
}

/* Takes the lane that suits best. Returns its number, or `producers`: every one is taken. */
IPC_INLINE unsigned ipc_record_take_lane_(struct ipc_record_shared *r, unsigned producers,
                                          struct ipc_peer *me)
{
    struct ipc_ring_scans_ scans = {0, 0};
    unsigned lane;

    do
        lane = ipc_record_take_best_lane_(r, producers, me);
    while (lane == producers &&
           ipc_ring_is_to_scan_again_(&scans, ipc_record_holder_(r, producers, 0),
                                      sizeof(struct ipc_record_lane_), producers));
    if (lane < producers)
        return lane;
    (void)ipc_ring_refuse_(me, -EBUSY, "every lane of records is taken; lanes", producers,
                           producers);
    return producers;
}

/* The holder of a lane notes that its records begin at that position. Returns where it notes that
 * it has left. */
IPC_INLINE uint64_t *ipc_record_begin_term_(struct ipc_record_lane_ *l, uint64_t id,
                                            uint64_t position)
{
    uint64_t terms = ck_pr_load_64(&l->terms);
    struct ipc_record_term_ *t = &l->term[terms % IPC_RECORD_TERMS_];

    /* Without it a consumer could read this term in the place of an old one, and then an old count
     * by which that is still remembered. Partner: the load fence in ipc_record_read_term_. */
    ck_pr_fence_release();
    ck_pr_store_64(&t->id, id);
    ck_pr_store_64(&t->from, position);
    /* Without it the term could be counted before it is there. Partner:
     * ipc_record_count_terms_. */
    ck_pr_fence_store();
    ck_pr_store_64(&l->terms, terms + 1);
    return &t->from;
}

#endif

/* >>record_source  src/ring/record_source.h */
/*
 * Records: from which producer a record is, and which producers have ended.
 *
 * Each lane remembers its last terms, and where the records of each begin: see record_lane.h. A
 * record is of the last term that begins at or before it. A term has ended when there is a next
 * one, or when the lane has another holder, or none, or one that is dead. All that was sent in it
 * has been taken when the consumer is where the next one begins, or else at a word 0.
 *
 * A term's place is used again 23 terms later. A consumer believes what it read there when
 * afterwards fewer than 23 terms have been counted since: a producer that overwrites it has seen
 * the count that says so.
 */
#ifndef IPC_SRC_RING_RECORD_SOURCE_H
#define IPC_SRC_RING_RECORD_SOURCE_H 1

#define IPC_RECORD_NOWHERE_ UINT64_MAX /* at, where no record was found yet */

/* ------------------------------------------------------------------ records: terms */

/* How many terms there have been in a lane; those may be read now. */
IPC_INLINE uint64_t ipc_record_count_terms_(struct ipc_record_lane_ *l)
{
    uint64_t terms = ck_pr_load_64(&l->terms);

    /* Without it a term could be older than its count. Partner: the store fence in
     * ipc_record_begin_term_. */
    ck_pr_fence_load();
    return terms;
}

/* Reads the n-th term of a lane. Returns 0 if that is not remembered any more. */
IPC_INLINE int ipc_record_read_term_(struct ipc_record_lane_ *l, uint64_t n,
                                     struct ipc_record_term_ *t)
{
    t->id = ck_pr_load_64(&l->term[n % IPC_RECORD_TERMS_].id);
    t->from = ck_pr_load_64(&l->term[n % IPC_RECORD_TERMS_].from);
    /* Without it the term could be a later one in the same place, and the count be older. Partner:
     * the release fence in ipc_record_begin_term_. */
    ck_pr_fence_load();
    return ck_pr_load_64(&l->terms) - n < IPC_RECORD_TERMS_;
}

/* Does a term begin at or before a position? */
IPC_INLINE int ipc_record_began_(const struct ipc_record_term_ *t, uint64_t position)
{
    return (int64_t)(position - (t->from & ~UINT64_C(7))) >= 0;
}

/* Finds the term in which the record at that position was sent. Returns its number, and sets *id to
 * its process; or returns the oldest that is remembered, and sets *id to 0. */
IPC_INLINE uint64_t ipc_record_find_term_(struct ipc_record_lane_ *l, uint64_t position,
                                          uint64_t *id)
{
    uint64_t terms = ipc_record_count_terms_(l), n;
    struct ipc_record_term_ t;

    for (n = terms; n > 0 && terms - n < IPC_RECORD_TERMS_ - 1; n--) {
        if (!ipc_record_read_term_(l, n - 1, &t))
            break;
        if (ipc_record_began_(&t, position)) {
            *id = t.id;
            return n - 1;
        }
    }
    *id = 0;
    return n;
}

/* ------------------------------------------------------------------ records: terms of readers */

/* For ipc_channel.h: ends the producer's term in its lane, and begins the next one, with that id.
 * from: the tail, or where the last term began; and IPC_RECORD_ASKS_. In a ring of answers the id
 * is that of the process for which the records are from there on, or 0: the next one that reads. */
IPC_INLINE void ipc_record_next_term_(struct ipc_record_producer *p, uint64_t id, uint64_t from)
{
    (void)ck_pr_cas_64(p->from, p->begun, p->begun | IPC_RECORD_LEFT_);
    p->begun = from;
    p->from = ipc_record_begin_term_(p->lane, id, from);
}

/* Says of the producer's term that its process waits for answers. */
IPC_INLINE void ipc_record_ask_(struct ipc_record_producer *p)
{
    p->begun |= IPC_RECORD_ASKS_;
    ck_pr_store_64(p->from, p->begun); /* before its first record */
}

/* Of a ring of answers: goes to where the records for `id` begin, over those for others. 1; 0: it
 * has none yet, and must read nothing; or -EBADMSG, which sticks. */
IPC_INLINE int ipc_record_go_to_answers_(struct ipc_record_consumer *c, uint64_t id)
{
    struct ipc_record_lane_ *l = ipc_record_lane_at_((struct ipc_record_shared *)(void *)c->ring, 0);
    uint64_t terms = ipc_record_count_terms_(l), over;
    struct ipc_record_term_ t;

    if (terms == 0 || !ipc_record_read_term_(l, terms - 1, &t) || (t.id != id && t.id != 0))
        return 0;
    over = (t.from & ~UINT64_C(7)) - c->head;
    if ((int64_t)over <= 0)
        return 1;
    if (over > c->mask + 1)
        return ipc_record_fail_(c, -EBADMSG);
    c->head += over;
    c->run_start = c->head;
    ipc_record_publish_(c);
    return 1;
}

/* ------------------------------------------------------------------ records: sources */

/* Where the consumer is in a lane. */
IPC_INLINE uint64_t ipc_record_position_(const struct ipc_record_consumer *c, unsigned lane)
{
    return lane == c->lane ? c->head : c->heads[lane];
}

/* The word there: 0, if there is no record. */
IPC_INLINE uint64_t ipc_record_next_word_(const struct ipc_record_consumer *c, unsigned lane)
{
    struct ipc_record_shared *r = (struct ipc_record_shared *)(void *)c->ring;

    return ck_pr_load_64(ipc_record_word_(ipc_record_data_(r, c->producers, lane, c->mask), c->mask,
                                          ipc_record_position_(c, lane)));
}

/*
 * Says from which producer the record is that pop, pop_n (the last one) or peek has given; or, when
 * the last thing that the consumer was told is that a producer has ended, which one that was. The
 * id is for struct ipc_peer's alive; processes without an ipc_peer all have ~0. A producer has its
 * lane for as long as it is attached, so the lane tells those apart that are attached at a time. A
 * lane remembers its last 22 producers: the id of a record of an earlier one is 0. Wait-free.
 *
 *   0
 *   -EINVAL  no record was given yet, or the consumer is not attached; *from is zeros
 */
IPC_INLINE int ipc_record_source(const struct ipc_record_consumer *c,
                                 struct ipc_record_sender *from)
{
    struct ipc_record_shared *r = (struct ipc_record_shared *)(void *)c->ring;

    memset(from, 0, sizeof *from);
    if (c->ring == NULL || (c->at == IPC_RECORD_NOWHERE_ && (c->flags & IPC_RECORD_TOLD_) == 0))
        return -EINVAL;
    if ((c->flags & IPC_RECORD_TOLD_) != 0) {
        *from = c->ended;
        return 0;
    }
    from->lane = c->lane;
    from->late = c->merge.late;
    (void)ipc_record_find_term_(ipc_record_lane_at_(r, c->lane), c->at, &from->id);
    return 0;
}

/* ------------------------------------------------------------------ records: ended producers */

/* The first term in a lane whose end a new consumer reports: that of the next record, or else that
 * of the producer which is attached now. */
IPC_INLINE uint64_t ipc_record_first_to_report_(const struct ipc_record_consumer *c, unsigned lane)
{
    struct ipc_record_shared *r = (struct ipc_record_shared *)(void *)c->ring;
    struct ipc_record_lane_ *l = ipc_record_lane_at_(r, lane);
    uint64_t holder = ck_pr_load_64(ipc_record_holder_(r, c->producers, lane)), terms, id;
    struct ipc_record_term_ t;

    if (ck_pr_load_64(ipc_record_word_(ipc_record_data_(r, c->producers, lane, c->mask), c->mask,
                                       c->heads[lane])) != 0) {
        /* Without it the terms could be counted before that of this record had begun: the end of
         * the one before would be reported again. Partner: the store fence in ipc_record_send_. */
        ck_pr_fence_load();
        return ipc_record_find_term_(l, c->heads[lane], &id);
    }
    terms = ipc_record_count_terms_(l);
    return terms > 0 && holder != 0 && !ipc_ring_is_dead_(c->alive, c->arg, holder) &&
                   ipc_record_read_term_(l, terms - 1, &t) && t.id == holder
               ? terms - 1
               : terms;
}

/* Asks the kernel whether the holder of a lane is dead, unless that is known. Returns 1 if that is
 * new. */
IPC_INLINE int ipc_record_find_dead_(struct ipc_record_consumer *c, unsigned lane)
{
    struct ipc_record_shared *r = (struct ipc_record_shared *)(void *)c->ring;
    uint64_t holder = ck_pr_load_64(ipc_record_holder_(r, c->producers, lane));

    if (holder == 0 || holder == c->dead[lane] || !ipc_ring_is_dead_(c->alive, c->arg, holder))
        return 0;
    c->dead[lane] = holder;
    return 1;
}

/* Has the holder of a lane, whose term `t` is the last one, ended with nothing left to take? Reads
 * the term again, as a holder notes that it leaves. ask: the kernel, whether it is dead. */
IPC_INLINE int ipc_record_last_ended_(struct ipc_record_consumer *c, unsigned lane, uint64_t n,
                                      struct ipc_record_term_ *t, int ask)
{
    struct ipc_record_shared *r = (struct ipc_record_shared *)(void *)c->ring;
    struct ipc_record_lane_ *l = ipc_record_lane_at_(r, lane);
    uint64_t holder;

    if (ask)
        (void)ipc_record_find_dead_(c, lane);
    holder = ck_pr_load_64(ipc_record_holder_(r, c->producers, lane));
    if (holder == t->id && holder != c->dead[lane])
        return 0;
    /* Without it the look for a record, or at the term, could be older than the end, and miss the
     * last record. Partner: ipc_ring_leave_end_; the kernel, if the producer was killed. */
    ck_pr_fence_load();
    return ipc_record_next_word_(c, lane) == 0 && ipc_record_read_term_(l, n, t) &&
           ck_pr_load_64(&l->terms) == n + 1;
}

/* Looks whether the next producer of a lane has ended, and all was taken that it sent. As
 * ipc_record_ended. */
IPC_INLINE int ipc_record_find_end_(struct ipc_record_consumer *c, unsigned lane, int ask)
{
    struct ipc_record_lane_ *l =
        ipc_record_lane_at_((struct ipc_record_shared *)(void *)c->ring, lane);
    uint64_t terms = ipc_record_count_terms_(l), n = c->reported[lane];
    struct ipc_record_term_ t, next;

    if (terms == n)
        return 0;
    if (terms - n >= IPC_RECORD_TERMS_) /* the ends of those before are not known any more */
        c->reported[lane] = n = terms - IPC_RECORD_TERMS_ + 1;
    if (!ipc_record_read_term_(l, n, &t))
        return 0;
    if (terms - n > 1) {
        if (!ipc_record_read_term_(l, n + 1, &next) ||
            !ipc_record_began_(&next, ipc_record_position_(c, lane)))
            return 0;
    } else if (!ipc_record_last_ended_(c, lane, n, &t, ask)) {
        return 0;
    }
    c->reported[lane] = n + 1;
    c->ended.id = t.id;
    c->ended.lane = lane;
    ipc_record_raise_(c, IPC_RECORD_TOLD_);
    return (t.from & IPC_RECORD_LEFT_) != 0 ? -EPIPE : -EOWNERDEAD;
}

/* Looks at all lanes, as ipc_record_find_end_. */
IPC_INLINE int ipc_record_find_any_end_(struct ipc_record_consumer *c, int ask)
{
    unsigned lane;
    int rc = 0;

    for (lane = 0; lane < c->producers && rc == 0; lane++)
        rc = ipc_record_find_end_(c, lane, ask);
    return rc;
}

/* The same, while a wait looks for a record and finds none. */
IPC_INLINE int ipc_record_watched_ended_(struct ipc_record_consumer *c)
{
    int rc;

    if ((c->flags & IPC_RECORD_WATCHES_) == 0)
        return 0;
    rc = ipc_record_find_any_end_(c, c->ask);
    c->ask &= rc != 0; /* the others are still to be asked for */
    return rc;
}

/*
 * Has a producer ended, all of whose records were taken? Each is reported once, if it was attached
 * when the consumer attached, or later, or left records for it; ipc_record_source says which it is.
 * If more than 22 came and went in one lane between two calls, the last 22 are reported.
 * Lock-free; asks the kernel for each producer that is attached, so it is not for the path of a
 * message.
 *
 *   0
 *   -EPIPE       a producer has detached
 *   -EOWNERDEAD  a producer was killed, or ended without detaching
 *   or the error of a handle that was refused, detached, or found the shared memory corrupt
 */
IPC_INLINE int ipc_record_ended(struct ipc_record_consumer *c)
{
    return c->ring == NULL || c->error != 0 ? c->error : ipc_record_find_any_end_(c, 1);
}

#endif

/* >>record_merge  src/ring/record_merge.h */
/*
 * Records: merging, in the order of a number that producers put at the beginning of each record.
 *
 * The consumer hands out the record with the lowest number of those that are next in their lanes.
 * None with a lower one can come where each lane has a record, as the numbers of a producer never
 * go down. A lane is silent when it has none, but a producer that is not known to be dead: then the
 * consumer may have to wait.
 *
 *   state     becomes   when
 *   -------   -------   ------------------------------------------------------------------------
 *   no hold   hold      a lane is silent, and no lane's next record is ripe: notes in `seen` where
 *                       each lane ends, and the time
 *   hold      no hold   `patience` has passed since: all that was seen is ripe
 *   any       any       no lane is silent, or a record is ripe: the lowest one is handed out
 *
 * So a record waits for two times `patience` at most: once for a hold that had begun before it
 * came. One that is sent later than a higher number became visible is not late if it comes within
 * `patience`.
 */
#ifndef IPC_SRC_RING_RECORD_MERGE_H
#define IPC_SRC_RING_RECORD_MERGE_H 1

#define IPC_RECORD_ASK_EVERY_ 1000000 /* nanoseconds between questions to the kernel, in a hold */

/* Reads the number of a lane's next record. 1; 0: there is no record; or -EBADMSG. */
IPC_INLINE int ipc_record_read_number_(struct ipc_record_consumer *c, unsigned lane)
{
    struct ipc_record_shared *r = (struct ipc_record_shared *)(void *)c->ring;
    struct ipc_record_merge_ *m = &c->merge;
    uint64_t word, at = 0;
    unsigned char *data;

    if ((m->known >> lane & 1) != 0)
        return 1;
    word = ipc_record_next_word_(c, lane);
    if (word == 0)
        return 0;
    /* Without it the number could be read before the record is there. Partner: the store fence in
     * ipc_record_send_. */
    ck_pr_fence_load();
    data = ipc_record_data_(r, c->producers, lane, c->mask);
    if (ipc_record_measure_(data, c->mask, ipc_record_position_(c, lane), &word, &at) == 0)
        return -EBADMSG;
    m->number[lane] = 0;
    if (word >> IPC_RECORD_LENGTH_ >= sizeof m->number[lane])
        m->number[lane] = ck_pr_load_64(ipc_record_word_(data, c->mask, at + 8));
    m->known |= UINT64_C(1) << lane;
    return 1;
}

/* As ipc_record_read_number_; -EAGAIN: there is no record, but a producer that is not known to be
 * dead. */
IPC_INLINE int ipc_record_look_at_lane_(struct ipc_record_consumer *c, unsigned lane)
{
    struct ipc_record_shared *r = (struct ipc_record_shared *)(void *)c->ring;
    int rc = ipc_record_read_number_(c, lane);
    uint64_t holder;

    if (rc != 0)
        return rc;
    holder = ck_pr_load_64(ipc_record_holder_(r, c->producers, lane));
    if (holder != 0 && holder != c->dead[lane])
        return -EAGAIN;
    /* Without it the lane could have been looked at before its last record came and its producer
     * ended. Partner: ipc_ring_leave_end_; the kernel, if the producer was killed. */
    ck_pr_fence_load();
    return ipc_record_read_number_(c, lane);
}

/* What the consumer sees in all lanes. */
struct ipc_record_sight_ {
    unsigned lane; /* that has the lowest number; or `producers`: there is no record */
    int silent;    /* a lane is */
    int ripe;      /* a record is */
};

/* 0, or -EBADMSG. */
IPC_INLINE int ipc_record_look_at_lanes_(struct ipc_record_consumer *c, struct ipc_record_sight_ *s)
{
    struct ipc_record_merge_ *m = &c->merge;
    unsigned i;

    s->lane = c->producers;
    s->silent = s->ripe = 0;
    for (i = 0; i < c->producers; i++) {
        int rc = ipc_record_look_at_lane_(c, i);

        if (rc == -EBADMSG)
            return rc;
        s->silent |= rc == -EAGAIN;
        if (rc != 1)
            continue;
        s->ripe |= (int64_t)(m->ripe[i] - ipc_record_position_(c, i)) > 0;
        if (s->lane == c->producers || m->number[i] < m->number[s->lane])
            s->lane = i;
    }
    return 0;
}

/* Begins a hold: notes where each lane ends. 0, or -EBADMSG. */
IPC_INLINE int ipc_record_begin_hold_(struct ipc_record_consumer *c, int64_t now)
{
    struct ipc_record_shared *r = (struct ipc_record_shared *)(void *)c->ring;
    struct ipc_record_merge_ *m = &c->merge;
    uint64_t count = 0;
    unsigned i;
    int rc = 0;

    for (i = 0; i < c->producers && rc == 0; i++) {
        uint64_t position = ipc_record_position_(c, i);

        if ((int64_t)(m->seen[i] - position) < 0)
            m->seen[i] = position;
        rc = ipc_record_walk_to_end_(ipc_record_data_(r, c->producers, i, c->mask), c->mask,
                                     &m->seen[i], &count);
    }
    m->ripe_at = m->patience < INT64_MAX - now ? now + m->patience : INT64_MAX;
    return rc;
}

/* A lane is silent, and nothing is ripe. 1: look again; 0: wait; or -EBADMSG. */
IPC_INLINE int ipc_record_hold_(struct ipc_record_consumer *c)
{
    struct ipc_record_merge_ *m = &c->merge;
    int64_t now = m->clock();
    int again = 0;
    unsigned i;

    if (now - m->asked_at >= IPC_RECORD_ASK_EVERY_) {
        m->asked_at = now;
        for (i = 0; i < c->producers; i++)
            again |= ipc_record_find_dead_(c, i);
    }
    if (m->ripe_at == 0)
        return again ? 1 : ipc_record_begin_hold_(c, now);
    if (now < m->ripe_at)
        return again;
    memcpy(m->ripe, m->seen, sizeof m->ripe);
    m->ripe_at = 0;
    return 1;
}

/* Goes to the lane whose record is to be handed out. 0, -EAGAIN or -EBADMSG. */
IPC_INLINE int ipc_record_choose_lane_(struct ipc_record_consumer *c)
{
    struct ipc_record_merge_ *m = &c->merge;
    struct ipc_record_sight_ s;
    int rc;

    if (c->peeked != 0)
        return 0; /* it was found before, and not released */
    m->known &= ~(UINT64_C(1) << c->lane);
    for (;;) { /* three times at most: a death, the end of a hold, the next hold */
        if ((rc = ipc_record_look_at_lanes_(c, &s)) != 0)
            return rc;
        if (s.lane == c->producers) {
            m->ripe_at = 0;
            return -EAGAIN;
        }
        if (m->patience == 0 || !s.silent || s.ripe)
            break;
        if ((rc = ipc_record_hold_(c)) <= 0)
            return rc < 0 ? rc : -EAGAIN;
    }
    if (s.lane != c->lane)
        ipc_record_go_to_lane_(c, s.lane);
    m->late = m->number[s.lane] < m->latest;
    if (!m->late)
        m->latest = m->number[s.lane];
    return 0;
}

/*
 * From now on the records of all lanes are handed out in the order of their numbers: of the first 8
 * bytes of each, a uint64_t of the machine's byte order, which producers put there: a time, or a
 * count that they share. A record that is shorter has the number 0. The numbers of each producer
 * must not go down. The cost is the consumer's: it looks at all lanes for each record, and
 * publishes each record (as with ipc_record_replay of 0).
 *
 * patience: for how many nanoseconds, from 0 on, the consumer waits for a lane that has a producer,
 * but no record. Meanwhile pop says -EAGAIN and peek NULL, and recv and consumer_wait sleep. A
 * record that comes within that time after one with a higher number is handed out before that.
 * Records are held back for two times `patience` at most, and not at all while each lane has one.
 * With 0, or when a producer was stopped for longer between number and push, a record may come
 * after one with a higher number: ipc_record_source says that it is late. With INT64_MAX none is
 * ever late, and a stopped producer stops the consumer.
 *
 * A producer that is dead, or has left, is not waited for, nor is one that has not attached yet:
 * its first records may be late. In a hold the kernel is asked for dead ones, once a millisecond.
 *
 * clock: returns the time in nanoseconds, and never goes back; ipc_clock, where another header has
 * it. It may be NULL where patience is 0. Wait-free; to be called right after attach, or later, and
 * again to change patience.
 */
IPC_INLINE void ipc_record_merge(struct ipc_record_consumer *c, int64_t patience,
                                 int64_t (*clock)(void))
{
    unsigned i;

    if (c->ring == NULL || (ipc_ring_is_forked_(&c->self) && ipc_ring_settle_(&c->self, c) < 0))
        return;
    c->merge.patience = patience > 0 && clock != NULL ? patience : 0;
    c->merge.clock = clock;
    c->merge.ripe_at = 0;
    if ((c->flags & IPC_RECORD_MERGES_) != 0)
        return;
    c->replay = 0;
    ipc_record_publish_(c);
    for (i = 0; i < c->producers; i++)
        c->merge.seen[i] = c->merge.ripe[i] = ipc_record_position_(c, i);
    ipc_record_raise_(c, IPC_RECORD_MERGES_);
}

/* When a wait until `deadline` has to look again: at the end of a hold. */
IPC_INLINE int64_t ipc_record_look_again_at_(const struct ipc_record_consumer *c, int64_t deadline)
{
    return c->merge.ripe_at != 0 && c->merge.ripe_at < deadline ? c->merge.ripe_at : deadline;
}

/* A wait looks; died: any process may have died. */
IPC_INLINE void ipc_record_note_death_(struct ipc_record_consumer *c, int died)
{
    if (died) {
        c->ask = 1;
        c->merge.asked_at = 0;
    }
}

#endif

/* >>record  src/ring/record.h */
/* Records: making a ring, attaching to it, producing and consuming. Words: see record_lane.h. */
#ifndef IPC_SRC_RING_RECORD_H
#define IPC_SRC_RING_RECORD_H 1

/* The bytes of a ring of records with `capacity` bytes for each of so many producers; or 0 if
 * capacity is not a power of two from 64 on, producers is not 1 to 64, or their product is beyond
 * the address space. */
IPC_INLINE size_t ipc_record_footprint(uint64_t capacity, unsigned producers)
{
    struct ipc_ring_kind_ kind = ipc_record_kind_(producers);

    if (capacity < 64 || !ipc_record_is_valid_how_(producers))
        return 0;
    return ipc_ring_footprint_(&kind, 1, capacity);
}

/*
 * Makes an empty ring of records, as ipc_spsc_init. A record takes 8 bytes and its length, rounded
 * up to a multiple of 8; the longest has half the capacity, less 8.
 *
 *   0
 *   -EINVAL  mem is NULL or not 64-byte aligned, or ipc_record_footprint(capacity, producers) is 0
 *   -ENOSPC  size is less than that
 */
IPC_INLINE int ipc_record_init(void *mem, size_t size, uint64_t capacity, unsigned producers)
{
    struct ipc_ring_kind_ kind = ipc_record_kind_(producers);

    if (ipc_record_footprint(capacity, producers) == 0)
        return -EINVAL;
    return ipc_ring_init_(mem, size, &kind, 1, capacity, producers);
}

/* ------------------------------------------------------------------ records: attach */

IPC_INLINE int ipc_record_check_(void *mem, size_t size, struct ipc_peer *me, uint64_t *capacity,
                                 unsigned *producers)
{
    struct ipc_ring_kind_ kind = ipc_record_kind_(1);
    int rc = ipc_ring_check_(mem, size, &kind, 1, me, capacity);

    if (rc != 0)
        return rc;
    *producers = ck_pr_load_32(&((const struct ipc_record_shared *)mem)->s.is.how);
    return ipc_ring_check_size_(me, size, ipc_record_footprint(*capacity, *producers), *producers);
}

/* Where to look for the tail from: where the last producer in the lane has begun, or where it was
 * when it left. So nobody walks over what has long been sent. If the consumer has been further
 * since, the lane's head. */
IPC_INLINE uint64_t ipc_record_walk_from_(const struct ipc_record_producer *p, uint64_t head)
{
    const struct ipc_record_lane_ *l = p->lane;
    uint64_t terms = ck_pr_load_64(&l->terms), at = head;

    if (terms > 0)
        at = ck_pr_load_64(&l->term[(terms - 1) % IPC_RECORD_TERMS_].from);
    at = (at & IPC_RECORD_LEFT_) != 0 ? ck_pr_load_64(&l->tail) : at & ~UINT64_C(7);
    return at - head <= p->mask + 1 - 8 ? at : head;
}

/* Finds where a producer goes on that has just taken its lane, and begins its term there. 0; or
 * -EBADMSG, and the lane is free again. */
IPC_INLINE int ipc_record_find_tail_(struct ipc_record_producer *p)
{
    uint64_t count = 0, head = ck_pr_load_64(p->head);

    /* Without it records could be written that head does not free yet. Partner:
     * ipc_record_publish_. */
    ck_pr_fence_acquire();
    p->limit = head + p->mask + 1;
    p->claimed = 0;
    p->put_off_word = 0;
    p->tail = ipc_record_walk_from_(p, head);
    if (head % 8 != 0 || ipc_record_walk_to_end_(p->data, p->mask, &p->tail, &count) != 0 ||
        p->tail - head > p->mask + 1 - 8) {
        ipc_ring_leave_end_(p->holder, p->id);
        return -EBADMSG;
    }
    p->begun = p->tail;
    p->from = ipc_record_begin_term_(p->lane, p->id, p->begun);
    return 0;
}

/* struct ipc_ring_self_'s renew: takes the same lane. */
IPC_INLINE int ipc_record_producer_renew_(void *handle, struct ipc_peer *me)
{
    struct ipc_record_producer *p = (struct ipc_record_producer *)handle;

    if (me == NULL)
        return ipc_record_producer_disable_(p, -ECHILD);
    p->id = me->id;
    return ipc_ring_take_end_(p->holder, me, me->id) != 0 ? -EBUSY : ipc_record_find_tail_(p);
}

/*
 * Attaches a producer, of which there may be as many as the ring was made for. Each has a lane of
 * its own, with the whole capacity. `me`, and what a refused handle does: as for
 * ipc_spsc_producer_attach. Lock-free; asks the kernel which holders of lanes are dead; not for the
 * path of a message.
 *
 * The producer goes on behind what its predecessor in the lane has committed. So that its records
 * do not overtake what it sent before, it takes of the lanes that have no living holder
 *
 *   1. one in which there are records left of its own process;
 *   2. else that of a producer that was killed, or one in which there are records left of a process
 *      that has ended: a producer that is started again, however often, has its records in order;
 *   3. else one from which all was taken;
 *   4. else one in which there are records of a process that lives: when that comes back, it has to
 *      take another.
 *
 * Where several lanes fit it takes the first. So if several producers have ended, and there are
 * records of each left, a new one may overtake those of all but one. Where `me` is NULL, or has no
 * alive, any lane with records counts as left by a process that has ended.
 *
 *   0
 *   -EINVAL, -EAGAIN, -EPROTO, -EROFS  as of ipc_spsc_producer_attach
 *   -EBUSY    every lane has a producer that is not proven dead
 *   -EBADMSG  the shared memory is corrupt
 */
IPC_INLINE int ipc_record_producer_attach(struct ipc_record_producer *p, void *mem, size_t size,
                                          struct ipc_peer *me)
{
    struct ipc_record_shared *r = (struct ipc_record_shared *)mem;
    uint64_t capacity = 0;
    unsigned producers = 0, lane;
    int rc = ipc_record_check_(mem, size, me, &capacity, &producers);

    (void)ipc_record_producer_disable_(p, rc);
    if (rc != 0)
        return rc;
    lane = ipc_record_take_lane_(r, producers, me);
    if (lane == producers)
        return p->error = -EBUSY; /* me->why is written */
    p->mask = capacity - 1;
    p->data = ipc_record_data_(r, producers, lane, p->mask);
    p->most = capacity / 2 - 8;
    p->head = ipc_record_head_(r, producers, lane);
    p->holder = ipc_record_holder_(r, producers, lane);
    p->lane = ipc_record_lane_at_(r, lane);
    p->ring = &r->s;
    p->id = ipc_ring_id_of_(me);
    ipc_ring_begin_self_(&p->self, me, ipc_record_producer_renew_);
    ipc_ring_trials_begin_(&p->trials, capacity);
    if (ipc_record_find_tail_(p) == 0)
        return 0;
    return ipc_record_producer_disable_(
        p, ipc_ring_refuse_(me, -EBADMSG, "lane of records is corrupt; position", p->tail, lane));
}

/* struct ipc_ring_self_'s renew: goes on where the handle was in each lane, or where another that
 * has had the end in between was later. */
IPC_INLINE int ipc_record_consumer_renew_(void *handle, struct ipc_peer *me)
{
    struct ipc_record_consumer *c = (struct ipc_record_consumer *)handle;
    struct ipc_record_shared *r = (struct ipc_record_shared *)(void *)c->ring;
    unsigned i, bad = 0;

    if (me == NULL)
        return ipc_record_consumer_disable_(c, -ECHILD);
    c->id = me->id;
    if (ipc_ring_take_end_(&c->ring->end[1], me, me->id) != 0)
        return -EBUSY;
    for (i = 0; i < c->producers; i++) {
        uint64_t *was = i == c->lane ? &c->published : &c->heads[i];
        uint64_t head = ck_pr_load_64(ipc_record_head_(r, c->producers, i));

        bad |= head % 8 != 0;
        if (head != *was && i == c->lane)
            c->head = head;
        *was = head;
    }
    if (bad)
        ipc_ring_leave_end_(&c->ring->end[1], c->id);
    c->run_start = c->head;
    c->peeked = 0;
    c->merge.ripe_at = 0;
    c->merge.known = 0;
    ipc_record_note_published_(c, c->published);
    return bad ? -EBADMSG : 0;
}

/*
 * Attaches the consumer; as ipc_spsc_consumer_attach, with the same errors, and -EBADMSG: the
 * shared memory is corrupt. In each lane it starts at the last published position: what a killed
 * consumer took after that is seen again. Until ipc_record_replay says otherwise that is at most an
 * eighth of the capacity in bytes, in the one lane that it was reading.
 */
IPC_INLINE int ipc_record_consumer_attach(struct ipc_record_consumer *c, void *mem, size_t size,
                                          struct ipc_peer *me)
{
    struct ipc_record_shared *r = (struct ipc_record_shared *)mem;
    uint64_t capacity = 0, id = ipc_ring_id_of_(me);
    unsigned producers = 0, i;
    int rc = ipc_record_check_(mem, size, me, &capacity, &producers);

    if (rc == 0)
        rc = ipc_ring_take_end_(&r->s.end[1], me, id);
    (void)ipc_record_consumer_disable_(c, rc);
    if (rc != 0)
        return rc;
    c->mask = capacity - 1;
    c->replay = capacity / 8;
    c->producers = producers;
    c->ring = &r->s;
    c->id = id;
    ipc_ring_begin_self_(&c->self, me, ipc_record_consumer_renew_);
    c->at = IPC_RECORD_NOWHERE_;
    c->alive = me != NULL ? me->alive : NULL;
    c->arg = me != NULL ? me->arg : NULL;
    for (i = 0; i < producers; i++) {
        uint64_t head = c->heads[i] = ck_pr_load_64(ipc_record_head_(r, producers, i));

        if (head % 8 != 0) {
            ipc_ring_leave_end_(&r->s.end[1], id);
            return ipc_record_consumer_disable_(
                c, ipc_ring_refuse_(me, -EBADMSG, "lane of records is corrupt; position", head, i));
        }
        c->reported[i] = ipc_record_first_to_report_(c, i);
    }
    c->head = c->heads[0];
    ipc_record_go_to_lane_(c, 0);
    c->quick = 1;
    return 0;
}

/*
 * Sets how many bytes of records that were popped or released the successor of a killed consumer
 * may see again: at most n. A record counts with 8 bytes more than its length, rounded up to a
 * multiple of 8. With 0 each record is handed out once, at the cost of one more store for each. A
 * value above an eighth of the capacity is brought down to that, and any value to 0 where the
 * consumer merges. Wait-free.
 */
IPC_INLINE void ipc_record_replay(struct ipc_record_consumer *c, uint64_t n)
{
    if ((c->flags & IPC_RECORD_MERGES_) != 0)
        n = 0;
    c->replay = n < (c->mask + 1) / 8 ? n : (c->mask + 1) / 8;
    ipc_record_note_published_(c, c->published);
    if (ipc_record_is_due_(c) && ipc_ring_is_ours_(&c->self))
        ipc_record_publish_(c);
}

/* The id of the other end's holder, for struct ipc_peer's alive; 0 for nobody, and for a consumer
 * of several producers. Wait-free. */
IPC_INLINE uint64_t ipc_record_producer_peer(const struct ipc_record_producer *p)
{
    return p->ring != NULL ? ck_pr_load_64(&p->ring->end[1]) : 0;
}

IPC_INLINE uint64_t ipc_record_consumer_peer(const struct ipc_record_consumer *c)
{
    return c->ring != NULL ? ck_pr_load_64(&c->ring->end[0]) : 0;
}

/* Publishes what is put off. */
IPC_RING_NOINLINE_ void ipc_record_publish_put_off_(struct ipc_record_producer *p)
{
    ipc_ring_settle_copies_();
    /* Without it the word could be seen before the records. Partner: the load fence in
     * ipc_record_find_. */
    ck_pr_fence_store(); /* no twin: the models have no long records */
    ck_pr_store_64(ipc_record_word_(p->data, p->mask, p->put_off_at), p->put_off_word);
    p->put_off_word = 0;
    p->limit = p->limit_then;
}

/* Detaches; the ring and its records stay: the consumer still gets them. Wait-free. */
IPC_INLINE void ipc_record_producer_detach(struct ipc_record_producer *p)
{
    if (p->ring != NULL && ipc_ring_is_ours_(&p->self)) {
        if (p->put_off_word != 0)
            ipc_record_publish_put_off_(p);
        ck_pr_store_64(&p->lane->tail, p->tail); /* a LEFT says that it is there */
        (void)ck_pr_cas_64(p->from, p->begun, p->begun | IPC_RECORD_LEFT_);
        if (p->holder == &p->ring->end[0])
            ipc_ring_detach_end_(p->holder, p->id);
        else /* one of several: its term in the lane says so */
            ipc_ring_leave_end_(p->holder, p->id);
    }
    (void)ipc_record_producer_disable_(p, -EINVAL);
}

IPC_INLINE void ipc_record_consumer_detach(struct ipc_record_consumer *c)
{
    if (c->ring != NULL && ipc_ring_is_ours_(&c->self)) {
        if (c->head != c->published)
            ipc_record_publish_(c);
        ipc_ring_detach_end_(&c->ring->end[1], c->id);
    }
    (void)ipc_record_consumer_disable_(c, -EINVAL);
}

/* ------------------------------------------------------------------ records: producing */

/* The private limit leaves no room for so many bytes: looks at the position that the consumer has
 * published. 0, or -EAGAIN, or -EBADMSG, or the error of a handle that was refused. */
IPC_INLINE int ipc_record_find_room_(struct ipc_record_producer *p, uint64_t need)
{
    uint64_t head;

    if (p->error != 0)
        return p->error;
    head = ck_pr_load_64(p->head);
    /* Without it bytes could be written before the consumer is seen to be done with them. Partner:
     * ipc_record_publish_. */
    ck_pr_fence_acquire();
    if (p->tail - head > p->mask + 1 - 8) {
        p->limit = p->tail; /* every call comes here */
        return p->error = -EBADMSG;
    }
    p->limit = head + p->mask + 1;
    return p->limit - p->tail < need ? -EAGAIN : 0;
}

/* Where a record of n bytes goes: *at is the tail, or where the memory begins if the record does
 * not fit before its end. Behind the tail it takes *need bytes, with the word after it. */
IPC_FORCE_INLINE int ipc_record_place_(const struct ipc_record_producer *p, uint64_t n,
                                       uint64_t *at, uint64_t *need)
{
    uint64_t bytes = ipc_record_bytes_(n), row = ipc_record_bytes_to_end_(p->mask, p->tail);

    if (CK_CC_UNLIKELY(n > p->most))
        return p->error != 0 ? p->error : -EMSGSIZE;
    *at = p->tail + (bytes > row ? row : 0);
    *need = *at - p->tail + bytes + 8;
    return 0;
}

/* As ipc_record_room_, where the producer has to look, or has forked. */
IPC_RING_NOINLINE_ int ipc_record_room_again_(struct ipc_record_producer *p, uint64_t n,
                                              uint64_t *at, uint64_t need)
{
    int rc;

    if (p->error == 0 && ipc_ring_is_forked_(&p->self)) {
        rc = ipc_ring_settle_(&p->self, p);
        if (rc < 0 || ipc_record_place_(p, n, at, &need) != 0)
            return p->error;
    }
    if (p->put_off_word != 0) {
        ipc_record_publish_put_off_(p);
        if (p->limit - p->tail >= need)
            return 0;
    }
    return ipc_record_find_room_(p, need);
}

/* Finds the place `at` for a record of n bytes. 0, or the errors of ipc_record_push. */
IPC_FORCE_INLINE int ipc_record_room_(struct ipc_record_producer *p, uint64_t n, uint64_t *at)
{
    uint64_t need;
    int rc = ipc_record_place_(p, n, at, &need);

    if (CK_CC_UNLIKELY(rc != 0) ||
        CK_CC_LIKELY(p->limit - p->tail >= need && !ipc_ring_is_forked_(&p->self)))
        return rc;
    return ipc_record_room_again_(p, n, at, need);
}

/* Asks for the lines of a later record of that size, as ipc_spsc_next_slot_. */
IPC_FORCE_INLINE void ipc_record_prefetch_(const struct ipc_record_producer *p, uint64_t at,
                                           uint64_t n)
{
    uint64_t i;

    if (n < IPC_RING_PREFETCH_)
        for (i = 0; i <= n; i += IPC_RING_LINE)
            ck_pr_rfo(p->data + (size_t)((at + IPC_RING_PREFETCH_ + i) & p->mask));
}

/* Ends the record of n bytes at `at`, and moves the tail behind it. Returns the word that makes it
 * visible. */
IPC_FORCE_INLINE uint64_t ipc_record_write_(struct ipc_record_producer *p, uint64_t tail,
                                            uint64_t at, uint64_t n)
{
    uint64_t next = at + ipc_record_bytes_(n), word = n << IPC_RECORD_LENGTH_ | IPC_RECORD_IS_;

    ck_pr_store_64(ipc_record_word_(p->data, p->mask, next), 0);
    if (CK_CC_UNLIKELY(at != tail)) {
        ck_pr_store_64(ipc_record_word_(p->data, p->mask, at), word);
        word = IPC_RECORD_SKIP_;
    }
    p->tail = next;
    p->claimed = 0;
    return word;
}

/* Makes the record of n bytes at `at` visible. */
IPC_FORCE_INLINE void ipc_record_send_(struct ipc_record_producer *p, uint64_t tail, uint64_t at,
                                       uint64_t n)
{
    uint64_t word = ipc_record_write_(p, tail, at, n);

    /* Without it the word could be seen before the record, or the record before the 0 behind it.
     * Partner: the load fence in ipc_record_find_. */
    ck_pr_fence_store();
    ck_pr_store_64(ipc_record_word_(p->data, p->mask, tail), word);
}

/*
 * Copies a record of n bytes in; n may be 0. Wait-free for a given n. A consumer that is stopped or
 * dead lets the lane run full. Other producers do not matter.
 *
 *   0
 *   -EAGAIN    there is no room for it; never where the consumer has taken all before it
 *   -EMSGSIZE  n is more than half the capacity less 8
 *   -EBADMSG   the shared memory is corrupt; sticks
 *   -ECHILD    after fork, as of ipc_spsc_push
 */
IPC_FORCE_INLINE int ipc_record_push(struct ipc_record_producer *p, const void *data, size_t n)
{
    uint64_t tail, at;
    int rc = ipc_record_room_(p, n, &at);

    if (CK_CC_UNLIKELY(rc != 0))
        return rc;
    tail = p->tail;
    ipc_record_prefetch_(p, at, n);
    ipc_ring_put_(&p->trials, p->data + (size_t)(at & p->mask) + 8, (const unsigned char *)data, n);
    ipc_record_send_(p, tail, at, n);
    return 0;
}

/* Puts off the record of n bytes at `at`, which is copied in. */
IPC_INLINE void ipc_record_put_off_(struct ipc_record_producer *p, uint64_t at, uint64_t n)
{
    uint64_t tail = p->tail, limit = p->limit;

    if (p->put_off_word == 0) {
        p->put_off_at = tail;
        p->put_off_word = ipc_record_write_(p, tail, at, n);
        p->limit_then = limit;
    } else {
        ipc_record_send_(p, tail, at, n);
    }
    p->limit = p->tail;
}

/*
 * Push and flush with the hint that more is coming: as ipc_spsc_push_more and ipc_spsc_flush, with
 * the errors of ipc_record_push. Records of less than 256 bytes are published at once, and those
 * before them.
 */
IPC_INLINE int ipc_record_push_more(struct ipc_record_producer *p, const void *data, size_t n)
{
    uint64_t at, need;
    int rc;

    if (!IPC_RING_IS_PUT_OFF_(n) || ipc_ring_trials_rest_(&p->trials, n))
        return ipc_record_push(p, data, n);
    rc = ipc_record_place_(p, n, &at, &need);
    if (rc == 0 && (p->put_off_word == 0 || p->limit_then - p->tail < need ||
                    p->tail + need - p->put_off_at > IPC_RING_PUT_OFF_ ||
                    p->tail - p->put_off_at > p->mask / 4 || ipc_ring_is_forked_(&p->self)))
        rc = ipc_record_room_(p, n, &at);
    if (rc != 0)
        return rc;
    if (p->trials.way != IPC_RING_PAST_) /* else the lines are fetched in vain */
        ipc_record_prefetch_(p, at, n);
    if (ipc_ring_copy_unsettled_(&p->trials, p->data + (size_t)(at & p->mask) + 8,
                                 (const unsigned char *)data, n)) {
        ipc_record_put_off_(p, at, n);
        return 0;
    }
    if (p->put_off_word != 0)
        ipc_record_publish_put_off_(p);
    ipc_record_send_(p, p->tail, at, n);
    return 0;
}

IPC_INLINE int ipc_record_flush(struct ipc_record_producer *p)
{
    if (p->put_off_word != 0 && p->error == 0 &&
        (!ipc_ring_is_forked_(&p->self) || ipc_ring_settle_(&p->self, p) >= 0) &&
        p->put_off_word != 0)
        ipc_record_publish_put_off_(p);
    return p->error;
}

/* Copies up to n records in. Records of less than 256 bytes are visible to the consumer one by one,
 * longer ones at the latest when the call returns. Returns how many went in, 0 for n = 0, or the
 * errors of ipc_record_push when none did. Wait-free for given records. */
IPC_INLINE int64_t ipc_record_push_n(struct ipc_record_producer *p,
                                     const struct ipc_record *records, size_t n)
{
    size_t i;
    int rc = 0;

    for (i = 0; i < n && (rc = ipc_record_push_more(p, records[i].at, records[i].n)) == 0; i++)
        ;
    (void)ipc_record_flush(p);
    return i > 0 ? (int64_t)i : rc;
}

/* Begins a claim of n bytes, for which there is room at p->at. */
IPC_FORCE_INLINE void *ipc_record_begin_claim_(struct ipc_record_producer *p, size_t n)
{
    ipc_record_prefetch_(p, p->at, n);
    p->claimed = n + UINT64_C(1);
    return p->data + (size_t)(p->at & p->mask) + 8;
}

/*
 * Push without a copy. claim gives room for a record of up to n bytes, 8-byte aligned and in a row.
 * NULL: there is no room now, n is more than ipc_record_most, or see ipc_record_producer_error.
 * commit sends the first n bytes of it: 0; -EINVAL: n is more than was claimed, or nothing was
 * claimed since the last push or commit; or -ECHILD. Claiming again replaces the claim, also when it returns
 * NULL; cancel drops it. A producer that is killed in between has sent nothing. All wait-free.
 */
IPC_INLINE void *ipc_record_claim(struct ipc_record_producer *p, size_t n)
{
    p->claimed = 0;
    return ipc_record_room_(p, n, &p->at) == 0 ? ipc_record_begin_claim_(p, n) : NULL;
}

IPC_INLINE int ipc_record_commit(struct ipc_record_producer *p, size_t n)
{
    if (n >= p->claimed)
        return -EINVAL;
    if (CK_CC_UNLIKELY(ipc_ring_is_forked_(&p->self)) && ipc_ring_settle_(&p->self, p) != 1)
        return p->error != 0 ? p->error : -EINVAL;
    ipc_record_send_(p, p->tail, p->at, n);
    return 0;
}

IPC_INLINE void ipc_record_cancel(struct ipc_record_producer *p)
{
    p->claimed = 0;
}

/* The length of the longest record, half the capacity less 8; 0 when not attached. */
IPC_INLINE size_t ipc_record_most(const struct ipc_record_producer *p)
{
    return (size_t)p->most;
}

/* 0; -EBADMSG once the shared memory was found corrupt; or the error of a handle that was refused
 * or detached. */
IPC_INLINE int ipc_record_producer_error(const struct ipc_record_producer *p)
{
    return p->error;
}

/* How many bytes records in our lane took, at some moment during the call. What was read counts
 * until the consumer has published it. Wait-free. */
IPC_INLINE uint64_t ipc_record_was_size(const struct ipc_record_producer *p)
{
    uint64_t size = p->ring != NULL ? p->tail - ck_pr_load_64(p->head) : 0;

    return size < p->mask ? size : p->mask;
}

/* ------------------------------------------------------------------ records: consuming */

/* Goes to the next other lane that has a record. Returns the word at its head, or 0: none has. */
IPC_INLINE uint64_t ipc_record_find_lane_(struct ipc_record_consumer *c)
{
    struct ipc_record_shared *r = (struct ipc_record_shared *)(void *)c->ring;
    unsigned i;

    for (i = 1; i < c->producers; i++) {
        unsigned lane = c->lane + i < c->producers ? c->lane + i : c->lane + i - c->producers;
        uint64_t word = ck_pr_load_64(ipc_record_word_(
            ipc_record_data_(r, c->producers, lane, c->mask), c->mask, c->heads[lane]));

        if (word != 0) {
            ipc_record_go_to_lane_(c, lane);
            return word;
        }
    }
    return 0;
}

/* There is no record at head yet: publishes the position, and looks at the other lanes. If several
 * records came in a row until here, the consumer is close behind the producer, and holds back.
 * Returns a word, or 0. */
IPC_RING_NOINLINE_ uint64_t ipc_record_found_empty_(struct ipc_record_consumer *c)
{
    uint64_t word, run = c->head - c->run_start;

    if (c->head != c->published && c->to != NULL)
        ipc_record_publish_(c);
    c->run_start = c->head;
    if (c->producers > 1 && (word = ipc_record_find_lane_(c)) != 0)
        return word;
    if (run == 0) {
        c->pauses = 0;
        return 0;
    }
    ipc_ring_adapt_pauses_(&c->pauses, run >= 4 * IPC_RING_LINE, IPC_RECORD_PAUSES_);
    ipc_ring_hold_back_(c->pauses);
    return ck_pr_load_64(ipc_record_word_(c->data, c->mask, c->head));
}

/* Does what is to be done before the consumer looks for a record. 0, or as ipc_record_pop. */
IPC_RING_NOINLINE_ int ipc_record_prepare_(struct ipc_record_consumer *c)
{
    unsigned flags;

    if (c->error != 0)
        return c->error;
    if (ipc_ring_is_forked_(&c->self) && ipc_ring_settle_(&c->self, c) < 0)
        return c->error;
    flags = c->flags;
    c->flags &= ~(IPC_RECORD_TURN_ | IPC_RECORD_TOLD_);
    if ((flags & IPC_RECORD_MERGES_) != 0)
        return ipc_record_choose_lane_(c);
    c->quick = 1;
    if ((flags & IPC_RECORD_TURN_) != 0)
        (void)ipc_record_find_lane_(c);
    return 0;
}

/* Is there a record to read? 0, with its length; or the errors of ipc_record_pop, which do not
 * stick yet. */
IPC_FORCE_INLINE int ipc_record_find_(struct ipc_record_consumer *c, size_t *n)
{
    uint64_t word;
    int rc;

    if (CK_CC_UNLIKELY(!c->quick || ipc_ring_is_forked_(&c->self)) &&
        (rc = ipc_record_prepare_(c)) != 0)
        return rc;
    word = ck_pr_load_64(ipc_record_word_(c->data, c->mask, c->head));
    if (CK_CC_UNLIKELY(word == 0) && (word = ipc_record_found_empty_(c)) == 0)
        return -EAGAIN;
    /* Without it the record could be read before the word that says that it is there. Partner: the
     * store fence in ipc_record_send_. */
    ck_pr_fence_load();
    c->peeked = ipc_record_measure_(c->data, c->mask, c->head, &word, &c->at);
    if (CK_CC_UNLIKELY(c->peeked == 0))
        return -EBADMSG;
    *n = (size_t)(word >> IPC_RECORD_LENGTH_);
    return 0;
}

/* The payload of the record that was found. */
IPC_FORCE_INLINE unsigned char *ipc_record_payload_(const struct ipc_record_consumer *c)
{
    return c->data + (size_t)(c->at & c->mask) + 8;
}

IPC_FORCE_INLINE int ipc_record_look_(struct ipc_record_consumer *c, size_t *n)
{
    int rc = ipc_record_find_(c, n);

    if (CK_CC_UNLIKELY(rc == -EBADMSG))
        (void)ipc_record_fail_(c, rc);
    return rc;
}

/* Moves on behind the record. Returns 1 if that published the position; then it is the turn of
 * another lane. */
IPC_FORCE_INLINE int ipc_record_release_(struct ipc_record_consumer *c)
{
    c->head += c->peeked;
    c->peeked = 0;
    if (CK_CC_LIKELY(!ipc_record_is_due_(c)))
        return 0;
    ipc_record_publish_(c);
    if (c->producers > 1)
        ipc_record_raise_(c, IPC_RECORD_TURN_);
    return 1;
}

IPC_FORCE_INLINE int64_t ipc_record_take_(struct ipc_record_consumer *c, void *to, size_t size,
                                          int *published)
{
    size_t n = 0;
    int rc = ipc_record_look_(c, &n);

    if (CK_CC_UNLIKELY(rc != 0))
        return rc;
    if (CK_CC_UNLIKELY(n > size))
        return -EMSGSIZE;
    if (size > 0 && CK_CC_LIKELY(n > 0)) /* `to` may be NULL where either is 0 */
        ipc_ring_get_(to, ipc_record_payload_(c), n, 1);
    *published = ipc_record_release_(c);
    return (int64_t)n;
}

/*
 * Copies a producer's oldest record out. Producers take turns: one after the other, each for as
 * long as it has records, and for an eighth of the capacity at most. There is no order between
 * producers, unless the consumer merges (ipc_record_merge). Wait-free; holds back at times, as
 * ipc_spsc_pop, for up to 127 ck_pr_stall()s. A producer that is stopped or dead costs nothing:
 * what it committed is all there. A consumer that is killed before the next call may take the
 * record with it, as its position may be published already; with peek and release none is lost.
 *
 *   >= 0       the record's length in bytes
 *   -EAGAIN    there is none; or one that merging holds back
 *   -EMSGSIZE  it is longer than `size`, and is still there: peek says how long, release drops it
 *   -EBADMSG   the shared memory is corrupt; sticks
 *   -ECHILD    after fork, as of ipc_spsc_push
 */
IPC_FORCE_INLINE int64_t ipc_record_pop(struct ipc_record_consumer *c, void *to, size_t size)
{
    int published;

    return ipc_record_take_(c, to, size, &published);
}

/* Notes that the record at to[at] has n bytes. Returns where there is room for the next. */
IPC_FORCE_INLINE size_t ipc_record_note_place_(struct ipc_record *record, unsigned char *to,
                                               size_t at, size_t n)
{
    record->at = to + at;
    record->n = n;
    return at + ((n + 7) & ~(size_t)7);
}

/*
 * Copies up to n records out, as many as fit to[0..size). Stores in records[] where each is, at a
 * multiple of 8 from `to`, and how long it is. Returns how many, 0 for n = 0, or the errors of
 * ipc_record_pop when none came. Wait-free for a given n.
 */
IPC_INLINE int64_t ipc_record_pop_n(struct ipc_record_consumer *c, void *to, size_t size,
                                    struct ipc_record *records, size_t n)
{
    unsigned char *t = (unsigned char *)to;
    size_t i, at = 0;
    int64_t rc = 0;

    for (i = 0; i < n && at <= size; i++) {
        rc = ipc_record_pop(c, t + at, size - at);
        if (rc < 0)
            break;
        at = ipc_record_note_place_(&records[i], t, at, (size_t)rc);
    }
    return i > 0 ? (int64_t)i : rc;
}

/*
 * Pop without a copy. peek gives the next record in place, 8-byte aligned, and its length; NULL:
 * there is none, or see ipc_record_consumer_error. It stays readable until released; peeking again
 * gives the same. A record that was peeked and not released when the consumer is killed is seen
 * again. A hostile producer may write to it meanwhile: read each field once, then check, then use.
 * release moves on behind it: 0; -EINVAL when nothing was peeked; or -ECHILD. All wait-free.
 */
IPC_INLINE const void *ipc_record_peek(struct ipc_record_consumer *c, size_t *n)
{
    return ipc_record_look_(c, n) == 0 ? ipc_record_payload_(c) : NULL;
}

IPC_INLINE int ipc_record_release(struct ipc_record_consumer *c)
{
    if (c->peeked == 0)
        return -EINVAL;
    if (CK_CC_UNLIKELY(ipc_ring_is_forked_(&c->self)) && ipc_ring_settle_(&c->self, c) != 1)
        return c->error != 0 ? c->error : -EINVAL;
    (void)ipc_record_release_(c);
    return 0;
}

/* 0; -EBADMSG once the shared memory was found corrupt; or the error of a handle that was refused
 * or detached. */
IPC_INLINE int ipc_record_consumer_error(const struct ipc_record_consumer *c)
{
    return c->error;
}

#endif

/* >>broadcast  src/ring/broadcast.h */
/*
 * Broadcasts: slots that every reader sees.
 *
 * Lossless: the writer waits for the slowest reader that is not proven dead: broadcast_seat.h.
 * Lossy: the writer never waits. It marks a slot's sequence before it overwrites the slot, and a
 * reader looks at the sequence again after its copy (a seqlock for each slot).
 *
 *   word           from               to             made by
 *   sequence of p  p+1-capacity or 0  BUSY | p+1     lossy: the writer; store, store fence after it
 *                  BUSY | p+1         p+1            lossy: the writer; store fence, store
 *                  any                0, BUSY | p+1  lossy: ipc_bridge, where it tells of a loss
 *                                                    (skip_slots of tools/bridge/kinds.c); stores
 *                  p+1-capacity or 0  p+1            lossless: the writer; store fence, store
 *   ring head      t                  t' > t         lossy: the writer, after each message; store
 *                                                    lossless: the writer, before it looks at the
 *                                                    seats: broadcast_seat.h
 */
#ifndef IPC_SRC_RING_BROADCAST_H
#define IPC_SRC_RING_BROADCAST_H 1

/* >>broadcast_seat  src/ring/broadcast_seat.h */
/*
 * Broadcasts: the seats of their readers, and the writer that waits for the slowest.
 *
 * Each reader of a lossless broadcast has a seat with its position: the first one that is free. The
 * writer looks once a lap at those that have ever had a reader, however many there are.
 *
 *   word           from               to             made by
 *   ring head      t                  t' > t         the writer, before it looks at the
 *                                                    seats; store fence, store, store-load fence
 *   seats_used     n                  n' > n         a reader that is about to take seat n'-1;
 *                                                    compare-and-swap
 *   a seat's id    0                  id             a reader that attaches; compare-and-swap
 *                  id                 0              its reader, after a release fence; or, if that
 *                                                    is dead, the writer, before an acquire fence,
 *                                                    or a reader that finds no free seat, after a
 *                                                    release fence; compare-and-swap
 *   a seat's head  anything           NOWHERE        a reader that attaches; release fence, store
 *                  NOWHERE            JOINING        the same, after `reader`; store fence, store,
 *                                                    store-load fence after it
 *                  JOINING            h              the same, at the tail h that it found
 *                  JOINING            tail           the writer, when it looks at the seats. Both
 *                                                    by compare-and-swap
 *                  h                  h' > h         its reader, when it is done with all below h';
 *                                                    release fence, store
 *   a seat's       another's id, 0    id             a reader that attaches, after NOWHERE; store
 *   reader
 *                  id                 0              its reader, before it frees the seat; release
 *                                                    fence, compare-and-swap
 *
 * Lossless: a seat's head is its holder's only if `reader` is the holder. If it is not, or if the
 * head is NOWHERE, the writer ignores the seat. (If it sees `reader` before NOWHERE, it takes an
 * older position for that of the reader, and may be refused until it sees NOWHERE. That needs no
 * fence.)
 *
 * When a reader is JOINING, the two store-load fences let either the writer see that, and that the
 * seat is used, or the reader the writer's new head. A writer that sees it lets the reader begin at
 * the tail. If the reader finds the tail first, no writer has looked since the ring head from which
 * the reader searched, so nothing from that head on was overwritten. Either way the reader begins
 * at a tail, nothing from there on is overwritten, and the writer has room for a whole capacity
 * before it waits for that reader, even if the reader is stopped before it knows where it begins.
 */
#ifndef IPC_SRC_RING_BROADCAST_SEAT_H
#define IPC_SRC_RING_BROADCAST_SEAT_H 1

/* ------------------------------------------------------------------ broadcast: layout */

#define IPC_BROADCAST_TYPE 0x74736163u                   /* "cast" */
#define IPC_BROADCAST_MAGIC UINT64_C(0x31747361635f6369) /* "ic_cast1" */
#define IPC_BROADCAST_SEATS 64u /* if nothing is said */

/* How a broadcast is made: ipc_broadcast_init. */
#define IPC_BROADCAST_LOSSLESS 0u /* the writer waits for the slowest reader */
#define IPC_BROADCAST_LOSSY 1u    /* the writer overwrites what a slow reader has not read */
/* With LOSSY, for sleepers (ipc_notify.h): each send, and each post, wakes readers that may only
 * read the memory. Without it they look once a millisecond. */
#define IPC_BROADCAST_WAKES_READ_ONLY 2u
/* In the word of the bell: IPC_NOTIFY_UNASKED_. */
#define IPC_BROADCAST_UNASKED_ 128u
/* To be added to these: with n seats for readers, 1 to 65,536. Each takes 72 bytes. */
#define IPC_BROADCAST_READERS(n) IPC_RING_HOW_MANY_(n, IPC_BROADCAST_SEATS)

/* The position of a reader of a lossless broadcast, on a line of its own. */
struct ipc_broadcast_seat_ {
    uint64_t head;   /* `reader` has read all below it; or one of these: */
    uint64_t reader; /* the id of the process whose position that is, or was */
    unsigned char pad[48];
};

/* Above all positions. */
#define IPC_BROADCAST_NOWHERE_ (~UINT64_C(1)) /* `reader` may be the seat's last holder */
#define IPC_BROADCAST_JOINING_ (~UINT64_C(0)) /* it has no position yet */

/* The shared part. Private to this file; tests and tools may look. */
struct ipc_broadcast_shared {
    /* As of a ring with one end: end[0] is the writer's, end[1] is 0, and `head` is a position of
     * the writer, at most a lap behind its tail. */
    struct ipc_spsc_shared s;
    uint64_t seats_used; /* no seat from here on has ever had a reader */
    unsigned char pad[56];
    /* the seats: struct ipc_broadcast_seats_. Then capacity slots of ipc_ring_stride_(bytes) */
};

IPC_RING_ASSERT_(cast_seats_used, offsetof(struct ipc_broadcast_shared, seats_used) == 384)
IPC_RING_ASSERT_(cast_size, sizeof(struct ipc_broadcast_shared) == 448)

/* Where the seats of readers are. */
struct ipc_broadcast_seats_ {
    struct ipc_broadcast_shared *ring;
    uint64_t *id;                     /* the holder of each seat, as in core.h; in whole lines */
    struct ipc_broadcast_seat_ *seat; /* behind them */
    unsigned count;
};

/* When a lossless writer is refused, it asks the kernel whether the readers in its way are dead:
 * at the first refusal, unless it has asked within the last ASK_APART positions, or 1,024 times
 * the capacity; then after ASK_AGAIN refusals in a row, and after every ASK_EVERY. A question takes
 * as long as hundreds of messages, and a writer that is faster than its readers is refused all the
 * time. */
#define IPC_BROADCAST_ASK_APART_ 1048576u
#define IPC_BROADCAST_ASK_AGAIN_ 64u
#define IPC_BROADCAST_ASK_EVERY_ 1024u

/* ------------------------------------------------------------------ broadcast: the table */

IPC_INLINE int ipc_broadcast_is_valid_how_(unsigned how)
{
    return ((how & 255) <= IPC_BROADCAST_LOSSY ||
            (how & 255) == (IPC_BROADCAST_LOSSY | IPC_BROADCAST_WAKES_READ_ONLY)) &&
           ipc_ring_are_seats_valid_(ipc_ring_seats_of_(how, IPC_BROADCAST_SEATS));
}

/* The words of the ids, in whole lines. */
IPC_INLINE size_t ipc_broadcast_ids_(unsigned seats)
{
    return ((size_t)seats + 7) & ~(size_t)7;
}

/* What the seats take. */
IPC_INLINE size_t ipc_broadcast_seat_bytes_(unsigned how)
{
    unsigned seats = ipc_ring_seats_of_(how, IPC_BROADCAST_SEATS);

    return ipc_broadcast_ids_(seats) * sizeof(uint64_t) +
           seats * sizeof(struct ipc_broadcast_seat_);
}

/* The seats behind a header. */
IPC_INLINE struct ipc_broadcast_seats_ ipc_broadcast_seats_at_(void *mem, size_t header,
                                                               unsigned how)
{
    struct ipc_broadcast_seats_ seats;

    seats.ring = (struct ipc_broadcast_shared *)mem;
    seats.count = ipc_ring_seats_of_(how, IPC_BROADCAST_SEATS);
    seats.id = (uint64_t *)(void *)((unsigned char *)mem + header);
    seats.seat =
        (struct ipc_broadcast_seat_ *)(void *)(seats.id + ipc_broadcast_ids_(seats.count));
    return seats;
}

/* ------------------------------------------------------------------ broadcast: taking a seat */

/* What a lossless writer knows of its readers. */
struct ipc_broadcast_readers_ {
    struct ipc_broadcast_seats_ seats;
    int (*alive)(void *, uint64_t); /* of struct ipc_peer */
    void *arg;
    uint64_t ask_from; /* a first refusal asks the kernel from this position on */
    unsigned refused;  /* how often in a row a reader left no room */
};

IPC_INLINE struct ipc_broadcast_readers_
ipc_broadcast_list_readers_(const struct ipc_broadcast_seats_ *seats, const struct ipc_peer *me,
                            uint64_t tail)
{
    struct ipc_broadcast_readers_ readers;

    readers.seats = *seats;
    readers.alive = me != NULL ? me->alive : NULL;
    readers.arg = me != NULL ? me->arg : NULL;
    readers.ask_from = tail;
    readers.refused = 0;
    return readers;
}

/* Frees the seats of all dead readers; if `only` is not 0, those of that one. Returns how many. */
IPC_INLINE int64_t ipc_broadcast_free_dead_readers_(const struct ipc_broadcast_seats_ *s,
                                                    int (*alive)(void *, uint64_t), void *arg,
                                                    uint64_t only)
{
    int64_t freed = 0;
    unsigned i;

    for (i = 0; i < s->count; i++) {
        uint64_t id = ck_pr_load_64(&s->id[i]);

        if (id == 0 || (only != 0 && id != only) || !ipc_ring_is_dead_(alive, arg, id))
            continue;
        /* Without it the writer could see the seat's next holder, and overwrite what the dead one,
         * as the kernel orders it, still reads. Partner: the acquire fence in
         * ipc_broadcast_find_slowest_reader_. */
        ck_pr_fence_release();
        freed += ck_pr_cas_64(&s->id[i], id, 0);
    }
    return freed;
}

/* Takes the first seat that is free. Where there is none, frees those of the dead. Returns its
 * index, or s->count. */
IPC_INLINE unsigned ipc_broadcast_find_seat_(const struct ipc_broadcast_seats_ *s,
                                             const struct ipc_peer *me, uint64_t id)
{
    struct ipc_ring_scans_ scans = {0, 0};
    unsigned i;

    do {
        for (i = 0; i < s->count; i++) {
            if (ck_pr_load_64(&s->id[i]) != 0)
                continue;
            /* Before the seat has a holder: a writer that looks at fewer would not find it when
             * this process is killed. */
            ipc_ring_raise_(&s->ring->seats_used, i + UINT64_C(1), s->count);
            if (ipc_ring_take_end_(&s->id[i], NULL, id) == 0)
                return i;
        }
        if (me != NULL)
            (void)ipc_broadcast_free_dead_readers_(s, me->alive, me->arg, 0); /* or others do */
    } while (ipc_ring_is_to_scan_again_(&scans, s->id, sizeof s->id[0], s->count));
    return s->count;
}

/* Takes a seat for a reader, which the writer sees from now on. 0, or -EUSERS. */
IPC_INLINE int ipc_broadcast_take_seat_(const struct ipc_broadcast_seats_ *s, struct ipc_peer *me,
                                        uint64_t id, unsigned *seat)
{
    unsigned n = ipc_broadcast_find_seat_(s, me, id);

    if (n == s->count)
        return ipc_ring_refuse_(me, -EUSERS, "every reader's seat is taken; seats", s->count,
                                s->count);
    *seat = n;
    /* Without it the writer could take this position as the word of the seat's last holder, which
     * still reads behind it. Partner: the acquire fence in ipc_broadcast_find_slowest_reader_. */
    ck_pr_fence_release();
    ck_pr_store_64(&s->seat[n].head, IPC_BROADCAST_NOWHERE_);
    ck_pr_store_64(&s->seat[n].reader, id);
    /* Without it the writer could let us begin, and ignore us at its next look. Partner: the
     * store-load fence in ipc_broadcast_find_slowest_reader_. */
    ck_pr_fence_store();
    ck_pr_store_64(&s->seat[n].head, IPC_BROADCAST_JOINING_);
    /* Without it the writer could miss our seat, or that it is used, and we the head that it stored
     * before: then what we begin with is overwritten. Partner: the fence in
     * ipc_broadcast_find_slowest_reader_. */
    ck_pr_fence_store_load();
    return 0;
}

/* A reader that is joining has found the tail: begins there, or where the writer has let it begin
 * meanwhile. Returns that position. */
IPC_INLINE uint64_t ipc_broadcast_begin_at_(uint64_t *at, uint64_t tail)
{
    return ck_pr_cas_64(at, IPC_BROADCAST_JOINING_, tail) ? tail : ck_pr_load_64(at);
}

/* Frees the seat of `id`, whose word of the holder is *end, and whose head is *at. Does nothing if
 * another process was told that we are dead and took it. */
IPC_INLINE void ipc_broadcast_leave_seat_(uint64_t *end, uint64_t *at, uint64_t id)
{
    /* Without it the writer could overwrite what we still read. Partner: the acquire fence in
     * ipc_broadcast_find_slowest_reader_. */
    ck_pr_fence_release();
    /* Before the seat is free, as its next holder may be a handle of the same process. */
    (void)ck_pr_cas_64(&((struct ipc_broadcast_seat_ *)(void *)at)->reader, id, 0);
    ipc_ring_leave_end_(end, id);
}

/* ------------------------------------------------------------------ broadcast: slowest reader */

/* Is the writer to ask the kernel about readers that leave no room at this tail? If so, it may find
 * them alive, and then need not ask so soon again. */
IPC_INLINE int ipc_broadcast_is_to_ask_(const struct ipc_broadcast_readers_ *g, uint64_t tail)
{
    if (g->refused == 0)
        return (int64_t)(tail - g->ask_from) >= 0;
    return g->refused % IPC_BROADCAST_ASK_EVERY_ == IPC_BROADCAST_ASK_AGAIN_;
}

/* The position of a seat's holder, whose id *id is set to; JOINING; or NOWHERE: the seat is free,
 * or the writer ignores it. */
IPC_INLINE uint64_t ipc_broadcast_find_position_(const struct ipc_broadcast_seats_ *s, unsigned i,
                                                 uint64_t *id)
{
    *id = ck_pr_load_64(&s->id[i]);
    if (*id == 0 || ck_pr_load_64(&s->seat[i].reader) != *id)
        return IPC_BROADCAST_NOWHERE_;
    return ck_pr_load_64(&s->seat[i].head);
}

/* How many seats are to be looked at. */
IPC_INLINE unsigned ipc_broadcast_seats_used_(const struct ipc_broadcast_seats_ *s)
{
    uint64_t used = ck_pr_load_64(&s->ring->seats_used);

    return used < s->count ? (unsigned)used : s->count;
}

/* A lossless writer has reached its limit, and needs `need` positions behind its tail: looks how
 * far the slowest reader is, and frees the seats of dead ones. Sets the limit and returns 0, or
 * -EAGAIN.
 */
IPC_RING_NOINLINE_ int
ipc_broadcast_find_slowest_reader_(struct ipc_broadcast_readers_ *g, uint64_t tail, uint64_t mask,
                                   uint64_t need, uint64_t *limit)
{
    const struct ipc_broadcast_seats_ *s = &g->seats;
    uint64_t most = 0; /* how far the slowest reader is behind */
    unsigned i, used, blocked = 0;
    int ask = ipc_broadcast_is_to_ask_(g, tail);

    /* Without it a reader could begin at this head, and find slots that are older. Partner: the
     * load fence in ipc_broadcast_consumer_attach. */
    ck_pr_fence_store();
    ck_pr_store_64(&s->ring->s.head, tail);
    /* Without it we could miss the seat of a reader that attaches, and it could miss this head.
     * Partner: the fence in ipc_broadcast_take_seat_. */
    ck_pr_fence_store_load();
    used = ipc_broadcast_seats_used_(s);
    for (i = 0; i < used; i++) {
        uint64_t id, behind, head = ipc_broadcast_find_position_(s, i, &id);

        if (head == IPC_BROADCAST_NOWHERE_)
            continue;
        if (head == IPC_BROADCAST_JOINING_)
            head = ipc_broadcast_begin_at_(&s->seat[i].head, tail);
        behind = tail - head;
        if (behind <= mask + 1 - need)
            most = behind > most ? behind : most;
        else if (!ask || !ipc_ring_is_dead_(g->alive, g->arg, id) ||
                 !ck_pr_cas_64(&s->id[i], id, 0))
            blocked = 1;
    }
    if (blocked) {
        g->refused++;
        if (ask)
            g->ask_from = tail + (mask < IPC_BROADCAST_ASK_APART_ / 1024 ? IPC_BROADCAST_ASK_APART_
                                                                         : 1024 * (mask + 1));
        return -EAGAIN;
    }
    /* Without it a slot could be written that a reader still reads. Partners: ipc_spsc_publish_,
     * ipc_record_publish_, ipc_broadcast_leave_seat_, ipc_broadcast_take_seat_, or, if the reader
     * was killed, ipc_broadcast_free_dead_readers_ and the kernel. */
    ck_pr_fence_acquire();
    g->refused = 0;
    *limit = tail - most + mask + 1;
    return 0;
}

/* Lets the next look for the slowest reader ask the kernel. */
IPC_INLINE void ipc_broadcast_ask_(struct ipc_broadcast_readers_ *g)
{
    g->refused = IPC_BROADCAST_ASK_AGAIN_;
}

/* As ipc_broadcast_was_readers. */
IPC_INLINE unsigned ipc_broadcast_count_readers_(const struct ipc_broadcast_readers_ *g)
{
    unsigned i, n = 0, used = g->seats.ring != NULL ? ipc_broadcast_seats_used_(&g->seats) : 0;

    for (i = 0; i < used; i++) {
        uint64_t id;

        n += ipc_broadcast_find_position_(&g->seats, i, &id) < IPC_BROADCAST_NOWHERE_;
    }
    return n;
}

/* How far the slowest reader is behind the tail, at most `most`, and its id. */
IPC_INLINE uint64_t ipc_broadcast_find_most_behind_(const struct ipc_broadcast_readers_ *g,
                                                    uint64_t tail, uint64_t most, uint64_t *id)
{
    unsigned i, used = g->seats.ring != NULL ? ipc_broadcast_seats_used_(&g->seats) : 0;
    uint64_t behind = 0;

    *id = 0;
    for (i = 0; i < used; i++) {
        uint64_t holder, head = ipc_broadcast_find_position_(&g->seats, i, &holder);

        if (head >= IPC_BROADCAST_NOWHERE_ || tail - head <= behind)
            continue;
        behind = tail - head < most ? tail - head : most;
        *id = holder;
    }
    return behind;
}

/* Frees the seats of dead readers for a writer, as ipc_broadcast_producer_recover. */
IPC_INLINE int64_t ipc_broadcast_recover_(const struct ipc_broadcast_readers_ *g, uint64_t id)
{
    return g->seats.ring != NULL
               ? ipc_broadcast_free_dead_readers_(&g->seats, g->alive, g->arg, id)
               : 0;
}

#endif

/* ------------------------------------------------------------------ broadcast: making one */

/* In a sequence of a lossy broadcast: the message of that position is being written. */
#define IPC_BROADCAST_BUSY_ (UINT64_C(1) << 63)

IPC_INLINE struct ipc_ring_kind_ ipc_broadcast_kind_(size_t bytes, unsigned how)
{
    struct ipc_ring_kind_ kind;

    kind.name = "not a broadcast; magic";
    kind.magic = IPC_BROADCAST_MAGIC;
    kind.header = sizeof(struct ipc_broadcast_shared) + ipc_broadcast_seat_bytes_(how);
    kind.stride = ipc_ring_stride_(bytes);
    return kind;
}

/* The bytes of a broadcast that is made as `how` says, or 0, as ipc_spsc_footprint; 0 also for any
 * other `how` than ipc_broadcast_init takes. */
IPC_INLINE size_t ipc_broadcast_footprint(size_t bytes, uint64_t capacity, unsigned how)
{
    struct ipc_ring_kind_ kind;

    if (!ipc_broadcast_is_valid_how_(how))
        return 0;
    kind = ipc_broadcast_kind_(bytes, how);
    return ipc_ring_footprint_(&kind, bytes, capacity);
}

/* Makes what begins with a broadcast's header, as ipc_ring_init_. */
IPC_INLINE int ipc_broadcast_init_(void *mem, size_t size, const struct ipc_ring_kind_ *kind,
                                   size_t bytes, uint64_t capacity, unsigned how)
{
    struct ipc_spsc_shared *r = (struct ipc_spsc_shared *)mem;
    struct ipc_ring_kind_ unfinished = *kind;
    int rc;

    unfinished.magic = 0;
    rc = ipc_broadcast_is_valid_how_(how)
             ? ipc_ring_init_(mem, size, &unfinished, bytes, capacity, how)
             : -EINVAL;
    if (rc != 0)
        return rc;
    if ((how & IPC_BROADCAST_WAKES_READ_ONLY) != 0)
        *(uint32_t *)(void *)r->data_bell = IPC_BROADCAST_UNASKED_;
    /* Without it an attach could see the magic before the ring. Partner: ipc_ring_check_reader_. */
    ck_pr_fence_store(); /* no twin */
    ck_pr_store_64(&r->is.magic, kind->magic);
    return 0;
}

/*
 * Makes an empty broadcast, as ipc_spsc_init. how: IPC_BROADCAST_LOSSLESS, IPC_BROADCAST_LOSSY, or
 * IPC_BROADCAST_LOSSY | IPC_BROADCAST_WAKES_READ_ONLY. Add IPC_BROADCAST_READERS(n) where a lossless
 * one is to have seats for another number of readers than 64. They cost the writer nothing until
 * there are so many readers.
 *
 *   0
 *   -EINVAL, -ENOSPC  as of ipc_spsc_init; -EINVAL also for any other `how`
 */
IPC_INLINE int ipc_broadcast_init(void *mem, size_t size, size_t bytes, uint64_t capacity,
                                  unsigned how)
{
    struct ipc_ring_kind_ kind = ipc_broadcast_kind_(bytes, how);

    return ipc_broadcast_init_(mem, size, &kind, bytes, capacity, how);
}

/* ------------------------------------------------------------------ broadcast: handles */

/* Private to their thread; no field is for the caller. */
struct ipc_broadcast_producer {
    struct ipc_spsc_producer
        s; /* at its limit it looks for the slowest reader; a lossy one never gets there */
    struct ipc_broadcast_readers_ readers;
    struct ipc_broadcast_shared *ring;
    unsigned how;
    IPC_RING_APART_(after);
};

struct ipc_broadcast_consumer {
    /* Lossless: a consumer that publishes its position in its seat. Lossy: `at` is NULL, and it
     * publishes nothing. */
    struct ipc_spsc_consumer s;
    struct ipc_broadcast_shared *ring;
    uint64_t *seat;   /* the id of our seat, whose head `at` is; or NULL */
    uint64_t missed;  /* messages, so far */
    uint64_t skip;    /* how many more messages it leaves out if it is lapped again */
    int loss_pending; /* a loss was found after messages that a call returned: the next reports it
                       */
    unsigned how;
    IPC_RING_APART_(after);
};

IPC_INLINE int ipc_broadcast_producer_disable_(struct ipc_broadcast_producer *p, int rc)
{
    memset(p, 0, sizeof *p);
    ipc_ring_begin_self_(&p->s.self, NULL, NULL);
    return p->s.error = rc;
}

IPC_INLINE int ipc_broadcast_consumer_disable_(struct ipc_broadcast_consumer *c, int rc)
{
    memset(c, 0, sizeof *c);
    ipc_ring_begin_self_(&c->s.self, NULL, NULL);
    return c->s.error = rc;
}

/* ------------------------------------------------------------------ broadcast: attach */

/* What is in the memory of a broadcast. */
struct ipc_broadcast_parts_ {
    uint64_t capacity;
    unsigned how; /* LOSSLESS or LOSSY */
    struct ipc_broadcast_seats_ seats;
    unsigned char *slots; /* or records */
};

/* Checks what begins with a broadcast's header, as ipc_ring_check_; the seats are behind `header`
 * bytes. A process that may only read can attach to an end that `reads`, if the broadcast is lossy. */
IPC_INLINE int ipc_broadcast_check_(void *mem, size_t size, struct ipc_ring_kind_ kind,
                                    size_t header, size_t bytes, struct ipc_peer *me, int reads,
                                    struct ipc_broadcast_parts_ *parts)
{
    int rc = ipc_ring_check_reader_(mem, size, &kind, bytes, me, &parts->capacity);
    unsigned there;

    if (rc != 0)
        return rc;
    there = ck_pr_load_32(&((const struct ipc_broadcast_shared *)mem)->s.is.how);
    if (!ipc_broadcast_is_valid_how_(there))
        return ipc_ring_refuse_(me, -EPROTO, "broadcast of a kind not known here", there,
                                IPC_BROADCAST_LOSSY);
    parts->how = there & IPC_BROADCAST_LOSSY;
    if (ipc_ring_is_read_only_(me) && (!reads || parts->how != IPC_BROADCAST_LOSSY))
        return ipc_ring_refuse_read_only_(me);
    kind.header = header + ipc_broadcast_seat_bytes_(there);
    parts->seats = ipc_broadcast_seats_at_(mem, header, there);
    parts->slots = (unsigned char *)mem + kind.header;
    return ipc_ring_check_size_(me, size, ipc_ring_footprint_(&kind, bytes, parts->capacity), there);
}

/* Finds where a writer goes on that has just taken its end. */
IPC_INLINE void ipc_broadcast_find_tail_(struct ipc_broadcast_producer *h)
{
    struct ipc_spsc_producer *p = &h->s;
    uint64_t tail = ck_pr_load_64(&h->ring->s.head);

    p->tail = tail + ipc_spsc_count_full_(p->slots, p->mask, tail,
                                          ipc_ring_stride_((size_t)p->bytes));
    p->limit = h->how == IPC_BROADCAST_LOSSY ? p->tail - 1 : p->tail;
    p->put_off = 0; /* a thread of the parent may have been in push_n */
    /* Without it a reader could see that we overwrite a message before it sees what the last writer
     * wrote. Partner: the load fence in ipc_broadcast_check_lapped_. */
    ck_pr_fence_release();
}

/* struct ipc_ring_self_'s renew. */
IPC_INLINE int ipc_broadcast_producer_renew_(void *handle, struct ipc_peer *me)
{
    struct ipc_broadcast_producer *h = (struct ipc_broadcast_producer *)handle;

    if (me == NULL)
        return ipc_broadcast_producer_disable_(h, -ECHILD);
    h->s.id = me->id;
    if (ipc_ring_take_end_(&h->ring->s.end[0], me, me->id) != 0)
        return -EBUSY;
    ipc_broadcast_find_tail_(h);
    h->readers = ipc_broadcast_list_readers_(&h->readers.seats, me, h->s.tail);
    return 0;
}

/* struct ipc_ring_self_'s renew. A lossless reader has a seat, which the writer takes back when the
 * reader is dead: then messages would be missed, and nobody told. */
IPC_INLINE int ipc_broadcast_consumer_renew_(void *handle, struct ipc_peer *me)
{
    struct ipc_broadcast_consumer *h = (struct ipc_broadcast_consumer *)handle;

    return me == NULL ? ipc_broadcast_consumer_disable_(h, -ECHILD) : -EBUSY;
}

/*
 * Attaches the writer; as ipc_spsc_producer_attach, with the same errors. After a writer that died
 * it goes on behind the last message that one committed. `me` also says which readers are dead:
 * without it, killed readers of a lossless broadcast hold up the writer for ever.
 */
IPC_INLINE int ipc_broadcast_producer_attach(struct ipc_broadcast_producer *h, void *mem,
                                             size_t size, size_t bytes, struct ipc_peer *me)
{
    struct ipc_broadcast_shared *r = (struct ipc_broadcast_shared *)mem;
    struct ipc_spsc_producer *p = &h->s;
    uint64_t id = ipc_ring_id_of_(me);
    struct ipc_ring_kind_ kind = ipc_broadcast_kind_(bytes, IPC_BROADCAST_READERS(1));
    struct ipc_broadcast_parts_ parts;
    int rc = ipc_broadcast_check_(mem, size, kind, sizeof *r, bytes, me, 0, &parts);

    if (rc == 0)
        rc = ipc_ring_take_end_(&r->s.end[0], me, id);
    (void)ipc_broadcast_producer_disable_(h, rc);
    if (rc != 0)
        return rc;
    p->slots = parts.slots;
    p->mask = parts.capacity - 1;
    p->bytes = bytes;
    p->ring = &r->s;
    p->id = id;
    h->ring = r;
    h->how = parts.how;
    ipc_ring_begin_self_(&p->self, me, ipc_broadcast_producer_renew_);
    ipc_ring_trials_begin_(&p->trials, parts.capacity * bytes);
    ipc_broadcast_find_tail_(h);
    h->readers = ipc_broadcast_list_readers_(&parts.seats, me, p->tail);
    return 0;
}

/*
 * Attaches a reader. It sees every message that is sent afterwards, and those that are being sent
 * meanwhile. In a lossy broadcast it may see, or miss, the last message before. A lossless
 * broadcast has 64 seats for readers, or as many as it was made with, and the writer has room for a
 * whole capacity before it waits for one that has just joined, also if that is stopped in here. A
 * lossy one has any number of readers, and they write nothing: memory without write access, and a
 * `me` whose id is IPC_PEER_READ_ONLY, do. Lock-free. `me`, and what a refused handle does: as for
 * ipc_spsc_producer_attach.
 *
 *   0
 *   -EINVAL, -EAGAIN, -EPROTO  as of ipc_spsc_producer_attach
 *   -EUSERS  lossless: as many readers are attached as it has seats, and are not proven dead
 *   -EROFS   lossless: me->id is IPC_PEER_READ_ONLY
 */
IPC_INLINE int ipc_broadcast_consumer_attach(struct ipc_broadcast_consumer *h, void *mem,
                                             size_t size, size_t bytes, struct ipc_peer *me)
{
    struct ipc_broadcast_shared *r = (struct ipc_broadcast_shared *)mem;
    struct ipc_spsc_consumer *c = &h->s;
    uint64_t head, id = ipc_ring_id_of_(me);
    struct ipc_ring_kind_ kind = ipc_broadcast_kind_(bytes, IPC_BROADCAST_READERS(1));
    struct ipc_broadcast_parts_ parts;
    unsigned seat;
    int rc = ipc_broadcast_check_(mem, size, kind, sizeof *r, bytes, me, 1, &parts);

    (void)ipc_broadcast_consumer_disable_(h, rc);
    if (rc != 0)
        return rc;
    if (parts.how == IPC_BROADCAST_LOSSLESS) {
        rc = ipc_broadcast_take_seat_(&parts.seats, me, id, &seat);
        if (rc != 0)
            return c->error = rc;
        h->seat = &parts.seats.id[seat];
        ipc_ring_begin_self_(&c->self, me, ipc_broadcast_consumer_renew_);
        c->at = &parts.seats.seat[seat].head;
    }
    head = ck_pr_load_64(&r->s.head);
    c->slots = parts.slots;
    c->mask = parts.capacity - 1;
    c->bytes = bytes;
    c->ring = &r->s;
    c->id = id;
    h->ring = r;
    h->how = parts.how;
    head += ipc_spsc_count_full_(c->slots, c->mask, head, ipc_ring_stride_(bytes));
    if (c->at != NULL)
        head = ipc_broadcast_begin_at_(c->at, head);
    /* Without it the slots from here on could be older than the head that sent us here, and look
     * corrupt. Partners: the store fences in ipc_broadcast_find_slowest_reader_ and ipc_spsc_send_.
     */
    ck_pr_fence_load();
    ipc_spsc_begin_at_(c, head);
    return 0;
}

/* Detaches the writer; the messages stay. Wait-free. */
IPC_INLINE void ipc_broadcast_producer_detach(struct ipc_broadcast_producer *p)
{
    if (p->ring != NULL && ipc_ring_is_ours_(&p->s.self))
        ipc_ring_detach_end_(&p->ring->s.end[0], p->s.id);
    (void)ipc_broadcast_producer_disable_(p, -EINVAL);
}

/* Detaches a reader: the writer does not wait for it any more. Wait-free. */
IPC_INLINE void ipc_broadcast_consumer_detach(struct ipc_broadcast_consumer *c)
{
    if (c->seat != NULL && ipc_ring_is_ours_(&c->s.self))
        ipc_broadcast_leave_seat_(c->seat, c->s.at, c->s.id);
    (void)ipc_broadcast_consumer_disable_(c, -EINVAL);
}

/* ------------------------------------------------------------------ broadcast: writing */

/* As ipc_broadcast_room_, where the writer has to look, or has forked. */
IPC_RING_NOINLINE_ int ipc_broadcast_find_room_(struct ipc_broadcast_producer *h)
{
    if (h->s.error == 0 && ipc_ring_is_forked_(&h->s.self) &&
        ipc_ring_settle_(&h->s.self, h) >= 0 && h->s.tail != h->s.limit)
        return 0;
    if (h->s.error == 0 && h->s.put_off > 0) {
        ipc_spsc_publish_put_off_(&h->s);
        if (h->s.tail != h->s.limit)
            return 0;
    }
    return h->s.error != 0 ? h->s.error
                           : ipc_broadcast_find_slowest_reader_(&h->readers, h->s.tail, h->s.mask,
                                                                1, &h->s.limit);
}

/* Is there room for a message? 0, or the errors of ipc_broadcast_push. */
IPC_FORCE_INLINE int ipc_broadcast_room_(struct ipc_broadcast_producer *h)
{
    return CK_CC_LIKELY(h->s.tail != h->s.limit && !ipc_ring_is_forked_(&h->s.self))
               ? 0
               : ipc_broadcast_find_room_(h);
}

/* The slot to write next. In a lossy broadcast the message in it is not valid from here on. */
IPC_FORCE_INLINE unsigned char *ipc_broadcast_begin_slot_(const struct ipc_broadcast_producer *h,
                                                          uint64_t tail, size_t stride, int lossy)
{
    unsigned char *slot = ipc_spsc_next_slot_(&h->s, tail, stride);

    if (lossy) {
        ck_pr_store_64(ipc_ring_sequence_(slot, stride), IPC_BROADCAST_BUSY_ | (tail + 1));
        /* Without it a reader could read what we write next, and then find the sequence unchanged.
         * Partner: the load fence in ipc_broadcast_revalidate_. */
        ck_pr_fence_store();
    }
    return slot;
}

IPC_FORCE_INLINE int ipc_broadcast_push_(struct ipc_broadcast_producer *h, const void *message,
                                         size_t bytes)
{
    size_t stride = ipc_ring_stride_(bytes);
    uint64_t tail, *head;
    unsigned char *slot;
    int rc = ipc_broadcast_room_(h);

    if (CK_CC_UNLIKELY(rc != 0))
        return rc;
    tail = h->s.tail; /* in a register, as in ipc_spsc_push_ */
    if (h->how == IPC_BROADCAST_LOSSLESS)
        return ipc_spsc_push_(&h->s, message, bytes);
    head = &h->ring->s.head;
    slot = ipc_broadcast_begin_slot_(h, tail, stride, 1);
    ipc_ring_put_words_(&h->s.trials, slot, message, bytes);
    ipc_spsc_send_(&h->s, slot, tail, stride);
    ck_pr_store_64(head, tail + 1);
    return 0;
}

/* Messages of a lossless broadcast that are not short share a fence, as in ipc_spsc_push_n. */
IPC_FORCE_INLINE int64_t ipc_broadcast_push_n_(struct ipc_broadcast_producer *h,
                                               const void *messages, size_t n, size_t bytes)
{
    const unsigned char *m = (const unsigned char *)messages;
    size_t i;
    int rc = 0;

    for (i = 0; i < n && rc == 0; i += rc == 0, m += bytes)
        if (!IPC_RING_IS_PUT_OFF_(bytes) || h->how != IPC_BROADCAST_LOSSLESS ||
            ipc_ring_trials_rest_(&h->s.trials, bytes))
            rc = ipc_broadcast_push_(h, m, bytes);
        else if ((rc = ipc_spsc_may_put_off_(&h->s) ? 0 : ipc_broadcast_room_(h)) == 0)
            ipc_spsc_put_off_(&h->s, m, bytes);
    if (IPC_RING_IS_PUT_OFF_(bytes) && h->s.put_off > 0)
        ipc_spsc_publish_put_off_(&h->s);
    return i > 0 ? (int64_t)i : rc;
}

IPC_FORCE_INLINE void *ipc_broadcast_claim_(struct ipc_broadcast_producer *h, size_t bytes)
{
    return ipc_broadcast_room_(h) == 0
               ? ipc_broadcast_begin_slot_(h, h->s.tail, ipc_ring_stride_(bytes),
                                           h->how == IPC_BROADCAST_LOSSY)
               : NULL;
}

IPC_FORCE_INLINE int ipc_broadcast_commit_(struct ipc_broadcast_producer *h, size_t bytes)
{
    size_t stride = ipc_ring_stride_(bytes);
    unsigned char *slot;

    if (CK_CC_UNLIKELY(h->s.tail == h->s.limit))
        return -EINVAL;
    if (CK_CC_UNLIKELY(ipc_ring_is_forked_(&h->s.self)) && ipc_ring_settle_(&h->s.self, h) != 1)
        return h->s.error != 0 ? h->s.error : -EINVAL;
    slot = ipc_ring_slot_(h->s.slots, h->s.mask, h->s.tail, stride);
    if (h->how == IPC_BROADCAST_LOSSY &&
        ck_pr_load_64(ipc_ring_sequence_(slot, stride)) != (IPC_BROADCAST_BUSY_ | (h->s.tail + 1)))
        return -EINVAL;
    ipc_spsc_send_(&h->s, slot, h->s.tail, stride);
    if (h->how == IPC_BROADCAST_LOSSY)
        ck_pr_store_64(&h->ring->s.head, h->s.tail);
    return 0;
}

/*
 * Copies one message in, for all readers. Wait-free, but for questions to the kernel. A lossless
 * writer that is refused asks whether the readers in its way are dead, with a few system calls for
 * each: at the first refusal, unless it has asked within the last 2^20 messages, or 1,024 times the
 * capacity; after 64 refusals in a row, and then every 1024. Lossless: a reader that is slow or
 * stopped lets the ring run full. A dead one is waited for until the writer asks. Lossy: readers
 * cost nothing.
 *
 *   0
 *   -EAGAIN    lossless: a reader is a whole capacity behind
 *   -EMSGSIZE  bytes is not the message size
 *   -ECHILD    after fork, as of ipc_spsc_push
 */
IPC_INLINE int ipc_broadcast_push(struct ipc_broadcast_producer *p, const void *message,
                                  size_t bytes)
{
    return bytes == p->s.bytes || p->s.error != 0 ? ipc_broadcast_push_(p, message, bytes)
                                                  : -EMSGSIZE;
}

/* Copies up to n messages in, as ipc_spsc_push_n; with the errors of ipc_broadcast_push. */
IPC_INLINE int64_t ipc_broadcast_push_n(struct ipc_broadcast_producer *p, const void *messages,
                                        size_t bytes, size_t n)
{
    return bytes == p->s.bytes || p->s.error != 0 ? ipc_broadcast_push_n_(p, messages, n, bytes)
                                                  : -EMSGSIZE;
}

/* Push without a copy, as ipc_spsc_claim, commit and cancel. In a lossy broadcast a claim, also one
 * that is cancelled, takes the oldest message from the readers that have not read it. */
IPC_INLINE void *ipc_broadcast_claim(struct ipc_broadcast_producer *p)
{
    return ipc_broadcast_claim_(p, (size_t)p->s.bytes);
}

IPC_INLINE int ipc_broadcast_commit(struct ipc_broadcast_producer *p)
{
    return ipc_broadcast_commit_(p, (size_t)p->s.bytes);
}

IPC_INLINE void ipc_broadcast_cancel(struct ipc_broadcast_producer *p)
{
    (void)p;
}

/* 0, or the error of a handle that was refused or detached. */
IPC_INLINE int ipc_broadcast_producer_error(const struct ipc_broadcast_producer *p)
{
    return p->s.error;
}

/* ------------------------------------------------------------------ broadcast: watching readers */

/*
 * How many messages the slowest reader of a lossless broadcast had still to read, at some moment
 * during the call; and in *id which process it is, for struct ipc_peer's alive (~0: one without an
 * ipc_peer). That is too many by those that it read and has not published yet, at most an eighth
 * of the capacity. 0, and *id 0: every reader had read all, or there was none. A reader that died
 * counts until its seat is freed. Lossy: always 0. Wait-free; looks at all seats that have ever had
 * a reader: for monitoring, not for each message.
 */
IPC_INLINE uint64_t ipc_broadcast_was_slowest(const struct ipc_broadcast_producer *p, uint64_t *id)
{
    return ipc_broadcast_find_most_behind_(&p->readers, p->s.tail, p->s.mask + 1, id);
}

/*
 * How many readers were attached to a lossless broadcast, at some moment during the call: each gets
 * every message sent from now on, until it detaches. One that is in attach does not count yet. One
 * that died counts until its seat is freed: see ipc_broadcast_producer_recover. A process with
 * several handles counts as several. Lossy: always 0, as its readers write nothing. Wait-free.
 *
 * With ipc_notify.h a reader's attach posts the writer's bell, so that a writer can wait for its
 * readers before it begins:
 *
 *     rc = ipc_wait(NAME_producer_bell(&p), deadline, NAME_was_readers(&p) >= 3);
 */
IPC_INLINE unsigned ipc_broadcast_was_readers(const struct ipc_broadcast_producer *p)
{
    return ipc_broadcast_count_readers_(&p->readers);
}

/* Frees the seats of the dead process `id`; for id 0, those of all dead processes. Push does that
 * only for those in its way. Returns how many. Takes a few system calls for each reader of that id,
 * or for each reader; wait-free. */
IPC_INLINE int64_t ipc_broadcast_producer_recover(struct ipc_broadcast_producer *p, uint64_t id)
{
    return ipc_broadcast_recover_(&p->readers, id);
}

/* ------------------------------------------------------------------ broadcast: reading */

/* A lossy reader finds another sequence in the slot than that of its next message. -EAGAIN: the
 * message is not there yet. -EOVERFLOW: the reader was lapped, and moves on to the oldest message
 * that is whole. Or -EBADMSG. */
IPC_INLINE int ipc_broadcast_check_lapped_(struct ipc_broadcast_consumer *h, uint64_t sequence)
{
    struct ipc_spsc_consumer *c = &h->s;
    uint64_t end = sequence & ~IPC_BROADCAST_BUSY_, laps = end - (c->head + 1), half, tail;
    size_t stride = ipc_ring_stride_((size_t)c->bytes);

    c->ready = c->head;
    if (sequence == 0 || laps == 0 || laps == ~c->mask) {
        h->skip = 0; /* it has caught up with the writer */
        return -EAGAIN;
    }
    if ((laps & c->mask) != 0 || laps >= IPC_BROADCAST_BUSY_)
        return c->error = -EBADMSG;
    tail = ck_pr_load_64(&c->ring->head);
    /* Without it the slot that we move on to could be older than the head that sent us there.
     * Partners: the store fences in ipc_broadcast_begin_slot_ and ipc_spsc_send_. */
    ck_pr_fence_load();
    end = (int64_t)(tail - end) > 0 ? tail : end;
    end += h->skip - (c->mask + 1);
    /* The writer may have begun to overwrite the oldest one; then the next one is whole. That needs no
     * fence: an older value costs a second -EOVERFLOW, and each look at a slot checks it anew. */
    sequence = ck_pr_load_64(
        ipc_ring_sequence_(ipc_ring_slot_(c->slots, c->mask, end, stride), stride));
    end += h->skip == 0 && sequence == (IPC_BROADCAST_BUSY_ | (end + c->mask + 2));
    h->missed += end - c->head;
    c->head = c->ready = end;
    c->idle = 0;
    half = (c->mask + 1) / 2;
    h->skip = 2 * h->skip + 1 < half ? 2 * h->skip + 1 : half;
    return -EOVERFLOW;
}

/* Is there a message to read? 0, or the errors of ipc_broadcast_pop. */
IPC_FORCE_INLINE int ipc_broadcast_data_(struct ipc_broadcast_consumer *h, size_t bytes)
{
    size_t stride = ipc_ring_stride_(bytes);
    struct ipc_spsc_consumer *c = &h->s;
    int rc;

    if (CK_CC_LIKELY(c->head != c->ready && !ipc_ring_is_forked_(&c->self)))
        return 0;
    if (CK_CC_UNLIKELY(h->loss_pending)) {
        h->loss_pending = 0;
        return -EOVERFLOW;
    }
    rc = ipc_spsc_look_(c, stride);
    if (CK_CC_UNLIKELY(rc == -EAGAIN) && c->at == NULL && c->error == 0)
        rc = ipc_broadcast_check_lapped_(
            h, ck_pr_load_64(
                   ipc_ring_sequence_(ipc_ring_slot_(c->slots, c->mask, c->head, stride), stride)));
    return rc;
}

/* A lossy reader has read its message: looks at the sequence again. 0 and moves on; or -EOVERFLOW:
 * a part of what it read may be of a later message. */
IPC_FORCE_INLINE int ipc_broadcast_revalidate_(struct ipc_broadcast_consumer *h,
                                               unsigned char *slot, size_t stride)
{
    uint64_t sequence;

    /* Without it the sequence could be older than what we have read. Partner: the store fence in
     * ipc_broadcast_begin_slot_. */
    ck_pr_fence_load();
    sequence = ck_pr_load_64(ipc_ring_sequence_(slot, stride));
    if (CK_CC_UNLIKELY(sequence != h->s.head + 1))
        return ipc_broadcast_check_lapped_(h, sequence);
    h->s.head++;
    return 0;
}

IPC_FORCE_INLINE int ipc_broadcast_take_(struct ipc_broadcast_consumer *h, void *message,
                                         size_t bytes, int *published)
{
    size_t stride = ipc_ring_stride_(bytes);
    unsigned char *slot;
    int rc;

    rc = ipc_broadcast_data_(h, bytes);
    if (CK_CC_UNLIKELY(rc != 0))
        return rc;
    if (h->how == IPC_BROADCAST_LOSSLESS) {
        *published = ipc_spsc_get_(&h->s, message, bytes, 0); /* a reader has no successor */
        return 0;
    }
    slot = ipc_ring_slot_(h->s.slots, h->s.mask, h->s.head, stride);
    ipc_ring_get_words_(message, slot, bytes);
    return ipc_broadcast_revalidate_(h, slot, stride);
}

IPC_FORCE_INLINE int ipc_broadcast_pop_(struct ipc_broadcast_consumer *h, void *message,
                                        size_t bytes)
{
    int published;

    return ipc_broadcast_take_(h, message, bytes, &published);
}

IPC_FORCE_INLINE int64_t ipc_broadcast_pop_n_(struct ipc_broadcast_consumer *h, void *messages,
                                              size_t n, size_t bytes)
{
    unsigned char *m = (unsigned char *)messages;
    size_t i;
    int rc = 0;

    for (i = 0; i < n && (rc = ipc_broadcast_pop_(h, m + i * bytes, bytes)) == 0; i++)
        ;
    h->loss_pending |= i > 0 && rc == -EOVERFLOW;
    return i > 0 ? (int64_t)i : rc;
}

IPC_FORCE_INLINE const void *ipc_broadcast_peek_(struct ipc_broadcast_consumer *h, size_t bytes)
{
    return ipc_broadcast_data_(h, bytes) == 0
               ? ipc_ring_slot_(h->s.slots, h->s.mask, h->s.head, ipc_ring_stride_(bytes))
               : NULL;
}

IPC_FORCE_INLINE int ipc_broadcast_release_(struct ipc_broadcast_consumer *h, size_t bytes)
{
    size_t stride = ipc_ring_stride_(bytes);

    if (h->s.head == h->s.ready)
        return -EINVAL;
    if (CK_CC_UNLIKELY(ipc_ring_is_forked_(&h->s.self)) && ipc_ring_settle_(&h->s.self, h) != 1)
        return h->s.error != 0 ? h->s.error : -EINVAL;
    if (h->how == IPC_BROADCAST_LOSSY)
        return ipc_broadcast_revalidate_(
            h, ipc_ring_slot_(h->s.slots, h->s.mask, h->s.head, stride), stride);
    (void)ipc_spsc_advance_(&h->s, 0);
    return 0;
}

/*
 * Copies the next message out. Wait-free, and holds back at times, as ipc_spsc_pop. Other readers
 * do not matter; a writer that is stopped or dead lets the ring run empty.
 *
 *   0
 *   -EAGAIN     there is none yet
 *   -EOVERFLOW  lossy: the writer has overwritten the next message. Reported once for each time;
 *               ipc_broadcast_missed says how many messages were missed in all. The next call goes
 *               on at the oldest message that is whole. After losses without an -EAGAIN in between
 *               it begins up to half a capacity further ahead, so that a fast writer does not lap
 *               the reader again at once
 *   -EMSGSIZE   bytes is not the message size
 *   -EBADMSG    the shared memory is corrupt; sticks
 *   -ECHILD     lossless: after fork, as of ipc_spsc_push
 */
IPC_INLINE int ipc_broadcast_pop(struct ipc_broadcast_consumer *c, void *message, size_t bytes)
{
    return bytes == c->s.bytes || c->s.error != 0 ? ipc_broadcast_pop_(c, message, bytes)
                                                  : -EMSGSIZE;
}

/* Copies up to n messages out, as ipc_spsc_pop_n; with the errors of ipc_broadcast_pop. They are in
 * a row: a loss ends the call, and the next call reports it. */
IPC_INLINE int64_t ipc_broadcast_pop_n(struct ipc_broadcast_consumer *c, void *messages,
                                       size_t bytes, size_t n)
{
    return bytes == c->s.bytes || c->s.error != 0 ? ipc_broadcast_pop_n_(c, messages, n, bytes)
                                                  : -EMSGSIZE;
}

/*
 * Pop without a copy: peek gives the next message in place, or NULL: there is none, or the writer
 * overwrote it (peek again: ipc_broadcast_missed has grown), or see ipc_broadcast_consumer_error.
 * In a lossless broadcast the message stays as it is until released. In a lossy one it may change
 * while you read it: read, then release, and use what was read only if that returns 0. All
 * wait-free.
 */
IPC_INLINE const void *ipc_broadcast_peek(struct ipc_broadcast_consumer *c)
{
    return ipc_broadcast_peek_(c, (size_t)c->s.bytes);
}

/* Releases the peeked message. 0; -EINVAL when none can have been peeked; lossless: -ECHILD; lossy:
 * -EOVERFLOW when it was overwritten meanwhile, as of ipc_broadcast_pop, or -EAGAIN where
 * ipc_bridge has taken it away to tell of a loss of more than a capacity. */
IPC_INLINE int ipc_broadcast_release(struct ipc_broadcast_consumer *c)
{
    return ipc_broadcast_release_(c, (size_t)c->s.bytes);
}

/* How many messages this reader has missed since it attached. That is exact: what it got and what
 * it missed are together all that were sent, up to the last that it got. Wait-free. */
IPC_INLINE uint64_t ipc_broadcast_missed(const struct ipc_broadcast_consumer *c)
{
    return c->missed;
}

/* As ipc_spsc_producer_error. */
IPC_INLINE int ipc_broadcast_consumer_error(const struct ipc_broadcast_consumer *c)
{
    return c->s.error;
}

#endif

/* >>record_broadcast  src/ring/record_broadcast.h */
/*
 * Broadcasts of records: records that every reader sees.
 *
 * Records lie as in record.h, in one lane. A lossless broadcast has readers' seats, and a writer
 * that waits, as in broadcast.h. In a lossy one the writer says in a mark, before it overwrites
 * anything, from which record on all are whole; a reader looks after its copy whether there is a
 * new mark.
 *
 *   word              from   to              made by the writer
 *   mark[(n+1) % 2]   old    oldest, first,  stores: nobody reads this one, as `marks` is n
 *                            tail, next
 *   marks             n      n+1             store fence, store, store fence; then it overwrites
 *                                            records before mark[(n+1) % 2].oldest
 *
 * A reader that finds the same `marks` before and after it read mark[marks % 2] has read it whole;
 * one that finds the same `marks` after it read a record that was whole under that mark has read
 * that whole.
 *
 * The writer remembers checkpoints: the positions of some records, at least a sixteenth of the
 * capacity from each other, and their numbers. `oldest` moves from one checkpoint to the next, so
 * that there is a new mark for many records, and the writer need not read them again.
 */
#ifndef IPC_SRC_RING_RECORD_BROADCAST_H
#define IPC_SRC_RING_RECORD_BROADCAST_H 1

/* ------------------------------------------------------------------ broadcast of records */

#define IPC_RECORD_BROADCAST_TYPE 0x74736372u                   /* "rcst" */
#define IPC_RECORD_BROADCAST_MAGIC UINT64_C(0x31747363725f6369) /* "ic_rcst1" */
#define IPC_RECORD_BROADCAST_CHECKPOINTS_ 32u
#define IPC_RECORD_BROADCAST_TRIES_                                                                \
    16u /* of a reader to read a mark, while the writer makes others */

/* From position `oldest` on all records are whole; that one has number `first`. When the mark was
 * made the writer was at `tail`, where the record with number `next` goes. The first record ever is
 * 0. */
struct ipc_record_broadcast_mark_ {
    uint64_t oldest;
    uint64_t first;
    uint64_t tail;
    uint64_t next;
};

/* The shared part. Private to this file; tests and tools may look. */
struct ipc_record_broadcast_shared {
    struct ipc_broadcast_shared c; /* bytes: 1; capacity: bytes; heads: positions in bytes */
    struct ipc_record_broadcast_mark_
        mark[2];    /* written by the writer alone: the other one, and then */
    uint64_t marks; /* that one counts which: marks % 2 */
    unsigned char pad[56];
    /* the readers' seats, and capacity bytes */
};

IPC_RING_ASSERT_(record_broadcast_marks, offsetof(struct ipc_record_broadcast_shared, marks) ==
                                             sizeof(struct ipc_broadcast_shared) + 64)
IPC_RING_ASSERT_(record_broadcast_size, sizeof(struct ipc_record_broadcast_shared) ==
                                            sizeof(struct ipc_broadcast_shared) + 128)

IPC_INLINE int ipc_record_broadcast_is_valid_how_(unsigned how)
{
    return ipc_broadcast_is_valid_how_(how);
}

IPC_INLINE struct ipc_ring_kind_ ipc_record_broadcast_kind_(unsigned how)
{
    struct ipc_ring_kind_ kind;

    kind.name = "not a broadcast of records; magic";
    kind.magic = IPC_RECORD_BROADCAST_MAGIC;
    kind.header = sizeof(struct ipc_record_broadcast_shared) + ipc_broadcast_seat_bytes_(how);
    kind.stride = 1;
    return kind;
}

/* The bytes of a broadcast of records in `capacity` bytes, made as `how` says; or 0 if capacity is
 * not a power of two from 64 on, or beyond the address space, or `how` is no such thing. */
IPC_INLINE size_t ipc_record_broadcast_footprint(uint64_t capacity, unsigned how)
{
    struct ipc_ring_kind_ kind;

    if (capacity < 64 || !ipc_record_broadcast_is_valid_how_(how))
        return 0;
    kind = ipc_record_broadcast_kind_(how);
    return ipc_ring_footprint_(&kind, 1, capacity);
}

/* Makes an empty broadcast of records, as ipc_record_init, with the same errors. how: as for
 * ipc_broadcast_init. */
IPC_INLINE int ipc_record_broadcast_init(void *mem, size_t size, uint64_t capacity, unsigned how)
{
    struct ipc_ring_kind_ kind = ipc_record_broadcast_kind_(how);

    return capacity >= 64 ? ipc_broadcast_init_(mem, size, &kind, 1, capacity, how) : -EINVAL;
}

/* Private to their thread; no field is for the caller. */
struct ipc_record_broadcast_producer {
    struct ipc_record_producer r; /* without a lane */
    struct ipc_broadcast_readers_ readers;
    struct ipc_record_broadcast_mark_
        mark; /* lossy: the last that we made; but next is of our tail */
    uint64_t marks;
    /* Lossy: positions of records, and their numbers. From first_checkpoint on, of `checkpoints`
     * that there have been, they are newer than mark.oldest. */
    struct {
        uint64_t at, number;
    } checkpoint[IPC_RECORD_BROADCAST_CHECKPOINTS_];
    unsigned checkpoints, first_checkpoint;
    struct ipc_record_broadcast_shared *ring;
    unsigned how;
    IPC_RING_APART_(after);
};

struct ipc_record_broadcast_consumer {
    struct ipc_record_consumer r; /* lossy: `to` is NULL, and it publishes nothing */
    uint64_t *seat;               /* the id of our seat, whose head r.to is; or NULL */
    uint64_t next;                /* lossy: the number of the record at head */
    uint64_t marks;               /* lossy: under this mark the record at head was whole */
    uint64_t missed;              /* records, so far */
    int lapped;                   /* since it last caught up with the writer */
    int loss_pending; /* a loss was found after records that a call returned: the next reports it */
    struct ipc_record_broadcast_shared *ring;
    unsigned how;
    IPC_RING_APART_(after);
};

IPC_INLINE int ipc_record_broadcast_producer_disable_(struct ipc_record_broadcast_producer *p,
                                                      int rc)
{
    memset(p, 0, sizeof *p);
    ipc_ring_begin_self_(&p->r.self, NULL, NULL);
    return p->r.error = rc;
}

IPC_INLINE int ipc_record_broadcast_consumer_disable_(struct ipc_record_broadcast_consumer *c,
                                                      int rc)
{
    memset(c, 0, sizeof *c);
    ipc_ring_begin_self_(&c->r.self, NULL, NULL);
    return c->r.error = rc;
}

/* As ipc_broadcast_check_. */
IPC_INLINE int ipc_record_broadcast_check_(void *mem, size_t size, struct ipc_peer *me, int reads,
                                           struct ipc_broadcast_parts_ *parts)
{
    struct ipc_ring_kind_ kind = ipc_record_broadcast_kind_(IPC_BROADCAST_READERS(1));
    int rc = ipc_broadcast_check_(mem, size, kind, sizeof(struct ipc_record_broadcast_shared), 1, me,
                                  reads, parts);

    if (rc == 0 && parts->capacity < 64)
        return ipc_ring_refuse_(me, -EPROTO, "broadcast of too few bytes", parts->capacity, 64);
    return rc;
}

/* Reads the last mark whole. 0; -EAGAIN: the writer made another each time we looked; or -EBADMSG.
 */
IPC_INLINE int ipc_record_broadcast_read_mark_(struct ipc_record_broadcast_shared *r,
                                               struct ipc_record_broadcast_mark_ *mark,
                                               uint64_t *marks)
{
    unsigned tries;

    for (tries = 0; tries < IPC_RECORD_BROADCAST_TRIES_; tries++) {
        uint64_t n = ck_pr_load_64(&r->marks);
        struct ipc_record_broadcast_mark_ *m = &r->mark[n % 2];

        /* Without it the mark could be older than its number. Partner: the first store fence in
         * ipc_record_broadcast_forget_oldest_. */
        ck_pr_fence_load();
        mark->oldest = ck_pr_load_64(&m->oldest);
        mark->first = ck_pr_load_64(&m->first);
        mark->tail = ck_pr_load_64(&m->tail);
        mark->next = ck_pr_load_64(&m->next);
        /* Without it we could have read a part of the mark after the next one. Partner: the second
         * store fence in ipc_record_broadcast_forget_oldest_. */
        ck_pr_fence_load();
        if (ck_pr_load_64(&r->marks) == n) {
            *marks = n;
            return (mark->oldest | mark->tail) % 8 == 0 ? 0 : -EBADMSG;
        }
    }
    return -EAGAIN;
}

/* Counts a record that was sent, whose end is our tail, and makes that a checkpoint if the last one
 * is far enough behind. */
IPC_FORCE_INLINE void ipc_record_broadcast_count_sent_(struct ipc_record_broadcast_producer *h)
{
    unsigned last = (h->checkpoints - 1) % IPC_RECORD_BROADCAST_CHECKPOINTS_;

    h->mark.next++;
    if (CK_CC_UNLIKELY(h->r.tail - h->checkpoint[last].at >= (h->r.mask + 1) / 16)) {
        last = h->checkpoints++ % IPC_RECORD_BROADCAST_CHECKPOINTS_;
        h->checkpoint[last].at = h->r.tail;
        h->checkpoint[last].number = h->mark.next;
    }
}

/* Finds where a writer goes on that has just taken its end. 0; or -EBADMSG, and the end is free
 * again. */
IPC_INLINE int ipc_record_broadcast_find_tail_(struct ipc_record_broadcast_producer *h)
{
    struct ipc_record_broadcast_shared *r = h->ring;
    struct ipc_record_producer *p = &h->r;
    int rc = ipc_record_broadcast_read_mark_(r, &h->mark, &h->marks);
    uint64_t end, capacity = p->mask + 1;

    h->checkpoints = h->first_checkpoint = 0;
    p->claimed = 0;
    p->tail = h->how == IPC_BROADCAST_LOSSY ? h->mark.oldest : ck_pr_load_64(&r->c.s.head);
    end = p->tail + capacity - 8;
    h->mark.next = h->mark.first;
    rc = rc != 0 || p->tail % 8 != 0 ? -EBADMSG : 1;
    while (rc > 0) {
        rc = ipc_record_step_over_(p->data, p->mask, &p->tail, end - p->tail);
        if (rc > 0)
            ipc_record_broadcast_count_sent_(h);
    }
    if (rc != 0)
        ipc_ring_leave_end_(&r->c.s.end[0], p->id);
    p->limit = h->how == IPC_BROADCAST_LOSSY ? h->mark.oldest + capacity : p->tail;
    return rc;
}

/* struct ipc_ring_self_'s renew. */
IPC_INLINE int ipc_record_broadcast_producer_renew_(void *handle, struct ipc_peer *me)
{
    struct ipc_record_broadcast_producer *h = (struct ipc_record_broadcast_producer *)handle;

    if (me == NULL)
        return ipc_record_broadcast_producer_disable_(h, -ECHILD);
    h->r.id = me->id;
    if (ipc_ring_take_end_(&h->ring->c.s.end[0], me, me->id) != 0)
        return -EBUSY;
    if (ipc_record_broadcast_find_tail_(h) != 0)
        return -EBADMSG;
    h->readers = ipc_broadcast_list_readers_(&h->readers.seats, me, h->r.tail);
    return 0;
}

/* As ipc_broadcast_consumer_renew_. */
IPC_INLINE int ipc_record_broadcast_consumer_renew_(void *handle, struct ipc_peer *me)
{
    struct ipc_record_broadcast_consumer *h = (struct ipc_record_broadcast_consumer *)handle;

    return me == NULL ? ipc_record_broadcast_consumer_disable_(h, -ECHILD) : -EBUSY;
}

/*
 * Attaches the writer; as ipc_broadcast_producer_attach, with the same errors, and -EBADMSG: the
 * shared memory is corrupt. After a writer that died it goes on behind the last record that one
 * committed.
 */
IPC_INLINE int ipc_record_broadcast_producer_attach(struct ipc_record_broadcast_producer *h,
                                                    void *mem, size_t size, struct ipc_peer *me)
{
    struct ipc_record_broadcast_shared *r = (struct ipc_record_broadcast_shared *)mem;
    uint64_t id = ipc_ring_id_of_(me);
    struct ipc_record_producer *p = &h->r;
    struct ipc_broadcast_parts_ parts;
    int rc = ipc_record_broadcast_check_(mem, size, me, 0, &parts);

    if (rc == 0)
        rc = ipc_ring_take_end_(&r->c.s.end[0], me, id);
    (void)ipc_record_broadcast_producer_disable_(h, rc);
    if (rc != 0)
        return rc;
    p->data = parts.slots;
    p->mask = parts.capacity - 1;
    p->most = parts.capacity / 2 - 8;
    p->id = id;
    p->ring = &r->c.s;
    h->ring = r;
    h->how = parts.how;
    ipc_ring_begin_self_(&p->self, me, ipc_record_broadcast_producer_renew_);
    ipc_ring_trials_begin_(&p->trials, p->mask + 1);
    if (ipc_record_broadcast_find_tail_(h) != 0)
        return ipc_record_broadcast_producer_disable_(
            h, ipc_ring_refuse_(me, -EBADMSG, "broadcast of records is corrupt; position", p->tail,
                                h->mark.oldest));
    h->readers = ipc_broadcast_list_readers_(&parts.seats, me, p->tail);
    return 0;
}

/* Takes a seat for a lossless reader, and finds where it begins, as broadcast.h says. 0, -EUSERS,
 * or -EBADMSG. */
IPC_INLINE int ipc_record_broadcast_join_(struct ipc_record_broadcast_consumer *h,
                                          const struct ipc_broadcast_seats_ *s,
                                          struct ipc_peer *me)
{
    struct ipc_record_consumer *c = &h->r;
    unsigned seat = 0;
    int rc = ipc_broadcast_take_seat_(s, me, c->id, &seat);

    if (rc != 0)
        return rc;
    h->seat = &s->id[seat];
    c->to = &s->seat[seat].head;
    c->head = ck_pr_load_64(&s->ring->s.head);
    /* Without it the records from here on could be older than the head. Partner: the store fence in
     * ipc_broadcast_find_slowest_reader_. */
    ck_pr_fence_load();
    rc = ipc_record_walk_to_end_(c->data, c->mask, &c->head, &h->next);
    if (!ck_pr_cas_64(c->to, IPC_BROADCAST_JOINING_, c->head)) {
        /* The writer lets us begin at its tail, and may have overwritten what we walked over. */
        c->head = ck_pr_load_64(c->to);
        /* As the one before. */
        ck_pr_fence_load();
        rc = c->head % 8 != 0 ? -EBADMSG : 0;
    }
    c->published = c->head;
    return rc;
}

/*
 * Attaches a reader; as ipc_broadcast_consumer_attach, with the same errors, and -EBADMSG: the
 * shared memory is corrupt. If a fast writer laps a reader of a lossy broadcast while it looks for
 * the tail, the reader begins a little before that, and may see up to a sixteenth of the capacity
 * of old records; or it is refused with -EAGAIN: try again.
 */
IPC_INLINE int ipc_record_broadcast_consumer_attach(struct ipc_record_broadcast_consumer *h,
                                                    void *mem, size_t size, struct ipc_peer *me)
{
    struct ipc_record_broadcast_shared *r = (struct ipc_record_broadcast_shared *)mem;
    uint64_t id = ipc_ring_id_of_(me);
    struct ipc_record_consumer *c = &h->r;
    struct ipc_record_broadcast_mark_ mark;
    struct ipc_broadcast_parts_ parts;
    unsigned tries;
    int rc = ipc_record_broadcast_check_(mem, size, me, 1, &parts);

    (void)ipc_record_broadcast_consumer_disable_(h, rc);
    if (rc != 0)
        return rc;
    c->data = parts.slots;
    c->mask = parts.capacity - 1;
    c->replay = parts.capacity / 8;
    c->producers = 1;
    c->ring = &r->c.s;
    c->id = id;
    h->ring = r;
    h->how = parts.how;
    if (parts.how == IPC_BROADCAST_LOSSLESS) {
        ipc_ring_begin_self_(&c->self, me, ipc_record_broadcast_consumer_renew_);
        rc = ipc_record_broadcast_join_(h, &parts.seats, me);
        if (h->seat == NULL)
            return ipc_record_broadcast_consumer_disable_(h, rc);
    } else {
        for (tries = 0; tries < IPC_RECORD_BROADCAST_TRIES_; tries++) {
            rc = ipc_record_broadcast_read_mark_(r, &mark, &h->marks);
            if (rc != 0)
                break;
            c->head = mark.tail;
            h->next = mark.next;
            rc = ipc_record_walk_to_end_(c->data, c->mask, &c->head, &h->next);
            /* If we had walked over records that were written after that mark, the fences on the
             * way would show us the next mark. If we have stopped at a 0 that is no tail, we find
             * out later, as when we are lapped. */
            if (ck_pr_load_64(&r->marks) == h->marks)
                break;
            c->head = mark.tail;
            h->next = mark.next;
            rc = 0;
        }
    }
    c->run_start = c->head;
    c->quick = 1;
    if (rc == 0)
        return 0;
    if (h->seat != NULL)
        ipc_broadcast_leave_seat_(h->seat, c->to, id);
    return ipc_record_broadcast_consumer_disable_(
        h, ipc_ring_refuse_(me, rc, "broadcast of records is corrupt, or too fast; position",
                            c->head, h->marks));
}

/* Detaches the writer; the records stay. Wait-free. */
IPC_INLINE void ipc_record_broadcast_producer_detach(struct ipc_record_broadcast_producer *p)
{
    if (p->ring != NULL && ipc_ring_is_ours_(&p->r.self))
        ipc_ring_detach_end_(&p->ring->c.s.end[0], p->r.id);
    (void)ipc_record_broadcast_producer_disable_(p, -EINVAL);
}

/* Detaches a reader: the writer does not wait for it any more. Wait-free. */
IPC_INLINE void ipc_record_broadcast_consumer_detach(struct ipc_record_broadcast_consumer *c)
{
    if (c->seat != NULL && ipc_ring_is_ours_(&c->r.self))
        ipc_broadcast_leave_seat_(c->seat, c->r.to, c->r.id);
    (void)ipc_record_broadcast_consumer_disable_(c, -EINVAL);
}

/* A lossy writer needs `need` bytes behind its tail: makes a mark that says that the records there,
 * and those up to the next checkpoint, are not whole any more. 0, or the error of the handle. */
IPC_INLINE int ipc_record_broadcast_forget_oldest_(struct ipc_record_broadcast_producer *h,
                                                   uint64_t need)
{
    struct ipc_record_producer *p = &h->r;
    struct ipc_record_broadcast_mark_ *mark = &h->mark, *m;
    uint64_t capacity = p->mask + 1;

    if (p->error != 0)
        return p->error;
    while (mark->oldest + capacity - p->tail < need) {
        unsigned next = h->first_checkpoint % IPC_RECORD_BROADCAST_CHECKPOINTS_;

        if (h->first_checkpoint == h->checkpoints) { /* no checkpoint left: forgets all records */
            mark->oldest = p->tail;
            mark->first = mark->next;
        } else {
            h->first_checkpoint++;
            mark->oldest = h->checkpoint[next].at;
            mark->first = h->checkpoint[next].number;
        }
    }
    p->limit = mark->oldest + capacity;
    m = &h->ring->mark[(h->marks + 1) % 2];
    ck_pr_store_64(&m->oldest, mark->oldest);
    ck_pr_store_64(&m->first, mark->first);
    ck_pr_store_64(&m->tail, p->tail);
    ck_pr_store_64(&m->next, mark->next);
    /* Without it the mark could be read before it is whole. Partner: the first load fence in
     * ipc_record_broadcast_read_mark_. */
    ck_pr_fence_store();
    ck_pr_store_64(&h->ring->marks, ++h->marks);
    /* Without it a reader could read what we write next, and then find the same mark; or it could
     * read a part of the mark after this one. Partners: the load fence in
     * ipc_record_broadcast_revalidate_, the second one in ipc_record_broadcast_read_mark_. */
    ck_pr_fence_store();
    return 0;
}

/* Where a record of n bytes goes, as ipc_record_room_. */
IPC_FORCE_INLINE int ipc_record_broadcast_room_(struct ipc_record_broadcast_producer *h, uint64_t n,
                                                uint64_t *at)
{
    struct ipc_record_producer *p = &h->r;
    uint64_t need;
    int rc = ipc_record_place_(p, n, at, &need);

    if (CK_CC_UNLIKELY(rc != 0) ||
        CK_CC_LIKELY(p->limit - p->tail >= need && !ipc_ring_is_forked_(&p->self)))
        return rc;
    if (p->error == 0 && ipc_ring_is_forked_(&p->self)) {
        rc = ipc_ring_settle_(&p->self, h);
        if (rc < 0 || ipc_record_place_(p, n, at, &need) != 0)
            return p->error;
        if (p->limit - p->tail >= need)
            return 0;
    }
    if (h->how == IPC_BROADCAST_LOSSY)
        return ipc_record_broadcast_forget_oldest_(h, need);
    return p->error != 0
               ? p->error
               : ipc_broadcast_find_slowest_reader_(&h->readers, p->tail, p->mask, need, &p->limit);
}

/*
 * Copies a record of n bytes in, for all readers; n may be 0. Wait-free for a given n, but for the
 * questions to the kernel of ipc_broadcast_push.
 *
 *   0
 *   -EAGAIN    lossless: a reader is so far behind that there is no room for it
 *   -EMSGSIZE  n is more than half the capacity less 8
 *   -ECHILD    after fork, as of ipc_spsc_push
 */
IPC_INLINE int ipc_record_broadcast_push(struct ipc_record_broadcast_producer *h, const void *data,
                                         size_t n)
{
    struct ipc_record_producer *p = &h->r;
    uint64_t tail, at;
    int rc = ipc_record_broadcast_room_(h, n, &at);

    if (CK_CC_UNLIKELY(rc != 0))
        return rc;
    tail = p->tail;
    ipc_record_prefetch_(p, at, n);
    ipc_ring_put_words_(&p->trials, p->data + (size_t)(at & p->mask) + 8, data, n);
    ipc_record_send_(p, tail, at, n);
    ipc_record_broadcast_count_sent_(h);
    return 0;
}

/* Copies up to n records in, as ipc_record_push_n; with the errors of ipc_record_broadcast_push. */
IPC_INLINE int64_t ipc_record_broadcast_push_n(struct ipc_record_broadcast_producer *p,
                                               const struct ipc_record *records, size_t n)
{
    size_t i;
    int rc = 0;

    for (i = 0; i < n && (rc = ipc_record_broadcast_push(p, records[i].at, records[i].n)) == 0; i++)
        ;
    return i > 0 ? (int64_t)i : rc;
}

/* Push without a copy, as ipc_record_claim, commit and cancel. In a lossy broadcast a claim, also
 * one that is cancelled, takes the oldest records from the readers that have not read them. */
IPC_INLINE void *ipc_record_broadcast_claim(struct ipc_record_broadcast_producer *h, size_t n)
{
    struct ipc_record_producer *p = &h->r;

    p->claimed = 0;
    return ipc_record_broadcast_room_(h, n, &p->at) == 0 ? ipc_record_begin_claim_(p, n) : NULL;
}

IPC_INLINE int ipc_record_broadcast_commit(struct ipc_record_broadcast_producer *p, size_t n)
{
    int rc = ipc_record_commit(&p->r, n);

    if (rc == 0)
        ipc_record_broadcast_count_sent_(p);
    return rc;
}

IPC_INLINE void ipc_record_broadcast_cancel(struct ipc_record_broadcast_producer *p)
{
    ipc_record_cancel(&p->r);
}

/* The length of the longest record, as ipc_record_most. */
IPC_INLINE size_t ipc_record_broadcast_most(const struct ipc_record_broadcast_producer *p)
{
    return (size_t)p->r.most;
}

/* 0, or the error of a handle that was refused or detached. */
IPC_INLINE int ipc_record_broadcast_producer_error(const struct ipc_record_broadcast_producer *p)
{
    return p->r.error;
}

/* How many bytes of records, with the words before them, the slowest reader had still to read, and
 * in *id which process it is; as ipc_broadcast_was_slowest. */
IPC_INLINE uint64_t ipc_record_broadcast_was_slowest(const struct ipc_record_broadcast_producer *p,
                                                     uint64_t *id)
{
    return ipc_broadcast_find_most_behind_(&p->readers, p->r.tail, p->r.mask + 1, id);
}

/* As ipc_broadcast_was_readers. */
IPC_INLINE unsigned ipc_record_broadcast_was_readers(const struct ipc_record_broadcast_producer *p)
{
    return ipc_broadcast_count_readers_(&p->readers);
}

/* As ipc_broadcast_producer_recover. */
IPC_INLINE int64_t ipc_record_broadcast_producer_recover(struct ipc_record_broadcast_producer *p,
                                                uint64_t id)
{
    return ipc_broadcast_recover_(&p->readers, id);
}

/* A lossy reader sees that the writer has made a new mark. 0: the record at head is whole all the
 * same. -EOVERFLOW: the reader was lapped, and moves on. -EAGAIN: no mark could be read whole. Or
 * -EBADMSG. */
IPC_INLINE int ipc_record_broadcast_check_lapped_(struct ipc_record_broadcast_consumer *h)
{
    struct ipc_record_consumer *c = &h->r;
    struct ipc_record_broadcast_mark_ mark;
    int rc = ipc_record_broadcast_read_mark_(h->ring, &mark, &h->marks);

    if (rc != 0)
        return rc == -EBADMSG ? ipc_record_fail_(c, rc) : rc;
    if ((int64_t)(c->head - mark.oldest) >= 0)
        return 0;
    c->head = c->run_start = h->lapped ? mark.tail : mark.oldest;
    h->missed += (h->lapped ? mark.next : mark.first) - h->next;
    h->next = h->lapped ? mark.next : mark.first;
    h->lapped = 1;
    c->peeked = 0;
    return -EOVERFLOW;
}

/* A lossy reader has read something at head: looks for a new mark. 0: what it read was whole; or
 * the errors of ipc_record_broadcast_check_lapped_. */
IPC_FORCE_INLINE int ipc_record_broadcast_revalidate_(struct ipc_record_broadcast_consumer *h)
{
    /* Without it the mark could be older than what we have read. Partner: the second store fence in
     * ipc_record_broadcast_forget_oldest_. */
    ck_pr_fence_load();
    if (CK_CC_LIKELY(ck_pr_load_64(&h->ring->marks) == h->marks))
        return 0;
    return ipc_record_broadcast_check_lapped_(h);
}

/* As ipc_record_look_. In a lossy broadcast the length may be believed only after
 * ipc_record_broadcast_revalidate_. */
IPC_FORCE_INLINE int ipc_record_broadcast_look_(struct ipc_record_broadcast_consumer *h, size_t *n)
{
    int rc;

    if (CK_CC_UNLIKELY(h->loss_pending)) {
        h->loss_pending = 0;
        return -EOVERFLOW;
    }
    rc = ipc_record_find_(&h->r, n);
    if (CK_CC_LIKELY(rc == 0))
        return 0;
    if (h->how == IPC_BROADCAST_LOSSY && h->r.error == 0) {
        int lapped = ipc_record_broadcast_revalidate_(h);

        if (lapped != 0)
            return lapped;
        h->lapped = 0;
    }
    return rc == -EBADMSG ? ipc_record_fail_(&h->r, rc) : rc;
}

/* A lossy reader moves on behind the record at head. */
IPC_FORCE_INLINE void ipc_record_broadcast_advance_(struct ipc_record_broadcast_consumer *h)
{
    h->r.head += h->r.peeked;
    h->r.peeked = 0;
    h->next++;
}

IPC_FORCE_INLINE int64_t ipc_record_broadcast_take_(struct ipc_record_broadcast_consumer *h,
                                                    void *to, size_t size, int *published)
{
    struct ipc_record_consumer *c = &h->r;
    size_t n = 0;
    int rc;

    if (h->how == IPC_BROADCAST_LOSSLESS)
        return ipc_record_take_(c, to, size, published);
    rc = ipc_record_broadcast_look_(h, &n);
    if (CK_CC_UNLIKELY(rc != 0))
        return rc;
    if (CK_CC_LIKELY(n <= size))
        ipc_ring_get_words_(to, ipc_record_payload_(c), n);
    rc = ipc_record_broadcast_revalidate_(h);
    if (CK_CC_UNLIKELY(rc != 0))
        return rc;
    if (CK_CC_UNLIKELY(n > size))
        return -EMSGSIZE;
    ipc_record_broadcast_advance_(h);
    return (int64_t)n;
}

/*
 * Copies the next record out. Wait-free, and holds back at times, as ipc_record_pop. Other readers
 * do not matter; a writer that is stopped or dead lets the broadcast run empty.
 *
 *   >= 0        the record's length in bytes
 *   -EAGAIN     there is none yet
 *   -EOVERFLOW  lossy: the writer has overwritten the next record. Reported once for each time;
 *               ipc_record_broadcast_missed says how many records were missed in all. The next call
 *               goes on at the oldest record that is whole. After losses without an -EAGAIN in
 *               between it goes on close behind the writer, so that a fast writer does not lap the
 *               reader again at once
 *   -EMSGSIZE   it is longer than `size`, and is still there: peek says how long, release drops it
 *   -EBADMSG    the shared memory is corrupt; sticks
 *   -ECHILD     lossless: after fork, as of ipc_spsc_push
 */
IPC_INLINE int64_t ipc_record_broadcast_pop(struct ipc_record_broadcast_consumer *c, void *to,
                                            size_t size)
{
    int published;

    return ipc_record_broadcast_take_(c, to, size, &published);
}

/* Copies up to n records out, as ipc_record_pop_n; with the errors of ipc_record_broadcast_pop.
 * They are in a row: a loss ends the call, and the next call reports it. */
IPC_INLINE int64_t ipc_record_broadcast_pop_n(struct ipc_record_broadcast_consumer *c, void *to,
                                              size_t size, struct ipc_record *records, size_t n)
{
    unsigned char *t = (unsigned char *)to;
    size_t i, at = 0;
    int64_t rc = 0;

    for (i = 0; i < n && at <= size; i++) {
        rc = ipc_record_broadcast_pop(c, t + at, size - at);
        if (rc < 0)
            break;
        at = ipc_record_note_place_(&records[i], t, at, (size_t)rc);
    }
    c->loss_pending |= i > 0 && rc == -EOVERFLOW;
    return i > 0 ? (int64_t)i : rc;
}

/*
 * Pop without a copy, as ipc_record_peek: NULL also when the writer overwrote the next record (peek
 * again: ipc_record_broadcast_missed has grown). In a lossless broadcast the record stays as it is
 * until released. In a lossy one it may change while you read it, and become longer or shorter:
 * read, then release, and use what was read only if that returns 0. All wait-free.
 */
IPC_INLINE const void *ipc_record_broadcast_peek(struct ipc_record_broadcast_consumer *h, size_t *n)
{
    struct ipc_record_consumer *c = &h->r;

    if (ipc_record_broadcast_look_(h, n) != 0 ||
        (h->how == IPC_BROADCAST_LOSSY && ipc_record_broadcast_revalidate_(h) != 0))
        return NULL;
    return ipc_record_payload_(c);
}

/* Releases the peeked record. 0; -EINVAL when nothing was peeked; lossy: -EOVERFLOW when it was
 * overwritten meanwhile, as of ipc_record_broadcast_pop, or -EAGAIN: the writer made new marks too
 * fast to see whether it was. */
IPC_INLINE int ipc_record_broadcast_release(struct ipc_record_broadcast_consumer *h)
{
    int rc;

    if (h->how == IPC_BROADCAST_LOSSLESS || h->r.peeked == 0)
        return ipc_record_release(&h->r);
    rc = ipc_record_broadcast_revalidate_(h);
    if (rc == 0)
        ipc_record_broadcast_advance_(h);
    return rc;
}

/* How many records this reader has missed since it attached, as ipc_broadcast_missed. Wait-free. */
IPC_INLINE uint64_t ipc_record_broadcast_missed(const struct ipc_record_broadcast_consumer *c)
{
    return c->missed;
}

/* 0; -EBADMSG once the shared memory was found corrupt; or the error of a handle that was refused
 * or detached. */
IPC_INLINE int ipc_record_broadcast_consumer_error(const struct ipc_record_broadcast_consumer *c)
{
    return c->r.error;
}

#endif

/* >>mpmc_slot  src/ring/mpmc_slot.h */
/*
 * MPMC, MPSC, SPMC: the word of a slot, and what becomes of holders that are slow or dead.
 *
 * The last word of a slot is the only truth about it. It has a lap (position / capacity), a state,
 * and in four of the states the name of the slot's holder and the length of the holder's run. Head
 * and tail are hints; each handle keeps a position of its own and moves on from there.
 *
 *     (L,FREE) --claim--> (L,WRITING,k) --commit--> (L,FULL) --peek--> (L,READING,c)
 *       |                      |                       |                  |      |
 *       |                      | passed over           | pop        release      | passed over
 *       |                      v                       v                  v      v
 *       '-- ... <-- (L,LATE_WRITER,k) ----------> (L+1,FREE) <------ (L+1,LATE_READER,c)
 *                        k comes back, or is dead              c comes back, or is dead
 *
 * Each lap that goes by stamps a late holder's word with its number, which is then its L.
 *
 * Every transition is a compare-and-swap on the exact word seen, but for those marked "store". So a
 * claim and the claimant's name become visible in one step, and nobody commits into another lap.
 *
 *   from              to               made by, and its fence
 *   L,FREE            L,WRITING,k      producer k; acquire after it
 *   L,FREE            L,FULL           the only producer (SPMC): release before it; store
 *   L,FREE            L,FULL           any producer that puts a message of up to 8 bytes there in
 *                                      the same step: one compare-and-swap of both, on x86-64
 *   L,WRITING,k       L,FULL           k; release before it
 *   L,WRITING,k       L,LATE_WRITER,k  any consumer, or a producer of the next lap: passed over
 *   L,READING,c       L+1,LATE_        a producer of the next lap: passed over
 *                     READER,c
 *   L,LATE_...        L+1, the same    a producer of lap L+1, which moves on after this stamp only
 *   L,FULL or AGAIN   L+1,FREE         a consumer that has copied the message: release before it;
 *                                      store where it is the only one (MPSC)
 *   L,FULL or AGAIN   L,READING,c      consumer c, that peeks or takes a run; acquire after it
 *   L,READING or      L+1,FREE         its consumer, at release; release before it
 *     LATE_READER
 *   L,WRITING or      L+1,FREE         its producer, at cancel or when its commit has failed;
 *     LATE_WRITER                      release before it
 *   L,READING or      L,AGAIN          its consumer, at detach; release before it
 *     LATE_READER
 *   a dead holder's   L+1,FREE         anyone: release before it
 *                     L,AGAIN          ... where a single message of a dead consumer is handed out
 *                                      again
 *                     L,LATE_WRITER,f  ... where it was a run, which its finder f then frees as its
 *                                      own
 *
 * A run is up to 16 slots that one claim or take covers, by the word of the first. Until its holder
 * is done nobody looks at the words of the others: the holder stores them, between two release
 * fences, before the word of the first says so. In FULL the run length is how many slots from here
 * on are FULL, at least.
 *
 * What the word tells a handle that is at a position of lap L (enum ipc_mpmc_verdict_):
 *
 *   word               to a producer    to a consumer
 *   later lap          DONE             DONE
 *   L,FREE             READY            NOT_YET
 *   L,WRITING          DONE             BLOCKED
 *   L,FULL or AGAIN    DONE             READY
 *   L,READING          DONE             DONE
 *   L,LATE_...         DONE             DONE
 *   L-1,WRITING        BLOCKED          IMPOSSIBLE
 *   L-1,READING        BLOCKED          NOT_YET
 *   L-1,LATE_...       SKIPPED          NOT_YET
 *   L-1,FULL           NOT_YET          IMPOSSIBLE
 *   L-1,AGAIN          NOT_YET          READY
 *   L-1,FREE           IMPOSSIBLE       IMPOSSIBLE
 *   earlier lap        IMPOSSIBLE       IMPOSSIBLE
 *
 * A holder that has not moved after 128 looks is passed over, if there is work behind it. It keeps
 * its slot, which is left out of that lap and of the later ones. Each later lap stamps its number
 * on the word before any producer moves on, so the slot becomes FREE for the lap after the last
 * stamp. A producer k that is stopped between claim and commit:
 *
 *   (0,WRITING,k)       k has claimed, and is stopped
 *   (0,LATE_WRITER,k)   a consumer that found messages behind k's slot has passed it over
 *   (1,LATE_WRITER,k)   a producer of lap 1 came by, left its stamp, and moved on
 *   (2,LATE_WRITER,k)   in lap 2 the same
 *   (3,FREE)            k goes on: its swap from (0,WRITING,k) fails, so nothing enters a wrong lap.
 *                       It claims another slot, copies the message there, and frees this one
 *
 * A slot's turn by its own sequence: D. Vyukov, "Bounded MPMC queue", 2010.
 */
#ifndef IPC_SRC_RING_MPMC_SLOT_H
#define IPC_SRC_RING_MPMC_SLOT_H 1

/* ------------------------------------------------------------------ many at an end: layout */

#define IPC_MPMC_TYPE 0x636d706du                   /* "mpmc" */
#define IPC_MPMC_MAGIC UINT64_C(0x31636d706d5f6369) /* "ic_mpmc1" */
#define IPC_MPMC_SEATS 256u /* if nothing is said */

/* How a ring is made: ipc_mpmc_init. */
#define IPC_MPMC_AT_MOST_ONCE 0u  /* what a killed consumer held is lost, and counted */
#define IPC_MPMC_AT_LEAST_ONCE 1u /* what a killed consumer held is handed out again */
#define IPC_MPMC_ONE_PRODUCER 2u  /* at a time: SPMC */
#define IPC_MPMC_ONE_CONSUMER 4u  /* at a time: MPSC */
/* To be added to these: for n attached handles, of both ends together, 1 to 65,536. Each takes 32
 * bytes. */
#define IPC_MPMC_HANDLES(n) IPC_RING_HOW_MANY_(n, IPC_MPMC_SEATS)

/* The shared part. Private to this file; tests and tools may look. */
struct ipc_mpmc_shared {
    struct ipc_ring_shared_ is; /* how: IPC_MPMC_... */
    /* Each is added to by the process that frees what a dead one has left; `again` also by a consumer
     * that gives its message back. */
    uint64_t aborted; /* claims that were never committed, in messages */
    uint64_t lost;    /* messages that died with their consumer */
    uint64_t again;   /* messages that were handed out again; consumers look for them */
    uint64_t end[2];  /* of an end for one process at a time: its holder, as in ipc_spsc_shared */
    uint64_t left[2];
    unsigned char pad1[8];
    /* Hints, stored by anyone: about where the next claim and the next message are. */
    uint64_t tail;
    unsigned char pad2[120];
    uint64_t head;
    unsigned char pad3[120];
    unsigned char data_bell[64]; /* as in struct ipc_spsc_shared */
    unsigned char space_bell[64];
    /* the seats, in whole lines; then capacity slots of ipc_ring_line_stride_(bytes) each */
};

IPC_RING_ASSERT_(mpmc_left,
                 offsetof(struct ipc_mpmc_shared, left) == offsetof(struct ipc_mpmc_shared, end) + 16)
IPC_RING_ASSERT_(mpmc_tail, offsetof(struct ipc_mpmc_shared, tail) == 128)
IPC_RING_ASSERT_(mpmc_bells, offsetof(struct ipc_mpmc_shared, data_bell) == 384)
IPC_RING_ASSERT_(mpmc_size, sizeof(struct ipc_mpmc_shared) == 512)

/* The word, from its top bit: lap (33 bits), name (24: generation, seat), run length minus one (4),
 * state (3). The table at the top of this file has all transitions. The lap may wrap: two are only
 * told apart if they are less than 2^32 laps from each other. So a handle that was not used for
 * longer may take what is ahead for what is behind it, and goes to the hint. One that was stopped
 * for longer in the middle of a call may, with a chance of one in 2^33, take a word for the one
 * that it saw. */
#define IPC_MPMC_FREE_ 0u        /* nobody has claimed it in this lap */
#define IPC_MPMC_WRITING_ 1u     /* claimed by the producer named, as the first of a run */
#define IPC_MPMC_FULL_ 2u        /* a message is there */
#define IPC_MPMC_READING_ 3u     /* taken by the consumer named; a run was copied before that */
#define IPC_MPMC_LATE_WRITER_ 4u /* its producer was passed over: the slot is not in this lap */
#define IPC_MPMC_LATE_READER_ 5u /* its consumer was passed over: the slot is not in this lap */
#define IPC_MPMC_AGAIN_ 6u       /* a message is there that a consumer had before */
#define IPC_MPMC_STATE_ UINT64_C(7)
#define IPC_MPMC_RUN_ UINT64_C(8)
#define IPC_MPMC_RUN_MAX_ 16u
#define IPC_MPMC_RUN_MASK_ (IPC_MPMC_RUN_ * (IPC_MPMC_RUN_MAX_ - 1))
#define IPC_MPMC_NAME_ (UINT64_C(1) << 7)
#define IPC_MPMC_LAP_ (UINT64_C(1) << 31)

#define IPC_MPMC_SHORT_ 8u     /* bytes; a message of up to that is in the 8 before the word */
#define IPC_MPMC_LOOKS_ 128u   /* looks at a holder in the way, before it is passed over */
#define IPC_MPMC_PREFETCH_ 16u /* how many slots ahead lines are asked for */
/* Looks at an impossible word, before the ring is called corrupt. Such a word may only be old: a
 * handle that skipped a run, or laps, did not look at the slots in between. */
#define IPC_MPMC_IMPOSSIBLE_LOOKS_ 1000
#define IPC_MPMC_PUBLISH_ 16u /* positions between two stores of a hint */
/* How often a call begins again, when another was first at its slot each time. Each time another
 * call has got through, or memory is hostile. */
#define IPC_MPMC_TRIES_ 64u
/* At every such meeting with a late holder's slot, a producer asks the kernel whether the holder is
 * dead: asking takes as long as some hundred messages. A handle that finds nothing to do asks
 * sooner: ipc_mpmc_found_nothing_. */
#define IPC_MPMC_ASK_AFTER_ 4096u

IPC_FORCE_INLINE unsigned ipc_mpmc_state_(uint64_t word)
{
    return (unsigned)(word & IPC_MPMC_STATE_);
}

IPC_FORCE_INLINE unsigned ipc_mpmc_run_length_(uint64_t word)
{
    return (unsigned)(word / IPC_MPMC_RUN_ % IPC_MPMC_RUN_MAX_) + 1;
}

/* How many positions a handle that moves on has to skip. Behind the first slot of a claimed run the
 * other words say nothing, so they are skipped with it. That holds also where the word is of a
 * later lap: the run could only be claimed there when all its slots were done with. */
IPC_FORCE_INLINE unsigned ipc_mpmc_positions_of_(uint64_t word)
{
    unsigned state = ipc_mpmc_state_(word);

    return state == IPC_MPMC_FREE_ || state == IPC_MPMC_FULL_ ? 1 : ipc_mpmc_run_length_(word);
}

/* What was lost with dead processes, or handed out again, since init, as far as it was found; too much
 * by what a process had counted that was killed while it freed a run of a dead one. */
struct ipc_mpmc_losses {
    uint64_t aborted; /* messages that were claimed and never committed */
    uint64_t lost;    /* messages that died with the consumer that had peeked them */
    uint64_t again;   /* messages that were handed out again: of dead consumers, and of those that
                         detached with one in hand */
};

IPC_INLINE int ipc_mpmc_is_valid_how_(unsigned how)
{
    unsigned ends = IPC_MPMC_ONE_PRODUCER | IPC_MPMC_ONE_CONSUMER;

    return (how & 255) <= (IPC_MPMC_AT_LEAST_ONCE | ends) && (how & ends) != ends &&
           ipc_ring_are_seats_valid_(ipc_ring_seats_of_(how, IPC_MPMC_SEATS));
}

IPC_INLINE struct ipc_ring_kind_ ipc_mpmc_kind_(size_t bytes, unsigned how)
{
    size_t seats = ((size_t)ipc_ring_seats_of_(how, IPC_MPMC_SEATS) + 1) & ~(size_t)1;
    struct ipc_ring_kind_ kind;

    kind.name = "not an MPMC ring; magic";
    kind.magic = IPC_MPMC_MAGIC;
    kind.header = sizeof(struct ipc_mpmc_shared) + seats * sizeof(struct ipc_ring_seat_);
    kind.stride = ipc_ring_line_stride_(bytes);
    return kind;
}

/* ------------------------------------------------------------------ handles */

/* What both ends have. Private to their thread; no field is for the caller. */
struct ipc_mpmc {
    IPC_RING_APART_(before);
    unsigned char *slots;
    uint64_t mask;
    unsigned shift;         /* position >> shift is its lap */
    unsigned looks;         /* at the blocker, so far */
    uint64_t blocker;       /* the word of the holder that is in the way */
    uint64_t next;          /* position to try; private, as the hint of this end is not */
    uint64_t published;     /* what we last stored as a hint */
    uint64_t ready;         /* positions below are known to be READY for this end */
    uint64_t name;          /* our generation and seat, where they stand in a word */
    uint64_t held_word;     /* the word of the slot that we hold */
    uint64_t held_position; /* its position */
    int claimed;            /* 1: we hold a slot */
    uint64_t bytes;
    struct ipc_mpmc_shared *ring;
    struct ipc_ring_seat_ *seat; /* ours */
    uint64_t *end; /* ring->end[...], if this end is for one process at a time; or NULL */
    uint64_t id;
    int (*alive)(void *, uint64_t); /* of struct ipc_peer */
    void *arg;
    uint32_t how;
    int idle;             /* the last look found nothing */
    uint64_t misses;      /* calls that found nothing, since the last recovery */
    unsigned pauses;      /* ck_pr_stall()s before the next look */
    unsigned holders_met; /* slots of late holders that we came by */
    unsigned contended;   /* hints to publish at once, since others were first */
    int error;            /* sticks */
    struct ipc_ring_self_ self;
    struct ipc_ring_seat_ *seats;
    unsigned seats_count;
    IPC_RING_APART_(after);
};

struct ipc_mpmc_producer {
    struct ipc_mpmc m;
    struct ipc_ring_trials_ trials;
    IPC_RING_APART_(after);
};

struct ipc_mpmc_consumer {
    struct ipc_mpmc m;
    uint64_t again_seen; /* ring->again when we looked for it */
};

/* Is the handle this process's own, also after a fork? Else m->error says why not. */
IPC_FORCE_INLINE int ipc_mpmc_is_ours_(struct ipc_mpmc *m)
{
    return CK_CC_LIKELY(!ipc_ring_is_forked_(&m->self)) || ipc_ring_settle_(&m->self, m) >= 0;
}

/* The word that says FREE in the lap of a position. */
IPC_FORCE_INLINE uint64_t ipc_mpmc_free_word_(const struct ipc_mpmc *m, uint64_t position)
{
    return (position >> m->shift) * IPC_MPMC_LAP_;
}

/* The position of that word, which is of the same slot as position p: near p, as laps may wrap. */
IPC_INLINE uint64_t ipc_mpmc_position_of_(const struct ipc_mpmc *m, uint64_t p, uint64_t word)
{
    int64_t ahead = (int64_t)((word & ~(IPC_MPMC_LAP_ - 1)) - ipc_mpmc_free_word_(m, p));

    return p + ((uint64_t)(ahead / (int64_t)IPC_MPMC_LAP_) << m->shift);
}

IPC_FORCE_INLINE unsigned char *ipc_mpmc_slot_(const struct ipc_mpmc *m, uint64_t position,
                                               size_t stride)
{
    return ipc_ring_slot_(m->slots, m->mask, position, stride);
}

IPC_FORCE_INLINE uint64_t *ipc_mpmc_word_(const struct ipc_mpmc *m, uint64_t position,
                                          size_t stride)
{
    return ipc_ring_sequence_(ipc_mpmc_slot_(m, position, stride), stride);
}

/* Where the message of that slot is: a short one beside the word, see ipc_mpmc_push_short_. */
IPC_FORCE_INLINE unsigned char *ipc_mpmc_message_(const struct ipc_mpmc *m, uint64_t position,
                                                  size_t bytes)
{
    size_t stride = ipc_ring_line_stride_(bytes);

    return ipc_mpmc_slot_(m, position, stride) +
           (bytes <= IPC_MPMC_SHORT_ ? stride - sizeof(uint64_t) - IPC_MPMC_SHORT_ : 0);
}

/* What the word of a slot tells a handle: see the second table at the top of this file. */
enum ipc_mpmc_verdict_ {
    IPC_MPMC_READY_,     /* nobody holds the slot, and it is what this end looks for */
    IPC_MPMC_DONE_,      /* others were here: move on */
    IPC_MPMC_BLOCKED_,   /* a holder is in the way; it may be passed over */
    IPC_MPMC_SKIPPED_,   /* a holder was passed over: the producer stamps this lap and moves on */
    IPC_MPMC_NOT_YET_,   /* the other end has to act first: the ring is full, or empty */
    IPC_MPMC_IMPOSSIBLE_ /* no slot can say this here, unless what we read is old */
};

/* What a producer at that position does about the word. */
IPC_FORCE_INLINE enum ipc_mpmc_verdict_
ipc_mpmc_judge_for_producer_(const struct ipc_mpmc *m, uint64_t position, uint64_t word)
{
    uint64_t lap = ipc_mpmc_free_word_(m, position);
    int64_t ahead = (int64_t)((word & ~(IPC_MPMC_LAP_ - 1)) - lap);

    if (word == lap)
        return IPC_MPMC_READY_;
    if (ahead >= 0)
        return IPC_MPMC_DONE_;
    if (ahead != -(int64_t)IPC_MPMC_LAP_)
        return IPC_MPMC_IMPOSSIBLE_;
    switch (ipc_mpmc_state_(word)) {
    case IPC_MPMC_WRITING_:
    case IPC_MPMC_READING_:
        return IPC_MPMC_BLOCKED_;
    case IPC_MPMC_LATE_WRITER_:
    case IPC_MPMC_LATE_READER_:
        return IPC_MPMC_SKIPPED_;
    case IPC_MPMC_FREE_:
        return IPC_MPMC_IMPOSSIBLE_;
    default:
        return IPC_MPMC_NOT_YET_;
    }
}

/* What a consumer at that position does about the word. */
IPC_FORCE_INLINE enum ipc_mpmc_verdict_
ipc_mpmc_judge_for_consumer_(const struct ipc_mpmc *m, uint64_t position, uint64_t word)
{
    int64_t ahead = (int64_t)((word & ~(IPC_MPMC_LAP_ - 1)) - ipc_mpmc_free_word_(m, position));
    unsigned state = ipc_mpmc_state_(word);

    if (ahead == 0 && (state == IPC_MPMC_FULL_ || state == IPC_MPMC_AGAIN_))
        return IPC_MPMC_READY_;
    if (ahead > 0)
        return IPC_MPMC_DONE_;
    if (ahead == 0 && state == IPC_MPMC_FREE_)
        return IPC_MPMC_NOT_YET_;
    if (ahead == 0)
        return state == IPC_MPMC_WRITING_ ? IPC_MPMC_BLOCKED_ : IPC_MPMC_DONE_;
    if (ahead != -(int64_t)IPC_MPMC_LAP_)
        return IPC_MPMC_IMPOSSIBLE_;
    switch (state) {
    case IPC_MPMC_AGAIN_:
        return IPC_MPMC_READY_;
    case IPC_MPMC_READING_:
    case IPC_MPMC_LATE_WRITER_:
    case IPC_MPMC_LATE_READER_:
        return IPC_MPMC_NOT_YET_;
    default:
        return IPC_MPMC_IMPOSSIBLE_;
    }
}

/* A search for a slot of this end, by one call. All that it looks at counts, so that the call ends
 * whatever memory says. */
struct ipc_mpmc_search_ {
    uint64_t looks_left; /* at slots */
    uint64_t ready_at;   /* where it saw a slot that is READY, if that is beyond its position */
    unsigned passed;     /* holders that it has passed over */
};

IPC_INLINE struct ipc_mpmc_search_ ipc_mpmc_search_from_(const struct ipc_mpmc *m)
{
    struct ipc_mpmc_search_ search;

    search.looks_left = 2 * m->mask + 4096;
    search.ready_at = m->next;
    search.passed = 0;
    return search;
}

IPC_FORCE_INLINE enum ipc_mpmc_verdict_ ipc_mpmc_judge_(const struct ipc_mpmc *m, uint64_t position,
                                                        uint64_t word, int producer)
{
    return producer ? ipc_mpmc_judge_for_producer_(m, position, word)
                    : ipc_mpmc_judge_for_consumer_(m, position, word);
}

/* Is there a slot that is READY for this end behind the holder at p, within a lap? Skips what
 * others hold or are done with, as ipc_mpmc_find_next_ and ipc_mpmc_claim_run_ would. */
IPC_INLINE int ipc_mpmc_is_work_behind_(const struct ipc_mpmc *m, uint64_t p, uint64_t word,
                                        size_t stride, int producer,
                                        struct ipc_mpmc_search_ *search)
{
    uint64_t end = p + m->mask + 1;
    enum ipc_mpmc_verdict_ verdict;

    if ((int64_t)(search->ready_at - p) > 0 &&
        ipc_mpmc_judge_(m, search->ready_at,
                        ck_pr_load_64(ipc_mpmc_word_(m, search->ready_at, stride)),
                        producer) == IPC_MPMC_READY_)
        return 1;
    for (p += ipc_mpmc_positions_of_(word); (int64_t)(end - p) > 0;
         p += ipc_mpmc_positions_of_(word)) {
        search->looks_left -= search->looks_left > 0;
        word = ck_pr_load_64(ipc_mpmc_word_(m, p, stride));
        verdict = ipc_mpmc_judge_(m, p, word, producer);
        if (verdict == IPC_MPMC_READY_) {
            search->ready_at = p;
            return 1;
        }
        if (verdict == IPC_MPMC_NOT_YET_ || verdict == IPC_MPMC_IMPOSSIBLE_)
            return 0;
    }
    return 0;
}

/* ------------------------------------------------------------------ slow holders, dead holders */

/* The seat that a word names. A word that is corrupt may name any. */
IPC_INLINE struct ipc_ring_seat_ *ipc_mpmc_seat_of_(const struct ipc_mpmc *m, uint64_t word)
{
    uint64_t seat = word / IPC_MPMC_NAME_ % IPC_RING_SEATS_MAX;

    return &m->seats[seat < m->seats_count ? seat : 0];
}

/* Is the process named in this word dead? The word was read before the call. */
IPC_INLINE int ipc_mpmc_is_holder_dead_(struct ipc_mpmc *m, uint64_t word)
{
    const struct ipc_ring_seat_ *seat = ipc_mpmc_seat_of_(m, word);
    uint64_t generation;

    /* Without it the seat could be older than the word. Partner: in ipc_mpmc_take_seat_. The seat
     * may be newer than the word: then it says that the named process has left, or, for a moment,
     * that a successor is the one that the word names. */
    ck_pr_fence_load();
    generation = ck_pr_load_64(&seat->generation);
    if (generation % 256 != word / IPC_MPMC_NAME_ / IPC_RING_SEATS_MAX % 256)
        return 1; /* another process has the seat now */
    return ipc_ring_is_named_dead_(m->alive, m->arg, seat);
}

/* Frees a slot or run that we hold, for the lap after the last that was stamped on it. Gives up
 * where only hostile memory can keep it: the slot then stays out of use. */
IPC_INLINE void ipc_mpmc_free_own_(struct ipc_mpmc *m, uint64_t position, unsigned run,
                                   size_t stride)
{
    uint64_t *at = ipc_mpmc_word_(m, position, stride), word, lap;
    unsigned tries, i;

    /* The swap fails if a producer has stamped the word meanwhile, which happens once a lap. */
    for (tries = 0; tries < 2 * IPC_MPMC_TRIES_; tries++) {
        word = ck_pr_load_64(at);
        lap = word / IPC_MPMC_LAP_;
        position = (lap << m->shift) + (position & m->mask);
        for (i = 1; i < run; i++)
            ck_pr_store_64(ipc_mpmc_word_(m, position + i, stride),
                           ipc_mpmc_free_word_(m, position + i) + IPC_MPMC_LAP_);
        /* Without it a producer could write while we read, or find the rest of the run as it was.
         * Partner: the acquire fence in ipc_mpmc_claim_run_. */
        ck_pr_fence_release();
        if (ck_pr_cas_64(at, word, (lap + 1) * IPC_MPMC_LAP_))
            return;
    }
}

/* Frees what the dead holder that the word names had. Returns 1 when something changed. */
IPC_INLINE int ipc_mpmc_free_dead_holder_(struct ipc_mpmc *m, uint64_t position, uint64_t word,
                                          size_t stride)
{
    uint64_t *at = ipc_mpmc_word_(m, position, stride), lap = word & ~(IPC_MPMC_LAP_ - 1), then;
    unsigned state = ipc_mpmc_state_(word), run = ipc_mpmc_run_length_(word);
    int read = state == IPC_MPMC_READING_ || state == IPC_MPMC_LATE_READER_;
    uint64_t *count = read ? &m->ring->lost : &m->ring->aborted;

    if (read && run == 1 && (m->how & IPC_MPMC_AT_LEAST_ONCE) != 0) {
        then = lap + IPC_MPMC_AGAIN_;
        count = &m->ring->again;
    } else if (run == 1) {
        then = lap + IPC_MPMC_LAP_;
    } else {
        then = lap + m->name + (run - 1) * IPC_MPMC_RUN_ + IPC_MPMC_LATE_WRITER_;
    }
    /* Without it the next holder could write while the dead one, as the kernel orders it, still
     * reads or writes. Partners: the fences after a claim and a take. */
    ck_pr_fence_release();
    if (!ck_pr_cas_64(at, word, then))
        return 0;
    /* Without it, where stores come out of order, the count could be seen before AGAIN, and no
     * consumer would look for the message any more. Partner: in ipc_mpmc_find_message_. */
    ck_pr_fence_release();
    (void)ck_pr_faa_64(count, run);
    if (ipc_mpmc_state_(then) == IPC_MPMC_LATE_WRITER_)
        ipc_mpmc_free_own_(m, position, run, stride);
    return 1;
}

/* Looks at every slot and frees what dead processes, or only the process `id`, have left. Returns
 * how many slots or runs. */
IPC_INLINE int64_t ipc_mpmc_recover_(struct ipc_mpmc *m, uint64_t id)
{
    size_t stride = ipc_ring_line_stride_((size_t)m->bytes);
    int64_t found = 0;
    uint64_t i;

    for (i = 0; m->ring != NULL && i <= m->mask; i++) {
        uint64_t word = ck_pr_load_64(ipc_mpmc_word_(m, i, stride));
        unsigned state = ipc_mpmc_state_(word);

        if (state == IPC_MPMC_FREE_ || state == IPC_MPMC_FULL_ || state >= IPC_MPMC_AGAIN_ ||
            (id != 0 && ck_pr_load_64(&ipc_mpmc_seat_of_(m, word)->id) != id) ||
            !ipc_mpmc_is_holder_dead_(m, word))
            continue;
        found += ipc_mpmc_free_dead_holder_(m, i, word, stride);
    }
    return found;
}

/* As ipc_mpmc_producer_recover. A child of a fork may not free a run by the name of its parent: if it
 * were killed in there, that run would be out of use for as long as its parent lives. */
IPC_INLINE int64_t ipc_mpmc_recover_if_ours_(struct ipc_mpmc *m, uint64_t id)
{
    if (!ipc_mpmc_is_ours_(m) || m->error == -ECHILD)
        return m->error;
    return ipc_mpmc_recover_(m, id);
}

/* A holder is in the way: counts a look at it. Is it to be passed over now? If not, pauses. A call
 * waits for one holder only, so that many in a row do not add up. It passes over no more holders
 * than there can be, unless memory is hostile. */
IPC_INLINE int ipc_mpmc_look_again_(struct ipc_mpmc *m, uint64_t word,
                                    struct ipc_mpmc_search_ *search)
{
    if (word != m->blocker) {
        m->blocker = word;
        m->looks = search->passed > 0 ? IPC_MPMC_LOOKS_ : 0;
    }
    if (search->passed == 2 * m->seats_count)
        search->looks_left = 0;
    if (m->looks == IPC_MPMC_LOOKS_)
        return search->passed++ < 2 * m->seats_count;
    m->looks++;
    ck_pr_stall();
    return 0;
}

/* Frees the slot if its holder is dead; else leaves it out of this lap. */
IPC_INLINE void ipc_mpmc_pass_over_(struct ipc_mpmc *m, uint64_t position, uint64_t word,
                                    size_t stride)
{
    uint64_t to = word + (IPC_MPMC_LATE_WRITER_ - IPC_MPMC_WRITING_);

    if (ipc_mpmc_state_(word) == IPC_MPMC_READING_)
        to = word + IPC_MPMC_LAP_ + (IPC_MPMC_LATE_READER_ - IPC_MPMC_READING_);
    if (ipc_mpmc_is_holder_dead_(m, word))
        (void)ipc_mpmc_free_dead_holder_(m, position, word, stride);
    else
        (void)ck_pr_cas_64(ipc_mpmc_word_(m, position, stride), word, to);
}

/* Moves m->next to the hint, if that is further. */
IPC_INLINE void ipc_mpmc_go_to_hint_(struct ipc_mpmc *m, const uint64_t *hint)
{
    uint64_t there = ck_pr_load_64(hint);

    if ((int64_t)(there - m->next) > 0)
        m->next = there;
}

/* Others were first at position p, as its word says: moves m->next on. If the word is laps ahead,
 * producers have left this slot behind in the lap before that one, and consumers are at most one
 * lap behind the producers. The first time in a call, the hint may be further still. */
IPC_INLINE void ipc_mpmc_move_on_(struct ipc_mpmc *m, uint64_t p, uint64_t word,
                                  const uint64_t *hint, int *asked)
{
    uint64_t laps = (word - ipc_mpmc_free_word_(m, p)) / IPC_MPMC_LAP_;

    m->next = p + (laps > 2 ? (laps - 2) << m->shift : 0) + ipc_mpmc_positions_of_(word);
    if (!*asked) {
        *asked = 1;
        m->contended = 64;
        ipc_mpmc_go_to_hint_(m, hint);
    }
    /* Without it the slots that we come to could be older than the word or hint that sent us there,
     * and look corrupt. Partners: the release fences before a hint is stored and before a slot is
     * FREE. */
    ck_pr_fence_load();
}

/* Publishes as a hint how far we are: each time while others contend for this end, else once every
 * IPC_MPMC_PUBLISH_ positions. */
IPC_FORCE_INLINE void ipc_mpmc_publish_hint_(struct ipc_mpmc *m, uint64_t *hint)
{
    if (m->contended > 0 || m->next - m->published >= IPC_MPMC_PUBLISH_) {
        m->contended -= m->contended > 0;
        m->published = m->next;
        ck_pr_fence_release(); /* partner: in ipc_mpmc_move_on_ */
        ck_pr_store_64(hint, m->next);
    }
}

/* ------------------------------------------------------------------ looking ahead */

IPC_FORCE_INLINE void ipc_mpmc_prefetch_(const struct ipc_mpmc *m, uint64_t position, size_t stride)
{
    size_t i;

    for (i = 0; i < stride; i += IPC_RING_LINE)
        ck_pr_rfo(ipc_mpmc_slot_(m, position, stride) + i);
}

/* How many slots from that position on are in the state that this end waits for, at least; 0: that
 * one is not. */
IPC_FORCE_INLINE unsigned ipc_mpmc_count_ready_(const struct ipc_mpmc *m, uint64_t position,
                                                size_t stride, uint64_t state)
{
    uint64_t word = ck_pr_load_64(ipc_mpmc_word_(m, position, stride));

    return (word & ~IPC_MPMC_RUN_MASK_) == ipc_mpmc_free_word_(m, position) + state
               ? ipc_mpmc_run_length_(word)
               : 0;
}

/* The known run is used up: looks how far the slots from m->next on are in the state that this end
 * waits for, as ipc_spsc_look_ahead_ does, and asks for their lines with write intent. It does not
 * ask for lines beyond: the other end works on those, or will before we get there. */
IPC_INLINE void ipc_mpmc_look_ahead_(struct ipc_mpmc *m, size_t stride, uint64_t state)
{
    uint64_t ahead = m->mask + 1 < IPC_RING_AHEAD_ ? m->mask + 1 : IPC_RING_AHEAD_, i;
    unsigned run = ipc_mpmc_count_ready_(m, m->next, stride, state);

    if (m->idle) {
        m->idle = 0; /* likely a lone message or run: touch no other line */
        ahead = run + (run == 0);
    } else if (!ipc_mpmc_count_ready_(m, m->next + ahead - 1, stride, state)) {
        ipc_ring_hold_back_(m->pauses);
        while (ahead > run && !ipc_mpmc_count_ready_(m, m->next + ahead - 1, stride, state))
            ahead /= 2;
        ahead = ahead > run ? ahead : run + (run == 0);
        ipc_ring_adapt_pauses_(&m->pauses, ahead != 1, IPC_RING_PAUSES_);
    }
    m->ready = m->next + ahead;
    for (i = 0; i < ahead && i < IPC_MPMC_PREFETCH_; i++)
        ipc_mpmc_prefetch_(m, m->next + i, stride);
}

/* Before an operation at position p: looks ahead if p is not known to be ready, else prefetches. */
IPC_FORCE_INLINE void ipc_mpmc_prepare_(struct ipc_mpmc *m, uint64_t p, size_t stride,
                                        uint64_t state)
{
    if (CK_CC_UNLIKELY((int64_t)(p - m->ready) >= 0))
        ipc_mpmc_look_ahead_(m, stride, state);
    else if ((int64_t)(m->ready - p) > (int64_t)IPC_MPMC_PREFETCH_)
        ipc_mpmc_prefetch_(m, p + IPC_MPMC_PREFETCH_, stride);
}

/* There is nothing to do at this end. Now and then, for a small part of the time that such calls
 * take, frees what dead processes have left where nobody comes by. Returns rc. */
IPC_INLINE int ipc_mpmc_found_nothing_(struct ipc_mpmc *m, int rc)
{
    m->idle = 1;
    m->pauses = 0;
    m->ready = m->next;
    if (rc == -EAGAIN && ++m->misses > 16 * (m->mask + 256)) {
        m->misses = 0;
        (void)ipc_mpmc_recover_(m, 0);
    }
    return rc;
}

/* Sends a message of up to 8 bytes at the next position, if that is free, by one compare-and-swap
 * of the message and its word: nobody ever holds the slot. For longer messages, and on other
 * processors, claim and commit take one each. 0: the slot is not free, or another producer was
 * first. */
IPC_FORCE_INLINE int ipc_mpmc_push_short_(struct ipc_mpmc *m, const void *message, size_t bytes)
{
#if defined(__x86_64__) && defined(CK_F_PR_CAS_64_2)
    size_t stride = ipc_ring_line_stride_(bytes);
    uint64_t p = m->next, *word = ipc_mpmc_word_(m, p, stride), from[2], to[2] = {0, 0};

    if (bytes > IPC_MPMC_SHORT_ || CK_CC_UNLIKELY((m->error | m->claimed) != 0))
        return 0;
    ipc_mpmc_prepare_(m, p, stride, IPC_MPMC_FREE_);
    from[0] = ck_pr_load_64(word - 1);
    from[1] = ipc_mpmc_free_word_(m, p);
    memcpy(to, message, bytes < sizeof *to ? bytes : sizeof *to); /* as gcc looks ahead of the check */
    to[1] = from[1] + IPC_MPMC_FULL_;
    if (CK_CC_UNLIKELY(ck_pr_load_64(word) != from[1] || !ck_pr_cas_64_2(word - 1, from, to)))
        return 0;
    m->next = p + 1;
    ipc_mpmc_publish_hint_(m, &m->ring->tail);
    return 1;
#else
    (void)m, (void)message, (void)bytes;
    return 0;
#endif
}

/* ------------------------------------------------------------------ what an end can tell */

/* How many positions are between two hints, at least 0 and at most the capacity. */
IPC_INLINE uint64_t ipc_mpmc_was_size_(const struct ipc_mpmc *m, uint64_t tail, uint64_t head)
{
    int64_t size = (int64_t)(tail - head);

    if (size < 0)
        return 0;
    return (uint64_t)size < m->mask + 1 ? (uint64_t)size : m->mask + 1;
}

/* The further of a hint and the position that a handle at that end has come to. */
IPC_INLINE uint64_t ipc_mpmc_further_(const struct ipc_mpmc *m, const uint64_t *hint)
{
    uint64_t there = ck_pr_load_64(hint);

    return (int64_t)(there - m->next) > 0 ? there : m->next;
}

IPC_INLINE struct ipc_mpmc_losses ipc_mpmc_losses_(const struct ipc_mpmc *m)
{
    struct ipc_mpmc_losses l = {0, 0, 0};

    if (m->ring != NULL) {
        l.aborted = ck_pr_load_64(&m->ring->aborted);
        l.lost = ck_pr_load_64(&m->ring->lost);
        l.again = ck_pr_load_64(&m->ring->again);
    }
    return l;
}

/* Copies a message into the slot of a position, which is ours. */
IPC_FORCE_INLINE void ipc_mpmc_put_(struct ipc_mpmc_producer *h, uint64_t position,
                                    const void *message, size_t bytes)
{
    ipc_ring_put_words_(&h->trials, ipc_mpmc_message_(&h->m, position, bytes), message, bytes);
}

/* Copies a run of messages into the slots from p on, which are ours, with one fence for all. Those
 * of a late consumer, if it is still reading, were taken by compare-and-swap since: its own fails. */
IPC_FORCE_INLINE void ipc_mpmc_put_run_(struct ipc_mpmc_producer *h, uint64_t p,
                                        const unsigned char *from, size_t bytes, unsigned run)
{
    size_t stride = ipc_ring_line_stride_(bytes);
    struct ipc_mpmc *m = &h->m;
    int due = 0;

    for (; run > 0; run--, p++, from += bytes) {
        if ((int64_t)(m->ready - p) > (int64_t)IPC_MPMC_PREFETCH_ &&
            (!IPC_RING_IS_PUT_OFF_(bytes) || h->trials.way != IPC_RING_PAST_))
            ipc_mpmc_prefetch_(m, p + IPC_MPMC_PREFETCH_, stride);
        if (!IPC_RING_IS_PUT_OFF_(bytes))
            ipc_mpmc_put_(h, p, from, bytes);
        else
            due |= ipc_ring_copy_unsettled_(&h->trials, ipc_mpmc_slot_(m, p, stride), from, bytes);
    }
    if (due)
        ipc_ring_settle_copies_();
}

#endif

/* >>mpmc  src/ring/mpmc.h */
/* MPMC, MPSC, SPMC: the calls. The word of a slot, on which all of this rests: mpmc_slot.h. */
#ifndef IPC_SRC_RING_MPMC_H
#define IPC_SRC_RING_MPMC_H 1

/* ------------------------------------------------------------------ the producers' path */

/* Claims the next position, and as many of the n - 1 behind it as are free. Returns how many,
 * beginning at m->next, or -EAGAIN or -EBADMSG. */
IPC_INLINE int ipc_mpmc_claim_run_(struct ipc_mpmc *m, size_t stride, unsigned n)
{
    struct ipc_mpmc_search_ search = ipc_mpmc_search_from_(m);
    int asked = 0, impossible = 0;

    if (m->error != 0)
        return m->error;
    for (; search.looks_left > 0; search.looks_left -= search.looks_left > 0) {
        uint64_t p = m->next, lap = ipc_mpmc_free_word_(m, p), *at = ipc_mpmc_word_(m, p, stride);
        uint64_t word = ck_pr_load_64(at);
        unsigned run = 1;

        switch (ipc_mpmc_judge_for_producer_(m, p, word)) {
        case IPC_MPMC_READY_:
            while (run < n && ck_pr_load_64(ipc_mpmc_word_(m, p + run, stride)) ==
                                  ipc_mpmc_free_word_(m, p + run))
                run++;
            if (ck_pr_cas_64(at, word,
                             lap + m->name + (run - 1) * IPC_MPMC_RUN_ + IPC_MPMC_WRITING_)) {
                /* Without it we could write while the consumer of the lap before still reads.
                 * Partners: the release fences before a slot becomes FREE. */
                ck_pr_fence_acquire();
                return (int)run;
            }
            break;
        case IPC_MPMC_DONE_:
            ipc_mpmc_move_on_(m, p, word, &m->ring->tail, &asked);
            break;
        case IPC_MPMC_BLOCKED_:
            if (!ipc_mpmc_is_work_behind_(m, p, word, stride, 1, &search))
                return -EAGAIN;
            if (ipc_mpmc_look_again_(m, word, &search))
                ipc_mpmc_pass_over_(m, p, word, stride);
            break;
        case IPC_MPMC_SKIPPED_:
            m->holders_met++;
            if (m->holders_met % IPC_MPMC_ASK_AFTER_ == 0 && ipc_mpmc_is_holder_dead_(m, word)) {
                (void)ipc_mpmc_free_dead_holder_(m, p, word, stride);
                break;
            }
            /* The stamp comes before anyone moves on: its holder frees it for the lap after. */
            (void)ck_pr_cas_64(at, word, word + IPC_MPMC_LAP_);
            break;
        case IPC_MPMC_NOT_YET_:
            return -EAGAIN;
        case IPC_MPMC_IMPOSSIBLE_:
            if (impossible++ == IPC_MPMC_IMPOSSIBLE_LOOKS_)
                return m->error = -EBADMSG;
            ck_pr_stall();
            ipc_mpmc_go_to_hint_(m, &m->ring->tail);
        }
    }
    return -EAGAIN;
}

/* Ends our hold of a run at p, by the state that we have had it in: the word of slot p + i becomes
 * its FREE word plus `to` less i times `step`. 0, or -ESTALE: the run was passed over, and is free
 * again. */
IPC_FORCE_INLINE int ipc_mpmc_end_run_(struct ipc_mpmc *m, uint64_t p, unsigned run, size_t stride,
                                       uint64_t state, uint64_t to, uint64_t step)
{
    uint64_t lap = ipc_mpmc_free_word_(m, p);
    unsigned i;

    /* Without it the payload could be older than a FULL further on in the run, to which a hint may
     * send a consumer; or a producer could write while we read. Partners: the load fence in
     * ipc_mpmc_pop_, the acquire fence in ipc_mpmc_claim_run_. */
    ck_pr_fence_release();
    for (i = 1; i < run; i++) /* nobody looks at these before the first has changed */
        ck_pr_store_64(ipc_mpmc_word_(m, p + i, stride),
                       ipc_mpmc_free_word_(m, p + i) + to - i * step);
    /* Without it, where stores come out of order, the first slot's word could be seen before the
     * others'. The next holder of the run could be done with those before ours arrive. Partners:
     * the load fence in ipc_mpmc_take_run_, and ipc_mpmc_move_on_. */
    ck_pr_fence_release();
    if (ck_pr_cas_64(ipc_mpmc_word_(m, p, stride),
                     lap + m->name + (run - 1) * IPC_MPMC_RUN_ + state, lap + to))
        return 0;
    ipc_mpmc_free_own_(m, p, run, stride);
    return -ESTALE;
}

/* Claims a position for one message, mostly the next. 0, the errors of ipc_mpmc_claim_run_, or
 * -EBUSY: the handle has a claimed slot. The only producer has no rival: its slot stays FREE until
 * the message is there. */
IPC_FORCE_INLINE int ipc_mpmc_claim_one_(struct ipc_mpmc *m, size_t stride, uint32_t how,
                                         uint64_t *claimed)
{
    uint64_t p = m->next, lap = ipc_mpmc_free_word_(m, p), *at = ipc_mpmc_word_(m, p, stride);
    int rc;

    if (CK_CC_UNLIKELY((m->error | m->claimed) != 0))
        return m->error != 0 ? m->error : -EBUSY;
    if (stride <= IPC_RING_PREFETCH_)
        ipc_mpmc_prepare_(m, p, stride, IPC_MPMC_FREE_);
    if (CK_CC_LIKELY(ck_pr_load_64(at) == lap)) {
        *claimed = lap;
        if ((how & IPC_MPMC_ONE_PRODUCER) == 0)
            *claimed += m->name + IPC_MPMC_WRITING_;
        if ((how & IPC_MPMC_ONE_PRODUCER) != 0 || CK_CC_LIKELY(ck_pr_cas_64(at, lap, *claimed))) {
            ck_pr_fence_acquire(); /* as in ipc_mpmc_claim_run_ */
            return 0;
        }
    }
    rc = ipc_mpmc_claim_run_(m, stride, 1);
    *claimed = ipc_mpmc_free_word_(m, m->next) + m->name + IPC_MPMC_WRITING_;
    return rc < 0 ? ipc_mpmc_found_nothing_(m, rc) : 0;
}

/* Commits the one slot that was claimed. 0, or -ESTALE: it was passed over. */
IPC_FORCE_INLINE int ipc_mpmc_commit_one_(struct ipc_mpmc *m, uint64_t p, uint64_t claimed,
                                          size_t stride)
{
    uint64_t *at = ipc_mpmc_word_(m, p, stride), full = ipc_mpmc_free_word_(m, p) + IPC_MPMC_FULL_;

    /* Without it FULL could be seen before the payload. Partner: the load fence in ipc_mpmc_pop_.
     */
    ck_pr_fence_release();
    if (ipc_mpmc_state_(claimed) == IPC_MPMC_FREE_)
        ck_pr_store_64(at, full); /* one producer: nobody changes what is FREE */
    else if (CK_CC_UNLIKELY(!ck_pr_cas_64(at, claimed, full)))
        return -ESTALE;
    return 0;
}

/* Sends the claimed slot. As ipc_mpmc_commit. */
IPC_FORCE_INLINE int ipc_mpmc_commit_(struct ipc_mpmc_producer *h, size_t bytes)
{
    size_t stride = ipc_ring_line_stride_(bytes);
    struct ipc_mpmc *m = &h->m;
    uint64_t from, to, word;
    unsigned tries = 0;
    size_t i;

    if (!ipc_mpmc_is_ours_(m))
        return m->error;
    if (m->claimed == 0)
        return -EINVAL;
    while (CK_CC_UNLIKELY(ipc_mpmc_commit_one_(m, m->held_position, m->held_word, stride) != 0)) {
        /* Passed over: the message moves to the position that is next now. */
        int rc = tries++ < IPC_MPMC_TRIES_ ? ipc_mpmc_claim_run_(m, stride, 1) : -EAGAIN;

        if (rc < 0)
            return rc;
        word = ipc_mpmc_free_word_(m, m->next) + m->name + IPC_MPMC_WRITING_;
        from = m->held_position;
        to = m->next++;
        for (i = 0; i < stride - sizeof word; i += sizeof word)
            ck_pr_store_64(
                (uint64_t *)(void *)(ipc_mpmc_slot_(m, to, stride) + i),
                ck_pr_load_64((const uint64_t *)(void *)(ipc_mpmc_slot_(m, from, stride) + i)));
        ipc_mpmc_free_own_(m, from, 1, stride);
        m->held_position = to;
        m->held_word = word;
    }
    if (ipc_mpmc_state_(m->held_word) == IPC_MPMC_FREE_)
        m->next++;
    ipc_mpmc_publish_hint_(m, &m->ring->tail);
    m->claimed = 0;
    return 0;
}

/* Sends a message in the slot that is claimed. 0, or the errors of ipc_mpmc_commit. */
IPC_INLINE int ipc_mpmc_push_claimed_(struct ipc_mpmc_producer *h, const void *message,
                                      size_t bytes)
{
    ipc_mpmc_put_(h, h->m.held_position, message, bytes);
    return ipc_mpmc_commit_(h, bytes);
}

IPC_FORCE_INLINE int ipc_mpmc_push_(struct ipc_mpmc_producer *h, const void *message, size_t bytes,
                                    uint32_t how)
{
    struct ipc_mpmc *m = &h->m;
    size_t stride = ipc_ring_line_stride_(bytes);
    uint64_t p, claimed;
    unsigned tries;

    if (!ipc_mpmc_is_ours_(m))
        return m->error;
    if ((how & IPC_MPMC_ONE_PRODUCER) == 0 && ipc_mpmc_push_short_(m, message, bytes))
        return 0;
    for (tries = 0; tries < IPC_MPMC_TRIES_; tries++) {
        int rc = ipc_mpmc_claim_one_(m, stride, how, &claimed);

        if (CK_CC_UNLIKELY(rc != 0))
            return rc == -EBUSY ? ipc_mpmc_push_claimed_(h, message, bytes) : rc;
        p = m->next;
        m->next = p + 1;
        if ((how & IPC_MPMC_ONE_PRODUCER) == 0)
            ipc_mpmc_publish_hint_(m, &m->ring->tail);
        ipc_mpmc_put_(h, p, message, bytes);
        if (CK_CC_LIKELY(ipc_mpmc_commit_one_(m, p, claimed, stride) == 0)) {
            if ((how & IPC_MPMC_ONE_PRODUCER) != 0) /* not earlier: a successor begins there */
                ipc_mpmc_publish_hint_(m, &m->ring->tail);
            return 0;
        }
        ipc_mpmc_free_own_(m, p, 1, stride);
    }
    return -EAGAIN;
}

/* A run is claimed and published by one compare-and-swap each. */
IPC_FORCE_INLINE int64_t ipc_mpmc_push_n_(struct ipc_mpmc_producer *h, const void *messages,
                                          size_t n, size_t bytes)
{
    struct ipc_mpmc *m = &h->m;
    size_t stride = ipc_ring_line_stride_(bytes), done = 0;
    const unsigned char *from = (const unsigned char *)messages;
    unsigned tries = 0;

    if (!ipc_mpmc_is_ours_(m))
        return m->error;
    if (CK_CC_UNLIKELY((m->error | m->claimed) != 0) && n > 0) {
        int rc = m->error != 0 ? m->error : ipc_mpmc_push_claimed_(h, messages, bytes);

        if (rc != 0)
            return rc;
        done = 1;
    }
    while (done < n) {
        unsigned want = n - done < IPC_MPMC_RUN_MAX_ ? (unsigned)(n - done) : IPC_MPMC_RUN_MAX_;
        uint64_t p;
        int run;

        if ((int64_t)(m->next + want + IPC_MPMC_PREFETCH_ - m->ready) > 0)
            ipc_mpmc_look_ahead_(m, stride, IPC_MPMC_FREE_);
        run = ipc_mpmc_claim_run_(m, stride, want);
        p = m->next;
        if (run < 0)
            return done > 0 ? (int64_t)done : ipc_mpmc_found_nothing_(m, run);
        m->next = p + (unsigned)run;
        ipc_mpmc_publish_hint_(m, &m->ring->tail);
        ipc_mpmc_put_run_(h, p, from + done * bytes, bytes, (unsigned)run);
        if (ipc_mpmc_end_run_(m, p, (unsigned)run, stride, IPC_MPMC_WRITING_,
                              ((unsigned)run - 1) * IPC_MPMC_RUN_ + IPC_MPMC_FULL_,
                              IPC_MPMC_RUN_) == 0)
            done += (unsigned)run;
        else if (++tries == IPC_MPMC_TRIES_)
            break;
    }
    return done > 0 || n == 0 ? (int64_t)done : -EAGAIN;
}

/* The claimed slot, or NULL. */
IPC_FORCE_INLINE void *ipc_mpmc_claim_(struct ipc_mpmc_producer *h, size_t bytes, uint32_t how)
{
    size_t stride = ipc_ring_line_stride_(bytes);
    struct ipc_mpmc *m = &h->m;

    if (!ipc_mpmc_is_ours_(m))
        return NULL;
    if (m->claimed == 0) {
        if (ipc_mpmc_claim_one_(m, stride, how, &m->held_word) != 0)
            return NULL;
        m->held_position = m->next;
        m->claimed = 1;
        if (ipc_mpmc_state_(m->held_word) != IPC_MPMC_FREE_) {
            m->next++;
            ipc_mpmc_publish_hint_(m, &m->ring->tail);
        }
    }
    return ipc_mpmc_message_(m, m->held_position, bytes);
}

/* ------------------------------------------------------------------ the consumers' path */

/* Moves m->next to the next message, whose slot says *word. 0, -EAGAIN or -EBADMSG. */
IPC_INLINE int ipc_mpmc_find_next_(struct ipc_mpmc *m, size_t stride, uint64_t *word)
{
    struct ipc_mpmc_search_ search = ipc_mpmc_search_from_(m);
    int asked = 0, impossible = 0;

    if (m->error != 0)
        return m->error;
    for (; search.looks_left > 0; search.looks_left -= search.looks_left > 0) {
        uint64_t p = m->next;

        *word = ck_pr_load_64(ipc_mpmc_word_(m, p, stride));
        switch (ipc_mpmc_judge_for_consumer_(m, p, *word)) {
        case IPC_MPMC_READY_:
            return 0;
        case IPC_MPMC_BLOCKED_:
            if (!ipc_mpmc_look_again_(m, *word, &search))
                break;
            if (!ipc_mpmc_is_work_behind_(m, p, *word, stride, 0, &search))
                return -EAGAIN;
            ipc_mpmc_pass_over_(m, p, *word, stride);
            break;
        case IPC_MPMC_NOT_YET_:
            return -EAGAIN;
        case IPC_MPMC_IMPOSSIBLE_:
            if (impossible++ == IPC_MPMC_IMPOSSIBLE_LOOKS_)
                return m->error = -EBADMSG;
            ck_pr_stall();
            ipc_mpmc_go_to_hint_(m, &m->ring->head);
            break;
        default:
            ipc_mpmc_move_on_(m, p, *word, &m->ring->head, &asked);
        }
    }
    return -EAGAIN;
}

/* The next slot is not FULL: finds the oldest message, at *position with *word. Messages that were
 * handed out again lie behind us: looks at all slots once ring->again has changed. 0, -EAGAIN or
 * -EBADMSG. */
IPC_INLINE int ipc_mpmc_find_message_(struct ipc_mpmc_consumer *h, size_t stride,
                                      uint64_t *position, uint64_t *word)
{
    struct ipc_mpmc *m = &h->m;
    uint64_t again, i;
    int rc = ipc_mpmc_find_next_(m, stride, word);

    if (rc == 0) {
        *position = ipc_mpmc_position_of_(m, m->next, *word);
        return 0;
    }
    if (rc != -EAGAIN || m->error != 0) /* m->error may be -EAGAIN: attach was refused */
        return rc;
    (void)ipc_mpmc_found_nothing_(m, rc);
    again = ck_pr_load_64(&m->ring->again);
    /* Without it the slots could be older than the count, and we do not look again for the same
     * count. Partners: in ipc_mpmc_free_dead_holder_ and ipc_mpmc_consumer_detach. */
    ck_pr_fence_load();
    /* A process may have been killed before it could count: so look also after each recovery. */
    for (i = 0; (again != h->again_seen || m->misses == 0) && i <= m->mask; i++) {
        *word = ck_pr_load_64(ipc_mpmc_word_(m, i, stride));
        *position = ipc_mpmc_position_of_(m, (m->next & ~m->mask) + i, *word);
        if (ipc_mpmc_state_(*word) == IPC_MPMC_AGAIN_)
            return 0;
    }
    h->again_seen = again;
    return rc;
}

/* The slot is taken or free: moves on behind it. */
IPC_FORCE_INLINE void ipc_mpmc_advance_(struct ipc_mpmc *m, uint64_t position)
{
    if (CK_CC_LIKELY(position == m->next)) {
        m->next = position + 1;
        ipc_mpmc_publish_hint_(m, &m->ring->head);
    }
}

IPC_INLINE int ipc_mpmc_release_(struct ipc_mpmc_consumer *h, size_t bytes)
{
    struct ipc_mpmc *m = &h->m;

    if (!ipc_mpmc_is_ours_(m))
        return m->error;
    if (m->claimed == 0)
        return -EINVAL;
    ipc_mpmc_free_own_(m, m->held_position, 1, ipc_ring_line_stride_(bytes));
    if ((m->how & IPC_MPMC_ONE_CONSUMER) != 0)
        ipc_mpmc_advance_(m, m->held_position); /* not earlier: a successor begins at the hint */
    m->claimed = 0;
    return 0;
}

/* Takes the oldest message until release. NULL: there is none, or the ring is corrupt. */
IPC_FORCE_INLINE const void *ipc_mpmc_peek_(struct ipc_mpmc_consumer *h, size_t bytes, uint32_t how)
{
    size_t stride = ipc_ring_line_stride_(bytes);
    struct ipc_mpmc *m = &h->m;
    uint64_t position, word, taken;
    unsigned tries = 0;

    if (!ipc_mpmc_is_ours_(m))
        return NULL;
    while (m->claimed == 0) {
        if (tries++ == IPC_MPMC_TRIES_ || ipc_mpmc_find_message_(h, stride, &position, &word) != 0)
            return NULL;
        taken = word;
        /* The only consumer leaves it FULL until release, if its successor is to get it again. */
        if ((how & IPC_MPMC_ONE_CONSUMER) == 0 || (m->how & IPC_MPMC_AT_LEAST_ONCE) == 0) {
            taken = (word & ~(IPC_MPMC_LAP_ - 1)) + m->name + IPC_MPMC_READING_;
            if (!ck_pr_cas_64(ipc_mpmc_word_(m, position, stride), word, taken))
                continue;
            ipc_mpmc_advance_(m, position);
        }
        /* Without it the payload could be older than FULL. Partners: in ipc_mpmc_commit_one_ and
         * ipc_mpmc_end_run_. */
        ck_pr_fence_acquire();
        m->held_word = taken;
        m->held_position = position;
        m->claimed = 1;
    }
    return ipc_mpmc_message_(m, m->held_position, bytes);
}

IPC_FORCE_INLINE int ipc_mpmc_pop_(struct ipc_mpmc_consumer *h, void *message, size_t bytes,
                                   uint32_t how)
{
    struct ipc_mpmc *m = &h->m;
    size_t stride = ipc_ring_line_stride_(bytes);
    unsigned tries;

    if (!ipc_mpmc_is_ours_(m))
        return m->error;
    if (CK_CC_UNLIKELY((m->error | m->claimed) != 0)) {
        if (m->error != 0)
            return m->error;
        memcpy(message, ipc_mpmc_message_(m, m->held_position, bytes), bytes);
        return ipc_mpmc_release_(h, bytes);
    }
    for (tries = 0; tries < IPC_MPMC_TRIES_; tries++) {
        uint64_t p = m->next, word, free, *at = ipc_mpmc_word_(m, p, stride);

        ipc_mpmc_prepare_(m, p, stride, IPC_MPMC_FULL_);
        word = ck_pr_load_64(at);
        if (CK_CC_UNLIKELY((word & ~IPC_MPMC_RUN_MASK_) !=
                           ipc_mpmc_free_word_(m, p) + IPC_MPMC_FULL_)) {
            int rc = ipc_mpmc_find_message_(h, stride, &p, &word);

            if (rc != 0)
                return rc;
            at = ipc_mpmc_word_(m, p, stride);
        }
        /* Without it the payload could be older than FULL. Partners: in ipc_mpmc_commit_one_ and
         * ipc_mpmc_end_run_. */
        ck_pr_fence_load();
        ipc_ring_get_words_(message, ipc_mpmc_message_(m, p, bytes), bytes);
        /* Without it a producer could write while we read. Partner: in ipc_mpmc_claim_run_. */
        ck_pr_fence_release(); /* no twin: the models delay no load past a store */
        free = (word & ~(IPC_MPMC_LAP_ - 1)) + IPC_MPMC_LAP_;
        if ((how & IPC_MPMC_ONE_CONSUMER) != 0) /* nobody else changes what is FULL */
            ck_pr_store_64(at, free);
        else if (CK_CC_UNLIKELY(!ck_pr_cas_64(at, word, free)))
            continue; /* another consumer was first; what we copied may be torn */
        ipc_mpmc_advance_(m, p);
        return 0;
    }
    return -EAGAIN;
}

/* Copies the run of `run` messages at m->next, whose first slot has that word, and then takes it.
 * Returns 0 if another consumer was first. The word of the first frees the whole run in one step.
 */
IPC_INLINE unsigned ipc_mpmc_take_run_(struct ipc_mpmc *m, unsigned char *to, size_t bytes,
                                       uint64_t word, unsigned run)
{
    size_t stride = ipc_ring_line_stride_(bytes);
    uint64_t p = m->next, taken = ipc_mpmc_free_word_(m, p) + m->name +
                                  (run - 1) * IPC_MPMC_RUN_ + IPC_MPMC_READING_;
    unsigned i;

    ck_pr_fence_load(); /* as in ipc_mpmc_pop_ */
    for (i = 0; i < run; i++) {
        if ((int64_t)(m->ready - (p + i)) > (int64_t)IPC_MPMC_PREFETCH_)
            ipc_mpmc_prefetch_(m, p + i + IPC_MPMC_PREFETCH_, stride);
        ipc_ring_get_words_(to + i * bytes, ipc_mpmc_message_(m, p + i, bytes), bytes);
    }
    if (!ck_pr_cas_64(ipc_mpmc_word_(m, p, stride), word, taken))
        return 0;
    m->next = p + run;
    ipc_mpmc_publish_hint_(m, &m->ring->head);
    (void)ipc_mpmc_end_run_(m, p, run, stride, IPC_MPMC_READING_, IPC_MPMC_LAP_, 0);
    return run;
}

IPC_FORCE_INLINE int64_t ipc_mpmc_pop_n_(struct ipc_mpmc_consumer *h, void *messages, size_t n,
                                         size_t bytes, uint32_t how)
{
    struct ipc_mpmc *m = &h->m;
    size_t stride = ipc_ring_line_stride_(bytes), done = 0;
    unsigned char *to = (unsigned char *)messages;
    unsigned tries = 0;

    if (!ipc_mpmc_is_ours_(m))
        return m->error;
    while (done < n && tries < IPC_MPMC_TRIES_) {
        uint64_t p = m->next, word = 0;
        unsigned run = 1;
        int rc;

        if ((how & IPC_MPMC_ONE_CONSUMER) == 0 && (m->error | m->claimed) == 0) {
            if ((int64_t)(p + IPC_MPMC_RUN_MAX_ + IPC_MPMC_PREFETCH_ - m->ready) > 0)
                ipc_mpmc_look_ahead_(m, stride, IPC_MPMC_FULL_);
            word = ck_pr_load_64(ipc_mpmc_word_(m, p, stride));
            if ((word & ~IPC_MPMC_RUN_MASK_) == ipc_mpmc_free_word_(m, p) + IPC_MPMC_FULL_)
                run = ipc_mpmc_run_length_(word);
            run = run < n - done ? run : (unsigned)(n - done);
        }
        if (run > 1) {
            run = ipc_mpmc_take_run_(m, to + done * bytes, bytes, word, run);
            tries += run == 0;
            done += run;
            continue;
        }
        rc = ipc_mpmc_pop_(h, to + done * bytes, bytes, how);
        if (rc != 0)
            return done > 0 ? (int64_t)done : rc;
        done++;
    }
    return done > 0 || n == 0 ? (int64_t)done : -EAGAIN;
}

/* ------------------------------------------------------------------ many at an end: attach */

/* The bytes of a ring that is made as `how` says, or 0, as ipc_spsc_footprint; 0 also for any other
 * `how` than ipc_mpmc_init takes. */
IPC_INLINE size_t ipc_mpmc_footprint(size_t bytes, uint64_t capacity, unsigned how)
{
    struct ipc_ring_kind_ kind;

    if (!ipc_mpmc_is_valid_how_(how))
        return 0;
    kind = ipc_mpmc_kind_(bytes, how);
    return ipc_ring_footprint_(&kind, bytes, capacity);
}

/*
 * Makes an empty ring, as ipc_spsc_init. how: IPC_MPMC_AT_MOST_ONCE or IPC_MPMC_AT_LEAST_ONCE. Add
 * IPC_MPMC_ONE_PRODUCER or IPC_MPMC_ONE_CONSUMER, not both, if that end is for one at a time; and
 * IPC_MPMC_HANDLES(n) where another number of handles than 256, of both ends together, is to be
 * attached at a time. Only attach takes longer for them.
 *
 *   0
 *   -EINVAL, -ENOSPC  as of ipc_spsc_init; -EINVAL also for any other `how`
 */
IPC_INLINE int ipc_mpmc_init(void *mem, size_t size, size_t bytes, uint64_t capacity, unsigned how)
{
    struct ipc_ring_kind_ kind = ipc_mpmc_kind_(bytes, how);

    if (!ipc_mpmc_is_valid_how_(how))
        return -EINVAL;
    return ipc_ring_init_(mem, size, &kind, bytes, capacity, how);
}

/* Takes a seat: a free one, or that of a dead process. 0, or -EUSERS. */
IPC_INLINE int ipc_mpmc_take_seat_(struct ipc_mpmc *m, struct ipc_peer *me)
{
    uint64_t id = ipc_ring_id_of_(me), holder;
    unsigned i = ipc_ring_take_seat_(m->seats, m->seats_count, me, id, &holder);

    if (i == m->seats_count)
        return ipc_ring_refuse_(me, -EUSERS, "all seats of the ring are taken; of", i, i);
    m->seat = &m->seats[i];
    m->id = id;
    m->name =
        (i + ipc_ring_next_generation_(m->seat, id) % 256 * IPC_RING_SEATS_MAX) * IPC_MPMC_NAME_;
    /* Without it the seat could be older than a word with our name. Partner: in
     * ipc_mpmc_is_holder_dead_. */
    ck_pr_fence_store();
    if (holder != 0)
        (void)ipc_mpmc_recover_(m, 0); /* while the dead holder's generation is not in use again */
    return 0;
}

/* Attaches to one end: 0 the producers', 1 the consumers'. */
IPC_INLINE int ipc_mpmc_attach_(struct ipc_mpmc *m, void *mem, size_t size, size_t bytes,
                                struct ipc_peer *me, unsigned how, int end)
{
    struct ipc_mpmc_shared *r = (struct ipc_mpmc_shared *)mem;
    struct ipc_ring_kind_ kind = ipc_mpmc_kind_(bytes, IPC_MPMC_HANDLES(1));
    uint64_t capacity;
    unsigned there = 0;
    int rc = ipc_ring_check_(mem, size, &kind, bytes, me, &capacity);

    memset(m, 0, sizeof *m);
    ipc_ring_begin_self_(&m->self, NULL, NULL);
    if (rc == 0)
        there = ck_pr_load_32(&r->is.how);
    if (rc == 0 && (!ipc_mpmc_is_valid_how_(there) || (there & 254) != (how & 254)))
        rc = ipc_ring_refuse_(me, -EPROTO, "ring with other ends; kind", there & 255, how & 255);
    if (rc == 0) {
        kind = ipc_mpmc_kind_(bytes, there);
        rc = ipc_ring_check_size_(me, size, ipc_ring_footprint_(&kind, bytes, capacity), there);
    }
    if (rc != 0)
        return m->error = rc;
    m->ring = r;
    m->how = there & 255;
    m->seats = (struct ipc_ring_seat_ *)(void *)(r + 1);
    m->seats_count = ipc_ring_seats_of_(there, IPC_MPMC_SEATS);
    m->slots = (unsigned char *)mem + kind.header;
    m->mask = capacity - 1;
    for (m->shift = 0; capacity >> m->shift > 1; m->shift++)
        ;
    m->bytes = bytes;
    m->alive = me != NULL ? me->alive : NULL;
    m->arg = me != NULL ? me->arg : NULL;
    m->end =
        (how & (end ? IPC_MPMC_ONE_CONSUMER : IPC_MPMC_ONE_PRODUCER)) != 0 ? &r->end[end] : NULL;
    rc = m->end != NULL ? ipc_ring_take_end_(m->end, me, ipc_ring_id_of_(me)) : 0;
    if (rc == 0 && (rc = ipc_mpmc_take_seat_(m, me)) != 0 && m->end != NULL)
        ipc_ring_leave_end_(m->end, ipc_ring_id_of_(me));
    if (rc != 0) {
        m->ring = NULL;
        return m->error = rc;
    }
    m->error = 0;
    m->idle = 1;
    m->ready = m->published = m->next = ck_pr_load_64(end ? &r->head : &r->tail);
    ck_pr_fence_load(); /* as in ipc_mpmc_move_on_ */
    return 0;
}

IPC_INLINE void ipc_mpmc_leave_(struct ipc_mpmc *m)
{
    if (m->ring != NULL && ipc_ring_is_ours_(&m->self)) {
        ipc_ring_leave_end_(&m->seat->id, m->id);
        if (m->end != NULL)
            ipc_ring_detach_end_(m->end, m->id);
    }
    memset(m, 0, sizeof *m);
    ipc_ring_begin_self_(&m->self, NULL, NULL);
    m->error = -EINVAL;
}

/* For struct ipc_ring_self_'s renew: attaches anew. What the handle held is freed as that of any
 * dead process. */
IPC_INLINE int ipc_mpmc_renew_(struct ipc_mpmc *m, struct ipc_peer *me, int end)
{
    struct ipc_mpmc was = *m;
    size_t slots = (size_t)(was.mask + 1) * ipc_ring_line_stride_((size_t)was.bytes);
    size_t size = (size_t)(was.slots - (unsigned char *)was.ring) + slots;
    int rc;

    if (me == NULL) {
        m->ring = NULL;
        ipc_mpmc_leave_(m);
        return m->error = -ECHILD;
    }
    rc = ipc_mpmc_attach_(m, was.ring, size, (size_t)was.bytes, me, was.how, end);
    m->self = was.self;
    return rc;
}

IPC_INLINE int ipc_mpmc_producer_renew_(void *handle, struct ipc_peer *me)
{
    return ipc_mpmc_renew_((struct ipc_mpmc *)handle, me, 0);
}

IPC_INLINE int ipc_mpmc_consumer_renew_(void *handle, struct ipc_peer *me)
{
    return ipc_mpmc_renew_((struct ipc_mpmc *)handle, me, 1);
}

/* ------------------------------------------------------------------ many at an end: the calls */

/*
 * Attaches a producer. A handle is for one thread; a process may have several. `me`: as for
 * ipc_spsc_producer_attach. Lock-free; not for the path of a message.
 *
 *   0
 *   -EINVAL, -EAGAIN, -EPROTO, -EROFS
 *            as of ipc_spsc_producer_attach; -EPROTO also when the ring's ends are of another kind
 *   -EUSERS  as many handles are attached as the ring was made for (256, if nothing was said) that
 *            are not proven dead
 *   -EBUSY   the ring is for one producer at a time, and that one is not proven dead
 */
IPC_INLINE int ipc_mpmc_producer_attach(struct ipc_mpmc_producer *p, void *mem, size_t size,
                                        size_t bytes, struct ipc_peer *me, unsigned how)
{
    int rc = ipc_mpmc_attach_(&p->m, mem, size, bytes, me, how, 0);

    ipc_ring_trials_begin_(&p->trials, (p->m.mask + 1) * bytes);
    if (rc == 0)
        ipc_ring_begin_self_(&p->m.self, me, ipc_mpmc_producer_renew_);
    return rc;
}

/* Attaches a consumer; as ipc_mpmc_producer_attach. */
IPC_INLINE int ipc_mpmc_consumer_attach(struct ipc_mpmc_consumer *c, void *mem, size_t size,
                                        size_t bytes, struct ipc_peer *me, unsigned how)
{
    int rc = ipc_mpmc_attach_(&c->m, mem, size, bytes, me, how, 1);

    if (rc == 0)
        ipc_ring_begin_self_(&c->m.self, me, ipc_mpmc_consumer_renew_);
    c->again_seen = 0; /* so that we look for what was handed out again before we attached */
    return rc;
}

/*
 * Copies one message in; if a slot is claimed, into that one. Lock-free: only calls that get
 * through hold up others. Consumers and producers that are slow, stopped or dead are passed over.
 * The ring is full when the next slot that no process holds has a message: consumers take that one
 * first, so a slot behind it that was cancelled, or passed over, is of use again once they have.
 *
 *   0
 *   -EAGAIN    the ring is full, or other producers were first for laps on end
 *   -EMSGSIZE  bytes is not the ring's message size
 *   -EBADMSG   the shared memory is corrupt; sticks
 *   -EINVAL    the handle is not attached; where attach refused, the error is what attach returned
 *   -ECHILD    after fork, as of ipc_spsc_push
 */
IPC_INLINE int ipc_mpmc_push(struct ipc_mpmc_producer *p, const void *message, size_t bytes)
{
    return bytes == p->m.bytes || p->m.error != 0 ? ipc_mpmc_push_(p, message, bytes, p->m.how)
                                                  : -EMSGSIZE;
}

/* Copies up to n messages in, from an array. Up to 16 at a time become visible at once. Returns how
 * many went in, 0 for n = 0, or the errors of ipc_mpmc_push when none did. Lock-free. */
IPC_INLINE int64_t ipc_mpmc_push_n(struct ipc_mpmc_producer *p, const void *messages, size_t bytes,
                                   size_t n)
{
    return bytes == p->m.bytes || p->m.error != 0 ? ipc_mpmc_push_n_(p, messages, n, bytes)
                                                  : -EMSGSIZE;
}

/* Push without a copy: returns the slot to write to, aligned as the message needs, and the same one
 * until commit or cancel. NULL: the ring is full, or see ipc_mpmc_producer_error. A slot that is
 * held for long is passed over; then commit moves the message. Lock-free. */
IPC_INLINE void *ipc_mpmc_claim(struct ipc_mpmc_producer *p)
{
    return p->m.error == 0 ? ipc_mpmc_claim_(p, (size_t)p->m.bytes, p->m.how) : NULL;
}

/* Sends the claimed slot. Lock-free.
 *
 *   0
 *   -EINVAL   no slot is claimed
 *   -EAGAIN   the slot was passed over, and the ring is full now: it stays claimed, commit again
 *   -EBADMSG, -ECHILD  as of ipc_mpmc_push
 */
IPC_INLINE int ipc_mpmc_commit(struct ipc_mpmc_producer *p)
{
    return ipc_mpmc_commit_(p, (size_t)p->m.bytes);
}

/* Copies the oldest message out; if one was peeked, that one, and releases it. The message stays in
 * the ring until its copy is whole: a consumer that is stopped or killed before that costs nothing.
 * One that is killed after that, before the caller has used the message, loses it. Lock-free.
 *
 *   0
 *   -EAGAIN    the ring is empty, or every message in it is still being written
 *   -EMSGSIZE, -EBADMSG, -EINVAL, -ECHILD  as of ipc_mpmc_push
 */
IPC_INLINE int ipc_mpmc_pop(struct ipc_mpmc_consumer *c, void *message, size_t bytes)
{
    return bytes == c->m.bytes || c->m.error != 0 ? ipc_mpmc_pop_(c, message, bytes, c->m.how)
                                                  : -EMSGSIZE;
}

/* Copies up to n messages out; those that were pushed together are taken by one compare-and-swap. A
 * consumer that is killed in here loses what it has taken, as if it were killed afterwards. Returns
 * how many, 0 for n = 0, or the errors of ipc_mpmc_pop when none came. Lock-free. */
IPC_INLINE int64_t ipc_mpmc_pop_n(struct ipc_mpmc_consumer *c, void *messages, size_t bytes,
                                  size_t n)
{
    return bytes == c->m.bytes || c->m.error != 0
               ? ipc_mpmc_pop_n_(c, messages, n, bytes, c->m.how)
               : -EMSGSIZE;
}

/* Takes the oldest message without a copy. It is the caller's until release, and until then peek
 * returns the same. If the consumer is killed before release, the message is lost or handed out
 * again, as the ring was made. NULL: there is none, or see ipc_mpmc_consumer_error. Lock-free. */
IPC_INLINE const void *ipc_mpmc_peek(struct ipc_mpmc_consumer *c)
{
    return c->m.error == 0 ? ipc_mpmc_peek_(c, (size_t)c->m.bytes, c->m.how) : NULL;
}

/* Frees the slot of the peeked message. 0; -EINVAL: none was peeked; -ECHILD. Lock-free. */
IPC_INLINE int ipc_mpmc_release(struct ipc_mpmc_consumer *c)
{
    return ipc_mpmc_release_(c, (size_t)c->m.bytes);
}

/* Looks at every slot, and frees all that the dead process `id` held; for id 0, all that any dead
 * process held. The other calls do that for what is in their way. Returns how many slots or runs.
 * Takes a few system calls for each; wait-free. -ECHILD: after fork, as of ipc_spsc_push. */
IPC_INLINE int64_t ipc_mpmc_producer_recover(struct ipc_mpmc_producer *p, uint64_t id)
{
    return ipc_mpmc_recover_if_ours_(&p->m, id);
}

IPC_INLINE int64_t ipc_mpmc_consumer_recover(struct ipc_mpmc_consumer *c, uint64_t id)
{
    if (c->m.ring != NULL)
        c->again_seen = ck_pr_load_64(&c->m.ring->again) - 1; /* the next look is at all slots */
    return ipc_mpmc_recover_if_ours_(&c->m, id);
}

/* Frees a claimed slot unsent. Wait-free. */
IPC_INLINE void ipc_mpmc_cancel(struct ipc_mpmc_producer *p)
{
    struct ipc_mpmc *m = &p->m;

    if (m->claimed != 0 && ipc_mpmc_state_(m->held_word) != IPC_MPMC_FREE_ &&
        ipc_ring_is_ours_(&m->self))
        ipc_mpmc_free_own_(m, m->held_position, 1, ipc_ring_line_stride_((size_t)m->bytes));
    m->claimed = 0;
}

/* Detaches; a claimed slot is cancelled. Wait-free. */
IPC_INLINE void ipc_mpmc_producer_detach(struct ipc_mpmc_producer *p)
{
    ipc_mpmc_cancel(p);
    ipc_mpmc_leave_(&p->m);
}

/* Detaches; a message that was peeked and not released is handed out again. Lock-free. */
IPC_INLINE void ipc_mpmc_consumer_detach(struct ipc_mpmc_consumer *c)
{
    struct ipc_mpmc *m = &c->m;
    unsigned tries;

    m->claimed = m->claimed && ipc_ring_is_ours_(&m->self);
    for (tries = 0; m->claimed != 0 && tries < 2 * IPC_MPMC_TRIES_; tries++) {
        uint64_t *at = ipc_mpmc_word_(m, m->held_position, ipc_ring_line_stride_((size_t)m->bytes));
        uint64_t word = ck_pr_load_64(at);
        int alone = (m->how & IPC_MPMC_ONE_CONSUMER) != 0;

        if (ipc_mpmc_state_(word) == IPC_MPMC_FULL_)
            break;             /* one consumer: the message is still there */
        ck_pr_fence_release(); /* as in ipc_mpmc_free_dead_holder_ */
        /* A consumer that is alone puts the message back in its place, where its successor begins.
         * The hint comes first: a FULL behind the successor would stay there for good. */
        if (alone && ipc_mpmc_state_(word) == IPC_MPMC_READING_) {
            ck_pr_store_64(&m->ring->head, m->held_position);
            if (ck_pr_cas_64(at, word, (word & ~(IPC_MPMC_LAP_ - 1)) + IPC_MPMC_FULL_))
                break;
            continue;
        }
        if (ck_pr_cas_64(at, word, (word & ~(IPC_MPMC_LAP_ - 1)) + IPC_MPMC_AGAIN_)) {
            ck_pr_fence_release(); /* as the second one in ipc_mpmc_free_dead_holder_ */
            (void)ck_pr_faa_64(&m->ring->again, 1);
            break;
        }
    }
    ipc_mpmc_leave_(m);
}

/* As ipc_spsc_producer_error. */
IPC_INLINE int ipc_mpmc_producer_error(const struct ipc_mpmc_producer *p)
{
    return p->m.error;
}

IPC_INLINE int ipc_mpmc_consumer_error(const struct ipc_mpmc_consumer *c)
{
    return c->m.error;
}

/* About how many messages were there, or claimed to be, at some moment during the call: by the
 * hints, which lag by up to 16 for each other handle, and without those handed out again that others
 * have gone past. 0 for a handle that was refused. Wait-free,
 * and touches lines that others write: for monitoring, not for each message. */
IPC_INLINE uint64_t ipc_mpmc_producer_was_size(const struct ipc_mpmc_producer *p)
{
    const struct ipc_mpmc *m = &p->m;

    if (m->ring == NULL)
        return 0;
    return ipc_mpmc_was_size_(m, ipc_mpmc_further_(m, &m->ring->tail),
                              ck_pr_load_64(&m->ring->head));
}

IPC_INLINE uint64_t ipc_mpmc_consumer_was_size(const struct ipc_mpmc_consumer *c)
{
    const struct ipc_mpmc *m = &c->m;

    if (m->ring == NULL)
        return 0;
    return ipc_mpmc_was_size_(m, ck_pr_load_64(&m->ring->tail),
                              ipc_mpmc_further_(m, &m->ring->head));
}

/* Messages that were lost with killed processes, or handed out again, also by a consumer's detach;
 * zeros for a handle that was refused. Wait-free. */
IPC_INLINE struct ipc_mpmc_losses ipc_mpmc_producer_losses(const struct ipc_mpmc_producer *p)
{
    return ipc_mpmc_losses_(&p->m);
}

IPC_INLINE struct ipc_mpmc_losses ipc_mpmc_consumer_losses(const struct ipc_mpmc_consumer *c)
{
    return ipc_mpmc_losses_(&c->m);
}

#endif

/* >>call  src/ring/call.h */
/*
 * Calls: a request and its reply in one slot.
 *
 * Each caller has a slot, and servers look at all slots that have had a caller. The slot's last
 * word has the number n of the call, its state, and the name k of the server that works on it. It
 * says which process may touch the message: the caller in IDLE, ANSWERED and LEFT, server k in
 * TAKEN and GIVEN, nobody in ASKED.
 *
 *     (n,IDLE) --caller: n+1--> (n,ASKED) --k: CAS--> (n,TAKEN,k) --k--> (n,ANSWERED)
 *        ^ ^                        |                   |      |            |
 *        | '------------------------' caller gives up   |      | k leaves   '-- caller: n+1,ASKED
 *        |                            (CAS)             |      v
 *        |                     caller gives up (CAS)    |   (n,LEFT) -- caller: n+1,ASKED
 *        |                                              v
 *        '------- k, or k is dead ---------------- (n,GIVEN,k)
 *
 *   from              to           made by
 *   n,IDLE, ANSWERED  n+1,ASKED    the caller: release fence, store
 *   or LEFT
 *   n,ASKED           n,TAKEN,k    server k: compare-and-swap, acquire fence after it
 *   n,ASKED           n,IDLE       the caller, that gives up, and the slot's next caller:
 *                                  compare-and-swap
 *   n,TAKEN,k         n,ANSWERED   k: release fence, store
 *   n,TAKEN,k         n,LEFT       k, at detach: release fence, store
 *   n,TAKEN,k         n,GIVEN,k    the caller, that gives up: compare-and-swap
 *   n,GIVEN,k         n,IDLE       k: release fence, store
 *   n,TAKEN or GIVEN  n,IDLE       the caller, and the slot's next one, if k is dead:
 *                                  compare-and-swap; acquire fence before it writes to the slot
 *
 * As long as k lives nobody else changes TAKEN, but to GIVEN, and GIVEN not at all. So k may store:
 * if it misses a GIVEN, the reply is in the slot, and nobody reads it. A caller that gave up a
 * taken call moves to another slot; the slot that it left is for any caller that finds it neither
 * TAKEN nor GIVEN.
 */
#ifndef IPC_SRC_RING_CALL_H
#define IPC_SRC_RING_CALL_H 1

/* ------------------------------------------------------------------ calls: layout */

#define IPC_CALL_TYPE 0x6c6c6163u                   /* "call" */
#define IPC_CALL_MAGIC UINT64_C(0x316c6c61635f6369) /* "ic_call1" */
/* The most servers at a time. It is fixed: all of them look for each request. Callers are as many as
 * asked for. */
#define IPC_CALL_SERVERS 64u

/* The shared part. Private to this file; tests and tools may look. */
struct ipc_call_shared {
    struct ipc_ring_shared_ is; /* bytes: of a request; how: bytes of a reply; capacity: slots */
    uint64_t used;              /* no slot from here on has ever had a caller; it only grows */
    uint64_t changes;           /* servers that attached, and that detached; each adds one */
    /* Callers that wait for a slot sleep on it. Its word is in the line of `used`, which a server
     * reads at each take, so that each answer can look at it. */
    unsigned char slot_bell[64];
    unsigned char pad[48];
    unsigned char server_bell[64]; /* servers sleep on it; as in struct ipc_spsc_shared */
    struct ipc_ring_seat_ seat[IPC_CALL_SERVERS];
    /* slots, each a struct ipc_call_slot_ and then the message in whole lines */
};

struct ipc_call_slot_ {
    uint64_t caller; /* its holder, as in core.h */
    unsigned char pad[56];
    unsigned char bell[64]; /* the caller sleeps on it until the reply is there */
};

IPC_RING_ASSERT_(call_slot_bell, offsetof(struct ipc_call_shared, slot_bell) == 80)
IPC_RING_ASSERT_(call_bell, offsetof(struct ipc_call_shared, server_bell) == 192)
IPC_RING_ASSERT_(call_size, sizeof(struct ipc_call_shared) == 256 + 32 * IPC_CALL_SERVERS)
IPC_RING_ASSERT_(call_slot, sizeof(struct ipc_call_slot_) == 128)

/* The word, from its top bit: number of the call (23 bits, may wrap), name of the server (38:
 * generation, seat), state (3). The table at the top of this file has all transitions. */
#define IPC_CALL_IDLE_ 0u     /* the call was given up, or its server is dead */
#define IPC_CALL_ASKED_ 1u    /* a request is there */
#define IPC_CALL_TAKEN_ 2u    /* the server named works on it */
#define IPC_CALL_ANSWERED_ 3u /* a reply is there */
#define IPC_CALL_LEFT_ 4u     /* the server left without a reply */
#define IPC_CALL_GIVEN_ 5u    /* its caller gave the call up, and the server named works on it */
#define IPC_CALL_STATE_ UINT64_C(7)
#define IPC_CALL_NAME_ UINT64_C(8)
#define IPC_CALL_NUMBER_ (UINT64_C(1) << 41)
#define IPC_CALL_NUMBERS_ (~(IPC_CALL_NUMBER_ - 1))
#define IPC_CALL_NAMES_ (~(IPC_CALL_NUMBERS_ | IPC_CALL_STATE_))

#define IPC_CALL_SLOTS_EACH_ 2u /* slots for each caller: one, and one of a call that it gave up */

/* Looks without a reply between two questions to the kernel about deaths: a question takes as long
 * as some hundred looks. */
#define IPC_CALL_ASK_AFTER_ 4096u

IPC_FORCE_INLINE unsigned ipc_call_state_(uint64_t word)
{
    return (unsigned)(word & IPC_CALL_STATE_);
}

IPC_FORCE_INLINE size_t ipc_call_stride_(size_t request, size_t reply)
{
    return sizeof(struct ipc_call_slot_) + ipc_ring_line_stride_(request > reply ? request : reply);
}

IPC_INLINE struct ipc_ring_kind_ ipc_call_kind_(size_t request, size_t reply)
{
    struct ipc_ring_kind_ kind;

    kind.name = "no place for calls; magic";
    kind.magic = IPC_CALL_MAGIC;
    kind.header = sizeof(struct ipc_call_shared);
    kind.stride = ipc_call_stride_(request, reply);
    return kind;
}

/* The slots for that many callers: a power of two, or 0. */
IPC_INLINE uint64_t ipc_call_slots_(uint64_t callers)
{
    uint64_t slots = callers > 0 ? IPC_CALL_SLOTS_EACH_ : 0;

    while (slots / IPC_CALL_SLOTS_EACH_ < callers && slots != 0)
        slots *= 2;
    return slots;
}

/* The bytes of a place for calls; or 0 if request or reply has 0 bytes, reply has 4 GB or more,
 * callers is 0, or the product is beyond the address space. */
IPC_INLINE size_t ipc_call_footprint(size_t request, size_t reply, uint64_t callers)
{
    struct ipc_ring_kind_ kind = ipc_call_kind_(request, reply);

    if (reply == 0 || reply > UINT32_MAX || kind.stride < reply) /* of 32 bits: it wraps around */
        return 0;
    return ipc_ring_footprint_(&kind, request, ipc_call_slots_(callers));
}

/*
 * Makes a place for calls in mem[0..size), with requests of `request` bytes, replies of `reply`
 * bytes, for that many callers at a time, rounded up to a power of two. There are two slots for
 * each caller, as a server that is stopped keeps the slot of a call that it has taken, also when the
 * caller gives the call up and moves to another slot. So that many callers always have a slot, if
 * stopped servers keep no more calls than that. A caller beyond them is not refused while a slot is
 * free. Otherwise as ipc_spsc_init.
 *
 *   0
 *   -EINVAL, -ENOSPC  as of ipc_spsc_init, by ipc_call_footprint
 */
IPC_INLINE int ipc_call_init(void *mem, size_t size, size_t request, size_t reply, uint64_t callers)
{
    struct ipc_ring_kind_ kind = ipc_call_kind_(request, reply);

    if (ipc_call_footprint(request, reply, callers) == 0)
        return -EINVAL;
    return ipc_ring_init_(mem, size, &kind, request, ipc_call_slots_(callers), (uint32_t)reply);
}

/* ------------------------------------------------------------------ calls: handles */

/* Private to their thread; no field is for the caller. */
struct ipc_call_client {
    IPC_RING_APART_(before);
    unsigned char *slot; /* ours */
    uint64_t word;       /* what we last stored in it, or found when it became ours to write */
    int doing;           /* IPC_CALL_OURS_ ... */
    unsigned vain;       /* looks without a reply */
    uint64_t changes;    /* ring->changes when we last looked whether anyone serves */
    uint64_t reported;   /* ring->changes when we last returned that nobody serves */
    uint64_t request, reply;
    unsigned char *slots;
    uint64_t count;
    struct ipc_call_shared *ring;
    uint64_t id;
    int (*alive)(void *, uint64_t); /* of struct ipc_peer */
    void *arg;
    int error; /* sticks */
    struct ipc_ring_self_ self;
    IPC_RING_APART_(after);
};

#define IPC_CALL_OURS_ 0      /* the slot is ours to write */
#define IPC_CALL_CLAIMED_ 1   /* ... and is being written */
#define IPC_CALL_WAITING_ 2   /* the request was sent */
#define IPC_CALL_REPLIED_ 3   /* the reply is there */
#define IPC_CALL_ABANDONED_ 4 /* given up: a server may still have it */

struct ipc_call_server {
    IPC_RING_APART_(before);
    unsigned char *slots;
    uint64_t count;
    uint64_t next; /* slot to look at */
    uint64_t me;   /* our name, shifted to its place in a word */
    uint64_t request, reply;
    struct ipc_call_shared *ring;
    struct ipc_ring_seat_ *seat;
    uint64_t id;
    int error; /* of attach or detach */
    struct ipc_ring_self_ self;
    IPC_RING_APART_(after);
};

IPC_FORCE_INLINE uint64_t *ipc_call_caller_(unsigned char *slot)
{
    return &((struct ipc_call_slot_ *)(void *)slot)->caller;
}

IPC_FORCE_INLINE unsigned char *ipc_call_message_(unsigned char *slot)
{
    return slot + sizeof(struct ipc_call_slot_);
}

IPC_FORCE_INLINE size_t ipc_call_client_stride_(const struct ipc_call_client *c)
{
    return ipc_call_stride_((size_t)c->request, (size_t)c->reply);
}

IPC_FORCE_INLINE size_t ipc_call_server_stride_(const struct ipc_call_server *s)
{
    return ipc_call_stride_((size_t)s->request, (size_t)s->reply);
}

/* ------------------------------------------------------------------ calls: dead servers, slots */

/* Is the server named in this word dead, or has it left? The word was read before the call. */
IPC_INLINE int ipc_call_is_server_gone_(const struct ipc_call_client *c, uint64_t word)
{
    const struct ipc_ring_seat_ *seat = &c->ring->seat[word / IPC_CALL_NAME_ % IPC_CALL_SERVERS];
    uint64_t generation;
    int gone;

    /* Without it the seat could be older than the word. Partner: in ipc_call_server_attach. The
     * seat may be newer than the word, as in ipc_mpmc_is_holder_dead_. */
    ck_pr_fence_load();
    generation = ck_pr_load_64(&seat->generation);
    gone = (uint32_t)generation != (uint32_t)(word / IPC_CALL_NAME_ / IPC_CALL_SERVERS) ||
           ipc_ring_is_named_dead_(c->alive, c->arg, seat);
    /* If another generation has the seat, that server has seen that the one before is dead: without
     * it we could write to the slot while the dead one still reads or writes. Partner: in
     * ipc_call_server_attach. If the seat is free, its server has stored LEFT before: without it
     * our compare-and-swap could come before that store, which would then end a later call. Partner:
     * in ipc_ring_leave_end_. If the server is dead, the partner is the kernel. */
    if (gone)
        ck_pr_fence_acquire();
    return gone;
}

/* What ipc_call_find_servers_ finds in the seats. */
#define IPC_CALL_NO_SERVER_ 0
#define IPC_CALL_DEAD_SERVERS_ 1 /* and none that lives */
#define IPC_CALL_LIVE_SERVER_ 2

/* Does anyone serve? Returns one of the three above; *changes is what the ring's were before. */
IPC_INLINE int ipc_call_find_servers_(const struct ipc_call_client *c, uint64_t *changes)
{
    unsigned i;
    int found = IPC_CALL_NO_SERVER_;

    *changes = ck_pr_load_64(&c->ring->changes);
    /* Without it a seat could be older than the count of changes, and we do not look again for the
     * same count. Partners: in ipc_call_server_attach and ipc_call_server_detach. */
    ck_pr_fence_load();
    for (i = 0; i < IPC_CALL_SERVERS && found != IPC_CALL_LIVE_SERVER_; i++) {
        uint64_t id = ck_pr_load_64(&c->ring->seat[i].id);

        if (id != 0)
            found = ipc_ring_is_dead_(c->alive, c->arg, id) ? IPC_CALL_DEAD_SERVERS_
                                                            : IPC_CALL_LIVE_SERVER_;
    }
    return found;
}

/* Makes the slot, of which we are the caller, ours to write. Returns 0 if a server has it. Takes
 * back a request that no server has taken. Finds dead servers only if it may `ask` the kernel. */
IPC_INLINE int ipc_call_own_slot_(struct ipc_call_client *c, unsigned char *slot, int ask)
{
    uint64_t *at = ipc_ring_sequence_(slot, ipc_call_client_stride_(c));
    unsigned tries;

    for (tries = 0; tries < 4; tries++) {
        uint64_t word = ck_pr_load_64(at);
        unsigned state = ipc_call_state_(word);
        int taken = state == IPC_CALL_TAKEN_ || state == IPC_CALL_GIVEN_;

        if (state == IPC_CALL_ASKED_ || (taken && ask && ipc_call_is_server_gone_(c, word))) {
            (void)ck_pr_cas_64(at, word, (word & IPC_CALL_NUMBERS_) + IPC_CALL_IDLE_);
            continue;
        }
        if (taken)
            return 0;
        /* Without it we could write while the server still reads or writes. Partner: in
         * ipc_call_end_taken_. */
        ck_pr_fence_acquire();
        c->slot = slot;
        c->word = word;
        c->doing = IPC_CALL_OURS_;
        return 1;
    }
    return 0;
}

/* Takes this slot if it is free, or a dead caller's if it may `ask` the kernel, and no server has
 * it. 1 or 0. */
IPC_INLINE int ipc_call_try_slot_(struct ipc_call_client *c, unsigned char *slot, int ask)
{
    uint64_t *caller = ipc_call_caller_(slot), holder, word;
    uint64_t *at = ipc_ring_sequence_(slot, ipc_call_client_stride_(c));
    unsigned tries, state;

    for (tries = 0; tries < 4; tries++) {
        holder = ck_pr_load_64(caller);
        if (holder != 0 &&
            (!ask || holder == c->id || !ipc_ring_is_dead_(c->alive, c->arg, holder)))
            return 0;
        word = ck_pr_load_64(at);
        state = ipc_call_state_(word);
        if ((state == IPC_CALL_TAKEN_ || state == IPC_CALL_GIVEN_) &&
            (!ask || !ipc_call_is_server_gone_(c, word)))
            return 0;
        if (!ck_pr_cas_64(caller, holder, c->id))
            return 0; /* another caller has it now */
        /* Without it the slot's word could be older than what its last caller saw there, and hide
         * that a server has it. Partner: in ipc_ring_leave_end_. */
        ck_pr_fence_acquire();
        if (ipc_call_own_slot_(c, slot, ask))
            return 1;
        ipc_ring_leave_end_(caller, c->id);
        /* A server had it all the same. It may give it back between our two looks, and wake callers
         * that then still find it ours: so look again. Without it this look could be older than our
         * leave, and miss what they miss. Partner: the fences of ipc_notify_post. */
        ck_pr_fence_memory(); /* no twin */
    }
    return 0;
}

/* Takes any slot, as ipc_call_try_slot_. 0 or -EUSERS. */
IPC_INLINE int ipc_call_take_slot_(struct ipc_call_client *c, int ask)
{
    size_t stride = ipc_call_client_stride_(c);
    struct ipc_ring_scans_ scans = {0, 0};
    uint64_t i;

    do
        for (i = 0; i < c->count; i++)
            if (ipc_call_try_slot_(c, c->slots + i * stride, ask)) {
                ipc_ring_raise_(&c->ring->used, i + 1, c->count);
                return 0;
            }
    while (ipc_ring_is_to_scan_again_(&scans, ipc_call_caller_(c->slots), stride, c->count));
    return -EUSERS;
}

/* ------------------------------------------------------------------ calls: attach */

IPC_INLINE int ipc_call_check_(void *mem, size_t size, size_t request, size_t reply,
                               struct ipc_peer *me, uint64_t *slots)
{
    struct ipc_ring_kind_ kind = ipc_call_kind_(request, reply);
    uint32_t there;
    int rc = ipc_ring_check_(mem, size, &kind, request, me, slots);

    if (rc != 0)
        return rc;
    there = ck_pr_load_32(&((const struct ipc_ring_shared_ *)mem)->how);
    if (there != reply)
        return ipc_ring_refuse_(me, -EPROTO, "reply size differs; bytes", there, reply);
    return 0;
}

IPC_INLINE int ipc_call_client_disable_(struct ipc_call_client *c, int rc)
{
    memset(c, 0, sizeof *c);
    ipc_ring_begin_self_(&c->self, NULL, NULL);
    return c->error = rc;
}

IPC_INLINE int ipc_call_server_disable_(struct ipc_call_server *s, int rc)
{
    memset(s, 0, sizeof *s);
    ipc_ring_begin_self_(&s->self, NULL, NULL);
    return s->error = rc;
}

/* struct ipc_ring_self_'s renew, see below: these attach anew. */
CK_CC_UNUSED static int ipc_call_client_renew_(void *handle, struct ipc_peer *me);
CK_CC_UNUSED static int ipc_call_server_renew_(void *handle, struct ipc_peer *me);

/*
 * Attaches a caller, and gives it a slot that is free, or a dead caller's. A handle is for one
 * thread, and one call at a time; a process may have several. `me`: as for
 * ipc_spsc_producer_attach. Lock-free; not for the path of a call.
 *
 *   0
 *   -EINVAL, -EAGAIN, -EPROTO, -EROFS
 *            as of ipc_spsc_producer_attach; -EPROTO also when the reply size differs
 *   -EUSERS  all slots are taken
 */
IPC_INLINE int ipc_call_client_attach(struct ipc_call_client *c, void *mem, size_t size,
                                      size_t request, size_t reply, struct ipc_peer *me)
{
    uint64_t slots = 0;
    int servers;
    int rc = ipc_call_check_(mem, size, request, reply, me, &slots);

    (void)ipc_call_client_disable_(c, rc);
    if (rc != 0)
        return rc;
    c->request = request;
    c->reply = reply;
    c->slots = (unsigned char *)mem + sizeof(struct ipc_call_shared);
    c->count = slots;
    c->ring = (struct ipc_call_shared *)mem;
    c->id = ipc_ring_id_of_(me);
    c->alive = me != NULL ? me->alive : NULL;
    c->arg = me != NULL ? me->arg : NULL;
    if (ipc_call_take_slot_(c, 1) != 0) {
        c->ring = NULL;
        return c->error = ipc_ring_refuse_(me, -EUSERS, "all slots for callers are taken; of",
                                           slots, slots);
    }
    ipc_ring_begin_self_(&c->self, me, ipc_call_client_renew_);
    servers = ipc_call_find_servers_(c, &c->changes);
    c->reported = servers != IPC_CALL_NO_SERVER_ ? c->changes - 1 : c->changes;
    return 0;
}

/*
 * Attaches a server, of which there may be up to IPC_CALL_SERVERS. As ipc_call_client_attach, with
 * the same errors; -EUSERS: so many servers are attached that are not proven dead.
 */
IPC_INLINE int ipc_call_server_attach(struct ipc_call_server *s, void *mem, size_t size,
                                      size_t request, size_t reply, struct ipc_peer *me)
{
    struct ipc_call_shared *r = (struct ipc_call_shared *)mem;
    uint64_t slots = 0, holder;
    unsigned i;
    int rc = ipc_call_check_(mem, size, request, reply, me, &slots);

    (void)ipc_call_server_disable_(s, rc);
    if (rc != 0)
        return rc;
    s->id = ipc_ring_id_of_(me);
    i = ipc_ring_take_seat_(r->seat, IPC_CALL_SERVERS, me, s->id, &holder);
    if (i == IPC_CALL_SERVERS)
        return s->error = ipc_ring_refuse_(me, -EUSERS, "all seats for servers are taken; of",
                                           IPC_CALL_SERVERS, IPC_CALL_SERVERS);
    /* Without it the new generation could be seen before the dead server's last reads and writes.
     * Partner: in ipc_call_is_server_gone_. */
    ck_pr_fence_release();
    s->me = (uint32_t)ipc_ring_next_generation_(&r->seat[i], s->id);
    s->me = (s->me * IPC_CALL_SERVERS + i) * IPC_CALL_NAME_;
    s->request = request;
    s->reply = reply;
    s->slots = (unsigned char *)mem + sizeof *r;
    s->count = slots;
    s->ring = r;
    s->seat = &r->seat[i];
    /* Without it the seat could be older than a word with our name, or than the change.
     * Partners: in ipc_call_is_server_gone_ and ipc_call_find_servers_. */
    ck_pr_fence_store();
    (void)ck_pr_faa_64(&r->changes, 1);
    ipc_ring_begin_self_(&s->self, me, ipc_call_server_renew_);
    return 0;
}

static int ipc_call_client_renew_(void *handle, struct ipc_peer *me)
{
    struct ipc_call_client *c = (struct ipc_call_client *)handle;
    size_t request = (size_t)c->request, reply = (size_t)c->reply;
    size_t size = sizeof *c->ring + (size_t)c->count * ipc_call_client_stride_(c);

    if (me == NULL)
        return ipc_call_client_disable_(c, -ECHILD);
    return ipc_call_client_attach(c, c->ring, size, request, reply, me);
}

static int ipc_call_server_renew_(void *handle, struct ipc_peer *me)
{
    struct ipc_call_server *s = (struct ipc_call_server *)handle;
    size_t request = (size_t)s->request, reply = (size_t)s->reply;
    size_t size = sizeof *s->ring + (size_t)s->count * ipc_call_server_stride_(s);

    if (me == NULL)
        return ipc_call_server_disable_(s, -ECHILD);
    return ipc_call_server_attach(s, s->ring, size, request, reply, me);
}

/* ------------------------------------------------------------------ the caller's path */

/* Counts a look without a reply. Is it time to ask the kernel about deaths? */
IPC_FORCE_INLINE int ipc_call_may_ask_(struct ipc_call_client *c)
{
    return c->vain++ % IPC_CALL_ASK_AFTER_ == 0;
}

/* Must claim regain the slot first, or refuse? */
IPC_FORCE_INLINE int ipc_call_must_regain_(const struct ipc_call_client *c)
{
    return c->error != 0 || c->doing == IPC_CALL_WAITING_ || c->doing == IPC_CALL_ABANDONED_ ||
           ipc_ring_is_forked_(&c->self);
}

/* Makes our slot ours to write again; if a server still has it, moves to another, and leaves ours:
 * that server may have given it back since, so callers that wait for a slot are to be woken. 0, or
 * the errors of ipc_call_ask. */
IPC_INLINE int ipc_call_regain_slot_(struct ipc_call_client *c)
{
    unsigned char *was;
    int ask;

    if (ipc_ring_is_forked_(&c->self) && ipc_ring_settle_(&c->self, c) >= 0 &&
        !ipc_call_must_regain_(c))
        return 0;
    was = c->slot;
    if (c->error != 0 || c->doing == IPC_CALL_WAITING_)
        return c->error != 0 ? c->error : -EBUSY;
    ask = ipc_call_may_ask_(c);
    if (ipc_call_own_slot_(c, was, ask))
        return 0;
    if (ipc_call_take_slot_(c, ask) != 0)
        return -EAGAIN;
    ipc_ring_leave_end_(ipc_call_caller_(was), c->id);
    return 0;
}

IPC_FORCE_INLINE int ipc_call_claim_(struct ipc_call_client *c)
{
    int rc;

    if (CK_CC_UNLIKELY(ipc_call_must_regain_(c)) && (rc = ipc_call_regain_slot_(c)) != 0)
        return rc;
    c->doing = IPC_CALL_CLAIMED_;
    return 0;
}

/* Sends the request in our slot, which is claimed. */
IPC_FORCE_INLINE void ipc_call_send_(struct ipc_call_client *c, size_t stride)
{
    c->word = (c->word & IPC_CALL_NUMBERS_) + IPC_CALL_NUMBER_ + IPC_CALL_ASKED_;
    c->doing = IPC_CALL_WAITING_;
    c->vain = 1;
    /* Without it ASKED could be seen before the request, or we could read a part of the last reply
     * after a server has overwritten it. Partner: in ipc_call_take_. */
    ck_pr_fence_release();
    ck_pr_store_64(ipc_ring_sequence_(c->slot, stride), c->word);
}

IPC_FORCE_INLINE int ipc_call_commit_(struct ipc_call_client *c, size_t stride)
{
    if (CK_CC_UNLIKELY(c->doing != IPC_CALL_CLAIMED_))
        return c->error != 0 ? c->error : -EINVAL;
    if (CK_CC_UNLIKELY(ipc_ring_is_forked_(&c->self)) && ipc_ring_settle_(&c->self, c) != 1)
        return c->error != 0 ? c->error : -EINVAL;
    ipc_call_send_(c, stride);
    return 0;
}

IPC_FORCE_INLINE int ipc_call_ask_(struct ipc_call_client *c, const void *request, size_t bytes,
                                   size_t stride)
{
    int rc = ipc_call_claim_(c);

    if (CK_CC_UNLIKELY(rc != 0))
        return rc;
    ipc_ring_put_(NULL, ipc_call_message_(c->slot), (const unsigned char *)request, bytes);
    ipc_call_send_(c, stride);
    return 0;
}

/* There is no reply, and the word says TAKEN, or ASKED as we stored it: asks the kernel whether a
 * server lives that can answer. -EAGAIN if so; else ends the call: -EOWNERDEAD or -EPIPE. */
IPC_INLINE int ipc_call_end_unserved_(struct ipc_call_client *c, uint64_t word)
{
    uint64_t changes = c->reported;
    int servers = IPC_CALL_DEAD_SERVERS_;

    if (word != c->word) {
        if (!ipc_call_is_server_gone_(c, word))
            return -EAGAIN;
    } else {
        servers = ipc_call_find_servers_(c, &changes);
        if (servers == IPC_CALL_LIVE_SERVER_ || changes == c->reported) {
            c->changes = changes;
            return -EAGAIN;
        }
    }
    /* From here on no server takes it. If one just has, the caller looks again. */
    if (!ck_pr_cas_64(ipc_ring_sequence_(c->slot, ipc_call_client_stride_(c)), word,
                      (word & IPC_CALL_NUMBERS_) + IPC_CALL_IDLE_))
        return -EAGAIN;
    c->reported = changes;
    c->doing = IPC_CALL_OURS_;
    return servers == IPC_CALL_DEAD_SERVERS_ ? -EOWNERDEAD : -EPIPE;
}

/* The word does not say ANSWERED for this call: what does poll return? */
IPC_INLINE int ipc_call_check_unanswered_(struct ipc_call_client *c, uint64_t word)
{
    unsigned state = ipc_call_state_(word);

    if (c->error == 0 && c->doing == IPC_CALL_REPLIED_)
        return 0;
    if (c->doing != IPC_CALL_WAITING_)
        return c->error != 0 ? c->error : -EINVAL;
    if (state == IPC_CALL_LEFT_ && ((word ^ c->word) & IPC_CALL_NUMBERS_) == 0) {
        c->doing = IPC_CALL_ABANDONED_;
        return -EPIPE;
    }
    if (word != c->word &&
        (state != IPC_CALL_TAKEN_ || ((word ^ c->word) & IPC_CALL_NUMBERS_) != 0)) {
        c->doing = IPC_CALL_ABANDONED_;
        return c->error = -EBADMSG;
    }
    if (!ipc_call_may_ask_(c) &&
        (word != c->word || ck_pr_load_64(&c->ring->changes) == c->changes))
        return -EAGAIN;
    return ipc_call_end_unserved_(c, word);
}

IPC_FORCE_INLINE int ipc_call_poll_(struct ipc_call_client *c, size_t stride)
{
    uint64_t word;

    if (CK_CC_UNLIKELY(ipc_ring_is_forked_(&c->self)) && ipc_ring_settle_(&c->self, c) < 0)
        return c->error;
    word = c->ring != NULL ? ck_pr_load_64(ipc_ring_sequence_(c->slot, stride)) : 0;
    if (CK_CC_UNLIKELY(c->doing != IPC_CALL_WAITING_ ||
                       word != c->word + (IPC_CALL_ANSWERED_ - IPC_CALL_ASKED_)))
        return ipc_call_check_unanswered_(c, word);
    /* Without it the reply could be older than ANSWERED, or what we write next come before.
     * Partner: in ipc_call_end_taken_. */
    ck_pr_fence_acquire();
    c->doing = IPC_CALL_REPLIED_;
    return 0;
}

IPC_FORCE_INLINE int ipc_call_collect_(struct ipc_call_client *c, void *reply, size_t bytes,
                                       size_t stride)
{
    int rc = ipc_call_poll_(c, stride);

    if (rc == 0)
        memcpy(reply, ipc_call_message_(c->slot), bytes);
    return rc;
}

/*
 * Without a copy: claim gives the place of the request, 64-byte aligned, with what was there
 * before. Until commit it gives the same again. After it, what peek gave is not valid any more. 0
 * and *message, or
 *
 *   -EBUSY    the last call has not ended: poll until it has, or cancel it
 *   -EAGAIN   the slot of a call that was given up is still in its server's hands, and no other is
 *             free
 *   -EBADMSG  the shared memory is corrupt; sticks
 *   -EINVAL   the handle is not attached, or what its attach said
 *   -ECHILD   after fork, as of ipc_spsc_push
 *
 * Wait-free, but for a few system calls if a call was given up. A caller that is stopped or killed
 * here costs its slot, until another that needs a slot finds it dead.
 */
IPC_INLINE int ipc_call_claim(struct ipc_call_client *c, void **message)
{
    int rc = ipc_call_claim_(c);

    *message = rc == 0 ? ipc_call_message_(c->slot) : NULL;
    return rc;
}

/* Sends the request that was claimed. 0; -EINVAL: none was; -EBADMSG, -ECHILD. Wait-free. */
IPC_INLINE int ipc_call_commit(struct ipc_call_client *c)
{
    return ipc_call_commit_(c, ipc_call_client_stride_(c));
}

/*
 * Copies a request in, and sends it: claim and commit. One server gets it. Wait-free, as claim. A
 * caller that is stopped or killed afterwards may be answered all the same.
 *
 *   0
 *   -EMSGSIZE  bytes is not the size of requests
 *   -EBUSY, -EAGAIN, -EBADMSG, -EINVAL, -ECHILD  as of ipc_call_claim
 */
IPC_INLINE int ipc_call_ask(struct ipc_call_client *c, const void *request, size_t bytes)
{
    if (c->error == 0 && bytes != c->request)
        return -EMSGSIZE;
    return ipc_call_ask_(c, request, bytes, ipc_call_client_stride_(c));
}

/*
 * Has the call ended? Wait-free; asks the kernel about deaths every 4096 looks. A server that is
 * stopped holds up the calls that it has taken. A call that ended with -EOWNERDEAD or -EPIPE may
 * have had an effect, and has none from then on. If no server had taken it, each of these is
 * reported once: the next call waits for a new server.
 *
 *   0
 *   -EAGAIN      no reply yet
 *   -EOWNERDEAD  the server that had taken the call was killed; or none had, and the last server
 *                was killed
 *   -EPIPE       the server that had taken the call has detached; or none had, and the last server
 *                has detached
 *   -EBADMSG     the shared memory is corrupt; sticks
 *   -EINVAL      no request was sent, or was before a fork; or as of ipc_call_claim
 *   -ECHILD      after fork, as of ipc_spsc_push
 */
IPC_INLINE int ipc_call_poll(struct ipc_call_client *c)
{
    return ipc_call_poll_(c, ipc_call_client_stride_(c));
}

/* The reply in place, after poll has returned 0 and until the next claim or ask; else NULL. A
 * hostile server may write to it meanwhile: read each field once, check, use. Wait-free. */
IPC_INLINE const void *ipc_call_peek(const struct ipc_call_client *c)
{
    return c->doing == IPC_CALL_REPLIED_ ? ipc_call_message_(c->slot) : NULL;
}

/* Copies the reply out: poll and peek, with the errors of poll; -EMSGSIZE: bytes is not the size of
 * replies. It can be copied again until the next claim or ask. Wait-free, as poll. */
IPC_INLINE int ipc_call_collect(struct ipc_call_client *c, void *reply, size_t bytes)
{
    if (c->error == 0 && bytes != c->reply)
        return -EMSGSIZE;
    return ipc_call_collect_(c, reply, bytes, ipc_call_client_stride_(c));
}

/* Gives up the request that was claimed or sent: its reply will never be seen. If no server has
 * taken it, none will. If one has, it keeps the slot until it answers or is dead; the next call
 * moves to another slot, if one is free. Wait-free. */
IPC_INLINE void ipc_call_cancel(struct ipc_call_client *c)
{
    uint64_t *at, word;

    if (c->ring != NULL && !ipc_ring_is_ours_(&c->self))
        return;
    if (c->doing == IPC_CALL_WAITING_) {
        at = ipc_ring_sequence_(c->slot, ipc_call_client_stride_(c));
        if (!ck_pr_cas_64(at, c->word, (c->word & IPC_CALL_NUMBERS_) + IPC_CALL_IDLE_)) {
            word = ck_pr_load_64(at);
            if (ipc_call_state_(word) == IPC_CALL_TAKEN_)
                (void)ck_pr_cas_64(at, word, word + (IPC_CALL_GIVEN_ - IPC_CALL_TAKEN_));
        }
        c->vain = 0;
        c->doing = IPC_CALL_ABANDONED_; /* claim looks whether a server has it */
    } else if (c->doing == IPC_CALL_CLAIMED_) {
        c->doing = IPC_CALL_OURS_;
    }
}

/* Detaches, and gives up the call: the slot is free for another caller. Wait-free. */
IPC_INLINE void ipc_call_client_detach(struct ipc_call_client *c)
{
    ipc_call_cancel(c);
    if (c->ring != NULL && ipc_ring_is_ours_(&c->self))
        ipc_ring_leave_end_(ipc_call_caller_(c->slot), c->id);
    (void)ipc_call_client_disable_(c, -EINVAL);
}

/* As ipc_spsc_producer_error. */
IPC_INLINE int ipc_call_client_error(const struct ipc_call_client *c)
{
    return c->error;
}

/* ------------------------------------------------------------------ the server's path */

/* Takes the next request. Returns its message, or NULL. */
IPC_FORCE_INLINE unsigned char *ipc_call_take_(struct ipc_call_server *s, size_t stride)
{
    uint64_t used, i;

    if (CK_CC_UNLIKELY(ipc_ring_is_forked_(&s->self)) && ipc_ring_settle_(&s->self, s) < 0)
        return NULL;
    used = s->ring != NULL ? ck_pr_load_64(&s->ring->used) : 0;
    used = used < s->count ? used : s->count;
    for (i = 0; i < used; i++) {
        unsigned char *slot;
        uint64_t *at, word;

        s->next = s->next < used ? s->next : 0;
        slot = s->slots + (size_t)s->next++ * stride;
        at = ipc_ring_sequence_(slot, stride);
        word = ck_pr_load_64(at);
        if (CK_CC_LIKELY(ipc_call_state_(word) != IPC_CALL_ASKED_) ||
            !ck_pr_cas_64(at, word, (word & IPC_CALL_NUMBERS_) + s->me + IPC_CALL_TAKEN_))
            continue;
        /* Without it the request could be older than ASKED, or we could write while its caller
         * still reads the last reply. Partner: in ipc_call_send_. */
        ck_pr_fence_acquire();
        return ipc_call_message_(slot);
    }
    return NULL;
}

/* Ends a call that we have taken, with that state. 0; -ECANCELED: the caller gave it up; -EINVAL:
 * we have not taken it. */
IPC_FORCE_INLINE int ipc_call_end_taken_(struct ipc_call_server *s, unsigned char *slot,
                                         size_t stride, unsigned state)
{
    uint64_t *at = ipc_ring_sequence_(slot, stride), word = ck_pr_load_64(at);
    uint64_t number = word & IPC_CALL_NUMBERS_;
    int given = word == number + s->me + IPC_CALL_GIVEN_;

    if (CK_CC_UNLIKELY(word != number + s->me + IPC_CALL_TAKEN_ && !given))
        return -EINVAL;
    /* Without it the state could be seen before the reply, or while we still read the request.
     * Partners: in ipc_call_poll_ and ipc_call_own_slot_. */
    ck_pr_fence_release();
    /* As long as we live others change the word only from TAKEN to GIVEN, and that may be lost. */
    ck_pr_store_64(at, number + (given ? IPC_CALL_IDLE_ : state));
    return given ? -ECANCELED : 0;
}

/* Is this the message of a slot? */
IPC_FORCE_INLINE int ipc_call_has_(const struct ipc_call_server *s, const void *message,
                                   size_t stride)
{
    size_t offset = (size_t)((uintptr_t)message - (uintptr_t)ipc_call_message_(s->slots));
    size_t index = offset / stride;

    return index < s->count && index * stride == offset;
}

IPC_FORCE_INLINE unsigned char *ipc_call_slot_of_(void *message)
{
    return (unsigned char *)message - sizeof(struct ipc_call_slot_);
}

IPC_FORCE_INLINE int ipc_call_answer_(struct ipc_call_server *s, void *message, size_t stride)
{
    if (CK_CC_UNLIKELY(ipc_ring_is_forked_(&s->self)) && ipc_ring_settle_(&s->self, s) < 0)
        return s->error;
    if (CK_CC_UNLIKELY(!ipc_call_has_(s, message, stride)))
        return -EINVAL;
    return ipc_call_end_taken_(s, ipc_call_slot_of_(message), stride, IPC_CALL_ANSWERED_);
}

/*
 * Takes the next request, of the callers in turn. Returns the message in place, or NULL when there
 * is none. The server writes the reply over it and calls ipc_call_answer. It may take several
 * requests, and answer them in any order. If it is killed before, their callers are told so, and
 * other calls go on. A hostile caller may write to the message: read each field once, check, use.
 * Wait-free: one look at each slot that has ever had a caller. Processes that are stopped or killed
 * at any instruction do not hold it up.
 */
IPC_INLINE void *ipc_call_take(struct ipc_call_server *s)
{
    return ipc_call_take_(s, ipc_call_server_stride_(s));
}

/*
 * Gives the reply, which is where the request was, to the caller. Wait-free.
 *
 *   0            also if the caller has died, or gives up at this moment
 *   -ECANCELED   the caller has given up: nobody sees the reply
 *   -EINVAL      the message did not come from take, or was answered
 *   -ECHILD      after fork, as of ipc_spsc_push
 */
IPC_INLINE int ipc_call_answer(struct ipc_call_server *s, void *message)
{
    return ipc_call_answer_(s, message, ipc_call_server_stride_(s));
}

/* The id of the caller, for struct ipc_peer's alive; 0: it has detached. For long work. Wait-free.
 */
IPC_INLINE uint64_t ipc_call_server_peer(const struct ipc_call_server *s, const void *message)
{
    const unsigned char *slot =
        (const unsigned char *)message - sizeof(struct ipc_call_slot_);

    return ipc_call_has_(s, message, ipc_call_server_stride_(s))
               ? ck_pr_load_64(&((const struct ipc_call_slot_ *)(const void *)slot)->caller)
               : 0;
}

/* Detaches. Calls that were taken and not answered end with -EPIPE. Wait-free. */
IPC_INLINE void ipc_call_server_detach(struct ipc_call_server *s)
{
    size_t stride = ipc_call_server_stride_(s);
    uint64_t i;

    if (s->ring != NULL && ipc_ring_is_ours_(&s->self)) {
        for (i = 0; i < s->count; i++)
            (void)ipc_call_end_taken_(s, s->slots + (size_t)i * stride, stride, IPC_CALL_LEFT_);
        ipc_ring_leave_end_(&s->seat->id, s->id);
        /* Without it the change could be seen before the seat is free. Partner: in
         * ipc_call_find_servers_. */
        ck_pr_fence_store();
        (void)ck_pr_faa_64(&s->ring->changes, 1);
    }
    (void)ipc_call_server_disable_(s, -EINVAL);
}

/* 0, or what attach said; -EINVAL when detached; -ECHILD once a call said so. */
IPC_INLINE int ipc_call_server_error(const struct ipc_call_server *s)
{
    return s->error;
}

#endif

/* >>monitor  src/ring/monitor.h */
/* Monitoring: what a ring is, and how full, for a process that takes no end of it. */
#ifndef IPC_SRC_RING_MONITOR_H
#define IPC_SRC_RING_MONITOR_H 1

/* ------------------------------------------------------------------ monitoring */

/* What ipc_ring_inspect found. Messages are the elements of a stream; of records and broadcasts of
 * records they are bytes, with the word before each record. */
struct ipc_ring_status {
    const char *kind;      /* "SPSC", "MPMC", "broadcast", "records", "record broadcast", "stream"
                              or "calls" */
    uint64_t bytes;        /* of one message, or request; 1 of records */
    uint64_t capacity;     /* messages; of records, for each producer; of calls: slots */
    uint32_t how;          /* as it was made; of a stream its own; of calls bytes of a reply */
    uint32_t version;      /* of the message type, where one was given; else 0 */
    uint64_t sent;         /* messages since the ring was made. MPMC: positions, so with each slot that
                              was cancelled, or left out of a lap as its holder was slow or dead.
                              Calls: modulo 2^23 */
    uint64_t size;         /* of these, how many the consumer, or the slowest reader, has not
                              published as taken. MPMC: with those that are being written, or
                              were handed out again. Lossy: 0. Calls: those under way */
    uint64_t producer;     /* the id of the process that holds an end that only one can hold, for */
    uint64_t consumer;     /* struct ipc_peer's alive; ~0: one without an ipc_peer; 0: none */
    unsigned readers;      /* of a lossless broadcast, as ipc_broadcast_was_readers */
    uint64_t slowest;      /* which of them is furthest behind, as ipc_broadcast_was_slowest */
    struct ipc_mpmc_losses losses; /* MPMC: lost, and handed out again */
    /* Where in the memory two bells are, for ipc_notify_was_asleep. Consumers, readers and servers
     * sleep on the first; producers, and callers that wait for a slot, on the second. */
    size_t bell[2];
};

/* A ring that is looked at, and what was checked of it: that is not read from the memory again. */
struct ipc_monitor_ {
    void *mem;
    size_t size;
    uint64_t magic;
    struct ipc_ring_status s;
    struct ipc_broadcast_parts_ parts; /* of broadcasts */
    unsigned seats;                    /* MPMC: for handles; records: lanes */
    uint64_t head;                     /* MPMC: where consumers are */
    uint64_t used;                     /* calls: slots that have had a caller */
};

/* How many positions are from head to tail: 0 to `most`, whatever the memory says. */
IPC_INLINE uint64_t ipc_monitor_between_(uint64_t head, uint64_t tail, uint64_t most)
{
    int64_t size = (int64_t)(tail - head);

    return size < 0 ? 0 : (uint64_t)size < most ? (uint64_t)size : most;
}

/* The bells and ends that rings have at the same places as those of SPSC. */
IPC_INLINE void ipc_monitor_ends_(struct ipc_monitor_ *m, const struct ipc_spsc_shared *r)
{
    m->s.producer = ck_pr_load_64(&r->end[0]);
    m->s.consumer = ck_pr_load_64(&r->end[1]);
    m->s.bell[0] = offsetof(struct ipc_spsc_shared, data_bell);
    m->s.bell[1] = offsetof(struct ipc_spsc_shared, space_bell);
}

IPC_INLINE int ipc_monitor_spsc_(struct ipc_monitor_ *m)
{
    struct ipc_spsc_shared *r = (struct ipc_spsc_shared *)m->mem;
    struct ipc_ring_status *s = &m->s;
    struct ipc_ring_kind_ kind = ipc_spsc_kind_((size_t)s->bytes);
    int rc = ipc_ring_check_reader_(r, m->size, &kind, (size_t)s->bytes, NULL, &s->capacity);

    if (rc != 0)
        return rc;
    s->kind = "SPSC";
    ipc_monitor_ends_(m, r);
    s->sent = ck_pr_load_64(&r->head);
    s->size = ipc_spsc_count_full_((unsigned char *)(r + 1), s->capacity - 1, s->sent, kind.stride);
    s->sent += s->size;
    return 0;
}

/* Where one end of an MPMC ring is: hints lag, so goes on from that over what is done with. */
IPC_INLINE uint64_t ipc_monitor_position_(const struct ipc_monitor_ *m, const struct ipc_mpmc *look,
                                          uint64_t hint, int producer)
{
    size_t stride = ipc_ring_line_stride_((size_t)m->s.bytes);
    uint64_t p, word;

    for (p = hint; p - hint < m->s.capacity; p += ipc_mpmc_positions_of_(word)) {
        enum ipc_mpmc_verdict_ verdict;

        word = ck_pr_load_64(ipc_mpmc_word_(look, p, stride));
        verdict = producer ? ipc_mpmc_judge_for_producer_(look, p, word)
                           : ipc_mpmc_judge_for_consumer_(look, p, word);
        if (verdict != IPC_MPMC_DONE_)
            break;
    }
    return p;
}

IPC_INLINE int ipc_monitor_mpmc_(struct ipc_monitor_ *m)
{
    struct ipc_mpmc_shared *r = (struct ipc_mpmc_shared *)m->mem;
    struct ipc_ring_status *s = &m->s;
    struct ipc_ring_kind_ kind = ipc_mpmc_kind_((size_t)s->bytes, IPC_MPMC_HANDLES(1));
    struct ipc_mpmc look; /* as far as the words of slots are judged by it */
    int rc = ipc_ring_check_reader_(r, m->size, &kind, (size_t)s->bytes, NULL, &s->capacity);

    if (rc == 0) /* 0 of a `how` that is none */
        rc = ipc_ring_check_size_(NULL, m->size,
                                  ipc_mpmc_footprint((size_t)s->bytes, s->capacity, s->how), s->how);
    if (rc != 0)
        return rc;
    s->kind = "MPMC";
    m->seats = ipc_ring_seats_of_(s->how, IPC_MPMC_SEATS);
    s->producer = ck_pr_load_64(&r->end[0]);
    s->consumer = ck_pr_load_64(&r->end[1]);
    s->bell[0] = offsetof(struct ipc_mpmc_shared, data_bell);
    s->bell[1] = offsetof(struct ipc_mpmc_shared, space_bell);
    s->losses.aborted = ck_pr_load_64(&r->aborted);
    s->losses.lost = ck_pr_load_64(&r->lost);
    s->losses.again = ck_pr_load_64(&r->again);
    memset(&look, 0, sizeof look);
    look.slots = (unsigned char *)m->mem + ipc_mpmc_kind_((size_t)s->bytes, s->how).header;
    look.mask = s->capacity - 1;
    while (UINT64_C(1) << look.shift < s->capacity)
        look.shift++;
    m->head = ipc_monitor_position_(m, &look, ck_pr_load_64(&r->head), 0);
    s->sent = ipc_monitor_position_(m, &look, ck_pr_load_64(&r->tail), 1);
    s->size = ipc_monitor_between_(m->head, s->sent, s->capacity);
    return 0;
}

/* How many messages of an MPMC ring that were handed out again are behind the head, which has passed
 * them. */
IPC_INLINE uint64_t ipc_monitor_again_(const struct ipc_monitor_ *m)
{
    size_t stride = ipc_ring_line_stride_((size_t)m->s.bytes);
    size_t header = ipc_mpmc_kind_((size_t)m->s.bytes, m->s.how).header;
    unsigned char *slots = (unsigned char *)m->mem + header;
    uint64_t i, word, count = 0;
    int64_t laps; /* as in ipc_mpmc_position_of_ */

    for (i = 0; m->s.losses.again > 0 && i < m->s.capacity; i++) {
        word = ck_pr_load_64(ipc_ring_sequence_(slots + i * stride, stride));
        laps = (int64_t)((word & ~(IPC_MPMC_LAP_ - 1)) - m->head / m->s.capacity * IPC_MPMC_LAP_);
        count += ipc_mpmc_state_(word) == IPC_MPMC_AGAIN_ &&
                 (laps < 0 || (laps == 0 && i < m->head % m->s.capacity));
    }
    return count;
}

IPC_INLINE int ipc_monitor_stream_(struct ipc_monitor_ *m)
{
    struct ipc_stream_shared *r = (struct ipc_stream_shared *)m->mem;
    struct ipc_ring_status *s = &m->s;
    struct ipc_ring_kind_ kind = ipc_stream_kind_((size_t)s->bytes);
    int rc = ipc_ring_check_reader_(r, m->size, &kind, (size_t)s->bytes, NULL, &s->capacity);

    if (rc != 0)
        return rc;
    s->kind = "stream";
    s->producer = ck_pr_load_64(&r->end[0]);
    s->consumer = ck_pr_load_64(&r->end[1]);
    s->bell[0] = offsetof(struct ipc_stream_shared, data_bell);
    s->bell[1] = offsetof(struct ipc_stream_shared, space_bell);
    s->size = ck_pr_load_64(&r->head);
    /* Without it the tail could be older than the head, and the size below 0. Partner: the release
     * fence of a producer, and that of the consumer which has seen its elements. */
    ck_pr_fence_load(); /* no twin */
    s->sent = ck_pr_load_64(&r->tail);
    s->size = ipc_monitor_between_(s->size, s->sent, s->capacity);
    return 0;
}

/* What the readers of a lossless broadcast have before them, whose tail is s->sent. */
IPC_INLINE void ipc_monitor_readers_(struct ipc_monitor_ *m)
{
    struct ipc_broadcast_readers_ readers =
        ipc_broadcast_list_readers_(&m->parts.seats, NULL, m->s.sent);

    if (m->parts.how != IPC_BROADCAST_LOSSLESS)
        return;
    m->s.readers = ipc_broadcast_count_readers_(&readers);
    m->s.size =
        ipc_broadcast_find_most_behind_(&readers, m->s.sent, m->s.capacity, &m->s.slowest);
}

IPC_INLINE int ipc_monitor_broadcast_(struct ipc_monitor_ *m)
{
    struct ipc_broadcast_shared *r = (struct ipc_broadcast_shared *)m->mem;
    struct ipc_ring_status *s = &m->s;
    struct ipc_ring_kind_ kind = ipc_broadcast_kind_((size_t)s->bytes, IPC_BROADCAST_READERS(1));
    int rc = ipc_broadcast_check_(r, m->size, kind, sizeof *r, (size_t)s->bytes, NULL, 1,
                                  &m->parts);

    if (rc != 0)
        return rc;
    s->kind = "broadcast";
    s->capacity = m->parts.capacity;
    ipc_monitor_ends_(m, &r->s);
    s->consumer = 0;
    s->sent = ck_pr_load_64(&r->s.head);
    s->sent += ipc_spsc_count_full_(m->parts.slots, s->capacity - 1, s->sent, kind.stride);
    ipc_monitor_readers_(m);
    return 0;
}

IPC_INLINE int ipc_monitor_record_broadcast_(struct ipc_monitor_ *m)
{
    struct ipc_record_broadcast_shared *r = (struct ipc_record_broadcast_shared *)m->mem;
    struct ipc_ring_status *s = &m->s;
    struct ipc_record_broadcast_mark_ mark;
    uint64_t marks, count = 0;
    int rc = ipc_record_broadcast_check_(r, m->size, NULL, 1, &m->parts);

    mark.tail = 0;
    if (rc == 0 && m->parts.how == IPC_BROADCAST_LOSSY)
        rc = ipc_record_broadcast_read_mark_(r, &mark, &marks);
    if (rc != 0)
        return rc;
    s->kind = "record broadcast";
    s->capacity = m->parts.capacity;
    ipc_monitor_ends_(m, &r->c.s);
    s->consumer = 0;
    s->sent = m->parts.how == IPC_BROADCAST_LOSSY ? mark.tail : ck_pr_load_64(&r->c.s.head);
    /* What is not whole was overwritten meanwhile: the walk ends there. */
    (void)ipc_record_walk_to_end_(m->parts.slots, s->capacity - 1, &s->sent, &count);
    ipc_monitor_readers_(m);
    return 0;
}

/* How many bytes of records a lane has, from *head on, which the consumer has published. */
IPC_INLINE uint64_t ipc_monitor_lane_(const struct ipc_monitor_ *m, unsigned lane, uint64_t *head)
{
    struct ipc_record_shared *r = (struct ipc_record_shared *)m->mem;
    uint64_t count = 0, tail = *head = ck_pr_load_64(ipc_record_head_(r, m->seats, lane));

    /* Without it the records could be older than the head. Partner: the fence in
     * ipc_record_publish_. */
    ck_pr_fence_load(); /* no twin */
    (void)ipc_record_walk_to_end_(ipc_record_data_(r, m->seats, lane, m->s.capacity - 1),
                                  m->s.capacity - 1, &tail, &count);
    return tail - *head;
}

IPC_INLINE int ipc_monitor_records_(struct ipc_monitor_ *m)
{
    struct ipc_record_shared *r = (struct ipc_record_shared *)m->mem;
    unsigned i;
    int rc = ipc_record_check_(r, m->size, NULL, &m->s.capacity, &m->seats);

    if (rc != 0)
        return rc;
    m->s.kind = "records";
    ipc_monitor_ends_(m, &r->s);
    m->s.producer = m->seats == 1 ? m->s.producer : 0;
    for (i = 0; i < m->seats; i++) {
        uint64_t head, bytes = ipc_monitor_lane_(m, i, &head);

        m->s.size += bytes;
        m->s.sent += head + bytes;
    }
    return 0;
}

/* The slot of a call, and its word. */
IPC_INLINE unsigned char *ipc_monitor_call_(const struct ipc_monitor_ *m, uint64_t i, uint64_t *word)
{
    size_t stride = ipc_call_stride_((size_t)m->s.bytes, m->s.how);
    unsigned char *slot = (unsigned char *)m->mem + sizeof(struct ipc_call_shared) + i * stride;

    *word = ck_pr_load_64(ipc_ring_sequence_(slot, stride));
    return slot;
}

IPC_INLINE int ipc_monitor_calls_(struct ipc_monitor_ *m)
{
    struct ipc_call_shared *r = (struct ipc_call_shared *)m->mem;
    struct ipc_ring_status *s = &m->s;
    uint64_t word, i;
    int rc = ipc_call_check_(r, m->size, (size_t)s->bytes, s->how, NULL, &s->capacity);

    if (rc != 0)
        return rc;
    s->kind = "calls";
    s->bell[0] = offsetof(struct ipc_call_shared, server_bell);
    s->bell[1] = offsetof(struct ipc_call_shared, slot_bell);
    m->used = ck_pr_load_64(&r->used);
    m->used = m->used < s->capacity ? m->used : s->capacity;
    for (i = 0; i < m->used; i++) {
        (void)ipc_monitor_call_(m, i, &word);
        s->sent += word / IPC_CALL_NUMBER_;
        s->size += ipc_call_state_(word) == IPC_CALL_ASKED_ ||
                   ipc_call_state_(word) == IPC_CALL_TAKEN_;
    }
    s->sent %= UINT64_MAX / IPC_CALL_NUMBER_ + 1;
    return 0;
}

/* As ipc_ring_inspect, into m->s; and what else was checked. */
IPC_INLINE int ipc_monitor_look_(struct ipc_monitor_ *m, void *mem, size_t size)
{
    const struct ipc_ring_shared_ *r = (const struct ipc_ring_shared_ *)mem;

    memset(m, 0, sizeof *m);
    if (!ipc_ring_aligned_(mem) || size < sizeof *r)
        return -EINVAL;
    m->mem = mem;
    m->size = size;
    m->magic = ck_pr_load_64(&r->magic);
    /* Without it the fields could be older than the magic, of which the next look sees a later one.
     * Partner: in ipc_ring_init_. */
    ck_pr_fence_load(); /* no twin */
    m->s.bytes = ck_pr_load_64(&r->bytes);
    m->s.how = ck_pr_load_32(&r->how);
    m->s.version = ck_pr_load_32(&r->version);
    switch (m->magic) {
    case IPC_SPSC_MAGIC:
        return ipc_monitor_spsc_(m);
    case IPC_MPMC_MAGIC:
        return ipc_monitor_mpmc_(m);
    case IPC_BROADCAST_MAGIC:
        return ipc_monitor_broadcast_(m);
    case IPC_RECORD_BROADCAST_MAGIC:
        return ipc_monitor_record_broadcast_(m);
    case IPC_RECORD_MAGIC:
        return ipc_monitor_records_(m);
    case IPC_STREAM_MAGIC:
        return ipc_monitor_stream_(m);
    case IPC_CALL_MAGIC:
        return ipc_monitor_calls_(m);
    case 0:
        return -EAGAIN;
    }
    return -EPROTO;
}

/*
 * Says what the ring in mem[0..size) is, and how full, without attaching to it: for a monitor,
 * which may have the memory without write access. Stores nothing there. Each number was so at some
 * moment during the call; while processes use the ring they may be of different moments. Not for
 * the path of a message: it touches lines that others write, and walks over all records that are
 * there, over all slots of callers, and over those of an MPMC ring that handed messages out again. Wait-free for a given capacity. Any process, any thread;
 * peers that are stopped or killed do not matter. In a segment, ipc_shm_list gives mem and size of
 * each object.
 *
 *   0
 *   -EINVAL  mem is not 64-byte aligned, or too small for any ring
 *   -EAGAIN  the ring is not initialised yet; or a writer made marks too fast to be read
 *   -EPROTO  it is no ring, or one of another version, byte order or layout
 *   -EBADMSG  it is corrupt
 */
IPC_INLINE int ipc_ring_inspect(void *mem, size_t size, struct ipc_ring_status *s)
{
    struct ipc_monitor_ m;
    int rc = ipc_monitor_look_(&m, mem, size);

    if (rc == 0 && m.magic == IPC_MPMC_MAGIC)
        m.s.size = ipc_monitor_between_(0, m.s.size + ipc_monitor_again_(&m), m.s.capacity);
    *s = m.s;
    return rc;
}

#endif

/* >>holders  src/ring/holders.h */
/* Monitoring: which process holds what of a ring, for a process that takes no end of it. */
#ifndef IPC_SRC_RING_HOLDERS_H
#define IPC_SRC_RING_HOLDERS_H 1

/* ------------------------------------------------------------------ holders */

/* What a process can hold. What the producer of a ring with one at an end has claimed, and its
 * consumer has peeked, is in their own memory: only the holders of such ends are known. Readers of
 * a lossy broadcast store nothing, and are not known at all. */
enum ipc_ring_held {
    IPC_HOLDS_PRODUCER,     /* the end of the only producer, or the writer */
    IPC_HOLDS_CONSUMER,     /* the end of the only consumer */
    IPC_HOLDS_LANE,         /* records: the lane of one of several producers */
    IPC_HOLDS_READER,       /* a lossless broadcast: the seat of a reader */
    IPC_HOLDS_HANDLE,       /* MPMC: the seat of an attached handle, of either end */
    IPC_HOLDS_SERVER,       /* calls: the seat of a server */
    IPC_HOLDS_CALLER,       /* calls: the slot of a caller, which has no request under way */
    IPC_HOLDS_REQUEST,      /* calls: the same, with a request that was not answered yet */
    IPC_HOLDS_CALL,         /* calls: a server has taken the request of a slot */
    IPC_HOLDS_WRITING,      /* MPMC, lossy broadcasts: slots that a message is written to */
    IPC_HOLDS_READING,      /* MPMC: slots whose messages were peeked */
    IPC_HOLDS_LATE_WRITING, /* MPMC: the same two, of a holder that others have passed over, */
    IPC_HOLDS_LATE_READING, /*       as it has not moved */
    IPC_HOLDS_KINDS
};

/* One thing that a process holds. */
struct ipc_ring_hold {
    uint64_t id; /* the process, for struct ipc_peer's alive; ~0: one without an ipc_peer; 0: a
                    handle that was detached, whose seat may have another holder now */
    enum ipc_ring_held what;
    uint64_t place;  /* which lane, seat or slot, from 0 on; of an end 0 */
    uint64_t count;  /* of slots: how many, in a row; else 1 */
    uint64_t behind; /* a lane: bytes that the consumer has not published as taken. A reader: messages
                        that it has before it. Slots: how many messages were sent since, but 0 where
                        others have passed over the holder */
    uint64_t mark;   /* another one for another hold of the same place, with great likelihood */
    size_t bell;     /* a caller's: where in the memory its bell is; else 0 */
};

#define IPC_RING_LOOKS_ 65536u /* places that one call looks at */

/* An end, lane or seat: is it held? */
IPC_INLINE int ipc_holders_end_(struct ipc_ring_hold *h, enum ipc_ring_held what, uint64_t id)
{
    h->what = what;
    h->id = h->mark = id;
    return id != 0;
}

/* The two ends, and with lanes: those of several producers behind them. */
IPC_INLINE int ipc_holders_ends_(const struct ipc_monitor_ *m, uint64_t place,
                                 struct ipc_ring_hold *h)
{
    struct ipc_record_shared *r = (struct ipc_record_shared *)m->mem;
    uint64_t head;

    if (place == 0)
        return ipc_holders_end_(h, IPC_HOLDS_PRODUCER, m->s.producer);
    if (place == 1)
        return ipc_holders_end_(h, IPC_HOLDS_CONSUMER, m->s.consumer);
    h->place = place - 2;
    if (!ipc_holders_end_(h, IPC_HOLDS_LANE,
                          ck_pr_load_64(ipc_record_holder_(r, m->seats, (unsigned)h->place))))
        return 0;
    h->behind = ipc_monitor_lane_(m, (unsigned)h->place, &head);
    return 1;
}

/* A writer, the slot that it is writing, and the seats of readers. */
IPC_INLINE int ipc_holders_broadcast_(const struct ipc_monitor_ *m, uint64_t place,
                                      struct ipc_ring_hold *h)
{
    const struct ipc_broadcast_seats_ *seats = &m->parts.seats;
    uint64_t at = m->s.sent, head, word;
    size_t stride;

    if (place == 0)
        return ipc_holders_end_(h, IPC_HOLDS_PRODUCER, m->s.producer);
    if (place == 1 && (m->magic != IPC_BROADCAST_MAGIC || m->parts.how != IPC_BROADCAST_LOSSY))
        return 0;
    if (place == 1) {
        stride = ipc_ring_stride_((size_t)m->s.bytes);
        word = ck_pr_load_64(ipc_ring_sequence_(
            ipc_ring_slot_(m->parts.slots, m->s.capacity - 1, at, stride), stride));
        (void)ipc_holders_end_(h, IPC_HOLDS_WRITING, m->s.producer);
        h->place = at & (m->s.capacity - 1);
        h->mark = word;
        return word == (IPC_BROADCAST_BUSY_ | (at + 1));
    }
    h->place = place - 2;
    head = ipc_broadcast_find_position_(seats, (unsigned)h->place, &word);
    if (!ipc_holders_end_(h, IPC_HOLDS_READER, word))
        return 0;
    h->behind = head < IPC_BROADCAST_NOWHERE_
                    ? ipc_monitor_between_(head, m->s.sent, m->s.capacity)
                    : 0;
    return 1;
}

/* The slots that the word of an MPMC ring's slot says are held. */
IPC_INLINE int ipc_holders_slot_(const struct ipc_monitor_ *m, uint64_t slot,
                                 struct ipc_ring_hold *h)
{
    const struct ipc_mpmc_shared *r = (const struct ipc_mpmc_shared *)m->mem;
    const struct ipc_ring_seat_ *seats = (const struct ipc_ring_seat_ *)(r + 1), *seat;
    size_t stride = ipc_ring_line_stride_((size_t)m->s.bytes);
    size_t header = ipc_mpmc_kind_((size_t)m->s.bytes, m->s.how).header;
    unsigned char *slots = (unsigned char *)m->mem + header;
    uint64_t word = ck_pr_load_64(ipc_ring_sequence_(slots + slot * stride, stride)), named;
    int64_t laps; /* as in ipc_mpmc_position_of_ */

    h->place = slot;
    h->count = ipc_mpmc_run_length_(word);
    h->mark = word;
    switch (ipc_mpmc_state_(word)) {
    case IPC_MPMC_WRITING_:
        h->what = IPC_HOLDS_WRITING;
        break;
    case IPC_MPMC_READING_:
        h->what = IPC_HOLDS_READING;
        break;
    case IPC_MPMC_LATE_WRITER_:
        h->what = IPC_HOLDS_LATE_WRITING;
        break;
    case IPC_MPMC_LATE_READER_:
        h->what = IPC_HOLDS_LATE_READING;
        break;
    default:
        return 0;
    }
    if (h->what >= IPC_HOLDS_LATE_WRITING) {
        h->mark = word % IPC_MPMC_LAP_; /* each lap stamps its number on the word */
    } else {
        laps = (int64_t)(m->s.sent / m->s.capacity * IPC_MPMC_LAP_ - (word & ~(IPC_MPMC_LAP_ - 1))) /
               (int64_t)IPC_MPMC_LAP_;
        h->behind = ipc_monitor_between_(
            slot + h->count, m->s.sent % m->s.capacity + (uint64_t)laps * m->s.capacity,
            2 * m->s.capacity);
    }
    named = word / IPC_MPMC_NAME_ % IPC_RING_SEATS_MAX;
    seat = &seats[named < m->seats ? named : 0];
    /* Without it the seat could be older than the word. Partner: in ipc_mpmc_take_seat_. */
    ck_pr_fence_load(); /* no twin */
    h->id = ck_pr_load_64(&seat->named);
    if (named >= m->seats || ck_pr_load_64(&seat->generation) % 256 !=
                                 word / IPC_MPMC_NAME_ / IPC_RING_SEATS_MAX % 256)
        h->id = 0;
    return 1;
}

/* Ends that only one can hold, seats of handles, slots. */
IPC_INLINE int ipc_holders_mpmc_(const struct ipc_monitor_ *m, uint64_t place,
                                 struct ipc_ring_hold *h)
{
    const struct ipc_mpmc_shared *r = (const struct ipc_mpmc_shared *)m->mem;
    const struct ipc_ring_seat_ *seats = (const struct ipc_ring_seat_ *)(r + 1);

    if (place < 2)
        return ipc_holders_ends_(m, place, h);
    if (place - 2 >= m->seats)
        return ipc_holders_slot_(m, place - 2 - m->seats, h);
    h->place = place - 2;
    if (!ipc_holders_end_(h, IPC_HOLDS_HANDLE, ck_pr_load_64(&seats[h->place].id)))
        return 0;
    h->mark = ck_pr_load_64(&seats[h->place].generation);
    return 1;
}

/* Seats of servers; for each slot its caller, and the server that has it. */
IPC_INLINE int ipc_holders_calls_(const struct ipc_monitor_ *m, uint64_t place,
                                  struct ipc_ring_hold *h)
{
    const struct ipc_call_shared *r = (const struct ipc_call_shared *)m->mem;
    const struct ipc_ring_seat_ *seat;
    unsigned char *slot;
    unsigned state;
    uint64_t word;
    int held;

    h->place = place;
    if (place < IPC_CALL_SERVERS)
        return ipc_holders_end_(h, IPC_HOLDS_SERVER, ck_pr_load_64(&r->seat[place].id));
    h->place = (place - IPC_CALL_SERVERS) / 2;
    slot = ipc_monitor_call_(m, h->place, &word);
    state = ipc_call_state_(word);
    if (place % 2 == 0) {
        held = ipc_holders_end_(h, IPC_HOLDS_CALLER, ck_pr_load_64(ipc_call_caller_(slot)));
        if (state == IPC_CALL_ASKED_ || state == IPC_CALL_TAKEN_) {
            h->what = IPC_HOLDS_REQUEST;
            h->mark = word / IPC_CALL_NUMBER_;
        }
        h->bell = (size_t)(slot - (unsigned char *)m->mem) + offsetof(struct ipc_call_slot_, bell);
        return held;
    }
    seat = &r->seat[word / IPC_CALL_NAME_ % IPC_CALL_SERVERS];
    /* Without it the seat could be older than the word. Partner: in ipc_call_server_attach. */
    ck_pr_fence_load(); /* no twin */
    (void)ipc_holders_end_(h, IPC_HOLDS_CALL, ck_pr_load_64(&seat->named));
    if ((uint32_t)ck_pr_load_64(&seat->generation) !=
        (uint32_t)(word / IPC_CALL_NAME_ / IPC_CALL_SERVERS))
        h->id = 0;
    h->mark = word & ~IPC_CALL_STATE_;
    return state == IPC_CALL_TAKEN_ || state == IPC_CALL_GIVEN_;
}

/* How many places the ring has that can be held. */
IPC_INLINE uint64_t ipc_holders_places_(const struct ipc_monitor_ *m)
{
    switch (m->magic) {
    case IPC_MPMC_MAGIC:
        return 2 + m->seats + m->s.capacity;
    case IPC_BROADCAST_MAGIC:
    case IPC_RECORD_BROADCAST_MAGIC:
        return 2 + (m->parts.how == IPC_BROADCAST_LOSSLESS
                        ? ipc_broadcast_seats_used_(&m->parts.seats)
                        : 0);
    case IPC_RECORD_MAGIC:
        return 2 + (m->seats > 1 ? m->seats : 0);
    case IPC_CALL_MAGIC:
        return IPC_CALL_SERVERS + 2 * m->used;
    default:
        return 2;
    }
}

IPC_INLINE int ipc_holders_at_(const struct ipc_monitor_ *m, uint64_t place,
                               struct ipc_ring_hold *h)
{
    memset(h, 0, sizeof *h);
    h->count = 1;
    switch (m->magic) {
    case IPC_MPMC_MAGIC:
        return ipc_holders_mpmc_(m, place, h);
    case IPC_BROADCAST_MAGIC:
    case IPC_RECORD_BROADCAST_MAGIC:
        return ipc_holders_broadcast_(m, place, h);
    case IPC_CALL_MAGIC:
        return ipc_holders_calls_(m, place, h);
    default:
        return ipc_holders_ends_(m, place, h);
    }
}

/*
 * Says which process holds what of the ring in mem[0..size): fills in up to n of `holds`. *from is
 * where to begin: 0 at first, then as the last call left it; UINT64_MAX: there is no more. One call
 * looks at 65,536 places at most, and so may find none before the end. For a monitor, and with the
 * same cost and safety, as ipc_ring_inspect. The memory does not say since when a hold lasts, but a
 * monitor that looks again, and finds the same `what`, `place`, `mark` and `id`, has seen it last.
 *
 *   >= 0     how many were filled in
 *   -EINVAL, -EAGAIN, -EPROTO, -EBADMSG  as of ipc_ring_inspect
 */
IPC_INLINE int ipc_ring_holders(void *mem, size_t size, uint64_t *from, struct ipc_ring_hold *holds,
                                unsigned n)
{
    struct ipc_monitor_ m;
    uint64_t place = *from, places, looks;
    unsigned found = 0;
    int rc = ipc_monitor_look_(&m, mem, size);

    if (rc != 0)
        return rc;
    places = ipc_holders_places_(&m);
    for (looks = 0; place < places && found < n && looks < IPC_RING_LOOKS_; place++, looks++)
        found += (unsigned)ipc_holders_at_(&m, place, &holds[found]);
    *from = place < places ? place : UINT64_MAX;
    return (int)found;
}

#endif

/* >>typed  src/ring/typed.h */
/* Rings of a type: what the macros of all kinds have in common. */
#ifndef IPC_SRC_RING_TYPED_H
#define IPC_SRC_RING_TYPED_H 1

/*
 * tools/amalgamate makes a macro of each template. NAME is the ring's, K its kind (spsc, stream
 * ...), END the end's (producer, consumer, client, server). H is where a handle `h` of that end has
 * `ring` and `error`: raw, or a member of that. `...` is the size of a message, and what else the
 * calls of the kind end with.
 *
 * No header includes another, and yet a ring finds a segment and a notifier. The include guards of
 * ipc_shm.h and ipc_notify.h have the value 1, and pasting one picks the macro that keeps its
 * arguments. A guard that was never defined stays a name, and picks the one that drops them.
 */
#define IPC_RING_WITH_SHM_(...) IPC_RING_PASTE_(IPC_RING_IF_, IPC_SHM_H)(__VA_ARGS__)
#define IPC_RING_WITH_NOTIFY_(...) IPC_RING_PASTE_(IPC_RING_IF_, IPC_NOTIFY_H)(__VA_ARGS__)
#define IPC_RING_PASTE_(a, b) IPC_RING_PASTE2_(a, b)
#define IPC_RING_PASTE2_(a, b) a##b
#define IPC_RING_IF_1(...) __VA_ARGS__
#define IPC_RING_IF_IPC_SHM_H(...)
#define IPC_RING_IF_IPC_NOTIFY_H(...)

/* The arguments of a macro that end with a type, and perhaps its version: NAME_version_ is 0 without
 * one. Programs whose versions differ are refused each other's rings. */
#define IPC_RING_TYPE_OF_(...) IPC_RING_FIRST_(__VA_ARGS__, 0)
#define IPC_RING_VERSION_OF_(...) IPC_RING_SECOND_(__VA_ARGS__, 0, 0)
#define IPC_RING_FIRST_(first, ...) first
#define IPC_RING_SECOND_(first, second, ...) second

/* HOW of a kind that is made in more than one way, and of one that is not. */
#define IPC_RING_HOW_(...) __VA_ARGS__
#define IPC_RING_PLAIN_(...)

/* How the calls that move a message are declared. C leaves it to the compiler, which inlines a static
 * function that is called once. A function of a class is not static, so ipc_ring.hpp says it. */
#define IPC_RING_CALL_ IPC_INLINE

/* A declaration ahead of its definition. In a class of ipc_ring.hpp it would be a second one. */
#define IPC_RING_FORWARD_(...) __VA_ARGS__

/* The bell that an end sleeps on, the one that it posts, and the index of the other end. */
#define IPC_RING_OURS_producer space
#define IPC_RING_OURS_consumer data
#define IPC_RING_THEIRS_producer data
#define IPC_RING_THEIRS_consumer space
#define IPC_RING_OTHER_producer 1
#define IPC_RING_OTHER_consumer 0

/* ------------------------------------------------------------------ versions of a type */

/* Says for init which version of the type a ring of `footprint` bytes is about to be made for. Where
 * init will refuse that memory, it stays as it is. */
IPC_INLINE void ipc_ring_say_version_(void *mem, size_t size, size_t footprint, int version)
{
    struct ipc_ring_shared_ *r = (struct ipc_ring_shared_ *)mem;

    if (footprint == 0 || size < footprint || !ipc_ring_aligned_(mem))
        return;
    ck_pr_store_64(&r->magic, 0); /* what was there is no ring of that version */
    r->next_version = IPC_RING_NEXT_ + (uint32_t)version;
}

/* 0, or -EPROTO: the ring is for another version of the type. It is left to attach to refuse what is
 * no ring. */
IPC_INLINE int ipc_ring_check_version_(const void *mem, size_t size, int version,
                                       struct ipc_peer *me)
{
    const struct ipc_ring_shared_ *r = (const struct ipc_ring_shared_ *)mem;
    uint32_t there, here = (uint32_t)version;

    if (!ipc_ring_aligned_(mem) || size < sizeof *r || ck_pr_load_64(&r->magic) == 0)
        return 0;
    /* Without it the version could be older than the magic. Partner: in ipc_ring_init_. */
    ck_pr_fence_load();
    there = ck_pr_load_32(&r->version);
    if (ck_pr_load_32(&r->abi) != IPC_RING_LAYOUT || there == here)
        return 0;
    return ipc_ring_refuse_(me, -EPROTO, "message type of another version", there, here);
}

/* ------------------------------------------------------------------ an end */

/* A handle of an end. ATTACH_BELLS is what a program that sleeps does where attach was not refused.
 */
#define IPC_RING_HANDLE_NOTIFY1_(NAME, K, END, H, ATTACH_BELLS, ...)                               \
        struct ipc_notify data, space;                                                             \
        struct ipc_notify_peer_ peer;                                                              \
        uint64_t woken_for;
#define IPC_RING_HANDLE_NOTIFY2_(NAME, K, END, H, ATTACH_BELLS, ...)                               \
    IPC_INLINE int NAME##_##END##_attach_bells_(struct NAME##_##END *h, struct ipc_peer *me)       \
    {                                                                                              \
        ATTACH_BELLS;                                                                              \
    }
#define IPC_RING_HANDLE_NOTIFY3_(NAME, K, END, H, ATTACH_BELLS, ...)                               \
        if (rc == 0)                                                                               \
            rc = NAME##_##END##_attach_bells_(h, me);
#define IPC_RING_HANDLE_(NAME, K, END, H, ATTACH_BELLS, ...)                                       \
    struct NAME##_##END {                                                                          \
        struct ipc_##K##_##END raw;                                                                \
    IPC_RING_WITH_NOTIFY_(IPC_RING_HANDLE_NOTIFY1_(NAME, K, END, H, ATTACH_BELLS, __VA_ARGS__))    \
    };                                                                                             \
    IPC_RING_WITH_NOTIFY_(IPC_RING_HANDLE_NOTIFY2_(NAME, K, END, H, ATTACH_BELLS, __VA_ARGS__))    \
    IPC_INLINE int NAME##_##END##_attach(struct NAME##_##END *h, void *mem, size_t size, struct ipc_peer *me)\
    {                                                                                              \
        int rc;                                                                                    \
        memset(h, 0, sizeof *h);                                                                   \
        ipc_ring_begin_self_(&h->H.self, NULL, NULL);                                              \
        rc = ipc_ring_check_version_(mem, size, NAME##_version_, me);                              \
        if (rc != 0)                                                                               \
            return h->H.error = rc;                                                                \
        rc = ipc_##K##_##END##_attach(&h->raw, mem, size, __VA_ARGS__);                            \
        if (rc == 0 && (rc = ipc_ring_check_version_(mem, size, NAME##_version_, me)) != 0) {      \
            ipc_##K##_##END##_detach(&h->raw);                                                     \
            return h->H.error = rc;                                                                \
        }                                                                                          \
    IPC_RING_WITH_NOTIFY_(IPC_RING_HANDLE_NOTIFY3_(NAME, K, END, H, ATTACH_BELLS, __VA_ARGS__))    \
        return rc;                                                                                 \
    }                                                                                              \
    IPC_INLINE int NAME##_##END##_error(const struct NAME##_##END *h)                              \
    {                                                                                              \
        return ipc_##K##_##END##_error(&h->raw);                                                   \
    }

/* That of a producer or consumer gives its end back where a bell is refused. ANYONE: also the death
 * of others than the process at the other end matters to it. FIRST: what it does before it posts.
 */
#define IPC_RING_END_NOTIFY1_(NAME, K, END, H, ANYONE, FIRST, ...)                                 \
        ipc_notify_leave_both_(&h->data, &h->space);
#define IPC_RING_END_NOTIFY2_(NAME, K, END, H, ANYONE, FIRST, ...)                                 \
    IPC_INLINE struct ipc_notify *NAME##_##END##_bell(struct NAME##_##END *h)                      \
    {                                                                                              \
        return &h->IPC_RING_OURS_##END;                                                            \
    }                                                                                              \
    IPC_INLINE int NAME##_##END##_post(struct NAME##_##END *h)                                     \
    {                                                                                              \
        FIRST;                                                                                     \
        return ipc_notify_post(&h->IPC_RING_THEIRS_##END);                                         \
    }                                                                                              \
    IPC_RING_FORWARD_(IPC_INLINE int NAME##_##END##_look_(void *handle, void *argument);)          \
    IPC_INLINE int NAME##_##END##_wait_until_(struct NAME##_##END *h, void *argument, int64_t deadline)\
    {                                                                                              \
        if (h->H.ring == NULL)                                                                     \
            return h->H.error;                                                                     \
        return ipc_notify_wait_with_peer_(                                                         \
            &h->IPC_RING_OURS_##END, &h->H.ring->end[IPC_RING_OTHER_##END],                        \
            &h->H.ring->left[IPC_RING_OTHER_##END], &h->peer, deadline, ipc_notify_wait_until_,    \
            NAME##_##END##_look_, h, argument);                                                    \
    }
#define IPC_RING_END_(NAME, K, END, H, ANYONE, FIRST, ...)                                         \
    IPC_RING_HANDLE_(NAME, K, END, H, IPC_RING_ATTACH_BELLS_(K, END, H, ANYONE), __VA_ARGS__)      \
    IPC_INLINE void NAME##_##END##_detach(struct NAME##_##END *h)                                  \
    {                                                                                              \
        ipc_##K##_##END##_detach(&h->raw);                                                         \
    IPC_RING_WITH_NOTIFY_(IPC_RING_END_NOTIFY1_(NAME, K, END, H, ANYONE, FIRST, __VA_ARGS__))      \
    }                                                                                              \
    IPC_RING_WITH_NOTIFY_(IPC_RING_END_NOTIFY2_(NAME, K, END, H, ANYONE, FIRST, __VA_ARGS__))

/* The body of NAME_END_attach_bells_. */
#define IPC_RING_ATTACH_BELLS_(K, END, H, ANYONE)                                                  \
    int rc = ipc_notify_attach_both_(&h->data, h->H.ring->data_bell, &h->space, h->H.ring->space_bell,\
                                     IPC_NOTIFY_FUTEX, me);                                        \
    if (rc != 0) {                                                                                 \
        ipc_##K##_##END##_detach(&h->raw);                                                         \
        return h->H.error = rc;                                                                    \
    }                                                                                              \
    h->IPC_RING_OURS_##END.looks_each_second = 1;                                                  \
    h->peer.seen =                                                                                 \
        ipc_notify_first_seen_(&h->IPC_RING_OURS_##END, &h->H.ring->end[IPC_RING_OTHER_##END]);    \
    h->peer.left = ck_pr_load_64(&h->H.ring->left[IPC_RING_OTHER_##END]);                          \
    h->woken_for = ck_pr_load_64(&h->H.ring->head);                                                \
    (void)ipc_notify_post(&h->IPC_RING_THEIRS_##END);                                              \
    if (ANYONE) {                                                                                  \
        (void)ipc_notify_post(&h->IPC_RING_OURS_##END);                                            \
        ipc_notify_watch_anyone(&h->IPC_RING_OURS_##END);                                          \
    }                                                                                              \
    return 0;

/* What both ends can say. */
#define IPC_RING_SAYS_(NAME, K, CONST, TYPE, WHAT)                                                 \
    IPC_INLINE TYPE NAME##_producer_##WHAT(CONST struct NAME##_producer *p)                        \
    {                                                                                              \
        return ipc_##K##_producer_##WHAT(&p->raw);                                                 \
    }                                                                                              \
    IPC_INLINE TYPE NAME##_consumer_##WHAT(CONST struct NAME##_consumer *c)                        \
    {                                                                                              \
        return ipc_##K##_consumer_##WHAT(&c->raw);                                                 \
    }

/* What the writer of a broadcast can say of its readers. */
#define IPC_RING_READERS_NOTIFY1_(NAME, K)                                                         \
    IPC_RING_ASSERT_(NAME##_unasked, IPC_BROADCAST_UNASKED_ == IPC_NOTIFY_UNASKED_)
#define IPC_RING_READERS_(NAME, K)                                                                 \
    IPC_INLINE uint64_t NAME##_was_slowest(const struct NAME##_producer *p, uint64_t *id)          \
    {                                                                                              \
        return ipc_##K##_was_slowest(&p->raw, id);                                                 \
    }                                                                                              \
    IPC_INLINE unsigned NAME##_was_readers(const struct NAME##_producer *p)                        \
    {                                                                                              \
        return ipc_##K##_was_readers(&p->raw);                                                     \
    }                                                                                              \
    IPC_INLINE int64_t NAME##_producer_recover(struct NAME##_producer *p, uint64_t id)             \
    {                                                                                              \
        return ipc_##K##_producer_recover(&p->raw, id);                                            \
    }                                                                                              \
    IPC_RING_WITH_NOTIFY_(IPC_RING_READERS_NOTIFY1_(NAME, K))

/* ------------------------------------------------------------------ memory and segments */

/* Of slots and elements; `...`: sizes. KIND is the type under which a segment lists it, ENDS what
 * `how` says of the ends. */
#define IPC_RING_MEMORY_SHM1_(NAME, K, KIND, BYTES, HOW, ENDS, ...)                                \
    IPC_RING_CREATE_(NAME, K, KIND, BYTES, HOW, ENDS)
#define IPC_RING_MEMORY_(NAME, K, KIND, BYTES, HOW, ENDS, ...)                                     \
    IPC_INLINE size_t NAME##_footprint(uint64_t capacity HOW(, unsigned how))                      \
    {                                                                                              \
        return ipc_##K##_footprint(__VA_ARGS__, capacity HOW(, how | (ENDS)));                     \
    }                                                                                              \
    IPC_INLINE int NAME##_init(void *mem, size_t size, uint64_t capacity HOW(, unsigned how))      \
    {                                                                                              \
        ipc_ring_say_version_(mem, size, NAME##_footprint(capacity HOW(, how)), NAME##_version_);  \
        return ipc_##K##_init(mem, size, __VA_ARGS__, capacity HOW(, how | (ENDS)));               \
    }                                                                                              \
    IPC_RING_WITH_SHM_(IPC_RING_MEMORY_SHM1_(NAME, K, KIND, BYTES, HOW, ENDS, __VA_ARGS__))

/* Is the ring that is there the one that was to be made? how: -1 where its kind has no choice. */
IPC_INLINE int ipc_ring_same_(struct ipc_peer *me, const void *mem, size_t size, size_t footprint,
                              size_t bytes, uint64_t capacity, int64_t how)
{
    const struct ipc_ring_shared_ *r = (const struct ipc_ring_shared_ *)mem;
    uint64_t there = ck_pr_load_32(&r->abi);

    if (there != IPC_RING_LAYOUT) /* what is compared below may mean something else there */
        return ipc_ring_refuse_(me, -EPROTO, "ring of another version; ABI", there, IPC_RING_LAYOUT);
    there = ck_pr_load_64(&r->bytes);
    if (there != bytes)
        return ipc_ring_refuse_(me, -EPROTO, "message size differs; bytes", there, bytes);
    there = ck_pr_load_64(&r->capacity);
    if (size != footprint && (how < 0 || there != capacity))
        return ipc_ring_refuse_(me, -EPROTO, "capacity, or kind, differs; slots", there, capacity);
    if (how >= 0 && (there = ck_pr_load_32(&r->how)) != (uint64_t)how)
        return ipc_ring_refuse_(me, -EPROTO, "ring made for another use, or another number of "
                                "handles; how", there, (uint64_t)how);
    return 0;
}

/* Which process has the end, as the sentence of ipc_ring_take_end_ says; 0: it is another sentence. */
IPC_INLINE uint64_t ipc_ring_holder_in_(const char *why)
{
    unsigned long long id = 0;

    (void)sscanf(why, "this end of the ring is taken; peer: %llu", &id);
    return id;
}

/* Puts the ring's name before the sentence about a refusal, and behind it what to do. pid: of the
 * process that has the end, or 0: not known. Returns rc. */
IPC_INLINE int ipc_ring_explain_(struct ipc_peer *me, const char *name, int rc, long pid)
{
    const char *remedy = "";
    char what[112], busy[64];

    (void)snprintf(what, sizeof what, "%.111s", me->why);
    (void)snprintf(busy, sizeof busy, ": detach there, or end pid %ld, first", pid);
    if (rc == -EPROTO)
        remedy = ": build its programs with the same type and headers, or use another name";
    if (rc == -EBUSY && strncmp(what, "this process", 12) == 0)
        remedy = ": detach it first, or close the segment if its handle is lost";
    else if (rc == -EBUSY)
        remedy = pid > 0 ? busy : ": detach there, or end that process (ipc_top shows which), first";
    (void)snprintf(me->why, sizeof me->why, "ring '%.60s': %s%s", name, what, remedy);
    return rc;
}

/* Makes the ring if it is not there. A wrong `how` is refused before it is begun, as what is begun
 * must come to an end. */
#define IPC_RING_CREATE_(NAME, K, KIND, BYTES, HOW, ENDS)                                          \
    IPC_INLINE int NAME##_create(struct ipc_shm *seg, const char *name,                            \
                               uint64_t capacity HOW(, unsigned how))                              \
    {                                                                                              \
        struct ipc_shm_object object;                                                              \
        size_t footprint = NAME##_footprint(capacity HOW(, how));                                  \
        int rc;                                                                                    \
        HOW(if (!ipc_##K##_is_valid_how_(how | (ENDS))) return ipc_shm_refuse(                     \
                seg, -EINVAL, "ring '%s' cannot be made with how = %u: of records it is the number of "\
                "producers, 1 to 64; of others IPC_MPMC_* or IPC_BROADCAST_*", name, how);)        \
        if (footprint == 0)                                                                        \
            return ipc_shm_refuse(seg, -EINVAL,                                                    \
                                  "ring '%s': capacity %llu is not a power of two, or out of range", name,\
                                  (unsigned long long)capacity);                                   \
        rc = ipc_shm_make_with_others_(seg, name, KIND, footprint, &object);                       \
        if (rc == 0) {                                                                             \
            rc = NAME##_init(object.mem, object.size, capacity HOW(, how));                        \
            return rc != 0 ? rc : ipc_shm_publish(seg, &object);                                   \
        }                                                                                          \
        if (rc != -EEXIST)                                                                         \
            return rc;                                                                             \
        rc = ipc_shm_find(seg, name, KIND, &object);                                               \
        if (rc != 0)                                                                               \
            return rc;                                                                             \
        rc = ipc_ring_check_version_(object.mem, object.size, NAME##_version_, ipc_shm_peer(seg)); \
        if (rc == 0)                                                                               \
            rc = ipc_ring_same_(ipc_shm_peer(seg), object.mem, object.size, footprint, BYTES, capacity,\
                                -1 HOW(+1 + (int64_t)(how | (ENDS))));                             \
        return rc == 0 ? 0 : ipc_ring_explain_(                                                    \
                                 ipc_shm_peer(seg), name, rc,                                      \
                                 ipc_shm_pid_of_(seg, ipc_ring_holder_in_(ipc_shm_peer(seg)->why)));\
    }

/* open attaches to it, and then does MAP; create makes it first, if it is not there. */
#define IPC_RING_OPEN_(NAME, END, H, KIND, HOW, MAP)                                               \
    IPC_INLINE int NAME##_##END##_open(struct NAME##_##END *h, struct ipc_shm *seg, const char *name)\
    {                                                                                              \
        struct ipc_shm_object object;                                                              \
        int rc = ipc_shm_find(seg, name, KIND, &object);                                           \
        if (rc != 0) {                                                                             \
            memset(h, 0, sizeof *h);                                                               \
            ipc_ring_begin_self_(&h->H.self, NULL, NULL);                                          \
            return h->H.error = rc;                                                                \
        }                                                                                          \
        rc = NAME##_##END##_attach(h, object.mem, object.size, ipc_shm_peer(seg));                 \
        MAP;                                                                                       \
        return rc == 0 ? 0 : ipc_ring_explain_(                                                    \
                                 ipc_shm_peer(seg), name, rc,                                      \
                                 ipc_shm_pid_of_(seg, ipc_ring_holder_in_(ipc_shm_peer(seg)->why)));\
    }                                                                                              \
    IPC_INLINE int NAME##_##END##_create(struct NAME##_##END *h, struct ipc_shm *seg, const char *name,\
                                   uint64_t capacity HOW(, unsigned how))                          \
    {                                                                                              \
        int rc = NAME##_create(seg, name, capacity HOW(, how));                                    \
        if (rc == 0)                                                                               \
            return NAME##_##END##_open(h, seg, name);                                              \
        memset(h, 0, sizeof *h);                                                                   \
        ipc_ring_begin_self_(&h->H.self, NULL, NULL);                                              \
        return h->H.error = rc;                                                                    \
    }

#endif

/* >>typed_slots  src/ring/typed_slots.h */
/* IPC_SPSC, IPC_MPMC, IPC_MPSC, IPC_SPMC and IPC_BROADCAST: messages of one size. */
#ifndef IPC_SRC_RING_TYPED_SLOTS_H
#define IPC_SRC_RING_TYPED_SLOTS_H 1

/* CANCELLED is done after a cancel. */
#define IPC_RING_SLOTS_(NAME, TYPE, K, CANCELLED, ...)                                             \
    IPC_RING_ASSERT_(NAME##_alignment, __alignof__(TYPE) <= IPC_RING_LINE)                         \
    IPC_RING_ASSERT_(NAME##_is_trivially_copyable, IPC_RING_IS_COPYABLE_(TYPE))                    \
    IPC_RING_CALL_ int NAME##_push(struct NAME##_producer *p, const TYPE *message)                 \
    {                                                                                              \
        return ipc_##K##_push_(&p->raw, message, __VA_ARGS__);                                     \
    }                                                                                              \
    IPC_RING_CALL_ int64_t NAME##_push_n(struct NAME##_producer *p, const TYPE *messages, size_t n)\
    {                                                                                              \
        return ipc_##K##_push_n_(&p->raw, messages, n, sizeof(TYPE));                              \
    }                                                                                              \
    IPC_RING_CALL_ TYPE *NAME##_claim(struct NAME##_producer *p)                                   \
    {                                                                                              \
        return (TYPE *)ipc_##K##_claim_(&p->raw, __VA_ARGS__);                                     \
    }                                                                                              \
    IPC_RING_CALL_ int NAME##_commit(struct NAME##_producer *p)                                    \
    {                                                                                              \
        return ipc_##K##_commit_(&p->raw, sizeof(TYPE));                                           \
    }                                                                                              \
    IPC_INLINE void NAME##_cancel(struct NAME##_producer *p)                                       \
    {                                                                                              \
        ipc_##K##_cancel(&p->raw);                                                                 \
        CANCELLED;                                                                                 \
    }                                                                                              \
    IPC_RING_CALL_ int NAME##_pop(struct NAME##_consumer *c, TYPE *message)                        \
    {                                                                                              \
        return ipc_##K##_pop_(&c->raw, message, __VA_ARGS__);                                      \
    }                                                                                              \
    IPC_RING_CALL_ int64_t NAME##_pop_n(struct NAME##_consumer *c, TYPE *messages, size_t n)       \
    {                                                                                              \
        return ipc_##K##_pop_n_(&c->raw, messages, n, __VA_ARGS__);                                \
    }                                                                                              \
    IPC_RING_CALL_ const TYPE *NAME##_peek(struct NAME##_consumer *c)                              \
    {                                                                                              \
        return (const TYPE *)ipc_##K##_peek_(&c->raw, __VA_ARGS__);                                \
    }                                                                                              \
    IPC_RING_CALL_ int NAME##_release(struct NAME##_consumer *c)                                   \
    {                                                                                              \
        return ipc_##K##_release_(&c->raw, sizeof(TYPE));                                          \
    }

/* END_wait and CALL. A look tries TRY, or LOOK where there is no message: 0, -EAGAIN for not yet, or
 * another errno. DEATH: somebody's was heard; is there now something for other sleepers? */
#define IPC_RING_SLEEP_(NAME, END, H, CALL, TRY, MESSAGE, LOOK, DEATH)                             \
    IPC_INLINE int NAME##_##END##_look_(void *handle, void *argument)                              \
    {                                                                                              \
        struct NAME##_##END *h = (struct NAME##_##END *)handle;                                    \
        MESSAGE *message = *(MESSAGE **)argument;                                                  \
        int rc;                                                                                    \
        if (ipc_notify_anyone_died(&h->IPC_RING_OURS_##END) && (DEATH))                            \
            ipc_notify_post_both_(&h->data, &h->space);                                            \
        rc = message != NULL ? NAME##_##TRY(h, message) : (LOOK);                                  \
        return rc == 0 ? 1 : rc == -EAGAIN ? 0 : rc;                                               \
    }                                                                                              \
    IPC_INLINE int NAME##_##END##_sleep_(struct NAME##_##END *h, MESSAGE *message,                 \
                                   int64_t deadline)                                               \
    {                                                                                              \
        (void)ipc_notify_post(&h->IPC_RING_THEIRS_##END);                                          \
        return NAME##_##END##_wait_until_(h, &message, deadline);                                  \
    }                                                                                              \
    IPC_INLINE int NAME##_##END##_wait(struct NAME##_##END *h, int64_t deadline)                   \
    {                                                                                              \
        return NAME##_##END##_sleep_(h, NULL, deadline);                                           \
    }                                                                                              \
    IPC_FORCE_INLINE int NAME##_##CALL(struct NAME##_##END *h, MESSAGE *message, int64_t deadline) \
    {                                                                                              \
        int rc = NAME##_##TRY(h, message);                                                         \
        if (CK_CC_UNLIKELY(rc == -EAGAIN))                                                         \
            rc = NAME##_##END##_sleep_(h, message, deadline);                                      \
        if (rc == 0 && CK_CC_UNLIKELY(ipc_notify_heeds_(h->H.ring->IPC_RING_THEIR_BELL_##END)))    \
            (void)ipc_notify_post(&h->IPC_RING_THEIRS_##END);                                      \
        return rc;                                                                                 \
    }
#define IPC_RING_THEIR_BELL_producer data_bell
#define IPC_RING_THEIR_BELL_consumer space_bell
#define IPC_RING_SEND_(NAME, TYPE, H, LOOK, DEATH)                                                 \
    IPC_RING_SLEEP_(NAME, producer, H, send, push, const TYPE, LOOK, DEATH)

/* ------------------------------------------------------------------ one producer, one consumer */

/* Before a post of a consumer that publishes for many messages at once. */
IPC_INLINE void ipc_spsc_tell_(struct ipc_spsc_consumer *c, uint64_t *woken_for)
{
    if (c->at != NULL && c->head != c->published && ipc_ring_is_ours_(&c->self))
        ipc_spsc_publish_(c);
    *woken_for = c->published;
}

/* A consumer also publishes when it finds the ring empty, as the producer may wait for that: then it
 * posts. */
#define IPC_SPSC_RECV_(NAME, TYPE, K, H)                                                           \
    IPC_INLINE int NAME##_consumer_look_(void *handle, void *argument)                             \
    {                                                                                              \
        struct NAME##_consumer *c = (struct NAME##_consumer *)handle;                              \
        int rc = ipc_##K##_data_(&c->raw, sizeof(TYPE));                                           \
        (void)argument;                                                                            \
        if (rc != -EAGAIN)                                                                         \
            return rc == 0 ? 1 : rc;                                                               \
        if (c->woken_for != c->H.published)                                                        \
            (void)NAME##_consumer_post(c);                                                         \
        return 0;                                                                                  \
    }                                                                                              \
    IPC_INLINE int NAME##_consumer_wait(struct NAME##_consumer *c, int64_t deadline)               \
    {                                                                                              \
        return NAME##_consumer_wait_until_(c, NULL, deadline);                                     \
    }                                                                                              \
    IPC_FORCE_INLINE int NAME##_recv(struct NAME##_consumer *c, TYPE *message, int64_t deadline)   \
    {                                                                                              \
        int published = 0, rc = ipc_##K##_take_(&c->raw, message, sizeof(TYPE), &published);       \
        if (CK_CC_UNLIKELY(rc == -EAGAIN)) {                                                       \
            rc = NAME##_consumer_wait(c, deadline);                                                \
            rc = rc != 0 ? rc : ipc_##K##_take_(&c->raw, message, sizeof(TYPE), &published);       \
        }                                                                                          \
        if (CK_CC_UNLIKELY(published)) {                                                           \
            c->woken_for = c->H.published;                                                         \
            (void)ipc_notify_post(&c->space);                                                      \
        }                                                                                          \
        return rc;                                                                                 \
    }

/* Before a post: short messages are never put off. */
#define IPC_SPSC_FLUSH_(TYPE)                                                                      \
    if (IPC_RING_IS_PUT_OFF_(sizeof(TYPE)))                                                        \
    (void)ipc_spsc_flush(&h->raw)

#define IPC_SPSC(NAME, ...)                                                                        \
    IPC_SPSC_OF_(NAME, IPC_RING_TYPE_OF_(__VA_ARGS__), IPC_RING_VERSION_OF_(__VA_ARGS__))

#define IPC_SPSC_OF_NOTIFY1_(NAME, TYPE, VERSION)                                                  \
    IPC_RING_SEND_(NAME, TYPE, raw, ipc_spsc_room_(&h->raw), 0)                                    \
    IPC_SPSC_RECV_(NAME, TYPE, spsc, raw)
#define IPC_SPSC_OF_SHM2_(NAME, TYPE, VERSION)                                                     \
    IPC_RING_OPEN_(NAME, producer, raw, IPC_SPSC_TYPE, IPC_RING_PLAIN_, )                          \
    IPC_RING_OPEN_(NAME, consumer, raw, IPC_SPSC_TYPE, IPC_RING_PLAIN_, )
#define IPC_SPSC_OF_(NAME, TYPE, VERSION)                                                          \
    enum { NAME##_version_ = (VERSION) };                                                          \
    IPC_RING_MEMORY_(NAME, spsc, IPC_SPSC_TYPE, sizeof(TYPE), IPC_RING_PLAIN_, 0, sizeof(TYPE))    \
    IPC_RING_END_(NAME, spsc, producer, raw, 0, IPC_SPSC_FLUSH_(TYPE), sizeof(TYPE), me)           \
    IPC_RING_END_(NAME, spsc, consumer, raw, 0, ipc_spsc_tell_(&h->raw, &h->woken_for), sizeof(TYPE), me)\
    IPC_RING_SLOTS_(NAME, TYPE, spsc, (void)0, sizeof(TYPE))                                       \
    IPC_RING_CALL_ int NAME##_push_more(struct NAME##_producer *p, const TYPE *message)            \
    {                                                                                              \
        return ipc_spsc_push_more_(&p->raw, message, sizeof(TYPE));                                \
    }                                                                                              \
    IPC_INLINE int NAME##_flush(struct NAME##_producer *p)                                         \
    {                                                                                              \
        return ipc_spsc_flush(&p->raw);                                                            \
    }                                                                                              \
    IPC_RING_SAYS_(NAME, spsc, const, uint64_t, was_size)                                          \
    IPC_RING_SAYS_(NAME, spsc, const, uint64_t, peer)                                              \
    IPC_INLINE void NAME##_replay(struct NAME##_consumer *c, uint64_t n)                           \
    {                                                                                              \
        ipc_spsc_replay(&c->raw, n);                                                               \
    }                                                                                              \
    IPC_RING_WITH_NOTIFY_(IPC_SPSC_OF_NOTIFY1_(NAME, TYPE, VERSION))                               \
    IPC_RING_WITH_SHM_(IPC_SPSC_OF_SHM2_(NAME, TYPE, VERSION))

/* ------------------------------------------------------------------ many at an end */

#define IPC_MPMC(NAME, ...) IPC_MPMC_OF_(NAME, 0u, __VA_ARGS__)
#define IPC_MPSC(NAME, ...) IPC_MPMC_OF_(NAME, IPC_MPMC_ONE_CONSUMER, __VA_ARGS__)
#define IPC_SPMC(NAME, ...) IPC_MPMC_OF_(NAME, IPC_MPMC_ONE_PRODUCER, __VA_ARGS__)
#define IPC_MPMC_OF_(NAME, ENDS, ...)                                                              \
    IPC_MPMC_ENDS_(NAME, ENDS, IPC_RING_TYPE_OF_(__VA_ARGS__), IPC_RING_VERSION_OF_(__VA_ARGS__))

/* What claim or peek returned, as an errno. */
IPC_INLINE int ipc_mpmc_found_(const struct ipc_mpmc *m, const void *slot)
{
    if (slot != NULL)
        return 0;
    return m->error != 0 ? m->error : -EAGAIN;
}

#define IPC_MPMC_ENDS_NOTIFY1_(NAME, ENDS, TYPE, VERSION)                                          \
    IPC_RING_SEND_(NAME, TYPE, raw.m, ipc_mpmc_found_(&h->raw.m, NAME##_claim(h)),                 \
                   NAME##_producer_recover(h, 0) > 0)                                              \
    IPC_RING_SLEEP_(NAME, consumer, raw.m, recv, pop, TYPE, ipc_mpmc_found_(&h->raw.m, NAME##_peek(h)),\
                    NAME##_consumer_recover(h, 0) > 0)
#define IPC_MPMC_ENDS_SHM2_(NAME, ENDS, TYPE, VERSION)                                             \
    IPC_RING_OPEN_(NAME, producer, raw.m, IPC_MPMC_TYPE, IPC_RING_HOW_, )                          \
    IPC_RING_OPEN_(NAME, consumer, raw.m, IPC_MPMC_TYPE, IPC_RING_HOW_, )
#define IPC_MPMC_ENDS_(NAME, ENDS, TYPE, VERSION)                                                  \
    enum { NAME##_version_ = (VERSION) };                                                          \
    IPC_RING_MEMORY_(NAME, mpmc, IPC_MPMC_TYPE, sizeof(TYPE), IPC_RING_HOW_, ENDS, sizeof(TYPE))   \
    IPC_RING_END_(NAME, mpmc, producer, raw.m, 1, (void)0, sizeof(TYPE), me, ENDS)                 \
    IPC_RING_END_(NAME, mpmc, consumer, raw.m, 1, (void)0, sizeof(TYPE), me, ENDS)                 \
    IPC_RING_SLOTS_(NAME, TYPE, mpmc, IPC_MPMC_CANCELLED_(p), sizeof(TYPE), ENDS)                  \
    IPC_RING_SAYS_(NAME, mpmc, const, struct ipc_mpmc_losses, losses)                              \
    IPC_RING_SAYS_(NAME, mpmc, const, uint64_t, was_size)                                          \
    IPC_INLINE int64_t NAME##_producer_recover(struct NAME##_producer *p, uint64_t id)             \
    {                                                                                              \
        return ipc_mpmc_producer_recover(&p->raw, id);                                             \
    }                                                                                              \
    IPC_INLINE int64_t NAME##_consumer_recover(struct NAME##_consumer *c, uint64_t id)             \
    {                                                                                              \
        return ipc_mpmc_consumer_recover(&c->raw, id);                                             \
    }                                                                                              \
    IPC_RING_WITH_NOTIFY_(IPC_MPMC_ENDS_NOTIFY1_(NAME, ENDS, TYPE, VERSION))                       \
    IPC_RING_WITH_SHM_(IPC_MPMC_ENDS_SHM2_(NAME, ENDS, TYPE, VERSION))
/* Others may wait for what was given back. */
#define IPC_MPMC_CANCELLED_(p) IPC_RING_WITH_NOTIFY_(ipc_notify_post_both_(&p->data, &p->space))

/* ------------------------------------------------------------------ every reader sees all */

#define IPC_BROADCAST(NAME, ...)                                                                   \
    IPC_BROADCAST_OF_(NAME, IPC_RING_TYPE_OF_(__VA_ARGS__), IPC_RING_VERSION_OF_(__VA_ARGS__))

#define IPC_BROADCAST_OF_NOTIFY1_(NAME, TYPE, VERSION)                                             \
    IPC_RING_SEND_(NAME, TYPE, raw.s, ipc_broadcast_room_(&h->raw),                                \
                   (ipc_broadcast_ask_(&h->raw.readers), 0))                                       \
    IPC_SPSC_RECV_(NAME, TYPE, broadcast, raw.s)
#define IPC_BROADCAST_OF_SHM2_(NAME, TYPE, VERSION)                                                \
    IPC_RING_OPEN_(NAME, producer, raw.s, IPC_BROADCAST_TYPE, IPC_RING_HOW_, )                     \
    IPC_RING_OPEN_(NAME, consumer, raw.s, IPC_BROADCAST_TYPE, IPC_RING_HOW_, )
#define IPC_BROADCAST_OF_(NAME, TYPE, VERSION)                                                     \
    enum { NAME##_version_ = (VERSION) };                                                          \
    IPC_RING_MEMORY_(NAME, broadcast, IPC_BROADCAST_TYPE, sizeof(TYPE), IPC_RING_HOW_, 0u, sizeof(TYPE))\
    IPC_RING_END_(NAME, broadcast, producer, raw.s, 1, (void)0, sizeof(TYPE), me)                  \
    IPC_RING_END_(NAME, broadcast, consumer, raw.s, 0, ipc_spsc_tell_(&h->raw.s, &h->woken_for),   \
                  sizeof(TYPE), me)                                                                \
    IPC_RING_SLOTS_(NAME, TYPE, broadcast, (void)0, sizeof(TYPE))                                  \
    IPC_INLINE uint64_t NAME##_missed(const struct NAME##_consumer *c)                             \
    {                                                                                              \
        return ipc_broadcast_missed(&c->raw);                                                      \
    }                                                                                              \
    IPC_RING_READERS_(NAME, broadcast)                                                             \
    IPC_RING_WITH_NOTIFY_(IPC_BROADCAST_OF_NOTIFY1_(NAME, TYPE, VERSION))                          \
    IPC_RING_WITH_SHM_(IPC_BROADCAST_OF_SHM2_(NAME, TYPE, VERSION))

#endif

/* >>typed_records  src/ring/typed_records.h */
/* IPC_RECORDS and IPC_RECORD_BROADCAST: messages of any length. */
#ifndef IPC_SRC_RING_TYPED_RECORDS_H
#define IPC_SRC_RING_TYPED_RECORDS_H 1

#define IPC_RECORD_MEMORY_SHM1_(NAME, K, KIND)                                                     \
    IPC_RING_CREATE_(NAME, K, KIND, 1, IPC_RING_HOW_, 0u)
#define IPC_RECORD_MEMORY_(NAME, K, KIND)                                                          \
    IPC_INLINE size_t NAME##_footprint(uint64_t capacity, unsigned how)                            \
    {                                                                                              \
        return ipc_##K##_footprint(capacity, how);                                                 \
    }                                                                                              \
    IPC_INLINE int NAME##_init(void *mem, size_t size, uint64_t capacity, unsigned how)            \
    {                                                                                              \
        ipc_ring_say_version_(mem, size, NAME##_footprint(capacity, how), NAME##_version_);        \
        return ipc_##K##_init(mem, size, capacity, how);                                           \
    }                                                                                              \
    IPC_RING_WITH_SHM_(IPC_RECORD_MEMORY_SHM1_(NAME, K, KIND))

#define IPC_RECORD_CALLS_(NAME, K)                                                                 \
    IPC_RING_CALL_ int NAME##_push(struct NAME##_producer *p, const void *data, size_t n)          \
    {                                                                                              \
        return ipc_##K##_push(&p->raw, data, n);                                                   \
    }                                                                                              \
    IPC_RING_CALL_ int64_t NAME##_push_n(struct NAME##_producer *p, const struct ipc_record *records,\
                                       size_t n)                                                   \
    {                                                                                              \
        return ipc_##K##_push_n(&p->raw, records, n);                                              \
    }                                                                                              \
    IPC_RING_CALL_ void *NAME##_claim(struct NAME##_producer *p, size_t n)                         \
    {                                                                                              \
        return ipc_##K##_claim(&p->raw, n);                                                        \
    }                                                                                              \
    IPC_RING_CALL_ int NAME##_commit(struct NAME##_producer *p, size_t n)                          \
    {                                                                                              \
        return ipc_##K##_commit(&p->raw, n);                                                       \
    }                                                                                              \
    IPC_INLINE void NAME##_cancel(struct NAME##_producer *p)                                       \
    {                                                                                              \
        ipc_##K##_cancel(&p->raw);                                                                 \
    }                                                                                              \
    IPC_INLINE size_t NAME##_most(const struct NAME##_producer *p)                                 \
    {                                                                                              \
        return ipc_##K##_most(&p->raw);                                                            \
    }                                                                                              \
    IPC_FORCE_INLINE int64_t NAME##_pop(struct NAME##_consumer *c, void *to, size_t size)          \
    {                                                                                              \
        return ipc_##K##_pop(&c->raw, to, size);                                                   \
    }                                                                                              \
    IPC_RING_CALL_ int64_t NAME##_pop_n(struct NAME##_consumer *c, void *to, size_t size,          \
                                  struct ipc_record *records, size_t n)                            \
    {                                                                                              \
        return ipc_##K##_pop_n(&c->raw, to, size, records, n);                                     \
    }                                                                                              \
    IPC_RING_CALL_ const void *NAME##_peek(struct NAME##_consumer *c, size_t *n)                   \
    {                                                                                              \
        return ipc_##K##_peek(&c->raw, n);                                                         \
    }                                                                                              \
    IPC_RING_CALL_ int NAME##_release(struct NAME##_consumer *c)                                   \
    {                                                                                              \
        return ipc_##K##_release(&c->raw);                                                         \
    }

/* Before a post of a consumer that publishes for many records at once. */
IPC_INLINE void ipc_record_tell_(struct ipc_record_consumer *c)
{
    if (c->to != NULL && c->head != c->published && ipc_ring_is_ours_(&c->self))
        ipc_record_publish_(c);
    c->post_due = 0;
}

/* ASK is done before a producer looks for room. FIRST is done before a consumer `c` looks for a
 * record, and ENDED is what else may end its wait if it finds none. */
#define IPC_RECORD_SLEEP_(NAME, K, H, ASK, FIRST, ENDED)                                           \
    IPC_INLINE int NAME##_producer_look_(void *handle, void *argument)                             \
    {                                                                                              \
        struct NAME##_producer *h = (struct NAME##_producer *)handle;                              \
        uint64_t at;                                                                               \
        int rc;                                                                                    \
        (void)(ASK);                                                                               \
        rc = ipc_##K##_room_(&h->raw, *(size_t *)argument, &at);                                   \
        return rc == 0 ? 1 : rc == -EAGAIN ? 0 : rc;                                               \
    }                                                                                              \
    IPC_INLINE int NAME##_producer_wait(struct NAME##_producer *h, size_t n, int64_t deadline)     \
    {                                                                                              \
        (void)ipc_notify_post(&h->data);                                                           \
        return NAME##_producer_wait_until_(h, &n, deadline);                                       \
    }                                                                                              \
    IPC_FORCE_INLINE int NAME##_send(struct NAME##_producer *p, const void *data, size_t n,        \
                                   int64_t deadline)                                               \
    {                                                                                              \
        int rc = ipc_##K##_push(&p->raw, data, n);                                                 \
        if (CK_CC_UNLIKELY(rc == -EAGAIN)) {                                                       \
            rc = NAME##_producer_wait(p, n, deadline);                                             \
            rc = rc != 0 ? rc : ipc_##K##_push(&p->raw, data, n);                                  \
        }                                                                                          \
        if (rc == 0 && CK_CC_UNLIKELY(ipc_notify_heeds_(p->H.ring->data_bell)))                    \
            (void)ipc_notify_post(&p->data);                                                       \
        return rc;                                                                                 \
    }                                                                                              \
    IPC_INLINE int NAME##_consumer_look_(void *handle, void *argument)                             \
    {                                                                                              \
        struct NAME##_consumer *c = (struct NAME##_consumer *)handle;                              \
        int64_t until = *(const int64_t *)argument;                                                \
        size_t n;                                                                                  \
        int rc;                                                                                    \
        (void)(FIRST);                                                                             \
        rc = ipc_##K##_look_(&c->raw, &n);                                                         \
        if (rc == -EAGAIN && (rc = ENDED) == 0)                                                    \
            rc = -EAGAIN;                                                                          \
        if (rc == 0 || (rc == -EAGAIN && ipc_record_look_again_at_(&c->H, until) < until))         \
            return 1;                                                                              \
        if (rc != -EAGAIN)                                                                         \
            return rc;                                                                             \
        if (c->H.post_due)                                                                         \
            (void)NAME##_consumer_post(c);                                                         \
        return 0;                                                                                  \
    }                                                                                              \
    IPC_INLINE int NAME##_consumer_wait(struct NAME##_consumer *c, int64_t deadline)               \
    {                                                                                              \
        int64_t until;                                                                             \
        size_t n;                                                                                  \
        int rc;                                                                                    \
        for (;;) {                                                                                 \
            until = ipc_record_look_again_at_(&c->H, deadline);                                    \
            rc = NAME##_consumer_wait_until_(c, &until, until);                                    \
            if (CK_CC_LIKELY(c->H.merge.patience == 0) || (rc != 0 && rc != -ETIMEDOUT))           \
                return rc;                                                                         \
            rc = ipc_##K##_look_(&c->raw, &n);                                                     \
            if (rc != -EAGAIN)                                                                     \
                return rc;                                                                         \
            if (ipc_left_(deadline) == 0)                                                          \
                return -ETIMEDOUT;                                                                 \
        }                                                                                          \
    }                                                                                              \
    IPC_RING_CALL_ int64_t NAME##_recv(struct NAME##_consumer *c, void *to, size_t size, int64_t deadline)\
    {                                                                                              \
        int published = 0;                                                                         \
        int64_t rc = ipc_##K##_take_(&c->raw, to, size, &published);                               \
        while (CK_CC_UNLIKELY(rc == -EAGAIN)) {                                                    \
            rc = NAME##_consumer_wait(c, deadline);                                                \
            rc = rc != 0 ? rc : ipc_##K##_take_(&c->raw, to, size, &published);                    \
            if (rc == -EAGAIN && ipc_left_(deadline) == 0)                                         \
                rc = -ETIMEDOUT;                                                                   \
        }                                                                                          \
        if (CK_CC_UNLIKELY(published)) {                                                           \
            c->H.post_due = 0;                                                                     \
            (void)ipc_notify_post(&c->space);                                                      \
        }                                                                                          \
        return rc;                                                                                 \
    }

#define IPC_RECORDS_NOTIFY1_(NAME)                                                                 \
    IPC_RECORD_SLEEP_(NAME, record, raw, 0,                                                        \
                      ipc_record_note_death_(&c->raw, ipc_notify_anyone_died(&c->data)),           \
                      ipc_record_watched_ended_(&c->raw))                                          \
    IPC_INLINE void NAME##_merge(struct NAME##_consumer *c, int64_t patience)                      \
    {                                                                                              \
        ipc_record_merge(&c->raw, patience, ipc_clock);                                            \
        if (c->raw.producers > 1)                                                                  \
            ipc_notify_watch_anyone(&c->data);                                                     \
    }                                                                                              \
    IPC_INLINE void NAME##_watch_producers(struct NAME##_consumer *c)                              \
    {                                                                                              \
        if (c->raw.producers > 1) {                                                                \
            ipc_record_raise_(&c->raw, IPC_RECORD_WATCHES_);                                       \
            c->raw.ask = 1;                                                                        \
            ipc_notify_watch_anyone(&c->data);                                                     \
        }                                                                                          \
    }
#define IPC_RECORDS_SHM2_(NAME)                                                                    \
    IPC_RING_OPEN_(NAME, producer, raw, IPC_RECORD_TYPE, IPC_RING_HOW_, )                          \
    IPC_RING_OPEN_(NAME, consumer, raw, IPC_RECORD_TYPE, IPC_RING_HOW_, )
#define IPC_RECORDS(NAME)                                                                          \
    enum { NAME##_version_ = 0 };                                                                  \
    IPC_RECORD_MEMORY_(NAME, record, IPC_RECORD_TYPE)                                              \
    IPC_RING_END_(NAME, record, producer, raw, 0, (void)ipc_record_flush(&h->raw), me)             \
    IPC_RING_END_(NAME, record, consumer, raw, 0, ipc_record_tell_(&h->raw), me)                   \
    IPC_RECORD_CALLS_(NAME, record)                                                                \
    IPC_INLINE int NAME##_push_more(struct NAME##_producer *p, const void *data, size_t n)         \
    {                                                                                              \
        return ipc_record_push_more(&p->raw, data, n);                                             \
    }                                                                                              \
    IPC_INLINE int NAME##_flush(struct NAME##_producer *p)                                         \
    {                                                                                              \
        return ipc_record_flush(&p->raw);                                                          \
    }                                                                                              \
    IPC_RING_SAYS_(NAME, record, const, uint64_t, peer)                                            \
    IPC_INLINE void NAME##_replay(struct NAME##_consumer *c, uint64_t n)                           \
    {                                                                                              \
        ipc_record_replay(&c->raw, n);                                                             \
    }                                                                                              \
    IPC_INLINE int NAME##_source(const struct NAME##_consumer *c, struct ipc_record_sender *from)  \
    {                                                                                              \
        return ipc_record_source(&c->raw, from);                                                   \
    }                                                                                              \
    IPC_INLINE int NAME##_ended(struct NAME##_consumer *c)                                         \
    {                                                                                              \
        return ipc_record_ended(&c->raw);                                                          \
    }                                                                                              \
    IPC_RING_WITH_NOTIFY_(IPC_RECORDS_NOTIFY1_(NAME))                                              \
    IPC_RING_WITH_SHM_(IPC_RECORDS_SHM2_(NAME))

#define IPC_RECORD_BROADCAST_NOTIFY1_(NAME)                                                        \
    IPC_RECORD_SLEEP_(                                                                             \
        NAME, record_broadcast, raw.r,                                                             \
        (ipc_notify_anyone_died(&h->space) ? ipc_broadcast_ask_(&h->raw.readers) : (void)0), 0, 0)
#define IPC_RECORD_BROADCAST_SHM2_(NAME)                                                           \
    IPC_RING_OPEN_(NAME, producer, raw.r, IPC_RECORD_BROADCAST_TYPE, IPC_RING_HOW_, )              \
    IPC_RING_OPEN_(NAME, consumer, raw.r, IPC_RECORD_BROADCAST_TYPE, IPC_RING_HOW_, )
#define IPC_RECORD_BROADCAST(NAME)                                                                 \
    enum { NAME##_version_ = 0 };                                                                  \
    IPC_RECORD_MEMORY_(NAME, record_broadcast, IPC_RECORD_BROADCAST_TYPE)                          \
    IPC_RING_END_(NAME, record_broadcast, producer, raw.r, 1, (void)0, me)                         \
    IPC_RING_END_(NAME, record_broadcast, consumer, raw.r, 0, ipc_record_tell_(&h->raw.r), me)     \
    IPC_RECORD_CALLS_(NAME, record_broadcast)                                                      \
    IPC_INLINE uint64_t NAME##_missed(const struct NAME##_consumer *c)                             \
    {                                                                                              \
        return ipc_record_broadcast_missed(&c->raw);                                               \
    }                                                                                              \
    IPC_RING_READERS_(NAME, record_broadcast)                                                      \
    IPC_RING_WITH_NOTIFY_(IPC_RECORD_BROADCAST_NOTIFY1_(NAME))                                     \
    IPC_RING_WITH_SHM_(IPC_RECORD_BROADCAST_SHM2_(NAME))

#endif

/* >>typed_stream  src/ring/typed_stream.h */
/* IPC_STREAM: elements without messages. */
#ifndef IPC_SRC_RING_TYPED_STREAM_H
#define IPC_SRC_RING_TYPED_STREAM_H 1

/* Whatever moves elements wakes the other end, if it sleeps, and once it has as many as it waits
 * for: the end that moves them may only poll, and neither sleep nor post. One load where nobody
 * sleeps. */
#define IPC_STREAM_END_NOTIFY1_(NAME, TYPE, END, PUSH, FROM, CLAIM, SLOT, ROOM, COMMIT)            \
        if (CK_CC_LIKELY(rc > 0) && CK_CC_UNLIKELY(ipc_notify_heeds_(h->IPC_RING_THEIRS_##END.at)) &&\
            ipc_stream_is_wanted_(&h->raw.s))                                                      \
            (void)NAME##_##END##_post(h);
#define IPC_STREAM_END_NOTIFY2_(NAME, TYPE, END, PUSH, FROM, CLAIM, SLOT, ROOM, COMMIT)            \
    IPC_INLINE int NAME##_##END##_look_(void *handle, void *argument)                              \
    {                                                                                              \
        return ipc_stream_ready_(&((struct NAME##_##END *)handle)->raw.s, *(size_t *)argument);    \
    }                                                                                              \
    IPC_INLINE int NAME##_##END##_wait(struct NAME##_##END *h, size_t n, int64_t deadline)         \
    {                                                                                              \
        int rc;                                                                                    \
        rc = ipc_stream_ready_(&h->raw.s, n);                                                      \
        if (rc != 0 || h->raw.s.ring == NULL)                                                      \
            return rc < 0 ? rc : 0;                                                                \
        ipc_stream_want_(&h->raw.s, n);                                                            \
        rc = NAME##_##END##_wait_until_(h, &n, deadline);                                          \
        ipc_stream_want_(&h->raw.s, 0);                                                            \
        return rc;                                                                                 \
    }
#define IPC_STREAM_END_(NAME, TYPE, END, PUSH, FROM, CLAIM, SLOT, ROOM, COMMIT)                    \
    IPC_FORCE_INLINE int64_t NAME##_##END##_moved_(struct NAME##_##END *h, int64_t rc)             \
    {                                                                                              \
    IPC_RING_WITH_NOTIFY_(IPC_STREAM_END_NOTIFY1_(NAME, TYPE, END, PUSH, FROM, CLAIM, SLOT, ROOM, COMMIT))\
        (void)h;                                                                                   \
        return rc;                                                                                 \
    }                                                                                              \
    IPC_RING_CALL_ int64_t NAME##_##PUSH##_n(struct NAME##_##END *h, FROM *elements, size_t n)     \
    {                                                                                              \
        return NAME##_##END##_moved_(h, ipc_stream_##PUSH##_(&h->raw, elements, sizeof(TYPE), n, 1));\
    }                                                                                              \
    IPC_RING_CALL_ int NAME##_##PUSH##_all(struct NAME##_##END *h, FROM *elements, size_t n)       \
    {                                                                                              \
        int64_t rc = NAME##_##END##_moved_(h, ipc_stream_##PUSH##_(&h->raw, elements, sizeof(TYPE), n, 0));\
        return rc < 0 ? (int)rc : 0;                                                               \
    }                                                                                              \
    IPC_RING_CALL_ SLOT *NAME##_##CLAIM(struct NAME##_##END *h, size_t n)                          \
    {                                                                                              \
        return (SLOT *)ipc_stream_row_(&h->raw.s, n, sizeof(TYPE));                                \
    }                                                                                              \
    IPC_INLINE size_t NAME##_##ROOM(struct NAME##_##END *h, struct NAME##_regions *r)              \
    {                                                                                              \
        struct ipc_stream_regions raw;                                                             \
        size_t n = (size_t)ipc_stream_look_(&h->raw.s, sizeof(TYPE), &raw), i;                     \
        for (i = 0; i < 2; i++) {                                                                  \
            r->at[i] = (TYPE *)raw.at[i];                                                          \
            r->n[i] = raw.n[i];                                                                    \
        }                                                                                          \
        return n;                                                                                  \
    }                                                                                              \
    IPC_RING_CALL_ int NAME##_##COMMIT(struct NAME##_##END *h, size_t n)                           \
    {                                                                                              \
        int rc = ipc_stream_##COMMIT(&h->raw, n);                                                  \
        (void)NAME##_##END##_moved_(h, rc == 0 && n > 0);                                          \
        return rc;                                                                                 \
    }                                                                                              \
    IPC_INLINE int NAME##_##END##_twice(const struct NAME##_##END *h)                              \
    {                                                                                              \
        return h->raw.s.twice;                                                                     \
    }                                                                                              \
    IPC_RING_WITH_NOTIFY_(IPC_STREAM_END_NOTIFY2_(NAME, TYPE, END, PUSH, FROM, CLAIM, SLOT, ROOM, COMMIT))

#define IPC_STREAM_SLEEP_(NAME, TYPE)                                                              \
    IPC_INLINE int64_t NAME##_send(struct NAME##_producer *p, const TYPE *from, size_t n, int64_t deadline)\
    {                                                                                              \
        size_t done = 0, half;                                                                     \
        int64_t rc;                                                                                \
        while (done < n) {                                                                         \
            rc = NAME##_push_n(p, from + done, n - done);                                          \
            if (rc > 0)                                                                            \
                done += (size_t)rc;                                                                \
            half = (size_t)p->raw.s.mask / 2 + 1;                                                  \
            if (rc == -EAGAIN)                                                                     \
                rc = NAME##_producer_wait(p, n - done < half ? n - done : half, deadline);         \
            if (rc >= 0 && done < n && ipc_left_(deadline) == 0)                                   \
                rc = -ETIMEDOUT;                                                                   \
            if (rc < 0)                                                                            \
                return done > 0 ? (int64_t)done : rc;                                              \
        }                                                                                          \
        return (int64_t)n;                                                                         \
    }                                                                                              \
    IPC_INLINE int64_t NAME##_recv(struct NAME##_consumer *c, TYPE *to, size_t n, int64_t deadline)\
    {                                                                                              \
        int64_t rc = NAME##_pop_n(c, to, n);                                                       \
        while (rc == -EAGAIN) {                                                                    \
            rc = NAME##_consumer_wait(c, 1, deadline);                                             \
            rc = rc != 0 ? rc : NAME##_pop_n(c, to, n);                                            \
            if (rc == -EAGAIN && ipc_left_(deadline) == 0)                                         \
                rc = -ETIMEDOUT;                                                                   \
        }                                                                                          \
        return rc;                                                                                 \
    }

#define IPC_STREAM_MAP_(h)                                                                         \
    if (rc == 0) {                                                                                 \
        size_t bytes = (size_t)((h->raw.s.mask + 1) * h->raw.s.bytes);                             \
        void *twice = ipc_shm_map_twice(seg, h->raw.s.data, bytes);                                \
        if (twice != NULL)                                                                         \
            ipc_stream_twice_(&h->raw.s, twice, ipc_shm_unmap_twice);                              \
    }

#define IPC_STREAM(NAME, ...)                                                                      \
    IPC_STREAM_OF_(NAME, IPC_RING_TYPE_OF_(__VA_ARGS__), IPC_RING_VERSION_OF_(__VA_ARGS__))

#define IPC_STREAM_OF_NOTIFY1_(NAME, TYPE, VERSION)                                                \
    IPC_STREAM_SLEEP_(NAME, TYPE)
#define IPC_STREAM_OF_SHM2_(NAME, TYPE, VERSION)                                                   \
    IPC_RING_OPEN_(NAME, producer, raw.s, IPC_STREAM_TYPE, IPC_RING_PLAIN_, IPC_STREAM_MAP_(h))    \
    IPC_RING_OPEN_(NAME, consumer, raw.s, IPC_STREAM_TYPE, IPC_RING_PLAIN_, IPC_STREAM_MAP_(h))
#define IPC_STREAM_OF_(NAME, TYPE, VERSION)                                                        \
    enum { NAME##_version_ = (VERSION) };                                                          \
    struct NAME##_regions {                                                                        \
        TYPE *at[2];                                                                               \
        size_t n[2];                                                                               \
    };                                                                                             \
    IPC_RING_ASSERT_(NAME##_alignment, __alignof__(TYPE) <= IPC_RING_LINE)                         \
    IPC_RING_ASSERT_(NAME##_is_trivially_copyable, IPC_RING_IS_COPYABLE_(TYPE))                    \
    IPC_RING_MEMORY_(NAME, stream, IPC_STREAM_TYPE, sizeof(TYPE), IPC_RING_PLAIN_, 0, sizeof(TYPE))\
    IPC_RING_END_(NAME, stream, producer, raw.s, 0, (void)0, sizeof(TYPE), me)                     \
    IPC_RING_END_(NAME, stream, consumer, raw.s, 0, (void)0, sizeof(TYPE), me)                     \
    IPC_STREAM_END_(NAME, TYPE, producer, push, const TYPE, claim, TYPE, room, commit)             \
    IPC_STREAM_END_(NAME, TYPE, consumer, pop, TYPE, peek, const TYPE, data, release)              \
    IPC_RING_SAYS_(NAME, stream, , uint64_t, was_size)                                             \
    IPC_RING_WITH_NOTIFY_(IPC_STREAM_OF_NOTIFY1_(NAME, TYPE, VERSION))                             \
    IPC_RING_WITH_SHM_(IPC_STREAM_OF_SHM2_(NAME, TYPE, VERSION))

#endif

/* >>typed_call  src/ring/typed_call.h */
/* IPC_CALL: a request and its reply. */
#ifndef IPC_SRC_RING_TYPED_CALL_H
#define IPC_SRC_RING_TYPED_CALL_H 1

/* The bells of calls. In a handle `data` is the servers' bell, and `space` is pointed at that of a
 * slot, or at the one of all callers that wait for a slot: a caller's at the one that it sleeps on,
 * or posts; a server's at the one that it posts.
 *
 * Who waits       for                    is posted by
 * a server        a request              a caller that has sent one
 * a caller        its reply, or that     a server that answers, that detaches
 *                 there will be none
 * a caller        a slot                 a server that answers, as it may not have seen that the
 *                                        call was given up; a server that detaches; a caller that
 *                                        moves to another slot, that detaches
 *
 * Nobody posts for a process that is killed: callers watch for the death of anyone. */
#define IPC_CALL_BELL_(slot) (((struct ipc_call_slot_ *)(void *)(slot))->bell)

#define IPC_CALL_CLIENT_BELLS_()                                                                   \
    int rc = ipc_notify_attach_both_(&h->data, h->raw.ring->server_bell, &h->space,                \
                                     IPC_CALL_BELL_(h->raw.slot), IPC_NOTIFY_FUTEX, me);           \
    if (rc == 0)                                                                                   \
        rc = ipc_notify_move_(&h->space, h->raw.ring->slot_bell, me);                              \
    if (rc != 0) {                                                                                 \
        ipc_call_client_detach(&h->raw);                                                           \
        ipc_notify_detach(&h->data);                                                               \
        ipc_notify_detach(&h->space);                                                              \
        return h->raw.error = rc;                                                                  \
    }                                                                                              \
    h->space.looks_each_second = 1;                                                                \
    ipc_notify_watch_anyone(&h->space);                                                            \
    return 0;

#define IPC_CALL_SERVER_BELLS_()                                                                   \
    size_t stride = ipc_call_server_stride_(&h->raw);                                              \
    size_t i;                                                                                      \
    int rc = ipc_notify_attach_both_(&h->data, h->raw.ring->server_bell, &h->space,                \
                                     h->raw.ring->slot_bell, IPC_NOTIFY_FUTEX, me);                \
    for (i = 0; i < h->raw.count && rc == 0; i++)                                                  \
        rc = ipc_notify_move_(&h->space, IPC_CALL_BELL_(h->raw.slots + i * stride), me);           \
    if (rc != 0) {                                                                                 \
        ipc_call_server_detach(&h->raw);                                                           \
        ipc_notify_detach(&h->data);                                                               \
        ipc_notify_detach(&h->space);                                                              \
        return h->raw.error = rc;                                                                  \
    }                                                                                              \
    h->data.looks_each_second = 1;                                                                 \
    return 0;

/* Posts a bell by the handle `space`. */
#define IPC_CALL_POST_(H, BELL)                                                                    \
    H->space.at = (struct ipc_notify_shared *)(void *)(BELL);                                      \
    (void)ipc_notify_post(&H->space);

/* ------------------------------------------------------------------ a caller */

#define IPC_CALL_CLIENT_NOTIFY1_(NAME, REQUEST, REPLY)                                             \
        if (c->raw.ring != NULL && c->raw.slot != was) {                                           \
            IPC_CALL_POST_(c, c->raw.ring->slot_bell)                                              \
        }
#define IPC_CALL_CLIENT_NOTIFY2_(NAME, REQUEST, REPLY)                                             \
        if (rc == 0 && CK_CC_UNLIKELY(ipc_notify_heeds_(c->raw.ring->server_bell)))                \
            (void)ipc_notify_post(&c->data);
#define IPC_CALL_CLIENT_NOTIFY3_(NAME, REQUEST, REPLY)                                             \
        if (ring != NULL) {                                                                        \
            IPC_CALL_POST_(c, ring->slot_bell)                                                     \
        }                                                                                          \
        ipc_notify_detach(&c->data);                                                               \
        ipc_notify_detach(&c->space);
#define IPC_CALL_CLIENT_(NAME, REQUEST, REPLY)                                                     \
    IPC_INLINE int NAME##_regain_slot_(struct NAME##_client *c)                                    \
    {                                                                                              \
        const unsigned char *was = c->raw.slot;                                                    \
        int rc = ipc_call_regain_slot_(&c->raw);                                                   \
    IPC_RING_WITH_NOTIFY_(IPC_CALL_CLIENT_NOTIFY1_(NAME, REQUEST, REPLY))                          \
        (void)was;                                                                                 \
        return rc;                                                                                 \
    }                                                                                              \
    IPC_FORCE_INLINE int NAME##_claim_(struct NAME##_client *c)                                    \
    {                                                                                              \
        int rc;                                                                                    \
        if (CK_CC_UNLIKELY(ipc_call_must_regain_(&c->raw)) && (rc = NAME##_regain_slot_(c)) != 0)  \
            return rc;                                                                             \
        return ipc_call_claim_(&c->raw);                                                           \
    }                                                                                              \
    IPC_INLINE int NAME##_claim(struct NAME##_client *c, REQUEST **request)                        \
    {                                                                                              \
        int rc = NAME##_claim_(c);                                                                 \
        *request = rc == 0 ? (REQUEST *)(void *)ipc_call_message_(c->raw.slot) : NULL;             \
        return rc;                                                                                 \
    }                                                                                              \
    IPC_FORCE_INLINE int NAME##_asked_(struct NAME##_client *c, int rc)                            \
    {                                                                                              \
    IPC_RING_WITH_NOTIFY_(IPC_CALL_CLIENT_NOTIFY2_(NAME, REQUEST, REPLY))                          \
        (void)c;                                                                                   \
        return rc;                                                                                 \
    }                                                                                              \
    IPC_INLINE int NAME##_commit(struct NAME##_client *c)                                          \
    {                                                                                              \
        return NAME##_asked_(                                                                      \
            c, ipc_call_commit_(&c->raw, ipc_call_stride_(sizeof(REQUEST), sizeof(REPLY))));       \
    }                                                                                              \
    IPC_FORCE_INLINE int NAME##_ask(struct NAME##_client *c, const REQUEST *request)               \
    {                                                                                              \
        int rc = NAME##_claim_(c);                                                                 \
        if (CK_CC_UNLIKELY(rc != 0))                                                               \
            return rc;                                                                             \
        return NAME##_asked_(c, ipc_call_ask_(&c->raw, request, sizeof(REQUEST),                   \
                                            ipc_call_stride_(sizeof(REQUEST), sizeof(REPLY))));    \
    }                                                                                              \
    IPC_FORCE_INLINE int NAME##_poll(struct NAME##_client *c)                                      \
    {                                                                                              \
        return ipc_call_poll_(&c->raw, ipc_call_stride_(sizeof(REQUEST), sizeof(REPLY)));          \
    }                                                                                              \
    IPC_INLINE const REPLY *NAME##_peek(const struct NAME##_client *c)                             \
    {                                                                                              \
        return (const REPLY *)ipc_call_peek(&c->raw);                                              \
    }                                                                                              \
    IPC_FORCE_INLINE int NAME##_collect(struct NAME##_client *c, REPLY *reply)                     \
    {                                                                                              \
        return ipc_call_collect_(&c->raw, reply, sizeof(REPLY),                                    \
                                 ipc_call_stride_(sizeof(REQUEST), sizeof(REPLY)));                \
    }                                                                                              \
    IPC_INLINE void NAME##_cancel(struct NAME##_client *c)                                         \
    {                                                                                              \
        ipc_call_cancel(&c->raw);                                                                  \
    }                                                                                              \
    IPC_INLINE void NAME##_client_detach(struct NAME##_client *c)                                  \
    {                                                                                              \
        struct ipc_call_shared *ring = c->raw.ring;                                                \
        ipc_call_client_detach(&c->raw);                                                           \
        (void)ring;                                                                                \
    IPC_RING_WITH_NOTIFY_(IPC_CALL_CLIENT_NOTIFY3_(NAME, REQUEST, REPLY))                          \
    }

#define IPC_CALL_CLIENT_SLEEP_(NAME, REQUEST, REPLY)                                               \
    IPC_INLINE struct ipc_notify *NAME##_client_bell(struct NAME##_client *c)                      \
    {                                                                                              \
        unsigned char *bell;                                                                       \
        if (c->raw.ring != NULL) {                                                                 \
            bell = c->raw.doing != IPC_CALL_ABANDONED_ ? IPC_CALL_BELL_(c->raw.slot)               \
                                                       : c->raw.ring->slot_bell;                   \
            c->space.at = (struct ipc_notify_shared *)(void *)bell;                                \
        }                                                                                          \
        return &c->space;                                                                          \
    }                                                                                              \
    IPC_INLINE int NAME##_client_look_(void *handle, void *argument)                               \
    {                                                                                              \
        struct NAME##_client *c = (struct NAME##_client *)handle;                                  \
        int rc;                                                                                    \
        if (ipc_notify_anyone_died(&c->space))                                                     \
            c->raw.vain = 0;                                                                       \
        rc = argument != NULL ? NAME##_claim_(c) : NAME##_poll(c);                                 \
        return rc == 0 ? 1 : rc == -EAGAIN ? 0 : rc;                                               \
    }                                                                                              \
    IPC_INLINE int NAME##_client_until_(struct NAME##_client *c, void *argument, int64_t deadline) \
    {                                                                                              \
        if (c->raw.ring == NULL)                                                                   \
            return c->raw.error;                                                                   \
        return ipc_notify_wait_until_(NAME##_client_bell(c), deadline, NAME##_client_look_, c, argument);\
    }                                                                                              \
    IPC_INLINE int NAME##_client_wait(struct NAME##_client *c, int64_t deadline)                   \
    {                                                                                              \
        return NAME##_client_until_(c, NULL, deadline);                                            \
    }                                                                                              \
    IPC_FORCE_INLINE int NAME##_call(struct NAME##_client *c, const REQUEST *request, REPLY *reply,\
                                   int64_t deadline)                                               \
    {                                                                                              \
        int rc = NAME##_ask(c, request);                                                           \
        if (CK_CC_UNLIKELY(rc == -EAGAIN)) {                                                       \
            rc = NAME##_client_until_(c, c, deadline);                                             \
            rc = rc != 0 ? rc : NAME##_ask(c, request);                                            \
        }                                                                                          \
        if (CK_CC_UNLIKELY(rc != 0))                                                               \
            return rc;                                                                             \
        rc = NAME##_client_until_(c, NULL, deadline);                                              \
        if (CK_CC_LIKELY(rc == 0))                                                                 \
            return NAME##_collect(c, reply);                                                       \
        NAME##_cancel(c);                                                                          \
        return rc;                                                                                 \
    }

/* ------------------------------------------------------------------ a server */

#define IPC_CALL_SERVER_NOTIFY1_(NAME, REQUEST, REPLY)                                             \
    IPC_RING_NOINLINE_ int NAME##_wake_(struct NAME##_server *s, struct ipc_call_shared *ring,     \
                                      unsigned char *slot, int rc)                                 \
    {                                                                                              \
        IPC_CALL_POST_(s, IPC_CALL_BELL_(slot))                                                    \
        IPC_CALL_POST_(s, ring->slot_bell)                                                         \
        return rc;                                                                                 \
    }
#define IPC_CALL_SERVER_NOTIFY2_(NAME, REQUEST, REPLY)                                             \
        unsigned char *at = ipc_call_slot_of_(slot);                                               \
        if (rc != -EINVAL && rc != -ECHILD &&                                                      \
            CK_CC_UNLIKELY(ipc_notify_heeds_(IPC_CALL_BELL_(at)) |                                 \
                           ipc_notify_heeds_(s->raw.ring->slot_bell)))                             \
            return NAME##_wake_(s, s->raw.ring, at, rc);
#define IPC_CALL_SERVER_NOTIFY3_(NAME, REQUEST, REPLY)                                             \
        struct ipc_call_server was = s->raw;                                                       \
        size_t i;
#define IPC_CALL_SERVER_NOTIFY4_(NAME, REQUEST, REPLY)                                             \
        for (i = 0; i < was.count; i++)                                                            \
            (void)NAME##_wake_(s, was.ring, was.slots + i * ipc_call_server_stride_(&was), 0);     \
        ipc_notify_detach(&s->data);                                                               \
        ipc_notify_detach(&s->space);
#define IPC_CALL_SERVER_(NAME, REQUEST, REPLY)                                                     \
    IPC_FORCE_INLINE union NAME##_slot *NAME##_take(struct NAME##_server *s)                       \
    {                                                                                              \
        return (union NAME##_slot *)(void *)ipc_call_take_(                                        \
            &s->raw, ipc_call_stride_(sizeof(REQUEST), sizeof(REPLY)));                            \
    }                                                                                              \
    IPC_RING_WITH_NOTIFY_(IPC_CALL_SERVER_NOTIFY1_(NAME, REQUEST, REPLY))                          \
    IPC_FORCE_INLINE int NAME##_answer(struct NAME##_server *s, union NAME##_slot *slot)           \
    {                                                                                              \
        int rc = ipc_call_answer_(&s->raw, slot, ipc_call_stride_(sizeof(REQUEST), sizeof(REPLY)));\
    IPC_RING_WITH_NOTIFY_(IPC_CALL_SERVER_NOTIFY2_(NAME, REQUEST, REPLY))                          \
        return rc;                                                                                 \
    }                                                                                              \
    IPC_INLINE uint64_t NAME##_server_peer(const struct NAME##_server *s, const union NAME##_slot *slot)\
    {                                                                                              \
        return ipc_call_server_peer(&s->raw, slot);                                                \
    }                                                                                              \
    IPC_INLINE void NAME##_server_detach(struct NAME##_server *s)                                  \
    {                                                                                              \
    IPC_RING_WITH_NOTIFY_(IPC_CALL_SERVER_NOTIFY3_(NAME, REQUEST, REPLY))                          \
        ipc_call_server_detach(&s->raw);                                                           \
    IPC_RING_WITH_NOTIFY_(IPC_CALL_SERVER_NOTIFY4_(NAME, REQUEST, REPLY))                          \
    }

#define IPC_CALL_SERVER_SLEEP_(NAME)                                                               \
    IPC_INLINE struct ipc_notify *NAME##_server_bell(struct NAME##_server *s)                      \
    {                                                                                              \
        return &s->data;                                                                           \
    }                                                                                              \
    IPC_INLINE int NAME##_server_look_(void *handle, void *argument)                               \
    {                                                                                              \
        union NAME##_slot **slot = (union NAME##_slot **)argument;                                 \
        *slot = NAME##_take((struct NAME##_server *)handle);                                       \
        return *slot != NULL;                                                                      \
    }                                                                                              \
    IPC_FORCE_INLINE int NAME##_serve(struct NAME##_server *s, union NAME##_slot **slot, int64_t deadline)\
    {                                                                                              \
        *slot = NAME##_take(s);                                                                    \
        if (CK_CC_LIKELY(*slot != NULL))                                                           \
            return 0;                                                                              \
        if (s->raw.ring == NULL)                                                                   \
            return s->raw.error;                                                                   \
        return ipc_notify_wait_until_(&s->data, deadline, NAME##_server_look_, s, slot);           \
    }

#define IPC_CALL(NAME, REQUEST, ...)                                                               \
    IPC_CALL_OF_(NAME, REQUEST, IPC_RING_TYPE_OF_(__VA_ARGS__), IPC_RING_VERSION_OF_(__VA_ARGS__))

#define IPC_CALL_OF_NOTIFY1_(NAME, REQUEST, REPLY, VERSION)                                        \
    IPC_CALL_CLIENT_SLEEP_(NAME, REQUEST, REPLY)                                                   \
    IPC_CALL_SERVER_SLEEP_(NAME)
#define IPC_CALL_OF_SHM2_(NAME, REQUEST, REPLY, VERSION)                                           \
    IPC_RING_OPEN_(NAME, client, raw, IPC_CALL_TYPE, IPC_RING_PLAIN_, )                            \
    IPC_RING_OPEN_(NAME, server, raw, IPC_CALL_TYPE, IPC_RING_PLAIN_, )
#define IPC_CALL_OF_(NAME, REQUEST, REPLY, VERSION)                                                \
    enum { NAME##_version_ = (VERSION) };                                                          \
    IPC_RING_ASSERT_(NAME##_alignment,                                                             \
                     __alignof__(REQUEST) <= IPC_RING_LINE && __alignof__(REPLY) <= IPC_RING_LINE) \
    IPC_RING_ASSERT_(NAME##_reply, sizeof(REPLY) <= UINT32_MAX)                                    \
    IPC_RING_ASSERT_(NAME##_is_trivially_copyable,                                                 \
                     IPC_RING_IS_COPYABLE_(REQUEST) && IPC_RING_IS_COPYABLE_(REPLY))               \
    union NAME##_slot {                                                                            \
        REQUEST request;                                                                           \
        REPLY reply;                                                                               \
    };                                                                                             \
    IPC_RING_MEMORY_(NAME, call, IPC_CALL_TYPE, sizeof(REQUEST), IPC_RING_PLAIN_, 0, sizeof(REQUEST),\
                     sizeof(REPLY))                                                                \
    IPC_RING_HANDLE_(NAME, call, client, raw, IPC_CALL_CLIENT_BELLS_(), sizeof(REQUEST), sizeof(REPLY), me)\
    IPC_RING_HANDLE_(NAME, call, server, raw, IPC_CALL_SERVER_BELLS_(), sizeof(REQUEST), sizeof(REPLY), me)\
    IPC_CALL_CLIENT_(NAME, REQUEST, REPLY)                                                         \
    IPC_CALL_SERVER_(NAME, REQUEST, REPLY)                                                         \
    IPC_RING_WITH_NOTIFY_(IPC_CALL_OF_NOTIFY1_(NAME, REQUEST, REPLY, VERSION))                     \
    IPC_RING_WITH_SHM_(IPC_CALL_OF_SHM2_(NAME, REQUEST, REPLY, VERSION))

#endif

#endif /* IPC_RING_H */
