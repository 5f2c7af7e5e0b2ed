/*
 * The playing half that must not wait: a JACK client whose callback plays what file_reader puts
 * into a stream, and silence where that has too little.
 *
 *     jack_play song & file_reader song song.wav &
 *     jack_connect jack_play:left system:playback_1
 *     jack_connect jack_play:right system:playback_2
 *
 * It ends when the file is played. The callback makes no system call, whatever state the other
 * process is in.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "audio.h"
#include "jack.h"

static struct audio_consumer in;
static unsigned long played, missed; /* frames; the callback's, until it runs no more */

/* Frame i of those that may be read. */
static const struct frame *frame_at(const struct audio_regions *r, size_t i)
{
    return i < r->n[0] ? r->at[0] + i : r->at[1] + (i - r->n[0]);
}

static int callback(jack_nframes_t n, void *arg)
{
    static const struct frame silence;
    float *left = jack_port_get_buffer(port[0], n);
    float *right = jack_port_get_buffer(port[1], n);
    struct audio_regions from;
    size_t i, there = audio_data(&in, &from);

    (void)arg;
    there = there < n ? there : n;
    for (i = 0; i < n; i++) {
        const struct frame *f = i < there ? frame_at(&from, i) : &silence;

        left[i] = f->left;
        right[i] = f->right;
    }
    (void)audio_release(&in, there);
    missed += n - there;
    played += there;
    return 0;
}

/* All that there will be is played. The order counts: what has ended brings no more frames. */
static int is_over(struct ipc_shm *seg)
{
    return audio_has_ended(seg) && audio_status(seg).size == 0;
}

int main(int argc, char **argv)
{
    struct ipc_shm seg;

    if (argc != 2)
        errx(2, "usage: jack_play NAME");
    audio_open(&seg, argv[1]);
    if (audio_consumer_create(&in, &seg, "audio", CAPACITY) != 0)
        errx(1, "%s", ipc_shm_why(&seg));
    audio_start("jack_play", JackPortIsOutput, callback);
    while (!is_over(&seg) && !audio_is_stopped())
        ;
    audio_stop();
    audio_consumer_detach(&in);
    (void)ipc_shm_unlink(argv[1]);
    ipc_shm_close(&seg);
    fprintf(stderr, "jack_play: %lu frames played, %lu of silence\n", played, missed);
    return 0;
}
