/*
 * Two processes use a segment, a ring and its bells under a filter that permits only the system
 * calls named by the arguments: what docs/recipes.md says must be enough. With a dash before its
 * name a call fails with ENOSYS, as if the kernel did not have it; any other kills the process.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "ipc_notify.h"
#include "ipc_ring.h"
#include "ipc_shm.h"

#include <err.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

IPC_SPSC(words, uint64_t)

#define IS(call, want)                                                                             \
    do {                                                                                           \
        int64_t got_ = (call);                                                                     \
        if (got_ != (want))                                                                        \
            errx(1, "line %d: %s is %lld", __LINE__, #call, (long long)got_);                      \
    } while (0)

/* Beside the arguments, what the two processes do here themselves. */
static void permit(char **names)
{
    static const char *const own[] = {"exit_group", "write", "kill", "wait4", "clone", "rseq", "set_robust_list"};
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    size_t i;
    int call;

    for (i = 0; i < sizeof own / sizeof *own; i++)
        IS(seccomp_rule_add(filter, SCMP_ACT_ALLOW, seccomp_syscall_resolve_name(own[i]), 0), 0);
    for (; *names != NULL; names++) {
        int denied = **names == '-';

        call = seccomp_syscall_resolve_name(*names + denied);
        if (call == __NR_SCMP_ERROR)
            errx(1, "no system call '%s'", *names);
        IS(seccomp_rule_add(filter, denied ? SCMP_ACT_ERRNO(ENOSYS) : SCMP_ACT_ALLOW, call, 0), 0);
    }
    IS(seccomp_load(filter), 0);
}

int main(int argc, char **argv)
{
    struct words_producer out;
    struct words_consumer in;
    struct ipc_shm seg;
    char name[100];
    uint64_t word = 7;
    pid_t other;
    int i, status;

    if (argc < 2 || getenv("IPC_TEST_PREFIX") == NULL)
        return 2;
    (void)snprintf(name, sizeof name, "%s-seccomp", getenv("IPC_TEST_PREFIX"));
    (void)ipc_shm_unlink(name);
    permit(argv + 1);
    IS(ipc_shm_create(&seg, name, 1 << 16), 0);
    IS(words_consumer_create(&in, &seg, "words", 16), 0);
    for (i = 0; i < 2; i++) {
        other = fork();
        if (other < 0)
            err(1, "fork");
        if (other == 0) {
            struct ipc_shm mine;

            IS(ipc_shm_open(&mine, name, ipc_in_ms(60000)), 0);
            IS(words_producer_open(&out, &mine, "words"), 0);
            IS(words_producer_wait(&out, ipc_in_ms(60000)), 0);
            IS(words_send(&out, &word, ipc_in_ms(60000)), 0);
            while (ck_pr_load_64(&out.raw.ring->head) == 0 + (uint64_t)(i == 1))
                ;
            if (i == 0)
                kill(getpid(), SIGKILL);
            words_producer_detach(&out);
            ipc_shm_close(&mine);
            _exit(0);
        }
        IS(words_recv(&in, &word, ipc_in_ms(60000)), 0);
        IS(word, 7);
        IS(words_recv(&in, &word, ipc_in_ms(60000)), i == 0 ? -EOWNERDEAD : -EPIPE);
        IS(words_recv(&in, &word, ipc_in_ms(30)), -ETIMEDOUT);
        if (waitpid(other, &status, 0) != other)
            err(1, "waitpid");
        IS(i == 0 ? WTERMSIG(status) : status, i == 0 ? SIGKILL : 0);
    }
    words_consumer_detach(&in);
    ipc_shm_close(&seg);
    IS(ipc_shm_unlink(name), 0);
    return 0;
}
