/*
 * What the programs of this folder share: the stream, and how each opens it.
 *
 * The stream counts its frames from the first. A file is recorded and played from its beginning, so
 * the place in the stream is the place in the file: a process that was killed is followed by one
 * that asks the stream where to go on.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef AUDIO_H
#define AUDIO_H 1

#include "ipc_ring.h"
#include "ipc_shm.h"
#include <err.h>
#include <sndfile.h>
#include <stdlib.h>
#include <time.h>

/* Frames. Ten seconds, which a process may take to be started again; the file's side looks at the
 * stream after each BLOCK. */
enum { CAPACITY = 1 << 19, BLOCK = 512 };

struct frame {
    float left, right;
};
IPC_STREAM(audio, struct frame) /* without ipc_notify.h: neither side sleeps, or wakes the other */

/* The segment, in memory that is there and stays there: a callback must not wait for a page. */
static inline void audio_open(struct ipc_shm *seg, const char *name)
{
    struct ipc_shm_options how = IPC_SHM_DEFAULTS;

    how.flags = IPC_SHM_MLOCK;
    if (ipc_shm_open_or_create(seg, name, CAPACITY * sizeof(struct frame) + (1 << 18), &how) != 0)
        errx(1, "%s", ipc_shm_why(seg));
    if (seg->lock_rc != 0)
        warnx("%s may be paged out: %s; see ulimit -l", name, strerror(-seg->lock_rc));
}

/* How far the stream is. From either end, and by any thread. */
static inline struct ipc_ring_status audio_status(struct ipc_shm *seg)
{
    struct ipc_ring_status status;
    struct ipc_shm_object o;

    if (ipc_shm_find(seg, "audio", IPC_STREAM_TYPE, &o) != 0 ||
        ipc_ring_inspect(o.mem, o.size, &status) != 0)
        errx(1, "the stream is corrupt: remove it with ipc_rm");
    return status;
}

/* The producer came, and detached. One that was killed has not: its successor goes on. */
static inline int audio_has_ended(struct ipc_shm *seg)
{
    struct ipc_ring_status status = audio_status(seg);

    return status.sent > 0 && status.producer == 0;
}

/* The time of a block: the file's side polls, so that the callback need not wake it. */
static inline void audio_sleep(int rate)
{
    struct timespec t = {0, 0};

    t.tv_sec = BLOCK / rate;
    t.tv_nsec = BLOCK % rate * 1000000000L / rate;
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

/* Goes to the frame in the file at which the stream is. */
static inline void audio_seek(SNDFILE *file, const SF_INFO *info, uint64_t frame, const char *path)
{
    if (frame > (uint64_t)info->frames || sf_seek(file, (sf_count_t)frame, SEEK_SET) < 0)
        errx(1, "%s has no frame %llu, where the stream is: give the stream's file, or ipc_rm it",
             path, (unsigned long long)frame);
}

#endif
