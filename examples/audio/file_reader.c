/*
 * The playing half that may wait: reads a sound file of two channels into the stream of jack_play.
 *
 *     file_reader NAME FILE
 *
 * It ends when the stream has all of the file. If it is killed, start it again: it goes on in the
 * file where the stream is. The rate of the file should be the server's.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "audio.h"

/* Reads what the stream has room for. Returns 0 at the end of the file. */
static int read_some(SNDFILE *file, struct audio_producer *out)
{
    struct audio_regions to;
    sf_count_t n;

    if (audio_room(out, &to) == 0)
        return 1;
    n = sf_readf_float(file, &to.at[0]->left, (sf_count_t)to.n[0]);
    (void)audio_commit(out, (size_t)n);
    return n > 0;
}

int main(int argc, char **argv)
{
    SF_INFO info = {0};
    struct audio_producer out;
    struct ipc_shm seg;
    SNDFILE *file;

    if (argc != 3)
        errx(2, "usage: file_reader NAME FILE");
    file = sf_open(argv[2], SFM_READ, &info);
    if (file == NULL)
        errx(1, "%s: %s", argv[2], sf_strerror(NULL));
    if (info.channels != 2)
        errx(1, "%s has %d channels, and two are played", argv[2], info.channels);
    audio_open(&seg, argv[1]);
    if (audio_producer_create(&out, &seg, "audio", CAPACITY) != 0)
        errx(1, "%s", ipc_shm_why(&seg));
    audio_seek(file, &info, audio_status(&seg).sent, argv[2]);
    while (read_some(file, &out))
        audio_sleep(info.samplerate);
    audio_producer_detach(&out);
    ipc_shm_close(&seg);
    sf_close(file);
    return 0;
}
