/*
 * ipc_top, and a segment with rings of every kind that somebody scribbles over before each look:
 * nothing outside it is read, each look ends, and what was seen can be printed in each way. See
 * `make fuzz`.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "tools/top/collect.c"
#include "tools/top/json.c"
#include "tools/top/print.c"
#include "tools/top/process.c"

#include "fuzz.h"

enum { RINGS = 9 };

static struct ipc_shm seg; /* nameless: found by its descriptor */
static struct ipc_shm_object o[RINGS];
static unsigned char *whole; /* what was in it at first */

/* An end, or something of each kind. */
static void make_rings(void)
{
    struct ipc_spsc_producer spsc;
    struct ipc_mpmc_producer out;
    struct ipc_mpmc_consumer in;
    struct ipc_broadcast_consumer reader;
    struct ipc_record_producer records;
    struct ipc_call_client client;
    struct ipc_peer *me = ipc_shm_peer(&seg);
    const char message[24] = "";
    static const size_t sizes[] = {2048, 4096, 4096, 4096, 4096, 4096, 4096, 8192, IPC_NOTIFY_SIZE};
    static const uint32_t types[] = {
        IPC_SPSC_TYPE, IPC_MPMC_TYPE, IPC_BROADCAST_TYPE, IPC_BROADCAST_TYPE, IPC_RECORD_TYPE,
        IPC_RECORD_BROADCAST_TYPE, IPC_CALL_TYPE, IPC_STREAM_TYPE, IPC_NOTIFY_TYPE};
    unsigned i;

    for (i = 0; i < RINGS; i++) {
        char object[2] = {(char)('a' + i), '\0'};

        MUST(ipc_shm_make(&seg, object, types[i], sizes[i], &o[i]) == 0);
    }
    MUST(ipc_spsc_init(o[0].mem, o[0].size, 24, 16) == 0 &&
         ipc_mpmc_init(o[1].mem, o[1].size, 24, 16, IPC_MPMC_HANDLES(4)) == 0 &&
         ipc_broadcast_init(o[2].mem, o[2].size, 24, 16, IPC_BROADCAST_READERS(4)) == 0 &&
         ipc_broadcast_init(o[3].mem, o[3].size, 24, 16, IPC_BROADCAST_LOSSY | IPC_BROADCAST_READERS(1)) == 0 &&
         ipc_record_init(o[4].mem, o[4].size, 512, 3) == 0 &&
         ipc_record_broadcast_init(o[5].mem, o[5].size, 1024, IPC_BROADCAST_READERS(4)) == 0 &&
         ipc_call_init(o[6].mem, o[6].size, 24, 8, 2) == 0 &&
         ipc_stream_init(o[7].mem, o[7].size, 24, 16) == 0 &&
         ipc_notify_init(o[8].mem, o[8].size, IPC_NOTIFY_FUTEX) == 0);
    MUST(ipc_spsc_producer_attach(&spsc, o[0].mem, o[0].size, 24, me) == 0 &&
         ipc_mpmc_producer_attach(&out, o[1].mem, o[1].size, 24, me, 0) == 0 &&
         ipc_mpmc_consumer_attach(&in, o[1].mem, o[1].size, 24, me, 0) == 0 &&
         ipc_broadcast_consumer_attach(&reader, o[2].mem, o[2].size, 24, me) == 0 &&
         ipc_record_producer_attach(&records, o[4].mem, o[4].size, me) == 0 &&
         ipc_call_client_attach(&client, o[6].mem, o[6].size, 24, 8, me) == 0);
    MUST(ipc_spsc_push(&spsc, message, 24) == 0 && ipc_mpmc_push(&out, message, 24) == 0 &&
         ipc_mpmc_peek(&in) != NULL && ipc_mpmc_claim(&out) != NULL &&
         ipc_record_push(&records, message, 5) == 0 && ipc_call_ask(&client, message, 24) == 0);
    for (i = 0; i < RINGS; i++)
        MUST(ipc_shm_publish(&seg, &o[i]) == 0);
}

/* Scribbles over one word: of the segment's own part, of a ring's beginning, or any. */
static void scribble_at_random(void)
{
    unsigned where = byte() % (2 * RINGS);

    if (where < RINGS)
        scribble(o[where].mem, o[where].size < 1024 ? o[where].size : 1024);
    else if (where < 2 * RINGS - 2)
        scribble(seg.base, ipc_shm_head_(seg.members, seg.objects));
    else
        scribble(seg.base, seg.size);
}

/* Looks as ipc_top does, and prints it. */
static struct look *look_at_it(const struct look *last)
{
    struct look *now = (struct look *)calloc(1, sizeof *now);
    char path[32], *text = NULL;
    size_t n = 0, i;
    FILE *to;

    MUST(now != NULL);
    now->clock = last != NULL ? last->clock + 1000000000 : 0;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", seg.fd);
    look_at(now, path, NULL, "fuzz", 1);
    MUST(now->count == 1);
    if (last != NULL)
        compare_segment(&now->segments[0], last);
    to = open_memstream(&text, &n);
    MUST(to != NULL);
    print_text(to, now);
    print_prometheus(to, now);
    print_json(to, now);
    MUST(fclose(to) == 0);
    for (i = 0; i < n; i++)
        MUST(text[i] == '\n' || (text[i] >= ' ' && text[i] < 0x7f));
    free(text);
    return now;
}

/* ------------------------------------------------------------------ main */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

/* With FUZZ_SEEDS=folder it only makes the seeds there. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct ipc_shm_options how = IPC_SHM_DEFAULTS;
    const char *folder = getenv("FUZZ_SEEDS");
    unsigned i;

    (void)argc, (void)argv;
    for (i = 0; folder != NULL && i < 8; i++) { /* any numbers, but many */
        unsigned char some[200];
        char what[2] = {(char)('0' + i), '\0'};
        unsigned j, x = i;

        for (j = 0; j < sizeof some; j++)
            some[j] = (unsigned char)((x = x * 1103515245 + 12345) >> 16);
        seed(folder, what, some, sizeof some);
    }
    if (folder != NULL)
        exit(0);
    how.members = 4;
    how.objects = 16;
    MUST(ipc_shm_create_with(&seg, NULL, 45056, &how) == 0);
    make_rings();
    whole = (unsigned char *)malloc(seg.size);
    MUST(whole != NULL);
    memcpy(whole, seg.base, seg.size);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    struct look *first = NULL, *second;
    unsigned i, n;

    input = data;
    left = length;
    memcpy(seg.base, whole, seg.size);
    for (n = byte() % 8, i = 0; i < n; i++)
        scribble_at_random();
    first = look_at_it(NULL);
    while (left > 0)
        scribble_at_random();
    second = look_at_it(first);
    free_look(first);
    free_look(second);
    return 0;
}
