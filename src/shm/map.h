/* Mapping a segment, and giving it back. */
#ifndef IPC_SRC_SHM_MAP_H
#define IPC_SRC_SHM_MAP_H 1

#include "watch.h"

/* ------------------------------------------------------------------ mapping */

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_HUGEPAGE
#define MADV_HUGEPAGE 14
#endif

/* Does the tmpfs that the file is in, such as /dev/shm, grant huge pages? Its option `huge` says
 * so. -1: the file is in no tmpfs that is mounted, but a memfd. */
IPC_INLINE int ipc_shm_mount_grants_huge_pages_(uint64_t device)
{
    char line[4096];
    const char *option;
    struct mntent m;
    struct stat st;
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    int grants = -1; /* of the last one: those before it may be hidden behind it */

    while (mounts != NULL && getmntent_r(mounts, &m, line, (int)sizeof line) != NULL) {
        if (strcmp(m.mnt_type, "tmpfs") != 0 || stat(m.mnt_dir, &st) != 0 ||
            (uint64_t)st.st_dev != device)
            continue;
        option = hasmntopt(&m, "huge");
        grants = option != NULL && strncmp(option, "huge=never", 10) != 0;
    }
    if (mounts != NULL)
        (void)endmntent(mounts);
    return grants;
}

/* Asks for huge pages under the mapping. 0 when they are granted, else why not. */
IPC_INLINE int ipc_shm_ask_for_huge_pages_(struct ipc_shm *seg)
{
    char policy[128];
    int mount = ipc_shm_mount_grants_huge_pages_(seg->device);
    ssize_t n = -1;
    int fd = open("/sys/kernel/mm/transparent_hugepage/shmem_enabled", O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        n = read(fd, policy, sizeof policy - 1);
        (void)close(fd);
    }
    if (n <= 0)
        return -EOPNOTSUPP;
    policy[n] = '\0';
    /* `never` and the rest are about memfds; these two about every tmpfs as well. */
    if (strstr(policy, "[deny]") != NULL ||
        (strstr(policy, "[force]") == NULL &&
         (mount >= 0 ? mount == 0 : strstr(policy, "[never]") != NULL)))
        return -EOPNOTSUPP;
    return madvise(seg->base, seg->size, MADV_HUGEPAGE) == 0 ? 0 : -errno;
}

/* Maps the file. Where `at` is not NULL, maps it there, over what was there. */
IPC_INLINE int ipc_shm_map_(struct ipc_shm *seg, void *at)
{
    struct stat st;
    void *base = mmap(at, seg->size, PROT_READ | PROT_WRITE,
                      MAP_SHARED | (at != NULL ? MAP_FIXED : 0), seg->fd, 0);

    if (base == MAP_FAILED && errno == EAGAIN)
        return ipc_shm_refuse(seg, -ENOMEM, "cannot map %zu bytes: more than RLIMIT_MEMLOCK, and "
                              "the process locks all that it maps (mlockall)", seg->size);
    if (base == MAP_FAILED)
        return ipc_shm_refuse(seg, -errno, "cannot map %zu bytes: %s", seg->size, strerror(errno));
    seg->base = (struct ipc_shm_header_ *)base;
    if (fstat(seg->fd, &st) != 0)
        return ipc_shm_refuse(seg, -errno, "cannot ask for the segment's file: %s",
                              strerror(errno));
    seg->device = (uint64_t)st.st_dev;
    seg->inode = (uint64_t)st.st_ino;
    if ((seg->flags & IPC_SHM_HUGE) != 0 && seg->huge_rc != 0)
        seg->huge_rc = ipc_shm_ask_for_huge_pages_(seg);
    return 0;
}

/* Faults the pages in, as the options say. The file is allocated, so there is space for them. */
IPC_INLINE void ipc_shm_prefault_(struct ipc_shm *seg)
{
    size_t i;

    if ((seg->flags & IPC_SHM_NO_PREFAULT) == 0 &&
        madvise(seg->base, seg->size, MADV_POPULATE_WRITE) != 0) /* Linux before 5.14 */
        for (i = 0; i < seg->size; i += 4096)
            (void)ck_pr_load_8((uint8_t *)seg->base + i);
    if ((seg->flags & IPC_SHM_MLOCK) != 0)
        seg->lock_rc = mlock(seg->base, seg->size) == 0 ? 0 : -errno;
}

/* Makes the handle one that is not open. An option that is not tried counts as not granted. */
IPC_INLINE void ipc_shm_clear_(struct ipc_shm *seg, const struct ipc_shm_options *how)
{
    memset(seg, 0, sizeof *seg);
    seg->fd = -1;
    seg->flags = how->flags;
    seg->lock_rc = seg->huge_rc = -EOPNOTSUPP;
}

IPC_INLINE void ipc_shm_close(struct ipc_shm *seg)
{
    /* A handle that came by fork is the parent's membership: only unmap. */
    if (seg->base != NULL && seg->peer.id != 0 && seg->pid == getpid()) {
        struct ipc_shm_member_ *m = &seg->base->member[seg->peer.id % IPC_SHM_MEMBERS];

        ck_pr_store_64(&m->left, seg->peer.id);
        /* Without it our id could be gone before the mark says why. Partner: in
         * ipc_shm_peer_alive_. */
        ck_pr_fence_store();
        ck_pr_store_64(&m->id, 0);
    }
    ipc_shm_close_watch_(seg);
    seg->watcher = 0;
    if (seg->base != NULL)
        (void)munmap(seg->base, seg->size);
    if (seg->fd >= 0 && (seg->base == NULL || ipc_shm_has_its_file_(seg)))
        (void)close(seg->fd);
    seg->base = NULL;
    seg->fd = -1;
    seg->peer.id = 0;
}

/* Closes the handle, and returns rc, a refusal. */
IPC_INLINE int ipc_shm_close_refused_(struct ipc_shm *seg, int rc)
{
    ipc_shm_close(seg);
    return rc;
}

/* Opens a new file description of the file behind fd. All locks of one description have one holder,
 * so each member needs its own. Returns its descriptor. */
IPC_INLINE int ipc_shm_reopen_(struct ipc_shm *seg, int fd)
{
    char path[32];
    int own;

    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    /* O_NONBLOCK, as a file lease, which the file's owner may hold, would keep us waiting. */
    own = ipc_move_fd_(open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK));
    if (own < 0 && errno == EAGAIN)
        return ipc_shm_refuse(seg, -EACCES, "its owner holds a file lease on the segment");
    return own >= 0 ? own
                    : ipc_shm_refuse(seg, -errno, "cannot reopen %s: %s", path, strerror(errno));
}

/* Makes this process, which has inherited the handle by fork, a member of its own, with the same
 * addresses. */
IPC_INLINE int ipc_shm_rejoin_(struct ipc_shm *seg)
{
    int parents = seg->fd, own;

    if (!ipc_shm_has_its_file_(seg))
        return ipc_shm_refuse(seg, -EBADF, "others have closed the segment's descriptor");
    own = ipc_shm_reopen_(seg, parents);
    if (own < 0)
        return own;
    seg->fd = own;
    (void)close(parents);
    seg->peer.id = 0;
    /* Without it the mapping would keep the parent's description, and with it the parent's lock. */
    if (ipc_shm_map_(seg, seg->base) != 0)
        return -ENOMEM;
    ipc_shm_prefault_(seg);
    return ipc_shm_join_(seg, 0);
}

/* Sleeps for so many nanoseconds, less than a second. 0, or -EINTR when a signal handler ran. */
IPC_INLINE int ipc_shm_nap_(int64_t ns)
{
    struct timespec nap = {0, 0};

    nap.tv_nsec = (long)ns;
    return nanosleep(&nap, NULL) == 0 ? 0 : -EINTR;
}

/* Where the handle came by fork, makes this process a member of its own: the first thread that
 * calls does it, and others wait for that thread. */
IPC_INLINE int ipc_shm_become_member_(struct ipc_shm *seg)
{
    int me = (int)getpid(), joining, rc = 0;

    if (seg->base == NULL)
        return -EINVAL; /* ipc_shm_why says what was refused */
    while (rc == 0 && ck_pr_load_int(&seg->pid) != me) {
        joining = ck_pr_load_int(&seg->joining); /* of our parent: it forked meanwhile */
        if (joining == me || !ck_pr_cas_int(&seg->joining, joining, me)) {
            (void)ipc_shm_nap_(100000);
            continue;
        }
        /* Without it the pid could be older than the CAS. Partner: the fence below. */
        ck_pr_fence_atomic_load();
        if (ck_pr_load_int(&seg->pid) != me)
            rc = ipc_shm_rejoin_(seg);
        /* Without it the next thread could find no one joining, and not yet our pid. */
        ck_pr_fence_store();
        ck_pr_store_int(&seg->joining, 0);
    }
    /* Without it the id could be older than the pid. Partner: the store fence in ipc_shm_join_. */
    ck_pr_fence_load();
    return rc;
}

#endif
