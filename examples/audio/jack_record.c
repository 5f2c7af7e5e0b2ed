/*
 * The recording half that must not wait: a JACK client whose callback puts what it hears into a
 * stream, for file_writer.
 *
 *     jack_record take & file_writer take take.wav &
 *     jack_connect system:capture_1 jack_record:left
 *     jack_connect system:capture_2 jack_record:right
 *
 * SIGINT or SIGTERM ends it, and file_writer after it. The callback makes no system call, whatever
 * state the other process is in: a full stream costs frames, which are counted, and no time.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "audio.h"
#include "jack.h"

static struct audio_producer out;
static unsigned long heard, dropped; /* frames; the callback's, until it runs no more */

/* Frame i of those that may be written. */
static struct frame *frame_at(const struct audio_regions *r, size_t i)
{
    return i < r->n[0] ? r->at[0] + i : r->at[1] + (i - r->n[0]);
}

static int callback(jack_nframes_t n, void *arg)
{
    const float *left = jack_port_get_buffer(port[0], n);
    const float *right = jack_port_get_buffer(port[1], n);
    struct audio_regions to;
    jack_nframes_t i;

    (void)arg;
    heard += n;
    if (audio_room(&out, &to) < n) {
        dropped += n;
        return 0;
    }
    for (i = 0; i < n; i++) {
        frame_at(&to, i)->left = left[i];
        frame_at(&to, i)->right = right[i];
    }
    (void)audio_commit(&out, n);
    return 0;
}

int main(int argc, char **argv)
{
    struct ipc_shm seg;

    if (argc != 2)
        errx(2, "usage: jack_record NAME");
    audio_open(&seg, argv[1]);
    if (audio_producer_create(&out, &seg, "audio", CAPACITY) != 0)
        errx(1, "%s", ipc_shm_why(&seg));
    audio_start("jack_record", JackPortIsInput, callback);
    while (!audio_is_stopped())
        ;
    audio_stop();
    audio_producer_detach(&out);
    ipc_shm_close(&seg);
    fprintf(stderr, "jack_record: %lu of %lu frames dropped\n", dropped, heard);
    return 0;
}
