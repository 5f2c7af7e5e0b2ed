/*
 * Preloaded into a JACK client: stands between the server and the client's callback, and says at
 * the end what the callback has done: system calls (the kernel hands each to us, by syscall user
 * dispatch, Linux 5.11), page faults, times that it slept, and the most processor time of a call.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <dlfcn.h>
#include <jack/jack.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif

static JackProcessCallback callback;
static volatile char watched; /* 1: the kernel hands us the thread's system calls */
static volatile long calls, last;
static long times, faults, sleeps, longest, cannot;

static void on_call(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    watched = 0; /* also permits the return from here */
    calls++;
    last = info->si_syscall;
}

static long processor_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void begin(void)
{
    struct sigaction action;
    sigset_t set;

    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_call;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSYS, &action, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGSYS);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    cannot = prctl(PR_SET_SYSCALL_USER_DISPATCH, 1, 0, 0, &watched) != 0;
}

static int watch(jack_nframes_t n, void *arg)
{
    struct rusage before, after;
    long ns;
    int rc;

    if (times++ == 0)
        begin();
    ns = processor_ns();
    getrusage(RUSAGE_THREAD, &before);
    watched = !cannot;
    rc = callback(n, arg);
    watched = 0;
    getrusage(RUSAGE_THREAD, &after);
    ns = processor_ns() - ns;
    faults += after.ru_minflt - before.ru_minflt + after.ru_majflt - before.ru_majflt;
    sleeps += after.ru_nvcsw - before.ru_nvcsw;
    longest = ns > longest ? ns : longest;
    return rc;
}

int jack_set_process_callback(jack_client_t *client, JackProcessCallback process, void *arg)
{
    int (*next)(jack_client_t *, JackProcessCallback, void *);

    *(void **)&next = dlsym(RTLD_NEXT, "jack_set_process_callback");
    callback = process;
    return next(client, watch, arg);
}

__attribute__((destructor)) static void tell(void)
{
    if (times == 0)
        return;
    fprintf(stderr, "callback: %ld times, at most %ld us\n", times, longest / 1000);
    if (cannot)
        fprintf(stderr, "callback: system calls are not seen: no syscall user dispatch here\n");
    if (calls != 0)
        fprintf(stderr, "FAILED: callback: %ld system calls, the last number %ld\n", calls, last);
    if (faults != 0)
        fprintf(stderr, "FAILED: callback: %ld page faults\n", faults);
    if (sleeps != 0)
        fprintf(stderr, "FAILED: callback: slept %ld times\n", sleeps);
}
