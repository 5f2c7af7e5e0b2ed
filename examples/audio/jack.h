/*
 * What the JACK clients of this folder share: a client with two ports, and how it ends.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef AUDIO_JACK_H
#define AUDIO_JACK_H 1

#include <err.h>
#include <jack/jack.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static jack_client_t *client;
static jack_port_t *port[2];

static void on_shutdown(void *arg)
{
    (void)arg;
    (void)kill(getpid(), SIGTERM);
}

/* In the callback's thread, before its first call: the stack that it will use is locked, too. */
static void lock_memory(void *arg)
{
    (void)arg;
    if (mlockall(MCL_CURRENT) != 0)
        warn("the callback may wait for pages; see ulimit -l: mlockall");
}

/* Opens the client and starts the callback, which finds all that it uses in memory. SIGINT and
 * SIGTERM are blocked from here on, in all threads, for audio_is_stopped. */
static inline void audio_start(const char *name, enum JackPortFlags flags,
                               JackProcessCallback callback)
{
    static const char *const names[] = {"left", "right"};
    sigset_t ends;
    int i;

    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    client = jack_client_open(name, JackNoStartServer, NULL);
    if (client == NULL)
        errx(1, "no JACK server: start one, or name it in JACK_DEFAULT_SERVER");
    for (i = 0; i < 2; i++) {
        port[i] = jack_port_register(client, names[i], JACK_DEFAULT_AUDIO_TYPE, flags, 0);
        if (port[i] == NULL)
            errx(1, "JACK has no more ports");
    }
    jack_on_shutdown(client, on_shutdown, NULL);
    if (jack_set_thread_init_callback(client, lock_memory, NULL) != 0 ||
        jack_set_process_callback(client, callback, NULL) != 0 || jack_activate(client) != 0)
        errx(1, "JACK does not start the callback");
}

/* Sleeps for a tenth of a second, or until the program is to end: 1. */
static inline int audio_is_stopped(void)
{
    struct timespec tenth = {0, 100000000};
    sigset_t ends;

    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    return sigtimedwait(&ends, NULL, &tenth) > 0;
}

/* After it, the callback runs no more. */
static inline void audio_stop(void)
{
    jack_deactivate(client);
    jack_client_close(client);
}

#endif
