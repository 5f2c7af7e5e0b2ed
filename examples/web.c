/*
 * web - a pre-forking web server: it forks its workers before any request comes. The server accepts
 * connections and reads requests; workers take these from one ring and return the answers by
 * another. All of them count in a segment of shared memory.
 *
 *     web PORT [WORKERS [socket]]       curl http://127.0.0.1:PORT/hello      .../stats
 *
 * A killed worker loses nothing: the request that it held is given to another worker, and a new
 * worker is forked in its place. With "socket", a pair of Unix sockets takes the place of the two
 * rings. What a killed worker held is then lost, and after a second its client is dropped.
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

enum { CLIENTS = 512, ROOM = 2048, WORKERS = 64, PATIENCE_MS = 1000 };

struct request {
    uint32_t client, bytes;
    uint64_t number; /* of all requests: a second answer to one of them is dropped */
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
    uint64_t waiting; /* requests without an answer */
};

struct client {
    int fd; /* -1: it has gone. Its place is free if nothing is asked, either */
    size_t bytes;
    int asked; /* its request is with the workers */
    int ended; /* it sends no more, but may wait for answers: it has shut down its side, or closed */
    uint64_t number;
    int64_t since; /* when it was asked */
    char text[ROOM];
};

/* How requests and answers travel. */
static struct requests_producer requests_out;
static struct answers_consumer answers_in;
static struct ipc_notify *bell; /* of answers_in */
/* In place of the rings: the server's end, and that of all workers. */
static int pair[2] = {-1, -1};

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
        if (n < sizeof body - 60)
            n += (size_t)snprintf(body + n, sizeof body - n, "waiting: %llu\n",
                                  (unsigned long long)ck_pr_load_64(&stats->waiting));
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

static void work_at_rings(unsigned worker, unsigned workers)
{
    struct requests_consumer in;
    struct answers_producer out;
    struct answer a;

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
}

static void work_at_socket(unsigned worker, unsigned workers)
{
    struct request r;
    struct answer a;

    while (recv(pair[1], &r, sizeof r, 0) > 0) { /* if killed from here on, r is lost */
        answer(&a, &r, worker, workers);
        (void)send(pair[1], &a, offsetof(struct answer, text) + a.bytes, MSG_NOSIGNAL);
        ck_pr_inc_64(&stats->served[worker]);
    }
}

/* ------------------------------------------------------------------ the server */

static void drop(struct client *c)
{
    (void)close(c->fd);
    c->fd = -1;
    c->bytes = 0;
    c->ended = 0;
}

static void be_done(struct client *c)
{
    c->asked = 0;
    ck_pr_dec_64(&stats->waiting);
}

/* Gives a request to the workers. Was there room for it? */
static int pass(const struct request *r)
{
    if (pair[0] < 0)
        return requests_send(&requests_out, r, IPC_NOW) == 0;
    return send(pair[0], r, offsetof(struct request, text) + r->bytes + 1, MSG_DONTWAIT) > 0;
}

/* Passes the first request that the client has sent to the workers, if it is whole. */
static void ask(struct client *c)
{
    static uint64_t number;
    struct request r;
    char *end;

    c->text[c->bytes] = '\0';
    end = strstr(c->text, "\r\n\r\n");
    if (c->asked || (end == NULL && c->bytes < ROOM - 1 && !c->ended))
        return;
    if (end == NULL || (size_t)(end - c->text) > sizeof r.text - 1) {
        drop(c); /* longer than we accept, or the rest does not come */
        return;
    }
    memset(&r, 0, sizeof r);
    r.client = (uint32_t)(c - clients);
    r.number = ++number;
    r.bytes = (uint32_t)(end - c->text);
    memcpy(r.text, c->text, r.bytes);
    ck_pr_inc_64(&stats->waiting);
    if (!pass(&r)) {
        ck_pr_dec_64(&stats->waiting);
        return;
    }
    c->bytes -= (size_t)(end + 4 - c->text);
    memmove(c->text, end + 4, c->bytes);
    c->asked = 1;
    c->number = number;
    c->since = ipc_clock();
}

static void hear(struct client *c)
{
    ssize_t n = recv(c->fd, c->text + c->bytes, ROOM - 1 - c->bytes, MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n < 0)
        drop(c);
    else
        c->bytes += (size_t)n;
    c->ended = n == 0;
}

/* The next answer, if there is one. */
static int take(struct answer *a)
{
    if (pair[0] < 0)
        return answers_recv(&answers_in, a, IPC_NOW) == 0;
    return recv(pair[0], a, sizeof *a, MSG_DONTWAIT) > 0;
}

static void deliver(void)
{
    struct answer a;

    while (take(&a)) {
        struct client *c = a.client < CLIENTS ? &clients[a.client] : NULL;

        if (c == NULL || c->number != a.number || !c->asked || a.bytes > sizeof a.text)
            continue;
        be_done(c);
        if (c->fd >= 0 &&
            send(c->fd, a.text, a.bytes, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)a.bytes)
            drop(c);
    }
}

/* Of a pair of sockets: no answer will come any more. */
static void give_up(struct client *c)
{
    if (pair[0] < 0 || !c->asked || ipc_clock() - c->since < PATIENCE_MS * 1000000LL)
        return;
    be_done(c);
    if (c->fd >= 0)
        drop(c);
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
    unsigned i;

    if (pid < 0)
        err(1, "fork");
    if (pid > 0)
        return pid;
    for (i = 0; i < CLIENTS; i++) /* else a client that is dropped would not see the end */
        if (clients[i].fd >= 0)
            (void)close(clients[i].fd);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (pair[0] < 0)
        work_at_rings(worker, workers);
    else
        work_at_socket(worker, workers);
    _exit(1);
}

static void accept_clients(int listener)
{
    unsigned i;

    for (i = 0; i < CLIENTS; i++)
        if (clients[i].fd < 0 && !clients[i].asked &&
            (clients[i].fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) < 0)
            return;
}

/* Waits until there is something to do, and does it. */
static void serve(int listener)
{
    struct pollfd p[CLIENTS + 2];
    unsigned i;

    for (i = 0; i < CLIENTS; i++) {
        p[i].fd = clients[i].fd;
        p[i].events = clients[i].bytes < ROOM - 1 && !clients[i].ended ? POLLIN : 0;
    }
    p[CLIENTS].fd = listener;
    p[CLIENTS + 1].fd = pair[0] < 0 ? ipc_notify_fd(bell) : pair[0];
    p[CLIENTS].events = p[CLIENTS + 1].events = POLLIN;
    if (poll(p, CLIENTS + 2, 100) < 0 && errno != EINTR)
        err(1, "poll");
    if (pair[0] < 0) {
        ipc_notify_drain(bell);
        ipc_notify_arm(bell); /* answers that come from here on make its descriptor readable */
    }
    deliver();
    for (i = 0; i < CLIENTS; i++) {
        if (clients[i].fd >= 0 && p[i].fd == clients[i].fd && p[i].revents != 0)
            hear(&clients[i]);
        if (clients[i].fd >= 0 && clients[i].bytes > 0)
            ask(&clients[i]);
        if (clients[i].fd >= 0 && clients[i].ended && clients[i].bytes == 0 && !clients[i].asked)
            drop(&clients[i]);
        give_up(&clients[i]);
    }
    if ((p[CLIENTS].revents & POLLIN) != 0)
        accept_clients(listener);
}

int main(int argc, char **argv)
{
    unsigned port = argc > 1 ? (unsigned)atoi(argv[1]) : 8080;
    unsigned workers = argc > 2 ? (unsigned)atoi(argv[2]) : 4, i;
    struct ipc_shm_object o;
    pid_t staff[WORKERS];
    int listener = listen_at(port);

    if (workers < 1 || workers > WORKERS)
        errx(2, "1 to %d workers", WORKERS);
    if (argc > 3 && strcmp(argv[3], "socket") != 0)
        errx(2, "socket, not %s", argv[3]);
    if (argc > 3 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        err(1, "socketpair");
    if (ipc_shm_create(&seg, NULL, 4 << 20) != 0 ||
        ipc_shm_make(&seg, "stats", 0, sizeof *stats, &o) != 0 || ipc_shm_publish(&seg, &o) != 0 ||
        requests_create(&seg, "requests", CLIENTS, IPC_MPMC_AT_LEAST_ONCE) != 0 ||
        answers_create(&seg, "answers", CLIENTS, IPC_MPMC_AT_MOST_ONCE) != 0 ||
        requests_producer_open(&requests_out, &seg, "requests") != 0 ||
        answers_consumer_open(&answers_in, &seg, "answers") != 0)
        errx(1, "%s", ipc_shm_why(&seg));
    stats = (struct stats *)o.mem;
    bell = answers_consumer_bell(&answers_in);
    for (i = 0; i < CLIENTS; i++)
        clients[i].fd = -1;
    (void)signal(SIGTERM, on_end);
    (void)signal(SIGINT, on_end);
    for (i = 0; i < workers; i++)
        staff[i] = hire(i, workers);
    printf("listening at http://127.0.0.1:%u/ with %u workers\n", port, workers);
    fflush(stdout);
    while (!ends) {
        pid_t dead;

        serve(listener);
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
