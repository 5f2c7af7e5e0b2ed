/*
 * Sound files whose frames are numbered, 1, 2, 3 ...; frames of silence between them do not count.
 *
 *     frames make FILE N       writes N
 *     frames count FILE        prints how many are in the file; fails if one is out of order, or is
 *                              there twice
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <err.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const float unit = 1.0f / (1 << 24); /* numbers below 2^24 are exact */

static SNDFILE *open_file(const char *path, int mode)
{
    SF_INFO info = {0};
    SNDFILE *file;

    if (mode == SFM_WRITE) {
        info.samplerate = 48000;
        info.channels = 2;
        info.format = SF_FORMAT_WAV | SF_FORMAT_FLOAT;
    }
    file = sf_open(path, mode, &info);
    if (file == NULL)
        errx(1, "%s: %s", path, sf_strerror(NULL));
    return file;
}

static void make(const char *path, long n)
{
    SNDFILE *file = open_file(path, SFM_WRITE);
    long i;

    for (i = 1; i <= n; i++) {
        float frame[2] = {(float)i * unit, (float)-i * unit};

        if (sf_writef_float(file, frame, 1) != 1)
            errx(1, "%s: %s", path, sf_strerror(file));
    }
    sf_close(file);
}

static long count(const char *path)
{
    SNDFILE *file = open_file(path, SFM_READ);
    float frame[2];
    long last = 0, n = 0;

    while (sf_readf_float(file, frame, 1) == 1) {
        long number = (long)(frame[0] / unit);

        if (frame[0] != -frame[1] || number < 0 || (number > 0 && number <= last))
            errx(1, "%s: after %ld frames: %ld behind %ld", path, n, number, last);
        last = number > 0 ? number : last;
        n += number > 0;
    }
    sf_close(file);
    return n;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "make") == 0)
        make(argv[2], atol(argv[3]));
    else if (argc == 3 && strcmp(argv[1], "count") == 0)
        printf("%ld\n", count(argv[2]));
    else
        errx(2, "usage: frames make FILE N, frames count FILE");
    return 0;
}
