/*
 * web - a pre-forking web server: it forks its workers before any request comes. The server accepts
 * connections and reads requests; workers take these from one ring and return the answers by
 * another. All of them count in a segment of shared memory.
 *
 *     web PORT [WORKERS]       curl http://127.0.0.1:PORT/hello      .../stats
 *
 * A killed worker loses nothing: the request that it held is given to another worker, and a new
 * worker is forked in its place.
 */
#define _GNU_SOURCE
#include "ipc_notify.h"
#include "ipc_ring.h"
#include "ipc_shm.h"
#include <ck_pr.h>
#include <err.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { CLIENTS = 512, ROOM = 2048, WORKERS = 64 };

struct request {
    uint32_t client, bytes;
    uint64_t number; /* the client's: an answer to its predecessor in this place is dropped */
    char text[1000];
};

struct answer {
    uint32_t client, bytes;
    uint64_t number;
    char text[1500];
};

IPC_SPMC(requests, struct request)
IPC_MPSC(answers, struct answer)

struct stats {
    uint64_t served[WORKERS], killed;
};

struct client {
    int fd; /* -1: the place is free */
    uint64_t number;
    size_t bytes;
    int asked; /* its request is with the workers */
    char text[ROOM];
};

static struct ipc_shm seg;
static struct stats *stats;
static struct client clients[CLIENTS];
static volatile sig_atomic_t ends;

/* ------------------------------------------------------------------ a worker */

static void answer(struct answer *a, const struct request *r, unsigned worker, unsigned workers)
{
    char body[1200] = "";
    size_t n = 0;
    unsigned i;
    int found = 1;

    if (strncmp(r->text, "GET /hello ", 11) == 0) {
        n = (size_t)snprintf(body, sizeof body, "Hello from worker %u.\n", worker);
    } else if (strncmp(r->text, "GET /stats ", 11) == 0) {
        for (i = 0; i < workers && n < sizeof body - 60; i++)
            n += (size_t)snprintf(body + n, sizeof body - n, "worker %u: %llu\n", i,
                                  (unsigned long long)ck_pr_load_64(&stats->served[i]));
        n += (size_t)snprintf(body + n, sizeof body - n, "killed: %llu\n",
                              (unsigned long long)ck_pr_load_64(&stats->killed));
    } else {
        found = 0;
        n = (size_t)snprintf(body, sizeof body, "There are /hello and /stats.\n");
    }
    a->client = r->client;
    a->number = r->number;
    a->bytes = (uint32_t)snprintf(a->text, sizeof a->text,
                                  "HTTP/1.1 %s\r\nContent-Type: text/plain\r\n"
                                  "Content-Length: %zu\r\n\r\n%s",
                                  found ? "200 OK" : "404 Not Found", n, body);
}

static void work(unsigned worker, unsigned workers)
{
    struct requests_consumer in;
    struct answers_producer out;
    struct answer a;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (requests_consumer_open(&in, &seg, "requests") != 0 ||
        answers_producer_open(&out, &seg, "answers") != 0)
        errx(1, "%s", ipc_shm_why(&seg));
    while (requests_consumer_wait(&in, IPC_FOREVER) != -EINVAL) {
        const struct request *r = requests_peek(&in);

        if (r == NULL)
            continue;
        answer(&a, r, worker, workers);
        (void)answers_send(&out, &a, IPC_FOREVER);
        ck_pr_inc_64(&stats->served[worker]);
        (void)requests_release(&in); /* if killed before this, another worker answers too */
        (void)requests_consumer_post(&in);
    }
    _exit(1);
}

/* ------------------------------------------------------------------ the server */

static void drop(struct client *c)
{
    (void)close(c->fd);
    c->fd = -1;
    c->number++;
    c->bytes = 0;
    c->asked = 0;
}

/* Passes the first request that the client has sent to the workers, if it is whole. */
static void ask(struct client *c, struct requests_producer *out)
{
    struct request r;
    char *end;

    c->text[c->bytes] = '\0';
    end = strstr(c->text, "\r\n\r\n");
    if (c->asked || (end == NULL && c->bytes < ROOM - 1))
        return;
    if (end == NULL || (size_t)(end - c->text) > sizeof r.text - 1) {
        drop(c); /* longer than we accept */
        return;
    }
    memset(&r, 0, sizeof r);
    r.client = (uint32_t)(c - clients);
    r.number = c->number;
    r.bytes = (uint32_t)(end - c->text);
    memcpy(r.text, c->text, r.bytes);
    c->bytes -= (size_t)(end + 4 - c->text);
    memmove(c->text, end + 4, c->bytes);
    c->asked = requests_send(out, &r, ipc_in_ms(1000)) == 0;
    if (!c->asked)
        drop(c);
}

static void hear(struct client *c, struct requests_producer *out)
{
    ssize_t n = recv(c->fd, c->text + c->bytes, ROOM - 1 - c->bytes, MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        drop(c);
        return;
    }
    c->bytes += (size_t)n;
    ask(c, out);
}

static void deliver(struct answers_consumer *in, struct requests_producer *out)
{
    struct answer a;

    while (answers_recv(in, &a, IPC_NOW) == 0) {
        struct client *c = a.client < CLIENTS ? &clients[a.client] : NULL;

        if (c == NULL || c->fd < 0 || c->number != a.number || !c->asked || a.bytes > sizeof a.text)
            continue;
        c->asked = 0;
        if (send(c->fd, a.text, a.bytes, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)a.bytes)
            drop(c);
        else
            ask(c, out); /* it may already have sent the next */
    }
}

static int listen_at(unsigned port)
{
    struct sockaddr_in at;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    memset(&at, 0, sizeof at);
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons((uint16_t)port);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 256) != 0)
        err(1, "cannot listen at port %u", port);
    return fd;
}

static void on_end(int number)
{
    (void)number;
    ends = 1;
}

static pid_t hire(unsigned worker, unsigned workers)
{
    pid_t pid = fork();

    if (pid < 0)
        err(1, "fork");
    if (pid == 0)
        work(worker, workers);
    return pid;
}

int main(int argc, char **argv)
{
    unsigned port = argc > 1 ? (unsigned)atoi(argv[1]) : 8080;
    unsigned workers = argc > 2 ? (unsigned)atoi(argv[2]) : 4, i;
    struct requests_producer out;
    struct answers_consumer in;
    struct ipc_shm_object o;
    pid_t staff[WORKERS];
    int listener = listen_at(port);

    if (workers < 1 || workers > WORKERS)
        errx(2, "1 to %d workers", WORKERS);
    if (ipc_shm_create(&seg, NULL, 4 << 20) != 0 ||
        ipc_shm_make(&seg, "stats", 0, sizeof *stats, &o) != 0 || ipc_shm_publish(&seg, &o) != 0 ||
        requests_create(&seg, "requests", CLIENTS, IPC_MPMC_AT_LEAST_ONCE) != 0 ||
        answers_create(&seg, "answers", CLIENTS, IPC_MPMC_AT_MOST_ONCE) != 0 ||
        requests_producer_open(&out, &seg, "requests") != 0 ||
        answers_consumer_open(&in, &seg, "answers") != 0)
        errx(1, "%s", ipc_shm_why(&seg));
    stats = (struct stats *)o.mem;
    for (i = 0; i < CLIENTS; i++)
        clients[i].fd = -1;
    (void)signal(SIGTERM, on_end);
    (void)signal(SIGINT, on_end);
    for (i = 0; i < workers; i++)
        staff[i] = hire(i, workers);
    printf("listening at http://127.0.0.1:%u/ with %u workers\n", port, workers);
    fflush(stdout);
    while (!ends) {
        struct pollfd p[CLIENTS + 1];
        unsigned busy = 0;
        int fd;
        pid_t dead;

        for (i = 0; i < CLIENTS; i++) {
            p[i].fd = clients[i].fd;
            p[i].events = clients[i].bytes < ROOM - 1 ? POLLIN : 0;
            busy += clients[i].fd >= 0 && clients[i].asked;
        }
        p[CLIENTS].fd = listener;
        p[CLIENTS].events = POLLIN;
        /* Answers come by the ring, so poll does not sleep while some are due. */
        if (poll(p, CLIENTS + 1, busy > 0 ? 0 : 100) < 0 && errno != EINTR)
            err(1, "poll");
        if (busy > 0 && answers_consumer_wait(&in, ipc_in_ms(1)) == 0)
            deliver(&in, &out);
        for (i = 0; i < CLIENTS; i++)
            if (clients[i].fd >= 0 && p[i].fd == clients[i].fd && p[i].revents != 0)
                hear(&clients[i], &out);
        for (i = 0; i < CLIENTS && (p[CLIENTS].revents & POLLIN) != 0; i++)
            if (clients[i].fd < 0) {
                fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
                if (fd < 0)
                    break;
                clients[i].fd = fd;
            }
        while ((dead = waitpid(-1, NULL, WNOHANG)) > 0)
            for (i = 0; i < workers; i++)
                if (staff[i] == dead) {
                    ck_pr_inc_64(&stats->killed);
                    staff[i] = hire(i, workers);
                }
    }
    for (i = 0; i < workers; i++)
        (void)kill(staff[i], SIGKILL);
    while (wait(NULL) > 0)
        ;
    ipc_shm_close(&seg);
    return 0;
}
