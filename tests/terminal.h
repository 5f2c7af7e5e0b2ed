/*
 * Programs on a terminal: a pty of the test's. After harness.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef TERMINAL_H
#define TERMINAL_H

#include <pty.h>

struct terminal {
    struct child child; /* its pid alone */
    int fd;
    char *text; /* what has come so far; and from where on nothing was found in it */
    size_t length, seen;
};

/* Starts the program on a terminal of 50 lines. */
static inline struct terminal open_terminal(const char *path, char *const *argv)
{
    static const struct winsize size = {50, 160, 0, 0};
    struct terminal t = {{0, -1, -1}, -1, NULL, 0, 0};

    t.child.pid = forkpty(&t.fd, NULL, NULL, &size);
    MUST(t.child.pid >= 0);
    if (t.child.pid == 0) {
        become_child();
        if (getenv("TERM") == NULL || strcmp(getenv("TERM"), "no-such-terminal") != 0)
            (void)setenv("TERM", "vt100", 1);
        (void)execv(path, argv);
        _exit(127);
    }
    (void)fcntl(t.fd, F_SETFD, FD_CLOEXEC);
    keep_in_mind(t.child.pid, 0);
    t.text = (char *)calloc(1, 1);
    MUST(t.text != NULL);
    return t;
}

/* Waits for more that the program prints. 0: it has ended. */
static inline int read_more(struct terminal *t, int64_t until)
{
    struct pollfd p = {t->fd, POLLIN, 0};
    ssize_t n;
    int rc;

    do
        rc = poll(&p, 1, 1000);
    while (ipc_left_(until) > 0 && (rc == 0 || (rc < 0 && errno == EINTR)));
    if (rc != 1)
        dprintf(2, "%s\n", t->text + t->seen);
    MUST(rc == 1);
    t->text = (char *)realloc(t->text, t->length + 4097);
    MUST(t->text != NULL);
    n = read(t->fd, t->text + t->length, 4096);
    t->length += n > 0 ? (size_t)n : 0; /* EIO: no process has the other side open */
    t->text[t->length] = '\0';
    return n > 0;
}

/* Reads until the program has printed that. */
static inline void read_until(struct terminal *t, const char *what)
{
    int64_t until = ipc_in_ms(LONG_MS);
    const char *at;

    while ((at = strstr(t->text + t->seen, what)) == NULL)
        if (!read_more(t, until)) {
            dprintf(2, "%s\n", t->text + t->seen);
            must_(0, "the program ended before it has printed", what, __FILE__, __LINE__);
        }
    t->seen = (size_t)(at - t->text) + strlen(what);
}

static inline void press(struct terminal *t, const char *keys)
{
    MUST(write(t->fd, keys, strlen(keys)) == (ssize_t)strlen(keys));
}

/* All that the program prints until its end, to be freed. */
static inline char *read_until_end(struct terminal *t)
{
    int64_t until = ipc_in_ms(LONG_MS);

    while (read_more(t, until))
        ;
    return t->text;
}

static inline void forget_terminal(struct terminal *t)
{
    keep_in_mind(0, t->child.pid);
    (void)close(t->fd);
}

/* The same, and it must end with that status. */
static inline char *read_to_end(struct terminal *t, int status)
{
    char *text = read_until_end(t);
    int is;

    MUST(waitpid(t->child.pid, &is, 0) == t->child.pid);
    forget_terminal(t);
    if (!WIFEXITED(is) || WEXITSTATUS(is) != status)
        dprintf(2, "%s\n", text);
    MUST(WIFEXITED(is));
    IS(WEXITSTATUS(is), status);
    return text;
}

#endif /* TERMINAL_H */
