/*
 * Which process a member is, and whether it is dead.
 *
 * The entry of member i belongs to the process that has the write lock on byte i of the segment's
 * file. It is an open file description lock: the kernel releases it when the last descriptor of
 * that description is closed, so on any death, also in another PID namespace, and not before.
 *
 *   entry                   by which process, how
 *   ---------------------   ----------------------------------------------------------------------
 *   lock free -> locked     a process that joins: F_OFD_SETLK. From here on, it alone stores to the
 *                           entry
 *   id: any -> 0            the same: a store, then a store fence. The old id is of a member that
 *                           is dead, or has closed the segment
 *   pid, start, pid_ns,     the same: stores, then a store fence
 *   candidate: new values
 *   id: 0 -> a new one      the same: a store. It is a member now
 *   candidate: 1 -> 0       the same, when it takes the segment over: see open.h
 *   left: -> its own id     the same, when it closes the segment: a store, then a store fence
 *   id: its own -> 0        the same, after that; then it gives the lock back
 *   locked -> lock free     the kernel, when the member dies. id stays
 *
 * An id is a generation, new for each process that joins, and the entry's index. Ids are never used
 * twice, so a word in shared memory that has one can be compared and swapped without fear of a
 * successor.
 *
 * A member is dead when one of these holds, and is alive otherwise:
 *   1. its entry has another id: it has left, or another process has the entry's lock;
 *   2. its entry's lock is free. That is asked by our descriptor, so it proves nothing where others
 *      have closed that, and its number is of another file;
 *   3. its pid counts in our namespace, and the process with that pid is gone, or has started at
 *      another time. This is for a process whose child still has its descriptor, and so its lock.
 */
#ifndef IPC_SRC_SHM_IDENTITY_H
#define IPC_SRC_SHM_IDENTITY_H 1

#include "layout.h"

/* ------------------------------------------------------------------ proofs of life and death */

/* Reads when a process started, in clock ticks since boot, from its /proc/.../stat. 0, -ESRCH when
 * the process is a zombie, or the negative errno of open. */
IPC_INLINE int ipc_shm_read_start_(const char *path, uint64_t *start)
{
    char text[1024], *p;
    ssize_t n;
    int fd, why, field, state = 0;
    long threads = 0;

    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    n = read(fd, text, sizeof text - 1);
    why = n < 0 ? -errno : -ESRCH; /* the process died between open and read */
    (void)close(fd);
    if (n <= 0)
        return why;
    text[n] = '\0';
    p = strrchr(text, ')'); /* the process's name may hold blanks and parentheses, too */
    if (p == NULL)
        return -EPROTO;
    for (field = 2; field < 22; field++) {
        p = strchr(p, ' ');
        if (p == NULL)
            return -EPROTO;
        p++;
        if (field + 1 == 3)
            state = *p;
        else if (field + 1 == 20)
            threads = strtol(p, NULL, 10);
    }
    *start = strtoull(p, NULL, 10);
    /* The first thread may be a zombie while others run on: the process lives. */
    return (state == 'Z' || state == 'X') && threads <= 1 ? -ESRCH : 0;
}

/* The inode of this process's PID namespace, 0 when it is not known. */
IPC_INLINE uint64_t ipc_shm_pid_ns_(void)
{
    struct stat st;

    return stat("/proc/self/ns/pid", &st) == 0 ? (uint64_t)st.st_ino : 0;
}

/* Is the process with this pid in our namespace gone, or another than the one that started then? */
IPC_INLINE int ipc_shm_process_is_gone_(pid_t pid, uint64_t then)
{
    char path[32];
    uint64_t start = 0;
    int rc;

    if (kill(pid, 0) != 0 && errno == ESRCH)
        return 1;
    (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    rc = ipc_shm_read_start_(path, &start);
    return rc == -ESRCH || (rc == 0 && start != then);
}

/* Is /proc that of our PID namespace? After unshare it may still be that of another, where our pids
 * are those of strangers. */
IPC_INLINE int ipc_shm_proc_is_ours_(void)
{
    char self[16];
    ssize_t n = readlink("/proc/self", self, sizeof self - 1);

    self[n > 0 ? n : 0] = '\0';
    if (strtol(self, NULL, 10) != (long)getpid())
        return 0;
    return 1;
}

#ifndef F_OFD_GETLK
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#endif

/* Takes the lock on a member's byte (F_OFD_SETLK), or asks whether another has it (F_OFD_GETLK).
 * Not a classic lock, which goes when the process closes any descriptor of the file. */
IPC_INLINE int ipc_shm_lock_(int fd, int how, unsigned member, short *type)
{
    struct flock lock;
    int rc;

    memset(&lock, 0, sizeof lock);
    lock.l_type = *type;
    lock.l_whence = SEEK_SET;
    lock.l_start = (off_t)member;
    lock.l_len = 1;
    rc = fcntl(fd, how, &lock);
    *type = lock.l_type;
    return rc == 0 ? 0 : -errno;
}

/* Is our descriptor still that of the segment? A program may have closed it, and opened another. */
IPC_INLINE int ipc_shm_has_its_file_(const struct ipc_shm *seg)
{
    struct stat st;

    return fstat(seg->fd, &st) == 0 && (uint64_t)st.st_dev == seg->device &&
           (uint64_t)st.st_ino == seg->inode;
}

/* Is the member alive? 0 only with a proof of its death, see the top. */
IPC_INLINE int ipc_shm_member_is_alive_(const struct ipc_shm *seg, uint64_t id)
{
    const struct ipc_shm_member_ *m = ipc_shm_member_of_(seg, id);
    uint64_t then, ns;
    uint32_t pid;
    short type = F_WRLCK;

    if (id == 0 || ck_pr_load_64(&m->id) != id)
        return 0; /* proof 1 */
    if (id == seg->peer.id)
        return 1;
    if (ipc_shm_lock_(seg->fd, F_OFD_GETLK, (unsigned)(id % seg->members), &type) == 0 &&
        type == F_UNLCK && ipc_shm_has_its_file_(seg))
        return 0; /* proof 2 */
    /* Without it pid and the rest could be older than the id. Partner: the second store fence in
     * ipc_shm_join_. */
    ck_pr_fence_load();
    pid = ck_pr_load_32(&m->pid);
    then = ck_pr_load_64(&m->start);
    ns = ck_pr_load_64(&m->pid_ns);
    /* Without it these could be of a successor. Partner: the first store fence in ipc_shm_join_. */
    ck_pr_fence_load();
    if (ck_pr_load_64(&m->id) != id)
        return 0; /* proof 1 */
    if (ns == 0 || ns != seg->pid_ns || pid == 0 || pid > INT_MAX)
        return 1;                                       /* its pid means nothing in our namespace */
    return !ipc_shm_process_is_gone_((pid_t)pid, then); /* proof 3 */
}

/* Makes this process a member, or a candidate. seg->fd is a file description of our own, and
 * seg->base is mapped. Looks first for an entry without an id, as each question about a lock takes
 * a system call, which is the longer the more locks there are; then for that of a dead member. */
IPC_INLINE int ipc_shm_join_(struct ipc_shm *seg, int candidate)
{
    uint64_t start = 0, generation;
    unsigned i, look;
    int rc = ipc_shm_read_start_("/proc/self/stat", &start);

    if (rc != 0)
        return ipc_shm_refuse(seg, rc == -ENOENT ? -ENOSYS : rc, "cannot read /proc/self/stat: %s",
                              rc == -ENOENT ? "is /proc mounted?" : strerror(-rc));
    for (look = 0; look < 2 * seg->members; look++) {
        struct ipc_shm_member_ *m = ipc_shm_member_of_(seg, i = look % seg->members);
        short type = F_WRLCK;

        if (look < seg->members && ck_pr_load_64(&m->id) != 0)
            continue;
        rc = ipc_shm_lock_(seg->fd, F_OFD_SETLK, i, &type);
        if (rc == -EAGAIN || rc == -EACCES)
            continue;
        if (rc != 0)
            return ipc_shm_refuse(seg, rc, "no open file description locks here: %s",
                                  strerror(-rc));
        do /* not 0, which is the id of no member */
            generation = ck_pr_faa_64(&seg->base->generation, 1) + 1;
        while ((generation * seg->members & IPC_SHM_ID_) == 0);
        ck_pr_store_64(&m->id, 0);
        /* Without it the dead predecessor's id could be seen beside our pid. Partner: the second
         * load fence in ipc_shm_member_is_alive_. */
        ck_pr_fence_store();
        ck_pr_store_32(&m->pid, (uint32_t)getpid());
        ck_pr_store_32(&m->candidate, (uint32_t)candidate);
        ck_pr_store_64(&m->start, start);
        seg->pid_ns = ipc_shm_pid_ns_();
        ck_pr_store_64(&m->pid_ns, seg->pid_ns);
        if (!ipc_shm_proc_is_ours_())
            seg->pid_ns = 0;
        /* Without it our id could be seen beside the predecessor's pid. Partner: the first load
         * fence in ipc_shm_member_is_alive_. */
        ck_pr_fence_store();
        seg->peer.id = (generation * seg->members & IPC_SHM_ID_) + i;
        ck_pr_store_64(&m->id, seg->peer.id);
        /* Without it another thread could go on with our parent's id. Partner: the load fence in
         * ipc_shm_become_member_. */
        ck_pr_fence_store();
        ck_pr_store_int(&seg->pid, getpid());
        return 0;
    }
    return ipc_shm_refuse(seg, -EUSERS, "all %u members' places are taken: create the segment with "
                          "more, or one for each client", seg->members);
}

#endif
