/*
 * A job queue that is killed and ended: shell commands, run by as many workers as there are.
 *
 *     crew NAME                a worker; as many as you like, before or after the boss
 *     crew NAME - <commands    the boss: one command a line; prints the status of each, and ends all
 *
 * A worker that is killed in the middle of a command costs nothing: another one runs it again. A boss
 * that is killed is started again, and begins anew.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "ipc_notify.h"
#include "ipc_ring.h"
#include "ipc_shm.h"
#include <err.h>
#include <stdlib.h>

struct job {
    uint64_t run;    /* which boss it is from */
    uint32_t number; /* of the line, from 1 on; END: there is no more work */
    char command[244];
};
enum { END = 0, MOST = 1000 };

struct result {
    uint64_t run;
    uint32_t number;
    int32_t status; /* as of system */
};
IPC_MPMC(jobs, struct job)
IPC_MPSC(results, struct result)

static int work(const char *name)
{
    struct ipc_shm seg;
    struct jobs_consumer in;
    struct results_producer out;
    int rc = ipc_shm_open(&seg, name, ipc_in_ms(10000));

    rc = rc != 0 ? rc : jobs_consumer_open(&in, &seg, "jobs");
    rc = rc != 0 ? rc : results_producer_open(&out, &seg, "results");
    if (rc != 0)
        errx(1, "%s", ipc_shm_why(&seg));
    while ((rc = jobs_consumer_wait(&in, IPC_FOREVER)) == 0) {
        const struct job *job = jobs_peek(&in);
        struct result result = {job->run, job->number, 0};

        if (job->number == END)
            break; /* not released: detach hands it out again, to the next worker */
        result.status = system(job->command);
        rc = results_send(&out, &result, IPC_FOREVER);
        if (rc != 0)
            break;
        (void)jobs_release(&in); /* killed before this: another worker gets the job */
        (void)jobs_consumer_post(&in);
    }
    jobs_consumer_detach(&in);
    ipc_shm_close(&seg);
    if (rc != 0)
        errx(1, "no more work: %s", ipc_strerror(rc));
    return 0;
}

/* Takes out what a boss that was killed has left, its END too, and sends a job for each line. */
static uint32_t hand_out(struct ipc_shm *seg, struct jobs_producer *out, struct job *job)
{
    struct jobs_consumer left;
    uint32_t sent = 0;
    struct job old;
    int rc = jobs_consumer_open(&left, seg, "jobs");

    if (rc != 0)
        errx(1, "%s", ipc_shm_why(seg));
    (void)jobs_consumer_recover(&left, 0); /* what killed workers held */
    while (jobs_recv(&left, &old, IPC_NOW) == 0)
        ;
    jobs_consumer_detach(&left);
    while (rc == 0 && sent < MOST && fgets(job->command, sizeof job->command, stdin)) {
        job->number = ++sent;
        rc = jobs_send(out, job, IPC_FOREVER);
    }
    if (rc != 0)
        errx(1, "job %u was not sent: %s", sent, ipc_strerror(rc));
    return sent;
}

int main(int argc, char **argv)
{
    static char seen[MOST + 1];
    struct ipc_shm seg;
    struct jobs_producer out;
    struct results_consumer in;
    struct job job = {0, END, ""};
    struct result result;
    uint32_t sent, done = 0;
    int rc;

    if (argc == 2)
        return work(argv[1]);
    if (argc != 3 || strcmp(argv[2], "-") != 0)
        errx(2, "usage: crew NAME | crew NAME - <commands");
    rc = ipc_shm_create(&seg, argv[1], 1 << 20); /* or takes over what the last boss has left */
    rc = rc != 0 ? rc : results_consumer_create(&in, &seg, "results", 1024, IPC_MPMC_AT_MOST_ONCE);
    rc = rc != 0 ? rc : jobs_producer_create(&out, &seg, "jobs", 1024, IPC_MPMC_AT_LEAST_ONCE);
    if (rc != 0)
        errx(1, "%s", ipc_shm_why(&seg));
    job.run = (uint64_t)ipc_clock();
    sent = hand_out(&seg, &out, &job);
    while (done < sent && (rc = results_recv(&in, &result, IPC_FOREVER)) == 0)
        if (result.run == job.run && !seen[result.number]++) { /* a second one: it was run twice */
            printf("%u: %d\n", result.number, result.status);
            done++;
        }
    job.number = END; /* only now: the job of a killed worker comes out of order */
    rc = rc != 0 ? rc : jobs_send(&out, &job, IPC_FOREVER);
    if (rc != 0)
        errx(1, "%u of %u are done: %s", done, sent, ipc_strerror(rc));
    ipc_shm_close(&seg);
    return ipc_shm_unlink(argv[1]) == 0 ? 0 : 1; /* workers that have it open find the END there */
}
