/*
 * The recording half that may wait: takes the frames of jack_record from the stream and writes them
 * to a sound file.
 *
 *     file_writer NAME FILE.wav [frames a second]
 *
 * It ends when jack_record has ended and all is written. If it is killed, start it again: it goes
 * on in the file where the stream is. No frame is lost or there twice, as a frame leaves the stream
 * only when the file has it.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "audio.h"

/* Writes what the stream has. Returns how many frames that were. */
static size_t write_some(SNDFILE *file, struct audio_consumer *in, const char *path)
{
    struct audio_regions from;
    size_t n = audio_data(in, &from);
    int i;

    for (i = 0; i < 2; i++)
        if (from.n[i] > 0 && sf_writef_float(file, &from.at[i]->left, (sf_count_t)from.n[i]) !=
                                 (sf_count_t)from.n[i])
            errx(1, "%s: %s", path, sf_strerror(file));
    (void)audio_release(in, n);
    return n;
}

int main(int argc, char **argv)
{
    SF_INFO info = {0};
    struct ipc_ring_status status;
    struct audio_consumer in;
    struct ipc_shm seg;
    SNDFILE *file;
    int ended;

    info.samplerate = argc == 4 ? atoi(argv[3]) : 48000;
    info.channels = 2;
    info.format = SF_FORMAT_WAV | SF_FORMAT_FLOAT;
    if (argc < 3 || argc > 4 || info.samplerate <= 0)
        errx(2, "usage: file_writer NAME FILE.wav [frames a second]");
    audio_open(&seg, argv[1]);
    if (audio_consumer_create(&in, &seg, "audio", CAPACITY) != 0)
        errx(1, "%s", ipc_shm_why(&seg));
    file = sf_open(argv[2], SFM_RDWR, &info);
    if (file == NULL)
        errx(1, "%s: %s", argv[2], sf_strerror(NULL));
    /* The file's header tells of all frames at any time, as a successor asks it. */
    (void)sf_command(file, SFC_SET_UPDATE_HEADER_AUTO, NULL, SF_TRUE);
    status = audio_status(&seg);
    audio_seek(file, &info, status.sent - status.size, argv[2]);
    do {
        ended = audio_has_ended(&seg); /* before the last look for frames */
        if (!ended)
            audio_sleep(info.samplerate);
    } while (write_some(file, &in, argv[2]) > 0 || !ended);
    if (sf_close(file) != 0)
        errx(1, "%s: cannot be written", argv[2]);
    audio_consumer_detach(&in);
    (void)ipc_shm_unlink(argv[1]);
    ipc_shm_close(&seg);
    return 0;
}
