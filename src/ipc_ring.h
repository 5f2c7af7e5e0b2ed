/*
 * ipc_ring.h - lock-free rings on any block of shared memory.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Between any threads or processes of one machine that see the same memory, at whatever addresses:
 * SPSC, one producer and one consumer; MPMC, MPSC, SPMC, many at one end or both; records, messages
 * of any length; broadcasts of either, where every reader sees every message; streams of elements
 * without messages; and calls, a request and its reply in one slot. A message costs one cache line
 * transfer between the cores, no lock and no system call. Needs Concurrency Kit (libck-dev) and
 * libc; C99 to C23, C++11 to C++23.
 *
 *     #include "ipc_ring.h"
 *
 *     struct tick { uint64_t ns; double px; };
 *     IPC_SPSC(ticks, struct tick)                      // at file scope, no semicolon
 *
 *     // once, by whoever makes the memory (64-byte aligned, shared, zeroed or not):
 *     size_t size = ticks_footprint(4096);              // capacity: a power of two
 *     ticks_init(mem, size, 4096);
 *
 *     // in the producer                                // in the consumer
 *     struct ticks_producer out;                        struct ticks_consumer in;
 *     ticks_producer_attach(&out, mem, size, NULL);             ticks_consumer_attach(&in, mem,
 * size, NULL); ticks_push(&out, &t);  // -EAGAIN: full           ticks_pop(&in, &t);   // -EAGAIN:
 * empty
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
 *     jobs_consumer_attach(&in, mem, size, ipc_shm_peer(&seg)); // who says who is dead
 *     while ((j = jobs_peek(&in)) != NULL) {            // ours
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
 *     news_init(mem, size, 4096, IPC_BROADCAST_LOSSY);  // or _LOSSLESS: it waits for the slowest
 *     news_push(&out, &item);
 *     switch (news_pop(&in, &item)) {                   // in each reader, from when it came on
 *     case 0:          show(&item);                 break;
 *     case -EOVERFLOW: lost_so_far(news_missed(&in)); break; // and it goes on with the oldest left
 *     }
 *     IPC_RECORD_BROADCAST(tape)                        // the same of records
 *
 * Contract
 *   - Every message that push or commit accepted is popped once, whole and in order: with many
 *     producers each one's in its order, and all by claim.
 *   - Neither side can hold up the other longer than the ring is full or empty: a peer that is
 *     slow, stopped or killed, at any instruction, costs its own next message and nothing else.
 *   - A killed producer's half-written message was never there. A killed consumer's successor sees
 *     again at most the messages taken since the last publication of its position: _replay says
 *     how many that may be, 0 for none. With many, whoever is killed between claim and commit loses
 *     what it had claimed; between peek and release its message is lost, or handed out again, as
 *     the ring was made; both are counted (_losses). Handed out again is out of order, and may be
 *     a second time.
 *   - A broadcast's message is popped once by every reader that was there when it was sent. In a
 *     lossless one the slowest reader that is not proven dead holds up the writer, once it is a
 *     whole capacity behind; it may leave at any time. In a lossy one readers hold up nobody; what
 *     one missed is counted exactly, and what was overwritten while it was read is not handed out.
 *   - Each producer of records has memory of its own, so what it does, or leaves undone when it is
 *     stopped or killed, costs the others nothing; there is no order between producers. Whoever
 *     takes the place of one that was killed goes on behind its last record.
 *   - With many, who is stopped in the middle costs the others its slot until it goes on; then its
 *     call gets through all the same. Whoever finds the slot of someone dead in the way frees it.
 *   - A call's request is given to one server, and that server's reply to that call or nobody: a
 *     server that is late finds the slot untouched, and its caller has gone on in another. A caller
 *     that is stopped or killed costs its slot, a server the calls that it has taken. Callers are
 *     told when their server, or the last one, is dead.
 *   - The shared memory is not trusted. Geometry is checked and copied into the handle at attach;
 *     whatever a peer writes there later can give wrong bytes, or -EBADMSG, but no access outside
 *     the ring and no endless loop. -EBADMSG sticks to the handle.
 *   - Handles are private to one thread of one process at a time. After fork one of the two
 *     processes may go on using a handle, not both.
 *
 * Caveats
 *   - One producer and one consumer means that. Attaching a second one is refused with -EBUSY
 *     while the first lives; the proof of its death is the business of struct ipc_peer below.
 *     Fix for two producers: IPC_MPSC, at a third to a half of the speed, or two rings.
 *   - With many, a thread that ends in a live process without detaching keeps what it held, and its
 *     seat (there are 256). Without struct ipc_peer so does a killed process.
 *   - Polling burns a core. Fix: ipc_notify.h, below.
 *   - The capacity is fixed. push into a full ring is refused, nothing is overwritten. Fix: retry,
 *     drop or widen: that is policy, and yours. Or IPC_BROADCAST_LOSSY, also for one reader.
 *   - Of a lossy broadcast what peek gives may change while it is read. Fix: believe nothing of it
 *     until release says 0, or pop. A reader that is slower than the writer misses messages for
 *     ever; until it has caught up it begins anew further ahead each time, by half a capacity at
 *     most.
 *   - Records of several producers take the capacity for each of them, used or not, and are in no
 *     order but each producer's. Fix: IPC_MPSC, if they have one size and their order matters.
 *   - A lossless broadcast has 64 seats for readers, and without struct ipc_peer a killed one keeps
 *     its seat, and the writer waiting.
 *   - On a mapped file that someone truncates, access is SIGBUS. Fix: sealed memory (ipc_shm.h).
 *
 * How it works
 *   Each slot is payload followed by a sequence number in the same cache line (the last one, if
 *   it has several): position + 1 once the message of that position is in it. The consumer polls
 *   the slot itself, so a message crosses in one line transfer. Its own position it publishes
 *   lazily; the producer reads that only when its private copy says that the ring is full.
 *
 *       slot of position p:  [ p+1-capacity or 0 ] --producer: payload, fence, p+1--> [ p+1 ]
 *                               ^                                                        |
 *                               '---- consumer: copies out, later publishes head > p ----'
 *
 *   Two costs remain, both of a line that is touched while the other core works on it. The
 *   producer asks for lines ahead of time with write intent. The consumer looks far ahead first:
 *   where that slot is full the whole run before it is full too (B-Queue: J. Wang, K. Zhang, X.
 *   Tang, B. Hua, "B-Queue: Efficient and Practical Queuing for Fast Core-to-Core Communication",
 *   2013), and a consumer that has caught up with a streaming producer holds back a little, as
 *   long as each look then finds several messages, so that it does not fight over the line that
 *   is being written. It does not hold back where its last look found the ring empty: a lone
 *   message is not delayed.
 *
 *   Messages of 16 KiB and more are copied in the way that is found to be the fastest, by a trial
 *   now and then: through the caches or, where the cores are far from each other, past them.
 *
 *   A record has a word before it, which the consumer polls: its length, and that it is there.
 *   The word behind it is zeroed first, so that the next one is not there before it is. What does
 *   not fit before the end of the memory goes to its beginning, and a word says so:
 *
 *       [ 5 | hello... ][ 2 | hi...... ][ 0 ]                         0: not there yet
 *
 *   A lossless broadcast is that with a place for each reader's position; the writer looks at
 *   them all once a lap. In a lossy one the writer marks the sequence before it overwrites a
 *   slot; a reader looks at it again after its copy (a seqlock for each slot). Of records it
 *   says, many at a time, from where on they are still whole.
 *
 *   With many at an end the last word of a slot says all about it: lap (position / capacity),
 *   state, and the name of whoever works on it. What two may want to change is changed by
 *   compare-and-swap: a claim and its claimant's name become visible in one step, and nobody can
 *   commit into a lap that is not his. Head and tail are hints; each handle keeps a place of its
 *   own and walks on from there.
 *
 *       (L,FREE) --claim--> (L,WRITING,k) --commit--> (L,FULL) --peek--> (L,READING,c)
 *         |                      |                       |                  |      |
 *         |                      | passed over           | pop        release      | passed over by
 *         |                      |                       |                  |      | a producer
 *         |                      v                       v                  v      v
 *         '------ ... <--- (L,HELD,k) ----------> (L+1,FREE) <--------- (L+1,KEPT,c)
 *                       k comes back, or is dead                c comes back, or is dead
 *
 *   Who is slow is passed over after some looks, if there is something behind him: his slot is
 *   left out of that lap, and each later lap that comes by stamps its number on it before going
 *   on, so that whoever frees it knows for which lap. Pop copies first and takes by
 *   compare-and-swap then: what it copied counts only if that succeeds. push_n and pop_n work on
 *   up to 16 slots by the word of the first. A slot's turn by its own sequence: D. Vyukov,
 *   "Bounded MPMC queue", 2010.
 *
 *   With calls each caller has a slot, and servers look at all that have had one. Whose the
 *   message is to touch is in the slot's last word, with the call's number n and the server's
 *   name k:
 *
 *       (n,IDLE) --caller: n+1--> (n,ASKED) --k: CAS--> (n,TAKEN,k) --k--> (n,ANSWERED)
 *          ^ ^                        |                   |      |            |
 *          | '------------------------' caller gives up   |      | k leaves   '-- caller: n+1,ASKED
 *          |                            (CAS)             |      v
 *          |                     caller gives up (CAS)    |   (n,LEFT) -- caller: n+1,ASKED
 *          |                                              v
 *          '------- k, or k is dead ---------------- (n,GIVEN,k)
 *
 *   A dead server's TAKEN becomes IDLE, by its caller. One who gave up a call that a server has
 *   moves to another slot; the one he left is for the next who finds it neither TAKEN nor GIVEN.
 *   So nobody but k touches what k has, and his last store can be a plain one.
 */
#ifndef IPC_RING_H
#define IPC_RING_H 1

#include "ring/reference.h"
#include "common/version.h"
#include "common/prelude.h"
#include "common/peer.h"
#include "ring/core.h"
#include "ring/copy.h"
#include "ring/spsc.h"
#include "ring/stream.h"
#include "ring/record.h"
#include "ring/broadcast.h"
#include "ring/record_broadcast.h"
#include "ring/mpmc_slot.h"
#include "ring/mpmc.h"
#include "ring/call.h"
#include "ring/typed.h"
#include "ring/typed_slots.h"
#include "ring/typed_records.h"
#include "ring/typed_stream.h"
#include "ring/typed_call.h"

#endif /* IPC_RING_H */
