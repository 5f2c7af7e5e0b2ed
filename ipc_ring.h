/*
 * ipc_ring.h - lock-free rings on any block of shared memory.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * One producer, one consumer, in any two threads or processes of one machine that see the same
 * memory, at whatever addresses. A message costs one cache line transfer between the cores, no
 * lock and no system call. Needs Concurrency Kit (libck-dev) and libc; C99 to C23, C++11 to C++23.
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
 *     ticks_produce(&out, mem, size, NULL);             ticks_consume(&in, mem, size, NULL);
 *     ticks_push(&out, &t);  // -EAGAIN: full           ticks_pop(&in, &t);   // -EAGAIN: empty
 *
 * With ipc_shm.h included as well (in either order, before IPC_SPSC is used) the memory is found
 * by name: ticks_create(&out, &seg, "ticks", 4096) and ticks_open(&in, &seg, "ticks").
 *
 * With ipc_notify.h included as well there are calls that sleep: ticks_send(&out, &t, deadline) and
 * ticks_recv(&in, &t, deadline).
 *
 * Contract
 *   - Every message that push or commit accepted is popped once, whole and in order.
 *   - Neither side can hold up the other longer than the ring is full or empty: a peer that is
 *     slow, stopped or killed, at any instruction, costs its own next message and nothing else.
 *   - A killed producer's half-written message was never there. A killed consumer's successor sees
 *     again at most the messages taken since the last publication of its position: _replay says
 *     how many that may be, 0 for none.
 *   - The shared memory is not trusted. Geometry is checked and copied into the handle at attach;
 *     whatever a peer writes there later can give wrong bytes, or -EBADMSG, but no access outside
 *     the ring and no endless loop. -EBADMSG sticks to the handle.
 *   - Handles are private to one thread of one process at a time. After fork one of the two
 *     processes may go on using a handle, not both.
 *
 * Caveats
 *   - One producer and one consumer means that. Attaching a second one is refused with -EBUSY
 *     while the first lives; the proof of its death is the business of struct ipc_peer below.
 *     Fix for two producers: two rings.
 *   - Polling burns a core. Fix: ipc_notify.h, below.
 *   - The capacity is fixed. push into a full ring is refused, nothing is overwritten. Fix: retry,
 *     drop or widen: that is policy, and yours.
 *   - On a mapped file that someone truncates, access is SIGBUS. Fix: sealed memory (ipc_shm.h).
 *
 * How it works
 *   Each slot is payload followed by a sequence number in the same cache line (the last one, if it
 *   has several): position + 1 once the message of that position is in it. The consumer polls the
 *   slot itself, so a message crosses in one line transfer. Its own position it publishes lazily;
 *   the producer reads that only when its private copy says that the ring is full.
 *
 *       slot of position p:  [ p+1-capacity or 0 ] --producer: payload, fence, p+1--> [ p+1 ]
 *                               ^                                                        |
 *                               '---- consumer: copies out, later publishes head > p ----'
 *
 *   Two costs remain, both of a line that is touched while the other core works on it. The producer
 *   asks for lines ahead of time with write intent. The consumer looks far ahead first: where that
 *   slot is full the whole run before it is full too (B-Queue: J. Wang, K. Zhang, X. Tang, B. Hua,
 *   "B-Queue: Efficient and Practical Queuing for Fast Core-to-Core Communication", 2013), and a
 *   consumer that has caught up with a streaming producer holds back a little, as long as each look
 *   then finds several messages, so that it does not fight over the line that is being written. It
 *   does not hold back where its last look found the ring empty: a lone message is not delayed.
 */
#ifndef IPC_RING_H
#define IPC_RING_H 1

#if !defined(_GNU_SOURCE) && !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE 1 /* not for this header: so that ipc_shm.h may come after it */
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
#ifndef CK_F_PR_LOAD_64
#error "ipc_ring.h needs 64-bit atomic loads and stores, which this target does not have"
#endif

/* ------------------------------------------------------------------ who attaches, who is alive */

#ifndef IPC_PEER
#define IPC_PEER 1
/*
 * The whole of what a ring, a notifier and the holder of their memory know of each other; ipc_shm.h
 * and ipc_notify.h define the same, and ipc_shm.h fills it in. Rings use id and alive. Without one
 * (NULL) nobody's death can be proven: an end stays taken until it is detached.
 */
struct ipc_peer {
    uint64_t id;                          /* mine; not 0; never used by another process */
    int (*alive)(void *arg, uint64_t id); /* 0 only with proof that id is dead; NULL: none */
    /* Makes fds[0] readable when another member stirs or leaves, fds[1] when id dies (if not 0).
     * Opens those that are -1, as it can; the caller closes them. 0 when fds[0] is there. */
    int (*watch)(void *arg, uint64_t id, int fds[2]);
    void (*stir)(void *arg); /* makes the others' fds[0] readable */
    void *arg;               /* passed to them */
    char why[256];           /* out: the last refusal, in words */
};
#endif

/* ------------------------------------------------------------------ layout */

#define IPC_SPSC_TYPE 0x63737073u /* "spsc": the type under which ipc_shm.h lists it */
#define IPC_SPSC_MAGIC UINT64_C(0x31637370735f6369) /* "ic_spsc1" */
#define IPC_SPSC_ABI 1u
#define IPC_RING_ORDER 0x01020304u   /* stored by a machine of our byte order */
#define IPC_RING_SWAPPED 0x04030201u /* and by one of the other */
#define IPC_RING_LINE 64u            /* of the layout, whatever the machine's: it must not differ */

/* The shared part. Private to this file; tests and tools may look. */
struct ipc_spsc_shared {
    /* Constant after init. magic is stored last: before it nothing here counts. */
    uint64_t magic;
    uint32_t abi;
    uint32_t order; /* IPC_RING_ORDER */
    uint32_t line;  /* IPC_RING_LINE */
    uint32_t pad;
    uint64_t bytes;    /* of one message */
    uint64_t capacity; /* slots */
    unsigned char pad0[24];
    /* Who holds each end: an ipc_peer id, 0 for nobody. Compare-and-swap by who attaches. */
    uint64_t producer;
    uint64_t consumer;
    unsigned char pad1[48];
    /* Every position below has been consumed. Written by the consumer alone. */
    uint64_t head;
    unsigned char pad2[120];
    /* For notifiers of ipc_notify.h, which have this size and begin as zeros: the consumer sleeps
     * on the first, the producer on the second. Without that header they stay zeros. */
    unsigned char data_bell[64];
    unsigned char space_bell[64];
    /* capacity slots of ipc_ring_stride_(bytes) each */
};

#define IPC_RING_ASSERT_(name, condition) typedef char ipc_ring_assert_##name[(condition) ? 1 : -1];
IPC_RING_ASSERT_(owners, offsetof(struct ipc_spsc_shared, producer) == 64)
IPC_RING_ASSERT_(head, offsetof(struct ipc_spsc_shared, head) == 128)
IPC_RING_ASSERT_(bells, offsetof(struct ipc_spsc_shared, data_bell) == 256)
IPC_RING_ASSERT_(size, sizeof(struct ipc_spsc_shared) == 384)

/* How far the producer prefetches and the consumer looks ahead, and for how many pauses the
 * consumer holds back at most. Measured flat around these values (bench/). */
#define IPC_RING_LEAD_ 1024u /* bytes */
#define IPC_RING_AHEAD_ 64u  /* slots */
#define IPC_RING_HOLD_ 31u   /* ck_pr_stall()s */

/* Slots up to a line never straddle one; longer ones are whole lines. Aligns any message to its
 * own alignment up to 64, as its size is a multiple of that. */
CK_CC_FORCE_INLINE static size_t ipc_ring_stride_(size_t bytes)
{
    size_t need = bytes + sizeof(uint64_t);

    return need <= 16   ? 16
           : need <= 32 ? 32
                        : (need + IPC_RING_LINE - 1) & ~(size_t)(IPC_RING_LINE - 1);
}

/* The bytes of a ring, or 0 where that is no ring: message of 0 bytes, capacity not a power of two,
 * product beyond the address space. */
CK_CC_INLINE static size_t ipc_spsc_footprint(size_t bytes, uint64_t capacity)
{
    if (bytes == 0 || bytes > SIZE_MAX / 4 || capacity == 0 || (capacity & (capacity - 1)) != 0 ||
        capacity > (SIZE_MAX / 2 - sizeof(struct ipc_spsc_shared)) / ipc_ring_stride_(bytes))
        return 0;
    return sizeof(struct ipc_spsc_shared) + ipc_ring_stride_(bytes) * (size_t)capacity;
}

CK_CC_INLINE static int ipc_ring_aligned_(const void *mem)
{
    return mem != NULL && (uintptr_t)mem % IPC_RING_LINE == 0;
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
CK_CC_INLINE static int ipc_spsc_init(void *mem, size_t size, size_t bytes, uint64_t capacity)
{
    struct ipc_spsc_shared *r = (struct ipc_spsc_shared *)mem;
    size_t footprint = ipc_spsc_footprint(bytes, capacity);

    if (footprint == 0 || !ipc_ring_aligned_(mem))
        return -EINVAL;
    if (size < footprint)
        return -ENOSPC;
    ck_pr_store_64(&r->magic, 0); /* first: if we die here there is no ring */
    memset((unsigned char *)mem + sizeof r->magic, 0, footprint - sizeof r->magic);
    r->abi = IPC_SPSC_ABI;
    r->order = IPC_RING_ORDER;
    r->line = IPC_RING_LINE;
    r->bytes = bytes;
    r->capacity = capacity;
    /* Without it an attach could see the magic before the ring. Partner: ipc_spsc_check_. */
    ck_pr_fence_store();
    ck_pr_store_64(&r->magic, IPC_SPSC_MAGIC);
    return 0;
}

/* ------------------------------------------------------------------ handles */

/* Private to their thread; no field is for the caller. */
struct ipc_spsc_producer {
    unsigned char *slots;
    uint64_t mask;
    uint64_t tail;  /* next position to write */
    uint64_t limit; /* positions below are known to be free */
    uint64_t bytes;
    struct ipc_spsc_shared *ring;
    uint64_t id;
    int error; /* sticks */
};

struct ipc_spsc_consumer {
    unsigned char *slots;
    uint64_t mask;
    uint64_t head;      /* next position to read */
    uint64_t ready;     /* positions below are known to be full */
    uint64_t published; /* what ring->head says */
    uint64_t replay;    /* head - published never exceeds it when a call returns */
    uint64_t bytes;
    struct ipc_spsc_shared *ring;
    uint64_t id;
    int idle;      /* the last look found nothing */
    unsigned hold; /* ck_pr_stall()s before the next look */
    int error;     /* sticks */
};

/* ------------------------------------------------------------------ attach and detach */

CK_CC_INLINE static int ipc_ring_refuse_(struct ipc_peer *me, int rc, const char *what,
                                         uint64_t there, uint64_t here)
{
    if (me != NULL)
        (void)snprintf(me->why, sizeof me->why, "%s: %llu there, %llu here", what,
                       (unsigned long long)there, (unsigned long long)here);
    return rc;
}

/* Reads the geometry once, checks it against the caller's, and says what does not match. */
CK_CC_INLINE static int ipc_spsc_check_(void *mem, size_t size, size_t bytes, struct ipc_peer *me,
                                        uint64_t *capacity)
{
    const struct ipc_spsc_shared *r = (const struct ipc_spsc_shared *)mem;
    uint64_t magic, there;
    size_t footprint;

    if (me != NULL && me->id == 0)
        return -EINVAL; /* why is said by whoever could not give one */
    if (!ipc_ring_aligned_(mem) || size < sizeof *r || bytes == 0)
        return ipc_ring_refuse_(me, -EINVAL, "ring memory misaligned or too small; bytes", size,
                                sizeof *r);
    magic = ck_pr_load_64(&r->magic);
    /* Without it the fields could be older than the magic. Partner: in ipc_spsc_init. */
    ck_pr_fence_load();
    if (magic == 0)
        return ipc_ring_refuse_(me, -EAGAIN, "ring not initialised yet; magic", 0, IPC_SPSC_MAGIC);
    if ((there = ck_pr_load_32(&r->order)) == IPC_RING_SWAPPED)
        return ipc_ring_refuse_(me, -EPROTO, "ring of another byte order", there, IPC_RING_ORDER);
    if (magic != IPC_SPSC_MAGIC || there != IPC_RING_ORDER)
        return ipc_ring_refuse_(me, -EPROTO, "not an SPSC ring; magic", magic, IPC_SPSC_MAGIC);
    if ((there = ck_pr_load_32(&r->abi)) != IPC_SPSC_ABI)
        return ipc_ring_refuse_(me, -EPROTO, "ring of another version; ABI", there, IPC_SPSC_ABI);
    if ((there = ck_pr_load_32(&r->line)) != IPC_RING_LINE)
        return ipc_ring_refuse_(me, -EPROTO, "ring of another cache line size", there,
                                IPC_RING_LINE);
    if ((there = ck_pr_load_64(&r->bytes)) != bytes)
        return ipc_ring_refuse_(me, -EPROTO, "message size differs; bytes", there, bytes);
    *capacity = ck_pr_load_64(&r->capacity);
    footprint = ipc_spsc_footprint(bytes, *capacity);
    if (footprint == 0 || footprint > size)
        return ipc_ring_refuse_(me, -EPROTO, "ring does not fit its memory; slots and bytes",
                                *capacity, size);
    return 0;
}

/* Takes an end for `me`, from nobody or from the dead. Compare-and-swap on the exact id seen, so
 * that of two who saw the same dead holder one succeeds. A few tries: who loses all of them meets
 * others who are taking it, or a hostile writer. */
CK_CC_INLINE static int ipc_ring_take_end_(uint64_t *end, struct ipc_peer *me, uint64_t id)
{
    uint64_t holder = 0;
    int tries;

    for (tries = 0; tries < 8; tries++) {
        holder = ck_pr_load_64(end);
        if (holder != 0 &&
            (me == NULL || me->alive == NULL || holder == id || me->alive(me->arg, holder) != 0))
            break;
        if (ck_pr_cas_64(end, holder, id)) {
            /* Without it the positions that we start from could be older than what the last holder
             * left. Partner: ipc_ring_leave_end_; the kernel, where that one was killed. */
            ck_pr_fence_acquire();
            return 0;
        }
    }
    return ipc_ring_refuse_(me, -EBUSY, "this end of the ring is taken; peer", holder, id);
}

/* The end is free again, unless someone else took it meanwhile on the word that we are dead. */
CK_CC_INLINE static void ipc_ring_leave_end_(uint64_t *end, uint64_t id)
{
    /* Without it the next holder could miss what we wrote or read. Partner: ipc_ring_take_end_. */
    ck_pr_fence_release();
    (void)ck_pr_cas_64(end, id, 0);
}

#define IPC_RING_ANYONE_ 1u /* the id of those who bring no ipc_peer */

CK_CC_FORCE_INLINE static unsigned char *ipc_ring_slot_(unsigned char *slots, uint64_t mask,
                                                        uint64_t position, size_t stride)
{
    return slots + (size_t)(position & mask) * stride;
}

/* The word that says which position's message is in the slot. Written by the producer alone. */
CK_CC_FORCE_INLINE static uint64_t *ipc_ring_sequence_(unsigned char *slot, size_t stride)
{
    return (uint64_t *)(void *)(slot + stride - sizeof(uint64_t));
}

/* How many messages stand in a row from `from` on. They are full up to the tail and not beyond, so
 * bisect. At most mask + 1, whatever the memory says. */
CK_CC_INLINE static uint64_t ipc_spsc_run_(unsigned char *slots, uint64_t mask, uint64_t from,
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

/* A handle that answers every call with rc, and keeps its hands off the ring. */
CK_CC_INLINE static int ipc_spsc_producer_end_(struct ipc_spsc_producer *p, int rc)
{
    memset(p, 0, sizeof *p);
    p->error = rc;
    return rc;
}

CK_CC_INLINE static int ipc_spsc_consumer_end_(struct ipc_spsc_consumer *c, int rc)
{
    memset(c, 0, sizeof *c);
    c->error = rc;
    return rc;
}

/*
 * Attaches the producer's end of the ring in mem[0..size), whose messages have `bytes` bytes. After
 * a producer that died it goes on behind the last message that one committed. `me` may be NULL: see
 * struct ipc_peer. Lock-free; not for the path of a message. A handle that was refused, or
 * detached, answers push with that error, or -EINVAL.
 *
 *   0
 *   -EINVAL  mem is NULL or not 64-byte aligned, size or bytes too small, or me->id is 0
 *   -EAGAIN  the ring is not initialised yet
 *   -EPROTO  the ring has another message size, version, byte order or layout; me->why names it
 *   -EBUSY   a producer that is not proven dead is attached
 */
CK_CC_INLINE static int ipc_spsc_produce(struct ipc_spsc_producer *p, void *mem, size_t size,
                                         size_t bytes, struct ipc_peer *me)
{
    struct ipc_spsc_shared *r = (struct ipc_spsc_shared *)mem;
    uint64_t capacity, head, id = me != NULL ? me->id : IPC_RING_ANYONE_;
    int rc = ipc_spsc_check_(mem, size, bytes, me, &capacity);

    if (rc == 0)
        rc = ipc_ring_take_end_(&r->producer, me, id);
    if (rc != 0)
        return ipc_spsc_producer_end_(p, rc);
    p->slots = (unsigned char *)mem + sizeof *r;
    p->mask = capacity - 1;
    p->bytes = bytes;
    p->ring = r;
    p->id = id;
    p->error = 0;
    head = ck_pr_load_64(&r->head);
    /* Without it slots could be written that head does not free yet. Partner: ipc_spsc_publish_. */
    ck_pr_fence_acquire();
    p->limit = head + capacity;
    p->tail = head + ipc_spsc_run_(p->slots, p->mask, head, ipc_ring_stride_(bytes));
    return 0;
}

/*
 * Attaches the consumer's end; as ipc_spsc_produce, with the same errors. It starts at the last
 * published position: what a killed consumer took after that is seen again. Until ipc_spsc_replay
 * says otherwise that is an eighth of the capacity at most, and never more than 256.
 */
CK_CC_INLINE static int ipc_spsc_consume(struct ipc_spsc_consumer *c, void *mem, size_t size,
                                         size_t bytes, struct ipc_peer *me)
{
    struct ipc_spsc_shared *r = (struct ipc_spsc_shared *)mem;
    uint64_t capacity, id = me != NULL ? me->id : IPC_RING_ANYONE_;
    int rc = ipc_spsc_check_(mem, size, bytes, me, &capacity);

    if (rc == 0)
        rc = ipc_ring_take_end_(&r->consumer, me, id);
    if (rc != 0)
        return ipc_spsc_consumer_end_(c, rc);
    c->slots = (unsigned char *)mem + sizeof *r;
    c->mask = capacity - 1;
    c->bytes = bytes;
    c->ring = r;
    c->id = id;
    c->error = 0;
    c->idle = 1;
    c->hold = 0;
    c->head = c->ready = c->published = ck_pr_load_64(&r->head);
    c->replay = capacity / 8 < 256 ? capacity / 8 : 256;
    return 0;
}

/* Tells everyone how far the consumer has come. */
CK_CC_INLINE static void ipc_spsc_publish_(struct ipc_spsc_consumer *c)
{
    /* Without it the producer could overwrite a message that is still being read. Partners: the
     * acquire fences in ipc_spsc_produce and ipc_spsc_full_. */
    ck_pr_fence_release();
    ck_pr_store_64(&c->ring->head, c->head);
    c->published = c->head;
}

/*
 * From now on at most n messages that were popped or released are seen again by the consumer after
 * one that was killed. With 0 none is: each is handed out once, at the cost of one more store for
 * each message. What the killed one had peeked and not released is handed out again in any case.
 * Values that would let the ring run full unpublished are brought down to half the capacity.
 */
CK_CC_INLINE static void ipc_spsc_replay(struct ipc_spsc_consumer *c, uint64_t n)
{
    c->replay = n < (c->mask + 1) / 2 ? n : (c->mask + 1) / 2;
    if (c->head - c->published > c->replay)
        ipc_spsc_publish_(c);
}

/* The id of whoever holds the other end, for struct ipc_peer's alive; 0 for nobody. Wait-free. */
CK_CC_INLINE static uint64_t ipc_spsc_producer_peer(const struct ipc_spsc_producer *p)
{
    return p->ring != NULL ? ck_pr_load_64(&p->ring->consumer) : 0;
}

CK_CC_INLINE static uint64_t ipc_spsc_consumer_peer(const struct ipc_spsc_consumer *c)
{
    return c->ring != NULL ? ck_pr_load_64(&c->ring->producer) : 0;
}

/* Gives the end back; the ring and its messages stay for the next. Wait-free. */
CK_CC_INLINE static void ipc_spsc_producer_detach(struct ipc_spsc_producer *p)
{
    if (p->ring != NULL)
        ipc_ring_leave_end_(&p->ring->producer, p->id);
    (void)ipc_spsc_producer_end_(p, -EINVAL);
}

CK_CC_INLINE static void ipc_spsc_consumer_detach(struct ipc_spsc_consumer *c)
{
    if (c->head != c->published)
        ipc_spsc_publish_(c);
    if (c->ring != NULL)
        ipc_ring_leave_end_(&c->ring->consumer, c->id);
    (void)ipc_spsc_consumer_end_(c, -EINVAL);
}

/* ------------------------------------------------------------------ the producer's path */

/* The private copy says full: looks at what the consumer has published. Sets limit beyond tail and
 * returns 0, or -EAGAIN, or -EBADMSG. */
CK_CC_INLINE static int ipc_spsc_full_(struct ipc_spsc_producer *p)
{
    uint64_t head;

    if (p->error != 0)
        return p->error;
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

/* Copies a message into its slot, by machine words. A caller has mostly just written its fields; a
 * wider load would have to wait until those stores, and all before them, have left the store
 * buffer, and with them the lines that are on their way from the other core. */
CK_CC_FORCE_INLINE static void ipc_ring_put_(unsigned char *to, const unsigned char *from, size_t n)
{
#define IPC_RING_WORD_(type, at)                                                                   \
    do {                                                                                           \
        type word;                                                                                 \
        memcpy(&word, from + (at), sizeof word);                                                   \
        __asm__("" : "+r"(word)); /* or the compiler makes one wide copy of several */             \
        memcpy(to + (at), &word, sizeof word);                                                     \
    } while (0)

    if (n > 256) {
        memcpy(to, from, n);
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

/* The slot to write next. Has the lines of a later slot brought here with write intent, so that its
 * stores need not wait for them. The consumer may not be done with that slot: then it fetches the
 * lines back, which costs time and nothing else. */
CK_CC_FORCE_INLINE static unsigned char *ipc_spsc_next_(const struct ipc_spsc_producer *p,
                                                        uint64_t tail, size_t stride)
{
    unsigned char *slot = ipc_ring_slot_(p->slots, p->mask, tail, stride);

    if (stride <= IPC_RING_LEAD_) {
        size_t slots = IPC_RING_LEAD_ / (stride > IPC_RING_LINE ? stride : IPC_RING_LINE), i;
        unsigned char *lead = ipc_ring_slot_(p->slots, p->mask, tail + slots, stride);

        for (i = 0; i < stride; i += IPC_RING_LINE)
            ck_pr_rfo(lead + i);
    }
    return slot;
}

CK_CC_FORCE_INLINE static unsigned char *ipc_spsc_claim_(struct ipc_spsc_producer *p, size_t stride)
{
    if (CK_CC_UNLIKELY(p->tail == p->limit) && ipc_spsc_full_(p) != 0)
        return NULL;
    return ipc_spsc_next_(p, p->tail, stride);
}

CK_CC_FORCE_INLINE static void ipc_spsc_send_(struct ipc_spsc_producer *p, unsigned char *slot,
                                              uint64_t tail, size_t stride)
{
    /* Without it the sequence could be seen before the payload. Partner: the load fence in
     * ipc_spsc_look_. */
    ck_pr_fence_store();
    ck_pr_store_64(ipc_ring_sequence_(slot, stride), tail + 1);
    p->tail = tail + 1;
}

CK_CC_FORCE_INLINE static int ipc_spsc_commit_(struct ipc_spsc_producer *p, size_t stride)
{
    if (CK_CC_UNLIKELY(p->tail == p->limit))
        return -EINVAL;
    ipc_spsc_send_(p, ipc_ring_slot_(p->slots, p->mask, p->tail, stride), p->tail, stride);
    return 0;
}

CK_CC_FORCE_INLINE static int ipc_spsc_push_(struct ipc_spsc_producer *p, const void *message,
                                             size_t bytes)
{
    size_t stride = ipc_ring_stride_(bytes);
    uint64_t tail = p->tail; /* kept in a register: fences make the compiler forget the rest */
    unsigned char *slot;

    if (CK_CC_UNLIKELY(tail == p->limit)) {
        int rc = ipc_spsc_full_(p);

        if (rc != 0)
            return rc;
    }
    slot = ipc_spsc_next_(p, tail, stride);
    ipc_ring_put_(slot, (const unsigned char *)message, bytes);
    ipc_spsc_send_(p, slot, tail, stride);
    return 0;
}

CK_CC_FORCE_INLINE static int64_t ipc_spsc_push_n_(struct ipc_spsc_producer *p,
                                                   const void *messages, size_t bytes, size_t n)
{
    const unsigned char *m = (const unsigned char *)messages;
    size_t i;
    int rc = 0;

    for (i = 0; i < n && (rc = ipc_spsc_push_(p, m + i * bytes, bytes)) == 0; i++)
        ;
    return i > 0 ? (int64_t)i : rc;
}

/*
 * Copies one message in. Wait-free. A consumer that is stopped or dead lets the ring run full.
 *
 *   0
 *   -EAGAIN    the ring is full
 *   -EMSGSIZE  bytes is not the ring's message size
 *   -EBADMSG   the shared memory is corrupt; sticks
 */
CK_CC_INLINE static int ipc_spsc_push(struct ipc_spsc_producer *p, const void *message,
                                      size_t bytes)
{
    return bytes == p->bytes ? ipc_spsc_push_(p, message, bytes) : -EMSGSIZE;
}

/* Copies up to n messages in, from an array, each visible to the consumer as soon as it is whole.
 * Wait-free for a given n. Returns how many went in (less than n: the ring is full), 0 for n = 0,
 * or the errors of ipc_spsc_push when none did. */
CK_CC_INLINE static int64_t ipc_spsc_push_n(struct ipc_spsc_producer *p, const void *messages,
                                            size_t bytes, size_t n)
{
    return bytes == p->bytes ? ipc_spsc_push_n_(p, messages, bytes, n) : -EMSGSIZE;
}

/*
 * Push without a copy: claim gives the next slot to write to, aligned as the message needs, with
 * what an earlier lap left in it. NULL when the ring is full, or ipc_spsc_producer_error says why
 * not. Claiming again gives the same slot. Until commit nothing is shared: a producer that is
 * stopped or killed between the two costs nobody anything. All wait-free.
 */
CK_CC_INLINE static void *ipc_spsc_claim(struct ipc_spsc_producer *p)
{
    return ipc_spsc_claim_(p, ipc_ring_stride_((size_t)p->bytes));
}

/* Sends the claimed slot. 0, or -EINVAL when no slot can have been claimed: the ring was full. */
CK_CC_INLINE static int ipc_spsc_commit(struct ipc_spsc_producer *p)
{
    return ipc_spsc_commit_(p, ipc_ring_stride_((size_t)p->bytes));
}

/* Gives a claimed slot back unsent. There is nothing to do for one producer; other rings differ. */
CK_CC_INLINE static void ipc_spsc_cancel(struct ipc_spsc_producer *p)
{
    (void)p;
}

/* 0, or -EBADMSG once the shared memory was found corrupt. */
CK_CC_INLINE static int ipc_spsc_producer_error(const struct ipc_spsc_producer *p)
{
    return p->error;
}

/* Messages that are not known to be consumed, at some moment during the call: too many by what the
 * consumer has not published yet. Wait-free. */
CK_CC_INLINE static uint64_t ipc_spsc_producer_was_size(const struct ipc_spsc_producer *p)
{
    uint64_t size = p->ring != NULL ? p->tail - ck_pr_load_64(&p->ring->head) : 0;

    return size <= p->mask + 1 ? size : p->mask + 1;
}

/* ------------------------------------------------------------------ the consumer's path */

CK_CC_FORCE_INLINE static int ipc_spsc_is_full_(const struct ipc_spsc_consumer *c,
                                                uint64_t position, size_t stride)
{
    unsigned char *slot = ipc_ring_slot_(c->slots, c->mask, position, stride);

    return ck_pr_load_64(ipc_ring_sequence_(slot, stride)) == position + 1;
}

/* The slot at head is not full: is that the lap before, or fresh? Publishes what was taken. */
CK_CC_INLINE static int ipc_spsc_dry_(struct ipc_spsc_consumer *c, size_t stride)
{
    uint64_t sequence = ck_pr_load_64(
        ipc_ring_sequence_(ipc_ring_slot_(c->slots, c->mask, c->head, stride), stride));

    c->idle = 1;
    c->hold = 0;
    if (sequence != 0 && sequence != c->head - c->mask && sequence != c->head + 1)
        return c->error = -EBADMSG;
    if (c->published != c->head)
        ipc_spsc_publish_(c);
    return -EAGAIN;
}

/* The known run is used up: looks for the next one. Sets ready beyond head and returns 0, or
 * -EAGAIN, or -EBADMSG. */
CK_CC_INLINE static int ipc_spsc_look_(struct ipc_spsc_consumer *c, size_t stride)
{
    uint64_t ahead = 1;
    unsigned i;

    if (c->error != 0)
        return c->error;
    if (c->hold == 0 && !ipc_spsc_is_full_(c, c->head, stride))
        return ipc_spsc_dry_(c, stride);
    if (c->idle) {
        c->idle = 0; /* a lone message, likely: touch no other line */
    } else {
        ahead = c->mask + 1 < IPC_RING_AHEAD_ ? c->mask + 1 : IPC_RING_AHEAD_;
        if (!ipc_spsc_is_full_(c, c->head + ahead - 1, stride)) {
            /* Close behind the producer. Let it get away before touching its lines. */
            for (i = 0; i < c->hold; i++)
                ck_pr_stall();
            if (c->hold > 0 && !ipc_spsc_is_full_(c, c->head, stride))
                return ipc_spsc_dry_(c, stride);
            for (ahead /= 2; ahead > 1; ahead /= 2)
                if (ipc_spsc_is_full_(c, c->head + ahead - 1, stride))
                    break;
            ahead += ahead == 0;
            /* It pays while several messages come of it. */
            if (ahead == 1)
                c->hold /= 2;
            else if (c->hold < IPC_RING_HOLD_)
                c->hold = 2 * c->hold + 1;
        }
    }
    /* Without it the payload could be read before the sequence that vouches for it. The slots
     * before the one probed were committed before it, so this fence covers them. Partner: the
     * store fence in ipc_spsc_send_. */
    ck_pr_fence_load();
    c->ready = c->head + ahead;
    /* With several messages to a line, copying them out reaches too few lines at a time to hide
     * their way here: ask for the run at once. */
    if (stride < IPC_RING_LINE)
        for (i = 0; i < ahead; i += (unsigned)(IPC_RING_LINE / stride))
            __builtin_prefetch(ipc_ring_slot_(c->slots, c->mask, c->head + i, stride));
    return 0;
}

/* Returns 1 when that was published. */
CK_CC_FORCE_INLINE static int ipc_spsc_release_(struct ipc_spsc_consumer *c)
{
    c->head++;
    if (c->head - c->published <= c->replay)
        return 0;
    ipc_spsc_publish_(c);
    return 1;
}

CK_CC_FORCE_INLINE static int ipc_spsc_take_(struct ipc_spsc_consumer *c, void *message,
                                             size_t bytes, int *published)
{
    size_t stride = ipc_ring_stride_(bytes);

    if (CK_CC_UNLIKELY(c->head == c->ready)) {
        int rc = ipc_spsc_look_(c, stride);

        if (rc != 0)
            return rc;
    }
    memcpy(message, ipc_ring_slot_(c->slots, c->mask, c->head, stride), bytes);
    *published = ipc_spsc_release_(c);
    return 0;
}

CK_CC_FORCE_INLINE static int ipc_spsc_pop_(struct ipc_spsc_consumer *c, void *message,
                                            size_t bytes)
{
    int published;

    return ipc_spsc_take_(c, message, bytes, &published);
}

CK_CC_FORCE_INLINE static int64_t ipc_spsc_pop_n_(struct ipc_spsc_consumer *c, void *messages,
                                                  size_t bytes, size_t n)
{
    unsigned char *m = (unsigned char *)messages;
    size_t i;
    int rc = 0;

    for (i = 0; i < n && (rc = ipc_spsc_pop_(c, m + i * bytes, bytes)) == 0; i++)
        ;
    return i > 0 ? (int64_t)i : rc;
}

/*
 * Copies the oldest message out. Wait-free; while messages stream in without a pause it may hold
 * back for up to 31 ck_pr_stall()s (about a microsecond) to let the producer get ahead.
 * A producer that is stopped or dead lets the ring run empty: what it committed is all there.
 *
 *   0
 *   -EAGAIN    the ring is empty
 *   -EMSGSIZE  bytes is not the ring's message size
 *   -EBADMSG   the shared memory is corrupt; sticks
 */
CK_CC_INLINE static int ipc_spsc_pop(struct ipc_spsc_consumer *c, void *message, size_t bytes)
{
    return bytes == c->bytes ? ipc_spsc_pop_(c, message, bytes) : -EMSGSIZE;
}

/* Copies up to n messages out, into an array. Wait-free for a given n. Returns how many came (less
 * than n: the ring is empty), 0 for n = 0, or the errors of ipc_spsc_pop when none did. */
CK_CC_INLINE static int64_t ipc_spsc_pop_n(struct ipc_spsc_consumer *c, void *messages,
                                           size_t bytes, size_t n)
{
    return bytes == c->bytes ? ipc_spsc_pop_n_(c, messages, bytes, n) : -EMSGSIZE;
}

CK_CC_FORCE_INLINE static const void *ipc_spsc_peek_(struct ipc_spsc_consumer *c, size_t stride)
{
    if (CK_CC_UNLIKELY(c->head == c->ready) && ipc_spsc_look_(c, stride) != 0)
        return NULL;
    return ipc_ring_slot_(c->slots, c->mask, c->head, stride);
}

/*
 * Pop without a copy: peek gives the oldest message in place, NULL when the ring is empty, or
 * ipc_spsc_consumer_error says why not. It stays readable until released; peeking again gives the
 * same. What is peeked and not released when the consumer is killed is seen again. A hostile
 * producer may write to it meanwhile: read each field once, then check, then use. All wait-free.
 */
CK_CC_INLINE static const void *ipc_spsc_peek(struct ipc_spsc_consumer *c)
{
    return ipc_spsc_peek_(c, ipc_ring_stride_((size_t)c->bytes));
}

/* Done with the peeked message. 0, or -EINVAL when nothing can have been peeked. */
CK_CC_INLINE static int ipc_spsc_release(struct ipc_spsc_consumer *c)
{
    if (c->head == c->ready)
        return -EINVAL;
    (void)ipc_spsc_release_(c);
    return 0;
}

/* 0, or -EBADMSG once the shared memory was found corrupt. */
CK_CC_INLINE static int ipc_spsc_consumer_error(const struct ipc_spsc_consumer *c)
{
    return c->error;
}

/* Messages that were there to pop, at some moment during the call. Logarithmic in the capacity, and
 * it touches lines that the producer may be writing: for monitoring, not for each message. */
CK_CC_INLINE static uint64_t ipc_spsc_consumer_was_size(const struct ipc_spsc_consumer *c)
{
    return c->ring != NULL
               ? ipc_spsc_run_(c->slots, c->mask, c->head, ipc_ring_stride_((size_t)c->bytes))
               : 0;
}

/* ------------------------------------------------------------------ typed rings */

/*
 * IPC_SPSC(NAME, TYPE) at file scope, without a semicolon, makes struct NAME_producer, struct
 * NAME_consumer and the calls above as NAME_push(&out, &message) and so on: they copy by the
 * type's size, and the wrong end does not compile. With ipc_shm.h it also makes
 *
 *   int NAME_create(struct NAME_producer *, struct ipc_shm *, const char *name, uint64_t capacity)
 *       The producer's end of the ring `name` in the segment, which is made if it is not there.
 *       Errors of ipc_spsc_produce, ipc_shm_make and ipc_shm_find; and -EPROTO when the ring is
 *       there with another capacity.
 *   int NAME_open(struct NAME_consumer *, struct ipc_shm *, const char *name)
 *       The consumer's end; waits for the ring as ipc_shm_find does. Errors of both.
 *
 * With ipc_notify.h it also makes the calls that sleep. They spin a little before, as
 * ipc_notify_policy(NAME_consumer_bell(&in), ...) says. A program that was built without that
 * header can be at the other end, but wakes nobody: who sleeps here looks again once a second while
 * the other end is held by a member of the segment, and at the deadline.
 *
 *   int NAME_send(struct NAME_producer *, const TYPE *, int64_t deadline)
 *   int NAME_recv(struct NAME_consumer *, TYPE *, int64_t deadline)
 *       push and pop that wait for room or a message until the deadline (IPC_NOW, ipc_in_ms,
 *       IPC_FOREVER), and wake the other end. Blocking. The errors of push and pop, and
 *         -ETIMEDOUT   the ring was full, or empty, until the deadline
 *         -EINTR       a signal handler ran while it slept
 *         -EOWNERDEAD  the other end's process was killed. All that it sent was received before.
 *         -EPIPE       the other end was detached. The last two are told once for each holder of
 *                      the other end that was seen; after that a call waits for its successor
 *   int NAME_producer_wait(struct NAME_producer *, int64_t deadline)
 *   int NAME_consumer_wait(struct NAME_consumer *, int64_t deadline)
 *       Wait until claim has room, or peek and pop_n a message. As send and recv.
 *   int NAME_producer_post(struct NAME_producer *)
 *   int NAME_consumer_post(struct NAME_consumer *)
 *       Wake the other end. To be called after push, push_n and commit, or pop, pop_n and release:
 *       once for many. The second first publishes what was taken. 0, or what ipc_notify_post says.
 *   struct ipc_notify *NAME_producer_bell(struct NAME_producer *)
 *   struct ipc_notify *NAME_consumer_bell(struct NAME_consumer *)
 *       What the producer, or the consumer, sleeps on: for ipc_wait, ipc_wait_any,
 * ipc_notify_policy.
 */
#define IPC_SPSC(NAME, TYPE)                                                                       \
    IPC_SPSC_TYPED_(NAME, TYPE)                                                                    \
    IPC_RING_PASTE_(IPC_SPSC_SLEEP_, IPC_NOTIFY_H)                                                 \
    (NAME, TYPE) IPC_RING_PASTE_(IPC_SPSC_SEGMENT_, IPC_SHM_H)(NAME, TYPE)

#define IPC_SPSC_TYPED_(NAME, TYPE)                                                                \
    IPC_RING_ASSERT_(NAME##_alignment, __alignof__(TYPE) <= IPC_RING_LINE)                         \
    struct NAME##_producer {                                                                       \
        struct ipc_spsc_producer raw;                                                              \
        IPC_RING_PASTE_(IPC_RING_BELLS_, IPC_NOTIFY_H)                                             \
    };                                                                                             \
    struct NAME##_consumer {                                                                       \
        struct ipc_spsc_consumer raw;                                                              \
        IPC_RING_PASTE_(IPC_RING_BELLS_, IPC_NOTIFY_H)                                             \
    };                                                                                             \
    CK_CC_INLINE static int NAME##_producer_end_(struct NAME##_producer *p, int rc)                \
    {                                                                                              \
        memset(p, 0, sizeof *p);                                                                   \
        return ipc_spsc_producer_end_(&p->raw, rc);                                                \
    }                                                                                              \
    CK_CC_INLINE static int NAME##_consumer_end_(struct NAME##_consumer *c, int rc)                \
    {                                                                                              \
        memset(c, 0, sizeof *c);                                                                   \
        return ipc_spsc_consumer_end_(&c->raw, rc);                                                \
    }                                                                                              \
    CK_CC_INLINE static size_t NAME##_footprint(uint64_t capacity)                                 \
    {                                                                                              \
        return ipc_spsc_footprint(sizeof(TYPE), capacity);                                         \
    }                                                                                              \
    CK_CC_INLINE static int NAME##_init(void *mem, size_t size, uint64_t capacity)                 \
    {                                                                                              \
        return ipc_spsc_init(mem, size, sizeof(TYPE), capacity);                                   \
    }                                                                                              \
    CK_CC_INLINE static int NAME##_produce(struct NAME##_producer *p, void *mem, size_t size,      \
                                           struct ipc_peer *me)                                    \
    {                                                                                              \
        int rc = ipc_spsc_produce(&p->raw, mem, size, sizeof(TYPE), me);                           \
                                                                                                   \
        IPC_RING_PASTE_(IPC_RING_HANG_, IPC_NOTIFY_H)(p, consumer, data) return rc;                \
    }                                                                                              \
    CK_CC_INLINE static int NAME##_consume(struct NAME##_consumer *c, void *mem, size_t size,      \
                                           struct ipc_peer *me)                                    \
    {                                                                                              \
        int rc = ipc_spsc_consume(&c->raw, mem, size, sizeof(TYPE), me);                           \
                                                                                                   \
        IPC_RING_PASTE_(IPC_RING_HANG_, IPC_NOTIFY_H)(c, producer, space) return rc;               \
    }                                                                                              \
    CK_CC_INLINE static int NAME##_push(struct NAME##_producer *p, const TYPE *message)            \
    {                                                                                              \
        return ipc_spsc_push_(&p->raw, message, sizeof(TYPE));                                     \
    }                                                                                              \
    CK_CC_INLINE static int64_t NAME##_push_n(struct NAME##_producer *p, const TYPE *messages,     \
                                              size_t n)                                            \
    {                                                                                              \
        return ipc_spsc_push_n_(&p->raw, messages, sizeof(TYPE), n);                               \
    }                                                                                              \
    CK_CC_INLINE static TYPE *NAME##_claim(struct NAME##_producer *p)                              \
    {                                                                                              \
        return (TYPE *)(void *)ipc_spsc_claim_(&p->raw, ipc_ring_stride_(sizeof(TYPE)));           \
    }                                                                                              \
    CK_CC_INLINE static int NAME##_commit(struct NAME##_producer *p)                               \
    {                                                                                              \
        return ipc_spsc_commit_(&p->raw, ipc_ring_stride_(sizeof(TYPE)));                          \
    }                                                                                              \
    CK_CC_INLINE static void NAME##_cancel(struct NAME##_producer *p)                              \
    {                                                                                              \
        ipc_spsc_cancel(&p->raw);                                                                  \
    }                                                                                              \
    CK_CC_INLINE static int NAME##_producer_error(const struct NAME##_producer *p)                 \
    {                                                                                              \
        return ipc_spsc_producer_error(&p->raw);                                                   \
    }                                                                                              \
    CK_CC_INLINE static uint64_t NAME##_producer_was_size(const struct NAME##_producer *p)         \
    {                                                                                              \
        return ipc_spsc_producer_was_size(&p->raw);                                                \
    }                                                                                              \
    CK_CC_INLINE static uint64_t NAME##_producer_peer(const struct NAME##_producer *p)             \
    {                                                                                              \
        return ipc_spsc_producer_peer(&p->raw);                                                    \
    }                                                                                              \
    CK_CC_INLINE static void NAME##_producer_detach(struct NAME##_producer *p)                     \
    {                                                                                              \
        ipc_spsc_producer_detach(&p->raw);                                                         \
        IPC_RING_PASTE_(IPC_RING_UNHANG_, IPC_NOTIFY_H)(p, data)                                   \
    }                                                                                              \
    CK_CC_INLINE static int NAME##_pop(struct NAME##_consumer *c, TYPE *message)                   \
    {                                                                                              \
        return ipc_spsc_pop_(&c->raw, message, sizeof(TYPE));                                      \
    }                                                                                              \
    CK_CC_INLINE static int64_t NAME##_pop_n(struct NAME##_consumer *c, TYPE *messages, size_t n)  \
    {                                                                                              \
        return ipc_spsc_pop_n_(&c->raw, messages, sizeof(TYPE), n);                                \
    }                                                                                              \
    CK_CC_INLINE static const TYPE *NAME##_peek(struct NAME##_consumer *c)                         \
    {                                                                                              \
        return (const TYPE *)ipc_spsc_peek_(&c->raw, ipc_ring_stride_(sizeof(TYPE)));              \
    }                                                                                              \
    CK_CC_INLINE static int NAME##_release(struct NAME##_consumer *c)                              \
    {                                                                                              \
        return ipc_spsc_release(&c->raw);                                                          \
    }                                                                                              \
    CK_CC_INLINE static void NAME##_replay(struct NAME##_consumer *c, uint64_t n)                  \
    {                                                                                              \
        ipc_spsc_replay(&c->raw, n);                                                               \
    }                                                                                              \
    CK_CC_INLINE static int NAME##_consumer_error(const struct NAME##_consumer *c)                 \
    {                                                                                              \
        return ipc_spsc_consumer_error(&c->raw);                                                   \
    }                                                                                              \
    CK_CC_INLINE static uint64_t NAME##_consumer_was_size(const struct NAME##_consumer *c)         \
    {                                                                                              \
        return ipc_spsc_consumer_was_size(&c->raw);                                                \
    }                                                                                              \
    CK_CC_INLINE static uint64_t NAME##_consumer_peer(const struct NAME##_consumer *c)             \
    {                                                                                              \
        return ipc_spsc_consumer_peer(&c->raw);                                                    \
    }                                                                                              \
    CK_CC_INLINE static void NAME##_consumer_detach(struct NAME##_consumer *c)                     \
    {                                                                                              \
        ipc_spsc_consumer_detach(&c->raw);                                                         \
        IPC_RING_PASTE_(IPC_RING_UNHANG_, IPC_NOTIFY_H)(c, space)                                  \
    }

/*
 * How a ring finds a segment or a notifier while no header includes another: the include guards of
 * ipc_shm.h and ipc_notify.h have the value 1, and pasting one picks the macro that uses its calls.
 * Where it was never included its name stays as it is and picks the macro that makes nothing.
 */
#define IPC_RING_PASTE_(a, b) IPC_RING_PASTE2_(a, b)
#define IPC_RING_PASTE2_(a, b) a##b

#define IPC_RING_BELLS_IPC_NOTIFY_H
#define IPC_RING_HANG_IPC_NOTIFY_H(end, at_the_other, bell)
#define IPC_RING_UNHANG_IPC_NOTIFY_H(end, bell)
#define IPC_SPSC_SLEEP_IPC_NOTIFY_H(NAME, TYPE)

#define IPC_RING_BELLS_1                                                                           \
    struct ipc_notify data, space;                                                                 \
    uint64_t other; /* who was last seen at the other end; 0 once his end was told */              \
    uint64_t told;  /* the position that the producer was last woken for */
#define IPC_RING_HANG_1(end, at_the_other, bell)                                                   \
    memset(&end->data, 0, sizeof end->data);                                                       \
    memset(&end->space, 0, sizeof end->space);                                                     \
    if (rc == 0) {                                                                                 \
        (void)ipc_notify_attach(&end->data, end->raw.ring->data_bell, 64, me);                     \
        (void)ipc_notify_attach(&end->space, end->raw.ring->space_bell, 64, me);                   \
        end->other = ck_pr_load_64(&end->raw.ring->at_the_other);                                  \
        end->told = ck_pr_load_64(&end->raw.ring->head);                                           \
        (void)ipc_notify_post(&end->bell); /* who sleeps there is to watch us from now on */       \
    }
#define IPC_RING_UNHANG_1(end, bell)                                                               \
    (void)ipc_notify_post(&end->bell); /* who sleeps there is to learn of it */                    \
    ipc_notify_detach(&end->data);                                                                 \
    ipc_notify_detach(&end->space);

/* Waits until `ready` (0: not yet, 1: yes, or a negative errno), or whoever holds the other end is
 * gone: attach and detach post, and the notifier watches for death. */
#define IPC_RING_WAIT_(end, bell, at_the_other, ready)                                             \
    uint64_t *held;                                                                                \
    int state, rc;                                                                                 \
                                                                                                   \
    if (end->raw.ring == NULL)                                                                     \
        return end->raw.error;                                                                     \
    held = &end->raw.ring->at_the_other;                                                           \
    for (;;) {                                                                                     \
        uint64_t holder = ck_pr_load_64(held);                                                     \
                                                                                                   \
        if ((state = (ready)) != 0)                                                                \
            return state < 0 ? state : 0;                                                          \
        if (holder == 0 && end->other != 0) {                                                      \
            end->other = 0;                                                                        \
            return -EPIPE;                                                                         \
        }                                                                                          \
        end->other = holder == end->bell.told ? 0 : holder;                                        \
        ipc_notify_watch(&end->bell, holder);                                                      \
        rc = ipc_wait(&end->bell, deadline,                                                        \
                      (state = (ready)) != 0 || ck_pr_load_64(held) != holder);                    \
        if (rc == -EOWNERDEAD)                                                                     \
            end->other = 0;                                                                        \
        if (rc != 0)                                                                               \
            return rc;                                                                             \
    }

#define IPC_SPSC_SLEEP_1(NAME, TYPE)                                                               \
    CK_CC_INLINE static struct ipc_notify *NAME##_producer_bell(struct NAME##_producer *p)         \
    {                                                                                              \
        return &p->space;                                                                          \
    }                                                                                              \
    CK_CC_INLINE static struct ipc_notify *NAME##_consumer_bell(struct NAME##_consumer *c)         \
    {                                                                                              \
        return &c->data;                                                                           \
    }                                                                                              \
    CK_CC_INLINE static int NAME##_producer_post(struct NAME##_producer *p)                        \
    {                                                                                              \
        return ipc_notify_post(&p->data);                                                          \
    }                                                                                              \
    CK_CC_INLINE static int NAME##_consumer_post(struct NAME##_consumer *c)                        \
    {                                                                                              \
        if (c->raw.head != c->raw.published)                                                       \
            ipc_spsc_publish_(&c->raw);                                                            \
        c->told = c->raw.published;                                                                \
        return ipc_notify_post(&c->space);                                                         \
    }                                                                                              \
    CK_CC_INLINE static int NAME##_producer_wait(struct NAME##_producer *p,                        \
                                                 int64_t deadline){IPC_RING_WAIT_(                 \
        p, space, consumer,                                                                        \
        NAME##_claim(p) != NULL ? 1 : ipc_spsc_producer_error(&p->raw))} CK_CC_INLINE static int   \
        NAME##_consumer_wait(struct NAME##_consumer *c, int64_t deadline){                         \
            /* What was taken is published when the ring runs dry: the producer may wait for it.   \
             */                                                                                    \
            IPC_RING_WAIT_(c, data, producer,                                                      \
                           NAME##_peek(c) != NULL             ? 1                                  \
                           : ipc_spsc_consumer_error(&c->raw) ? c->raw.error                       \
                           : c->told != c->raw.published      ? NAME##_consumer_post(c)            \
                                                              : 0)} CK_CC_FORCE_INLINE static int       \
            NAME##_send(struct NAME##_producer *p, const TYPE *message, int64_t deadline)          \
    {                                                                                              \
        int rc = NAME##_push(p, message);                                                          \
                                                                                                   \
        if (CK_CC_UNLIKELY(rc == -EAGAIN)) {                                                       \
            rc = NAME##_producer_wait(p, deadline);                                                \
            rc = rc != 0 ? rc : NAME##_push(p, message);                                           \
        }                                                                                          \
        if (rc == 0 && CK_CC_UNLIKELY(ipc_notify_heeds_(p->raw.ring->data_bell)))                  \
            (void)ipc_notify_post(&p->data);                                                       \
        return rc;                                                                                 \
    }                                                                                              \
    CK_CC_FORCE_INLINE static int NAME##_recv(struct NAME##_consumer *c, TYPE *message,            \
                                              int64_t deadline)                                    \
    {                                                                                              \
        int published = 0, rc = ipc_spsc_take_(&c->raw, message, sizeof(TYPE), &published);        \
                                                                                                   \
        if (CK_CC_UNLIKELY(rc == -EAGAIN)) {                                                       \
            rc = NAME##_consumer_wait(c, deadline);                                                \
            rc = rc != 0 ? rc : ipc_spsc_take_(&c->raw, message, sizeof(TYPE), &published);        \
        }                                                                                          \
        if (CK_CC_UNLIKELY(published)) {                                                           \
            c->told = c->raw.published;                                                            \
            (void)ipc_notify_post(&c->space);                                                      \
        }                                                                                          \
        return rc;                                                                                 \
    }

#define IPC_SPSC_SEGMENT_IPC_SHM_H(NAME, TYPE)
#define IPC_SPSC_SEGMENT_1(NAME, TYPE)                                                             \
    CK_CC_INLINE static int NAME##_create(struct NAME##_producer *p, struct ipc_shm *seg,          \
                                          const char *name, uint64_t capacity)                     \
    {                                                                                              \
        size_t size = NAME##_footprint(capacity);                                                  \
        struct ipc_shm_object object;                                                              \
        int rc = ipc_shm_make(seg, name, IPC_SPSC_TYPE, size, &object);                            \
                                                                                                   \
        if (rc == 0) {                                                                             \
            rc = NAME##_init(object.mem, object.size, capacity);                                   \
            rc = rc != 0 ? rc : ipc_shm_publish(seg, &object);                                     \
        } else if (rc == -EEXIST) {                                                                \
            rc = ipc_shm_find(seg, name, IPC_SPSC_TYPE, &object);                                  \
        }                                                                                          \
        if (rc != 0)                                                                               \
            return NAME##_producer_end_(p, rc);                                                    \
        rc = NAME##_produce(p, object.mem, object.size, ipc_shm_peer(seg));                        \
        if (rc != 0 || p->raw.mask + 1 == capacity)                                                \
            return rc;                                                                             \
        rc = ipc_ring_refuse_(ipc_shm_peer(seg), -EPROTO, "capacity differs; slots",               \
                              p->raw.mask + 1, capacity);                                          \
        NAME##_producer_detach(p);                                                                 \
        return rc;                                                                                 \
    }                                                                                              \
    CK_CC_INLINE static int NAME##_open(struct NAME##_consumer *c, struct ipc_shm *seg,            \
                                        const char *name)                                          \
    {                                                                                              \
        struct ipc_shm_object object;                                                              \
        int rc = ipc_shm_find(seg, name, IPC_SPSC_TYPE, &object);                                  \
                                                                                                   \
        return rc != 0 ? NAME##_consumer_end_(c, rc)                                               \
                       : NAME##_consume(c, object.mem, object.size, ipc_shm_peer(seg));            \
    }

#endif /* IPC_RING_H */
