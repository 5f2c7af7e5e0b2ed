/*
 * The same recording in one process, over JACK's own ring buffer: a callback, and a thread that
 * writes the file.
 *
 *     jack_ringbuffer FILE.wav
 *
 * SIGINT or SIGTERM ends it. The callback is as long as that of jack_record. The difference is what
 * one crash takes with it: here the callback, what the ring buffer holds, and the client's
 * connections.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "audio.h"
#include "jack.h"
#include <jack/ringbuffer.h>
#include <pthread.h>

static jack_ringbuffer_t *ring;
static SNDFILE *file;
static const char *path;
static int rate, ended;              /* ended: by main, when the callback runs no more */
static unsigned long heard, dropped; /* frames; the callback's, until it runs no more */

static int callback(jack_nframes_t n, void *arg)
{
    const float *left = jack_port_get_buffer(port[0], n);
    const float *right = jack_port_get_buffer(port[1], n);
    jack_nframes_t i;

    (void)arg;
    heard += n;
    if (jack_ringbuffer_write_space(ring) < n * sizeof(struct frame)) {
        dropped += n;
        return 0;
    }
    for (i = 0; i < n; i++) {
        struct frame f = {left[i], right[i]};

        (void)jack_ringbuffer_write(ring, (const char *)&f, sizeof f);
    }
    return 0;
}

static void *write_file(void *arg)
{
    struct frame block[BLOCK];
    int last;
    size_t n;

    do {
        last = __atomic_load_n(&ended, __ATOMIC_ACQUIRE); /* before the last look for frames */
        n = jack_ringbuffer_read(ring, (char *)block, sizeof block) / sizeof *block;
        if (sf_writef_float(file, &block->left, (sf_count_t)n) != (sf_count_t)n)
            errx(1, "%s: %s", path, sf_strerror(file));
        if (n < BLOCK && !last)
            audio_sleep(rate);
    } while (n > 0 || !last);
    return arg;
}

int main(int argc, char **argv)
{
    SF_INFO info = {0};
    pthread_t writer;

    if (argc != 2)
        errx(2, "usage: jack_ringbuffer FILE.wav");
    path = argv[1];
    ring = jack_ringbuffer_create(CAPACITY * sizeof(struct frame));
    if (ring == NULL)
        errx(1, "no memory for the ring buffer");
    if (jack_ringbuffer_mlock(ring) != 0)
        warnx("the ring buffer may be paged out: see ulimit -l");
    audio_start("jack_ringbuffer", JackPortIsInput, callback);
    rate = info.samplerate = (int)jack_get_sample_rate(client);
    info.channels = 2;
    info.format = SF_FORMAT_WAV | SF_FORMAT_FLOAT;
    file = sf_open(path, SFM_WRITE, &info);
    if (file == NULL)
        errx(1, "%s: %s", path, sf_strerror(NULL));
    (void)sf_command(file, SFC_SET_UPDATE_HEADER_AUTO, NULL, SF_TRUE);
    if (pthread_create(&writer, NULL, write_file, NULL) != 0)
        errx(1, "cannot start a thread");
    while (!audio_is_stopped())
        ;
    audio_stop();
    __atomic_store_n(&ended, 1, __ATOMIC_RELEASE);
    pthread_join(writer, NULL);
    if (sf_close(file) != 0)
        errx(1, "%s: cannot be written", path);
    jack_ringbuffer_free(ring);
    fprintf(stderr, "jack_ringbuffer: %lu of %lu frames dropped\n", dropped, heard);
    return 0;
}
