/*
 * The receiving half of an audio pipeline: PCM from audio_decoder to a file, at the pace of a sound
 * card. It plays silence when the stream has too little, and says at its end how often it did.
 *
 *     audio_player music [frames a second] >out.pcm
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "ipc_notify.h"
#include "ipc_ring.h"
#include "ipc_shm.h"
#include <err.h>
#include <stdlib.h>
#include <time.h>

enum { CAPACITY = 8192, BLOCK = 64 }; /* frames */

struct frame {
    int16_t left, right;
};
IPC_STREAM(audio, struct frame)

static struct audio_consumer in;
static unsigned long blocks, missed;

/* What a sound library calls in its real-time thread. It never waits, and makes no system call but
 * to wake a decoder that sleeps. Returns 0 if there was too little. */
static int callback(struct frame *to)
{
    blocks++;
    if (audio_pop_all(&in, to, BLOCK) == 0)
        return 1;
    memset(to, 0, BLOCK * sizeof *to);
    missed++;
    return 0;
}

static void sleep_until(int64_t when)
{
    struct timespec t;

    t.tv_sec = (time_t)(when / 1000000000);
    t.tv_nsec = (long)(when % 1000000000);
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

int main(int argc, char **argv)
{
    int64_t rate = argc == 3 ? atoll(argv[2]) : 48000, next, rest;
    struct frame block[BLOCK];
    struct ipc_shm seg;
    int rc, ended;

    if (argc < 2 || argc > 3 || rate <= 0)
        errx(2, "usage: audio_player NAME [frames a second] >out.pcm");
    rc = ipc_shm_open_or_create(&seg, argv[1], 1 << 20, NULL);
    rc = rc != 0 ? rc : audio_consumer_create(&in, &seg, "audio", CAPACITY);
    if (rc != 0)
        errx(1, "%s", ipc_shm_why(&seg));
    /* Half a stream before the first block, or all that there is. */
    ended = audio_consumer_wait(&in, CAPACITY / 2, IPC_FOREVER) == -EPIPE;
    for (next = ipc_clock();; next += BLOCK * INT64_C(1000000000) / rate) {
        sleep_until(next);
        if (!callback(block) && ended)
            break;
        if (fwrite(block, sizeof *block, BLOCK, stdout) != BLOCK)
            err(1, "write");
        /* A decoder that was killed has a successor. One that has left has sent all. */
        ended |= audio_consumer_wait(&in, BLOCK, IPC_NOW) == -EPIPE;
    }
    rest = audio_pop_n(&in, block, BLOCK);
    if (rest > 0 && fwrite(block, sizeof *block, (size_t)rest, stdout) != (size_t)rest)
        err(1, "write");
    fprintf(stderr, "%lu of %lu blocks missed\n", missed - 1, blocks - 1); /* the last is the end */
    audio_consumer_detach(&in);
    (void)ipc_shm_unlink(argv[1]);
    ipc_shm_close(&seg);
    return 0;
}
