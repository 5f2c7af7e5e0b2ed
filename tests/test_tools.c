/*
 * Tests of ipc_rm, and of what ipc_cat says with -v, each on a terminal: a pty of this test's. The
 * first argument is the folder of the programs.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "ipc_channel.h"

#define LONG_MS 60000 /* longer than any working call takes */
#define HANG_S 300
#include "harness.h"
#include "terminal.h"

#include <sched.h>
#include <sys/mount.h>

static const char *folder;

static void must_do(int rc, const struct ipc_shm *seg)
{
    if (rc != 0)
        dprintf(2, "%s\n", ipc_shm_why(seg));
    IS(rc, 0);
}

static struct terminal start(const char *tool, char *const *argv)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/%s", folder, tool);
    return open_terminal(path, argv);
}

/* ------------------------------------------------------------------ ipc_rm */

/* ipc_rm with up to two arguments must end with that status, and print that. */
static void removes(const char *first, const char *second, int status, const char *prints)
{
    char *argv[] = {(char *)"ipc_rm", (char *)(uintptr_t)first, (char *)(uintptr_t)second, NULL};
    struct terminal with = start("ipc_rm", argv);
    char *text = read_to_end(&with, status);

    if (strstr(text, prints) == NULL)
        dprintf(2, "%s\n", text);
    MUST(strstr(text, prints) != NULL);
    free(text);
}

static void creates_and_waits(struct child *up, void *arg)
{
    struct ipc_shm seg;

    must_do(ipc_shm_create(&seg, arg, 1 << 16), &seg);
    tell(up, 0);
    wait_for_death();
}

/* A child that has created the segment of that name. */
static struct child create(char *its_name)
{
    struct child c = spawn(creates_and_waits, its_name);

    (void)hear(&c);
    return c;
}

static int is_there(const char *its_name)
{
    char path[200];

    (void)snprintf(path, sizeof path, "/dev/shm/%s", its_name);
    return access(path, F_OK) == 0;
}

static void only_what_the_dead_have_is_removed(void **state)
{
    struct child c = create(name);
    char line[300];

    (void)state;
    (void)snprintf(line, sizeof line, "in use by pid %ld: end it first", (long)c.pid);
    removes(name, NULL, 1, line);
    stop_child(&c);
    removes(name, NULL, 1, line);
    kill_child(&c);
    (void)snprintf(line, sizeof line, "would remove %s\r\n", name);
    removes("-n", name, 0, line);
    MUST(is_there(name));
    (void)snprintf(line, sizeof line, "removed %s\r\n", name);
    removes(name, NULL, 0, line);
    IS(names(0), 0);
    removes(name, NULL, 1, "no segment");
}

static void what_is_no_segment_stays(void **state)
{
    char path[200];
    int fd;

    (void)state;
    (void)snprintf(path, sizeof path, "/dev/shm/%s", name);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    MUST(fd >= 0 && posix_fallocate(fd, 0, 1 << 16) == 0);
    (void)close(fd);
    removes(name, NULL, 1, "not a segment");
    MUST(is_there(name));
    removes("-n", NULL, 2, "no name, and no -a");
    removes("-a", name, 2, "-a takes no names");
}

static void a_system_v_segment_is_removed_when_all_are_gone(void **state)
{
    struct ipc_channel ch;
    char uri[64], line[100];

    (void)state;
    (void)snprintf(uri, sizeof uri, "sysvshm:%#x", 0x71000000u | (unsigned)getpid());
    IS(ipc_channel_open(&ch, uri, IPC_BOTH | IPC_LISTEN, IPC_NOW), 0);
    removes(uri, NULL, 1, "in use by 1 processes");
    ipc_channel_close(&ch);
    (void)snprintf(line, sizeof line, "removed %s\r\n", uri);
    removes(uri, NULL, 0, line);
    removes(uri, NULL, 1, "No such file");
    removes("sysvshm:x", NULL, 1, "not a key");
}

/* In a /dev/shm of its own, as -a removes what the tests beside this one have left, too. */
static void removes_all(struct child *up, void *arg)
{
    struct child killed, lives;
    struct ipc_shm seg;

    (void)up;
    (void)arg;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", "/dev/shm", "tmpfs", 0, "mode=1777") != 0)
        _exit(UNABLE);
    killed = create((char *)"killed");
    lives = create((char *)"lives");
    must_do(ipc_shm_create(&seg, "closed", 1 << 16), &seg);
    ipc_shm_close(&seg);
    kill_child(&killed);
    removes("-n", "-a", 0, "would remove killed\r\n");
    MUST(is_there("killed"));
    removes("-a", NULL, 0, "removed killed\r\n");
    MUST(!is_there("killed") && is_there("lives") && is_there("closed"));
    kill_child(&lives);
}

static void all_that_the_killed_have_left_is_removed(void **state)
{
    int rc = run(removes_all, NULL);

    (void)state;
    SKIP_IF(rc == UNABLE, "no mount namespaces for this user");
    IS(rc, 0);
}

/* ------------------------------------------------------------------ ipc_cat -v */

static void cat_says_what_it_does(void **state)
{
    char *sends[] = {(char *)"ipc_cat", (char *)"-v", (char *)"-s", name, NULL};
    char *receives[] = {(char *)"ipc_cat", (char *)"-v", (char *)"-r", name, NULL};
    struct terminal from, to;
    char line[100];

    (void)state;
    to = start("ipc_cat", receives);
    read_until(&to, "waits for a sender");
    from = start("ipc_cat", sends);
    read_until(&from, "has made the segment");
    (void)snprintf(line, sizeof line, "the other end is pid %ld\r\n", (long)from.child.pid);
    read_until(&to, line);
    read_until(&from, "0.0 MB/s, waits for input");
    read_until(&to, "0.0 MB/s, waits for the sender");
    press(&from, "hello\n");
    (void)snprintf(line, sizeof line, "the other end is pid %ld\r\n", (long)to.child.pid);
    read_until(&from, line);
    read_until(&to, "hello\r\n");
    press(&from, "\004");
    read_until(&from, ", done");
    read_until(&to, ", done");
    free(read_to_end(&from, 0));
    free(read_to_end(&to, 0));
    IS(names(0), 0);
}

struct chunk { /* as of ipc_cat */
    uint64_t bytes;
    unsigned char data[65520];
};
IPC_SPSC(chunks, struct chunk)

/* A sender that has made its ring, and is slow to attach to it. */
static void sends_late(struct child *up, void *arg)
{
    int64_t until = ipc_in_ms(LONG_MS);
    struct ipc_ring_hold hold;
    struct chunks_producer out;
    struct chunk *c;
    struct ipc_shm seg;
    uint64_t from;
    struct ipc_shm_object ring;
    int i;

    (void)arg;
    must_do(ipc_shm_create(&seg, name, 65 * sizeof *c + 4096), &seg);
    must_do(chunks_create(&seg, "chunks", 64), &seg);
    must_do(ipc_shm_find(&seg, "chunks", IPC_SPSC_TYPE, &ring), &seg);
    do {
        from = 0;
        MUST(a_moment(until) && is_there(name));
    } while (ipc_ring_holders(ring.mem, ring.size, &from, &hold, 1) == 0);
    must_do(chunks_producer_open(&out, &seg, "chunks"), &seg);
    for (i = 3; i >= 0; i -= 3) { /* the file, and its end */
        c = chunks_claim(&out);
        MUST(c != NULL);
        (void)memcpy(c->data, "hi\n", 3);
        c->bytes = (uint64_t)i;
        (void)chunks_commit(&out);
        (void)chunks_producer_post(&out);
    }
    tell(up, 0);
    wait_for_death();
}

static void cat_waits_for_a_slow_sender(void **state)
{
    char *receives[] = {(char *)"ipc_cat", (char *)"-v", (char *)"-r", name, NULL};
    struct child c = spawn(sends_late, NULL);
    struct terminal to = start("ipc_cat", receives);

    (void)state;
    (void)hear(&c);
    read_until(&to, "hi\r\n");
    read_until(&to, ", done");
    free(read_to_end(&to, 0));
    kill_child(&c);
    IS(names(1), 1);
}

/* ------------------------------------------------------------------ all tests */

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(only_what_the_dead_have_is_removed),
        TEST(what_is_no_segment_stays),
        TEST(a_system_v_segment_is_removed_when_all_are_gone),
        TEST(all_that_the_killed_have_left_is_removed),
        TEST(cat_says_what_it_does),
        TEST(cat_waits_for_a_slow_sender),
    };

    if (argc < 2)
        return 2;
    folder = argv[1];
    set_up(argc - 1, argv + 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
