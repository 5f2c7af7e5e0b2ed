/*
 * One program's use of the headers, as a library: tests/versions compiles it with headers and message
 * types of several versions. With -DMAIN it is a program that loads such libraries:
 *
 *     versions NAME STEP LIBRARY [STEP LIBRARY]...      prints what each step says
 */
#ifdef MAIN
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    for (int i = 2; i + 1 < argc; i += 2) {
        void *library = dlopen(argv[i + 1], RTLD_NOW | RTLD_LOCAL);
        const char *(*step)(const char *, const char *) = NULL;

        if (library != NULL)
            *(void **)&step = dlsym(library, "step");
        if (step == NULL) {
            fprintf(stderr, "%s\n", dlerror());
            return 1;
        }
        printf("%s: %s\n", argv[i], step(argv[i], argv[1]));
        fflush(stdout);
    }
    return 0;
}
#else
#ifdef CHANNEL
#include "ipc_channel.h"
#else
#include "ipc_notify.h"
#include "ipc_ring.h"
#include "ipc_shm.h"
#endif
#include <unistd.h>

#ifndef TICK
#define TICK 1
#endif
struct tick {
    uint64_t n;
    double px[TICK];
};
#ifdef TYPE_VERSION
IPC_SPSC(ticks, struct tick, TYPE_VERSION)
#else
IPC_SPSC(ticks, struct tick)
#endif

static struct ipc_shm seg;
static struct ticks_producer out;
static struct ticks_consumer in;
static char said[600];

static const char *say(const char *text)
{
    (void)snprintf(said, sizeof said, "%s", text);
    return said;
}

static const char *read_ticks(void)
{
    struct tick t;
    uint64_t n = 0;

    while (ticks_recv(&in, &t, ipc_in_ms(1000)) == 0 && t.n == n + 1)
        if (++n == 3)
            return say("3 ticks");
    return say("ticks are missing");
}

#ifdef CHANNEL
static const char *talk(const char *name, unsigned role)
{
    char text[20] = "", uri[100];
    struct ipc_channel ch;
    struct ipc_channel_facts facts;
    int64_t rc;

    (void)snprintf(uri, sizeof uri, "auto:%s", name);
    rc = ipc_channel_open(&ch, uri, role, ipc_in_ms(20000));
    if (rc == 0)
        rc = role & IPC_SEND ? ipc_channel_send(&ch, "hello", 6, ipc_in_ms(20000))
                             : ipc_channel_recv(&ch, text, sizeof text, ipc_in_ms(20000));
    if (rc < 0)
        return say(ipc_channel_why(&ch));
    (void)ipc_channel_info(&ch, &facts);
    (void)snprintf(said, sizeof said, "%s, %s", role & IPC_SEND ? "sent" : text, facts.mechanism);
    ipc_channel_close(&ch);
    return said;
}
#endif

/* Steps that a program takes; what it is told. */
const char *step(const char *what, const char *name);
const char *step(const char *what, const char *name)
{
    struct tick t = {0, {0}};
    int rc = 0;

    switch (*what) {
    case 'c': /* create */
        rc = ipc_shm_create(&seg, name, 1 << 20);
        rc = rc != 0 ? rc : ticks_producer_create(&out, &seg, "ticks", 64);
        while (rc == 0 && t.n++ < 3)
            rc = ticks_push(&out, &t);
        return say(rc != 0 ? ipc_shm_why(&seg) : "3 ticks made");
    case 'm': /* make the ring, if it is not there */
        rc = ipc_shm_open(&seg, name, IPC_NOW);
        rc = rc != 0 ? rc : ticks_create(&seg, "ticks", 64);
        return say(rc != 0 ? ipc_shm_why(&seg) : "it is there");
    case 'o': /* open */
        rc = ipc_shm_open(&seg, name, IPC_NOW);
        rc = rc != 0 ? rc : ticks_consumer_open(&in, &seg, "ticks");
        return rc != 0 ? say(ipc_shm_why(&seg)) : read_ticks();
    case 'e': /* end */
        ipc_shm_close(&seg);
        return "";
    case 'u': /* unlink */
        return say(ipc_shm_unlink(name) == 0 ? "unlinked" : "not unlinked");
    case 'w': /* wait for the end of the input, while others have the segment */
        while (read(STDIN_FILENO, &t, 1) > 0)
            continue;
        return "";
#ifdef CHANNEL
    case 's':
        return talk(name, IPC_SEND | IPC_LISTEN);
    case 'r':
        return talk(name, IPC_RECV);
#endif
    default:
        return "no such step";
    }
}
#endif
