/*
 * What torture.c and torture_call.c share: a child whose operation runs step by step and is stopped
 * or killed.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef TORTURE_H
#define TORTURE_H

#include "ipc_ring.h"
#include <err.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned char *mem; /* shared with the child */
static pid_t child;

/* Defined by the program: prints what went wrong at which point, and exits. */
static void fail(const char *what, int64_t number);

static int alive(void *arg, uint64_t id)
{
    (void)arg;
    return kill((pid_t)id, 0) == 0;
}

static struct ipc_peer peer(void)
{
    struct ipc_peer me;

    memset(&me, 0, sizeof me);
    me.id = (uint64_t)getpid();
    me.alive = alive;
    return me;
}

static void share(size_t size)
{
    mem = (unsigned char *)mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                                0);
    if ((void *)mem == MAP_FAILED)
        err(1, "mmap");
}

/* Keeps this process and its children on one processor, as they run in turns. */
static inline void stay_here(void)
{
    cpu_set_t here;
    int cpu = sched_getcpu();

    CPU_ZERO(&here);
    CPU_SET(cpu < 0 ? 0 : (unsigned)cpu, &here);
    (void)sched_setaffinity(0, sizeof here, &here);
}

/* Called by the child: it stops, and from here on its parent runs it. */
static void be_tortured(void)
{
    (void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    (void)raise(SIGSTOP);
}

/* Waits until the child stops; calls `meanwhile`, if given, as it waits. Returns 1 if the child
 * stopped itself, before or after the operation, and 0 after an instruction. */
static int wait_for_child(void (*meanwhile)(void))
{
    int status;
    pid_t who;

    while ((who = waitpid(child, &status, WUNTRACED | (meanwhile != NULL ? WNOHANG : 0))) == 0)
        meanwhile();
    if (who != child || !WIFSTOPPED(status))
        fail("the child ended with status", status);
    return WSTOPSIG(status) == SIGSTOP;
}

/* Lets the child go on, for an instruction or to its next stop. Returns as above. */
static int resume(int request, void (*meanwhile)(void))
{
    if (ptrace(request, child, NULL, NULL) != 0)
        err(1, "ptrace");
    return wait_for_child(meanwhile);
}

/* Makes a child that is about to operate. */
static void begin_child(void (*operate)(void))
{
    child = fork();
    if (child < 0)
        err(1, "fork");
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        operate();
    }
    (void)wait_for_child(NULL);
}

static void bury(void)
{
    int status;

    (void)kill(child, SIGKILL);
    while (waitpid(child, &status, 0) == child && !WIFSIGNALED(status) && !WIFEXITED(status))
        ;
}

#endif /* TORTURE_H */
