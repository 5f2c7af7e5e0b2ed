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

#include "ring/reference.h"
#include "common/version.h"
#include "common/prelude.h"
#include "common/peer.h"
#include "common/words.h"
#include "ring/core.h"
#include "ring/trials.h"
#include "ring/copy.h"
#include "ring/spsc.h"
#include "ring/stream.h"
#include "ring/record_lane.h"
#include "ring/record_source.h"
#include "ring/record_merge.h"
#include "ring/record.h"
#include "ring/broadcast.h"
#include "ring/record_broadcast.h"
#include "ring/mpmc_slot.h"
#include "ring/mpmc.h"
#include "ring/call.h"
#include "ring/monitor.h"
#include "ring/holders.h"
#include "ring/typed.h"
#include "ring/typed_slots.h"
#include "ring/typed_records.h"
#include "ring/typed_stream.h"
#include "ring/typed_call.h"

#endif /* IPC_RING_H */
