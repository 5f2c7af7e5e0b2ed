/*
 * A child that its parent runs instruction by instruction.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef STEPS_H
#define STEPS_H

#include "harness.h"

/* Waits until the child stops. Returns 1 if it stopped itself, by SIGSTOP. */
static inline int steps_wait_(pid_t child)
{
    int status;

    MUST(waitpid(child, &status, 0) == child);
    MUST(WIFSTOPPED(status));
    return WSTOPSIG(status) == SIGSTOP;
}

/* A child that is about to run f, which is to stop itself by SIGSTOP when the steps are over, and
 * then may go on. */
static inline pid_t begin_steps(void (*f)(void))
{
    pid_t child = fork();

    MUST(child >= 0);
    if (child == 0) {
        become_child();
        MUST(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
        (void)raise(SIGSTOP);
        f();
        _exit(0);
    }
    MUST(steps_wait_(child));
    return child;
}

/* Lets it run one instruction. Returns 0 when the steps are over. */
static inline int step(pid_t child)
{
    MUST(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) == 0);
    return !steps_wait_(child);
}

/* Lets it run to its end. */
static inline void end_steps(pid_t child)
{
    int status = 0;

    do {
        MUST(ptrace(PTRACE_CONT, child, NULL, NULL) == 0);
        MUST(waitpid(child, &status, 0) == child);
    } while (WIFSTOPPED(status));
    MUST(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

#endif /* STEPS_H */
