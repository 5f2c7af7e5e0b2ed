/*
 * A peer of ipc_channel.h that does whatever the input says: bytes in any split over pipes and
 * sockets, packets, datagrams; either side of auto:'s handshake, with and without descriptors; a
 * log's content; and any words in the memory of a ring. Output that follows from the input is
 * compared with it. See `make fuzz`.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "ipc_channel.h"

#include "fuzz.h"

#include <dirent.h>
#include <sys/mman.h>

enum { MAX = 20000, ROOM = 1 << 17 };
enum { PIPE, UNIX, SEQ, DGRAM, CLIENT, LISTENER, FILE_, RING, KINDS };

static char name[90], uri[150];
static struct ipc_channel ch;
static struct ipc_channel_options how;
static unsigned char sent[ROOM], got[ROOM];
static size_t end, at; /* end of `sent`; how much of it was received */
static int closed;     /* nothing more is sent */
static uint64_t mark;  /* of a log: the hash before the next record */
#define LOG_ID UINT64_C(0x123456789abcdef1)

static void open_as(const char *scheme, const char *rest, unsigned role)
{
    (void)snprintf(uri, sizeof uri, "%s:%s%s", scheme, rest, *rest != '\0' ? name : "");
    MUST(ipc_channel_open_with(&ch, uri, role, IPC_NOW, &how) == 0);
}

static int plain(int type, int listens)
{
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un to;
    socklen_t size;

    memset(&to, 0, sizeof to);
    to.sun_family = AF_UNIX;
    size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                       (size_t)snprintf(to.sun_path + 1, sizeof to.sun_path - 1, "%s", name));
    MUST(fd >= 0 && (listens ? bind(fd, (struct sockaddr *)&to, size) == 0 && listen(fd, 1) == 0
                             : connect(fd, (struct sockaddr *)&to, size) == 0));
    return fd;
}

static int64_t receive(size_t size)
{
    int64_t rc;

    do
        rc = ipc_channel_recv(&ch, got, size, IPC_NOW);
    while (rc == -EINTR); /* libFuzzer looks at the time now and then */
    return rc;
}

/* Writes some bytes that may be messages to `to`, which has room for ROOM bytes. */
static size_t piece(unsigned char *to, size_t head, size_t room)
{
    unsigned what = byte() % 8;
    size_t n;

    if (room < 32000)
        return 0;
    switch (what) {
    case 0: /* any bytes */
        return raw(to, byte());
    case 1: /* one byte, many times */
        n = number(3000);
        memset(to, (int)byte(), n);
        return n;
    case 2: /* a header, of any length */
        n = (size_t)word(MAX);
        ipc_channel_put_header_(to, n);
        return IPC_CHANNEL_HEADER_;
    default: /* a message, small or large, or with a bit flipped, or cut short */
        n = what < 7 ? byte() : number(MAX + 2);
        memset(to + head, (int)n, n);
        ipc_channel_put_header_(to, n);
        if (head > IPC_CHANNEL_HEADER_)
            mark = ipc_channel_put_record_(to, LOG_ID, to - sent, mark, to + head, n);
        n += head;
        if (what == 5)
            to[number((unsigned)n)] ^= (unsigned char)(1 << byte() % 8);
        return what == 6 ? number((unsigned)n + 1) : n;
    }
}

/* The greeting of a client: a good one, or any bytes, by which the client is left. Was it good? */
static int greets(int fd)
{
    unsigned char to[IPC_CHANNEL_GREETING_];
    size_t n = sizeof to;
    int good = byte() % 4 != 0;

    ipc_channel_put_(to, IPC_CHANNEL_HELLO_);
    ipc_channel_put_(to + 4, IPC_SEND | IPC_CHANNEL_GREETING_VERSION_);
    ipc_channel_put_(to + 8, MAX);
    if (!good) {
        to[number(sizeof to)] ^= (unsigned char)byte();
        n = number(sizeof to) + 1;
    }
    MUST(send(fd, to, n, MSG_DONTWAIT) == (ssize_t)n);
    if (good) {
        MUST(receive(MAX) == -ETIMEDOUT);
        return 1;
    }
    MUST(receive(MAX) < 0);
    (void)close(fd);
    MUST(receive(MAX) < 0);
    ipc_channel_close(&ch);
    return 0;
}

/* ------------------------------------------------------------------ streams of bytes */

/* The next recv must return what follows from what was sent. Returns 0 if the channel was left. */
static int compare(size_t size)
{
    struct ipc_channel_facts facts;
    uint32_t n = end - at >= 8 ? ipc_channel_get_(sent + at) : 0;
    int64_t rc = receive(size);

    if (end - at < 8)
        MUST(rc == (!closed ? -ETIMEDOUT : at == end ? -EPIPE : -EOWNERDEAD));
    else if ((ipc_channel_get_(sent + at + 4) ^ n) != IPC_CHANNEL_CHECK_ || n > MAX)
        MUST(rc == -EBADMSG);
    else if (n > size) {
        MUST(rc == -EMSGSIZE);
        MUST(ipc_channel_info(&ch, &facts) == 0 && facts.next == n);
        return 1;
    } else if (end - at - 8 < n)
        MUST(rc == (closed ? -EOWNERDEAD : -ETIMEDOUT));
    else {
        MUST(rc == (int64_t)n && memcmp(got, sent + at + 8, n) == 0);
        at += 8 + n;
        return 1;
    }
    return rc == -ETIMEDOUT ? -1 : 0;
}

static void stream(int fd)
{
    int more = 1;

    end = at = 0;
    closed = 0;
    while (more != 0 && left > 0) {
        size_t n = piece(sent + end, IPC_CHANNEL_HEADER_, ROOM - end), split = byte(), once;

        for (split += n / 32 + 1; more != 0 && n > 0; n -= once) {
            once = split < n ? split : n;
            MUST(write(fd, sent + end, once) == (ssize_t)once);
            end += once;
            while ((more = compare(byte() < 200 ? MAX : byte())) > 0)
                ;
        }
    }
    closed = 1;
    (void)close(fd);
    while (more != 0)
        more = compare(MAX);
    ipc_channel_close(&ch);
}

static void packets(int fd, int sequence)
{
    while (left > 0) {
        size_t n = piece(sent, IPC_CHANNEL_HEADER_, ROOM), size = byte() < 200 ? ROOM : byte();
        int64_t rc, want = (int64_t)n - (sequence ? 8 : 0);
        int good = sequence ? n >= 8 && ipc_channel_get_(sent) == want && want <= MAX &&
                                  (ipc_channel_get_(sent + 4) ^ want) == IPC_CHANNEL_CHECK_
                            : n <= MAX;

        if ((sequence && n == 0) || send(fd, sent, n, MSG_DONTWAIT) != (ssize_t)n)
            break;
        rc = receive(size);
        if (good && want > (int64_t)size) {
            MUST(rc == -EMSGSIZE);
            rc = receive(ROOM);
        }
        MUST(rc == (good ? want : -EBADMSG));
        MUST(!good || memcmp(got, sent + n - want, (size_t)want) == 0);
        if (!good && sequence)
            break;
    }
    (void)close(fd);
    ipc_channel_close(&ch);
}

/* ------------------------------------------------------------------ rings */

/* Calls at both ends may return anything within bounds. */
static void use(struct ipc_channel *c, unsigned times)
{
    while (times-- > 0) {
        size_t n = byte() * 4;

        MUST(ipc_channel_recv(c, got, n, IPC_NOW) <= (int64_t)n);
        MUST(ipc_channel_send(c, sent, n, IPC_NOW) <= 0);
    }
}

static void ring(void)
{
    struct ipc_channel other;
    unsigned senders = byte() % 4, role = byte() % 2 ? IPC_BOTH : IPC_RECV;
    struct ipc_shm *seg;

    how.max = 1000;
    how.senders = senders;
    (void)snprintf(uri, sizeof uri, "ring:%s", name);
    MUST(ipc_channel_open_with(&ch, uri, role | IPC_LISTEN, IPC_NOW, &how) == 0);
    other.kind = NULL;
    seg = &ch.ring->seg;
    while (left > 0)
        switch (byte() % 4) {
        case 0:
            scribble(seg->base, seg->size);
            break;
        case 1:
            if (other.kind == NULL)
                (void)ipc_channel_open_with(&other, uri, role ^ (role == IPC_RECV ? IPC_BOTH : 0),
                                            IPC_NOW, &how);
            else
                ipc_channel_close(&other);
            break;
        case 2:
            use(&ch, byte() % 8);
            break;
        default:
            if (other.kind != NULL)
                use(&other, byte() % 8);
        }
    if (other.kind != NULL)
        ipc_channel_close(&other);
    ipc_channel_close(&ch);
    (void)ipc_shm_unlink(name); /* after scribbling it is no longer a channel's ring */
}

/* ------------------------------------------------------------------ auto: */

union control {
    struct cmsghdr header;
    char room[CMSG_SPACE(8 * sizeof(int))];
};

static void say(int fd, const void *bytes, size_t n, int with)
{
    union control control;
    struct iovec io = {(void *)(uintptr_t)bytes, n};
    struct msghdr m;

    memset(&m, 0, sizeof m);
    memset(&control, 0, sizeof control);
    m.msg_iov = &io;
    m.msg_iovlen = 1;
    if (with >= 0) {
        m.msg_control = control.room;
        m.msg_controllen = CMSG_SPACE(sizeof with);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof with);
        memcpy(CMSG_DATA(&control.header), &with, sizeof with);
    }
    (void)sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Receives a message, and maps the memory that came with it. */
static void listen_to(int fd, void **mem, size_t *size)
{
    union control control;
    struct iovec io = {got, sizeof got};
    struct cmsghdr *c;
    struct msghdr m;
    struct stat st;
    int fds[8];
    size_t n, i;

    memset(&m, 0, sizeof m);
    m.msg_iov = &io;
    m.msg_iovlen = 1;
    m.msg_control = control.room;
    m.msg_controllen = sizeof control;
    if (recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0 || (c = CMSG_FIRSTHDR(&m)) == NULL)
        return;
    n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(fds, CMSG_DATA(c), n * sizeof(int));
    for (i = 0; i < n; i++) {
        if (*mem == NULL && fstat(fds[i], &st) == 0 && st.st_size > 0) {
            *size = (size_t)st.st_size;
            *mem = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, fds[i], 0);
            MUST(*mem != MAP_FAILED);
        }
        (void)close(fds[i]);
    }
}

/* Sends something with a descriptor. */
static void give(int fd)
{
    static const uint64_t hello[2] = {IPC_SHM_MAGIC, 4096};
    int with = byte() % 2 ? (int)syscall(SYS_memfd_create, "fuzz", 3u) : eventfd(0, EFD_CLOEXEC);
    unsigned seals = byte();

    (void)ftruncate(with, 4096);
    (void)fcntl(with, F_ADD_SEALS, seals % 16);
    say(fd, hello, seals < 128 ? 16 : byte() % 17, with);
    (void)close(with);
}

/* Sends what a listener would hand over, with parts left out. */
static void give_ring(int fd, struct ipc_channel *liar)
{
    unsigned parts = byte();

    if (liar->ring == NULL) {
        liar->kind = ch.kind;
        liar->how = ch.how;
        liar->address = ch.address;
        liar->role = IPC_BOTH;
        liar->out = fd;
        liar->max = 1000;
        liar->pid = getpid();
        MUST(ipc_channel_make_offer_(liar) == 0);
    }
    for (; parts % 4 != 0; parts /= 4)
        scribble(liar->ring->seg.base, liar->ring->seg.size);
    if (!(parts & 4))
        (void)ipc_shm_send(&liar->ring->seg, fd);
}

static void handshake(int listener)
{
    struct ipc_channel_hello_ hello = {IPC_CHANNEL_MAGIC_, IPC_CHANNEL_VERSION_, 1, 1000};
    struct ipc_channel_auto_ own;
    struct ipc_channel liar;
    void *mem = NULL;
    size_t size = 0;
    int fd, at_most = 100;

    memset(&own, 0, sizeof own);
    memset(&liar, 0, sizeof liar);
    liar.state = &own;
    how.max = 1000;
    if (listener)
        open_as("auto", "@", IPC_BOTH | IPC_LISTEN);
    fd = plain(SOCK_STREAM, !listener);
    if (!listener) {
        int from = fd;

        open_as("auto", "@", IPC_BOTH);
        fd = accept4(from, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        MUST(fd >= 0);
        (void)close(from);
    }
    while (left > 0) {
        unsigned what = byte() % 8;

        switch (what) {
        case 0: /* offer, answer or choice: the ring, or the socket */
        case 1:
            hello.ring = what;
            say(fd, &hello, sizeof hello, -1);
            break;
        case 2: /* a wrong one, or a part */
            memcpy(sent, &hello, sizeof hello);
            sent[byte() % sizeof hello] ^= (unsigned char)(1 << byte() % 8);
            say(fd, sent, byte() % (sizeof hello + 1), -1);
            break;
        case 3: /* bytes that look like messages, and others */
            say(fd, sent, piece(sent, IPC_CHANNEL_HEADER_, ROOM), -1);
            break;
        case 4:
            give(fd);
            break;
        case 5:
            listen_to(fd, &mem, &size);
            if (!listener && ch.kind != NULL)
                give_ring(fd, &liar);
            break;
        case 6:
            scribble(liar.ring != NULL ? liar.ring->seg.base : mem,
                     liar.ring != NULL ? liar.ring->seg.size : size);
            break;
        default:
            use(&ch, byte() % 4);
        }
        if (receive(MAX) == -EBADMSG && !listener)
            break; /* else it waits for another listener */
    }
    (void)close(fd);
    while (ch.in >= 0 && at_most-- > 0)
        (void)receive(MAX);
    if (mem != NULL)
        (void)munmap(mem, size);
    ipc_channel_ring_leave_(&liar);
    ipc_channel_close(&ch);
}

/* ------------------------------------------------------------------ logs */

static void log_(void)
{
    char path[120];
    int64_t rc, want = -ETIMEDOUT;
    struct stat st;
    int fd;

    (void)snprintf(path, sizeof path, "/dev/shm/%s", name);
    fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
    MUST(fd >= 0);
    ipc_channel_put_log_head_(sent, LOG_ID);
    mark = LOG_ID;
    for (end = at = IPC_CHANNEL_LOG_HEAD_; left > 0;)
        end += piece(sent + end, IPC_CHANNEL_RECORD_, ROOM - end);
    mark = LOG_ID;
    MUST(write(fd, sent, end) == (ssize_t)end);
    open_as("file", "/dev/shm/", IPC_RECV);
    while ((rc = receive(MAX)) >= 0) {
        MUST(end - at >= 16 + (size_t)rc && memcmp(got, sent + at + 16, (size_t)rc) == 0);
        mark = ipc_channel_get_64_(sent + at + 8);
        at += 16 + (size_t)rc;
    }
    /* The reader stops at bytes that are no record, and nowhere else. */
    if (end - at >= 16) {
        uint32_t n = ipc_channel_get_(sent + at);

        n ^= ipc_channel_log_key_(LOG_ID, (int64_t)at) ^ IPC_CHANNEL_CHECK_;
        if (ipc_channel_get_(sent + at + 4) != n || ipc_channel_get_(sent + at) > MAX)
            want = -EBADMSG;
        else if (end - at - 16 >= (n = ipc_channel_get_(sent + at))) {
            MUST(ipc_channel_get_64_(sent + at + 8) !=
                 ipc_channel_hash_(ipc_channel_seed_(mark, n), sent + at + 16, n));
            want =
                end - at - 16 > n ? -EBADMSG : -ETIMEDOUT; /* the last record may be half written */
        }
    }
    MUST(rc == want);
    ipc_channel_close(&ch);
    /* A writer cuts off nothing, or what may be one unfinished record, or zeros. Of a large log it
     * reads the end only. */
    rc = ipc_channel_open_with(&ch, uri, IPC_SEND | IPC_LISTEN, IPC_NOW, &how);
    MUST(fstat(fd, &st) == 0 && rc <= 0);
    MUST((size_t)st.st_size == (rc == 0 ? at : end) ||
         (rc == 0 && end > IPC_CHANNEL_GULP_ && (size_t)st.st_size > at));
    MUST(rc == 0 || rc == -EBADMSG);
    for (at = (size_t)st.st_size; at < end && sent[at] == 0; at++)
        ;
    MUST(rc != 0 || at == end || end - (size_t)st.st_size <= 16 + MAX);
    MUST(pread(fd, got, end, 0) == st.st_size && memcmp(got, sent, (size_t)st.st_size) == 0);
    ipc_channel_close(&ch);
    (void)close(fd);
    (void)unlink(path);
}

/* ------------------------------------------------------------------ main */

static int lowest(void)
{
    int fd = dup(0);

    (void)close(fd);
    return fd;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Removes what fuzzers have left that were killed. */
static void remove_remains(void)
{
    DIR *folder = opendir("/dev/shm");
    const struct dirent *entry;
    long pid;

    if (folder == NULL)
        return;
    while ((entry = readdir(folder)) != NULL)
        if (sscanf(entry->d_name, "ipc-fuzz-%ld", &pid) == 1 && pid > 0 &&
            kill((pid_t)pid, 0) != 0 && errno == ESRCH)
            (void)unlinkat(dirfd(folder), entry->d_name, 0);
    (void)closedir(folder);
}

/* With FUZZ_SEEDS=folder it only makes the seeds there: one working example of each kind. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const unsigned char kinds[KINDS][40] = {
        [PIPE] = {PIPE, 3, 9, 50, 0, 0, 3, 0, 3, 0, 0, 4, 200, 1, 0, 7, 78, 32, 9, 0},
        [UNIX] = {UNIX, 4, 9, 0, 0, 7, 78, 33, 3, 0, 0, 0},
        [SEQ] = {SEQ, 3, 9, 0, 3, 0, 0, 7, 78, 32, 0, 5, 9, 0, 5, 1},
        [DGRAM] = {DGRAM, 3, 9, 0, 3, 0, 0, 7, 78, 32, 0},
        [CLIENT] = {CLIENT, 1, 5, 5, 5, 5, 1, 7, 2, 10, 200, 6, 0, 20, 130, 7, 3, 10, 20, 30},
        [LISTENER] = {LISTENER, 1, 5, 0, 7, 2, 10, 200, 6, 0, 20, 130, 7, 3, 10, 20, 30},
        [FILE_] = {FILE_, 3, 9, 3, 0, 4, 200, 7, 10, 10, 6, 50, 0, 20},
        [RING] = {RING, 2, 0, 1, 3, 4, 10, 20, 30, 2, 4, 200, 20, 0, 0, 40, 130, 3, 2, 9, 9, 2, 3},
    };
    const char *folder = getenv("FUZZ_SEEDS"), *given = getenv("IPC_TEST_PREFIX");
    unsigned i;

    (void)argc, (void)argv;
    remove_remains();
    if (given != NULL && *given != '\0')
        (void)snprintf(name, sizeof name, "%.60s-fuzz", given);
    else
        (void)snprintf(name, sizeof name, "ipc-fuzz-%ld", (long)getpid());
    for (i = 0; folder != NULL && i < KINDS; i++) {
        char what[10];

        (void)snprintf(what, sizeof what, "%u", i);
        seed(folder, what, kinds[i], sizeof kinds[i]);
    }
    if (folder != NULL)
        exit(0);
    (void)signal(SIGPIPE, SIG_DFL); /* as most hosts have it */
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int before = lowest(), fd;

    input = data;
    left = size;
    memset(&how, 0, sizeof how);
    how.max = MAX;
    switch (byte() % KINDS) {
    case PIPE:
        open_as("pipe", "", IPC_RECV);
        stream(fcntl(((struct ipc_channel_pipe_ *)ch.state)->child_out, F_DUPFD_CLOEXEC, 0));
        break;
    case UNIX:
        open_as("unix", "@", IPC_RECV | IPC_LISTEN);
        fd = plain(SOCK_STREAM, 0);
        if (greets(fd))
            stream(fd);
        break;
    case SEQ:
        open_as("unix-seq", "@", IPC_RECV | IPC_LISTEN);
        fd = plain(SOCK_SEQPACKET, 0);
        if (greets(fd))
            packets(fd, 1);
        break;
    case DGRAM:
        open_as("unix-dgram", "@", IPC_RECV | IPC_LISTEN);
        packets(plain(SOCK_DGRAM, 0), 0);
        break;
    case CLIENT:
        handshake(1);
        break;
    case LISTENER:
        handshake(0);
        break;
    case FILE_:
        log_();
        break;
    default:
        ring();
    }
    MUST(lowest() == before);
    return 0;
}
