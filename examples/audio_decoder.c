/*
 * The sending half of an audio pipeline: PCM from a file to audio_player, through a stream.
 *
 *     audio_player music >out.pcm &
 *     audio_decoder music <in.pcm             16 bits, two channels
 *
 * It sleeps while the stream is full. The player wakes it, though that only polls. If the player is
 * killed, the decoder waits for the next one, which goes on where the last one was.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "ipc_notify.h"
#include "ipc_ring.h"
#include "ipc_shm.h"
#include <err.h>

enum { CAPACITY = 8192, BLOCK = 64, READ = 441 }; /* frames: BLOCK is what the player takes */

struct frame {
    int16_t left, right;
};
IPC_STREAM(audio, struct frame)

/* Has the player left, or was it killed? The next one goes on. */
static int player_has_gone(int64_t rc)
{
    return rc == -EPIPE || rc == -EOWNERDEAD;
}

int main(int argc, char **argv)
{
    struct ipc_shm seg;
    struct audio_producer out;
    struct frame block[READ];
    size_t n, done;
    int64_t rc;

    if (argc != 2)
        errx(2, "usage: audio_decoder NAME <in.pcm");
    rc = ipc_shm_open_or_create(&seg, argv[1], 1 << 20, NULL);
    rc = rc != 0 ? rc : audio_producer_create(&out, &seg, "audio", CAPACITY);
    if (rc != 0)
        errx(1, "%s", ipc_shm_why(&seg));
    while ((n = fread(block, sizeof *block, READ, stdin)) > 0)
        for (done = 0; done < n; done += rc > 0 ? (size_t)rc : 0) {
            rc = audio_send(&out, block + done, n - done, IPC_FOREVER);
            if (rc < 0 && !player_has_gone(rc))
                errx(1, "send: %s", ipc_strerror((int)rc));
        }
    do /* until less than a block is left, which the player takes when we leave */
        rc = audio_producer_wait(&out, CAPACITY - BLOCK + 1, IPC_FOREVER);
    while (player_has_gone(rc));
    audio_producer_detach(&out);
    ipc_shm_close(&seg);
    return rc == 0 ? 0 : 1;
}
