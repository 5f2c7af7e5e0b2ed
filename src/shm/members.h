/* Who is attached. */
#ifndef IPC_SRC_SHM_MEMBERS_H
#define IPC_SRC_SHM_MEMBERS_H 1

#include "map.h"

/* ------------------------------------------------------------------ members */

/* 1 while the member with this id may be alive, 0 when it has left or the kernel says that it is
 * dead. A few system calls, some 10 microseconds; not for the path of a message. Wait-free. */
IPC_INLINE int ipc_shm_alive(struct ipc_shm *seg, uint64_t id)
{
    return ipc_shm_own_(seg) != 0 || ipc_shm_alive_(seg, id);
}

/* struct ipc_peer's alive, watch and stir. */
IPC_INLINE int ipc_shm_peer_alive_(void *arg, uint64_t id)
{
    return ipc_shm_alive((struct ipc_shm *)arg, id);
}

/* A process with that pid, if it is the one that is the member: readable when it dies. */
IPC_INLINE int ipc_shm_pidfd_(struct ipc_shm *seg, uint64_t id)
{
    int fd = -1;
#ifdef SYS_pidfd_open
    const struct ipc_shm_member_ *m = &seg->base->member[id % IPC_SHM_MEMBERS];
    uint32_t pid = ck_pr_load_32(&m->pid);

    if (pid == 0 || pid > INT_MAX || seg->pid_ns == 0 || ck_pr_load_64(&m->pid_ns) != seg->pid_ns)
        return -1;
    fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    /* The pid was its, if it lives after the open. */
    if (fd >= 0 && !ipc_shm_alive_(seg, id)) {
        (void)close(fd);
        return -1;
    }
#else
    (void)seg, (void)id;
#endif
    return fd;
}

/* The kernel tells by inotify when somebody closes his descriptor of the segment, which a death
 * does, also in another PID namespace; and when somebody reads from it, which nobody does but by
 * ipc_shm_stir_. A process that left its descriptor to children is told of by its pidfd. */
IPC_INLINE int ipc_shm_watch_(void *arg, uint64_t id, int fds[2])
{
    struct ipc_shm *seg = (struct ipc_shm *)arg;
    char path[32];
    int rc = ipc_shm_own_(seg);

    if (rc != 0)
        return rc;
    if (id != 0 && fds[1] < 0)
        fds[1] = ipc_shm_pidfd_(seg, id);
    if (fds[0] < 0)
        fds[0] = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fds[0] < 0)
        return -errno;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", seg->fd);
    return inotify_add_watch(fds[0], path, IN_ACCESS | IN_CLOSE_WRITE) >= 0 ? 0 : -errno;
}

IPC_INLINE void ipc_shm_stir_(void *arg)
{
    const struct ipc_shm *seg = (const struct ipc_shm *)arg;
    char byte;

    if (pread(seg->fd, &byte, 1, 0) < 0)
        return; /* whoever sleeps looks for himself before long */
}

/* Who we are in this segment, and who else is alive, for attaching to a ring or a notifier in it;
 * seg must stay where it is, and open, as long as they are used. After fork the child's first call
 * makes it a member of its own; where that fails, id is 0 and ipc_shm_why says why. */
IPC_INLINE struct ipc_peer *ipc_shm_peer(struct ipc_shm *seg)
{
    (void)ipc_shm_own_(seg);
    seg->peer.alive = ipc_shm_peer_alive_;
    seg->peer.watch = ipc_shm_watch_;
    seg->peer.stir = ipc_shm_stir_;
    seg->peer.arg = seg;
    return &seg->peer;
}

/* A member, as ipc_shm_who saw it. */
struct ipc_shm_member {
    uint64_t id;
    uint64_t pid_ns; /* inode of the PID namespace in which pid counts; 0: not known */
    pid_t pid;
    int alive; /* 0: proven dead; its place is free for the next */
    int here;  /* 1: pid counts in our namespace, too */
    int me;    /* 1: this handle */
};

/*
 * Who has the segment open, in place i of 0 <= i < IPC_SHM_MEMBERS, for tools that list them. A
 * member joins when it opens the segment, or first uses a handle that it inherited by fork; it
 * leaves when it closes it or dies.
 *
 *   0
 *   -ENOENT  nobody, or it came or left just now
 *   -EINVAL  the segment is not open
 */
IPC_INLINE int ipc_shm_who(struct ipc_shm *seg, unsigned i, struct ipc_shm_member *who)
{
    const struct ipc_shm_member_ *m;
    uint32_t pid;

    if (ipc_shm_own_(seg) != 0)
        return -EINVAL;
    memset(who, 0, sizeof *who);
    if (i >= IPC_SHM_MEMBERS)
        return -ENOENT;
    m = &seg->base->member[i];
    who->id = ck_pr_load_64(&m->id);
    /* Both, or these could be of another than id. Partners: the store fences in ipc_shm_join_. */
    ck_pr_fence_load();
    pid = ck_pr_load_32(&m->pid);
    who->pid_ns = ck_pr_load_64(&m->pid_ns);
    ck_pr_fence_load();
    if (who->id == 0 || who->id % IPC_SHM_MEMBERS != i || ck_pr_load_64(&m->id) != who->id)
        return -ENOENT;
    who->pid = pid <= INT_MAX ? (pid_t)pid : 0;
    who->alive = ipc_shm_alive_(seg, who->id);
    who->here = who->pid_ns != 0 && who->pid_ns == seg->pid_ns;
    who->me = who->id == seg->peer.id;
    return 0;
}

#endif
