/*
 * What the tests of records share: memory between guards, and the content of a record, which
 * follows from its number and length.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef RECORDS_H
#define RECORDS_H

#include "harness.h"

static inline void fill(void *to, uint64_t number, size_t n)
{
    unsigned char *t = (unsigned char *)to;
    size_t i;

    for (i = 0; i < n; i++)
        t[i] = (unsigned char)(i < 8 ? number >> 8 * i : i + number);
}

static inline void is_filled(const void *at, uint64_t number, size_t n)
{
    static unsigned char good[1 << 16];

    fill(good, number, n);
    MUST(memcmp(at, good, n) == 0);
}

/* Memory between two guards; it ends where the second begins. */
static inline unsigned char *guarded(size_t size)
{
    size_t room = (size + 4095) & ~(size_t)4095;
    unsigned char *map = (unsigned char *)mmap(NULL, room + 8192, PROT_READ | PROT_WRITE,
                                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    MUST((void *)map != MAP_FAILED && size % 64 == 0);
    MUST(mprotect(map, 4096, PROT_NONE) == 0);
    MUST(mprotect(map + 4096 + room, 4096, PROT_NONE) == 0);
    return map + 4096 + (room - size);
}

static inline void unguard(unsigned char *mem, size_t size)
{
    size_t room = (size + 4095) & ~(size_t)4095;

    MUST(munmap(mem - (room - size) - 4096, room + 8192) == 0);
}

static inline int all_live_but(void *arg, uint64_t id)
{
    return id != *(const uint64_t *)arg;
}

static uint64_t gone = 5; /* the id that all peers report dead */

static inline struct ipc_peer peer(uint64_t id)
{
    struct ipc_peer me;

    memset(&me, 0, sizeof me);
    me.id = id;
    me.alive = all_live_but;
    me.arg = &gone;
    return me;
}

#endif /* RECORDS_H */
